"""A step that is skipped in every run."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping

from stepflow.dsl.lint.dependencies import certain_references
from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View, literal_truth
from stepflow.dsl.places import Place
from stepflow.model.flow import Step

_BARE_OUTPUT = re.compile(r"\$\.steps[\w.\-\[\]\"]+\.output[\w.\-\[\]\"]*")


def check(view: View) -> Iterator[Finding]:
    never: dict[str, str] = {}
    """Steps that never run, each with the reason."""
    places = {}
    for step in view.flow.steps:
        body = view.step_body(step)
        for key, truth in (("skip_if", True), ("when", False)):
            if literal_truth(body.get(key)) is truth:
                never[step.key] = f"its `{key}` is always {str(truth).lower()}"
                places[step.key] = view.place(step, key)
    users = _users(view) if never else {}
    found = deque(never)
    while found:
        needed = found.popleft()
        for user in users.get(needed, ()):
            # What needs a step that never runs, never runs either.
            if user.key not in never:
                found.append(user.key)
                never[user.key] = f"it needs the output of '{needed}', which never runs"
                places[user.key] = view.place(user)
    for key, reason in never.items():
        yield Finding(f"Step '{key}' never runs: {reason}", places[key])


def _users(view: View) -> dict[str, list[Step]]:
    """By step, those that are skipped without it."""
    conditions: dict[Place, list[str]] = {}
    for reference in view.references:
        if reference.kind == "step" and reference.place[-1] == "when":
            conditions.setdefault(reference.place, []).append(reference.name)
    users: dict[str, list[Step]] = {}
    for step in view.flow.steps:
        for key in _needs(view, step, conditions):
            users.setdefault(key, []).append(step)
    return users


def _needs(view: View, step: Step, conditions: Mapping[Place, list[str]]) -> Iterator[str]:
    """Steps without which it is skipped. `conditions`: those that a `when` refers to, by its place."""
    for key, has_default in certain_references(step.input):
        if not has_default:
            yield key
    # A condition that is nothing but the output of a step is false when that was skipped.
    condition = view.step_body(step).get("when")
    if isinstance(condition, dict):
        yield from (key for key, has_default in certain_references(condition) if not has_default)
    elif isinstance(condition, str) and _BARE_OUTPUT.fullmatch(condition.strip()):
        yield from conditions.get(view.place(step, "when"), ())


RULES: tuple[Rule, ...] = (
    Rule(
        code="L207",
        name="unreachable-step",
        level="warning",
        reason="A step that never runs is read and maintained as if it did.",
        bad="""\
description: Greet
steps:
  - { id: greet, component: /python/call, input: { function: "shop:greet" }, skip_if: true }
  - { id: leave, component: /python/call, input: { function: "shop:leave" } }
""",
        good="""\
description: Greet
steps:
  - { id: greet, component: /python/call, input: { function: "shop:greet" }, skip_if: "$.input.quiet" }
  - { id: leave, component: /python/call, input: { function: "shop:leave" } }
""",
        check=check,
    ),
)
