"""A name in `depends_on` that a reference in the input implies already."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.source import Edit
from stepflow.dsl.lint.view import View
from stepflow.dsl.places import Place


def check(view: View) -> Iterator[Finding]:
    for index, step in enumerate(view.flow.steps):
        for place in _redundant(view, index):
            name = view.written_at(view.written_place(place))
            yield Finding(f"Step '{step.key}' depends on '{name}' already", place, "leave it out")


def fix(view: View, finding: Finding) -> tuple[Edit, ...]:
    """Takes one name out of a list, or the key away with its last name."""
    place = view.written_place(finding.place)
    if isinstance(place[-1], int):
        if len(view.written_at(place[:-1])) == 1:
            place = place[:-1]
        elif place[-1] % 2 and finding.place != next(_redundant(view, view.index_at(finding.place))):
            return ()  # A list gives up every other name at a time, so that it is never left empty.
    edit = view.source.remove(place)
    return () if edit is None else (edit,)


def _redundant(view: View, index: int) -> Iterator[Place]:
    step = view.flow.steps[index]
    if not step.depends_on:
        return
    implied = view.implied_dependencies[index]
    place = view.place(step, "depends_on")
    written = view.step_body(step)["depends_on"]
    if isinstance(written, str):
        if written in implied:
            yield place
        return
    above: set[str] = set()
    for at, name in enumerate(written):
        if name in implied or name in above:
            yield (*place, at)
        above.add(name)


RULES: tuple[Rule, ...] = (
    Rule(
        code="L215",
        name="redundant-depends-on",
        level="info",
        reason="An order that is said twice is kept by the one when the other changes, and nobody sees why.",
        bad="""\
description: Check an order and ship it
steps:
  - { id: check, component: /python/call, input: { function: "orders:check" } }
  - id: ship
    component: /python/call
    depends_on: [check]
    input: { function: "orders:ship", args: ["$.steps.check.output"] }
""",
        good="""\
description: Check an order and ship it
steps:
  - { id: check, component: /python/call, input: { function: "orders:check" } }
  - id: ship
    component: /python/call
    input: { function: "orders:ship", args: ["$.steps.check.output"] }
""",
        check=check,
        fix=fix,
    ),
)
