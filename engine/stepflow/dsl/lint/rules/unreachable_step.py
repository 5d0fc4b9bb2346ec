"""A step that is skipped in every run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stepflow.dsl.lint.dependencies import certain_references
from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View, literal_truth
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
    # Until nothing is added: what needs a step that never runs, never runs either.
    found = True
    while found:
        found = False
        for step in view.flow.steps:
            if step.key not in never:
                needed = next((key for key in _needs(view, step) if key in never), None)
                if needed is not None:
                    found = True
                    never[step.key] = f"it needs the output of '{needed}', which never runs"
                    places[step.key] = view.place(step)
    for key, reason in never.items():
        yield Finding(f"Step '{key}' never runs: {reason}", places[key])


def _needs(view: View, step: Step) -> Iterator[str]:
    """Steps without which it is skipped."""
    for key, has_default in certain_references(step.input):
        if not has_default:
            yield key
    # A condition that is nothing but the output of a step is false when that was skipped.
    condition = view.step_body(step).get("when")
    if isinstance(condition, dict):
        yield from (key for key, has_default in certain_references(condition) if not has_default)
    elif isinstance(condition, str) and _BARE_OUTPUT.fullmatch(condition.strip()):
        place = view.place(step, "when")
        yield from (one.name for one in view.references if one.place == place and one.kind == "step")


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
