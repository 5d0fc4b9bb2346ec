"""Steps that look like a sequence and all start together."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View


def check(view: View) -> Iterator[Finding]:
    steps = view.flow.steps
    # An `order` that is written is a decision.
    if len(steps) < 2 or view.body.get("order") is not None:
        return
    if any(step.depends_on for step in steps) or _steps_refer_to_steps(view):
        return
    is_typed = any("type" in view.written_at(view.place(step)) for step in steps)
    if is_typed:
        yield Finding(
            f"All {len(steps)} steps start at once: none refers to another",
            ("steps",),
            "`order: sequential` if one follows the other, `order: graph` if together is meant",
        )


def _steps_refer_to_steps(view: View) -> bool:
    return any(reference.kind == "step" and reference.place[:1] == ("steps",) for reference in view.references)


RULES: tuple[Rule, ...] = (
    Rule(
        code="L212",
        name="all-start-at-once",
        level="warning",
        reason="Steps run in the order of their references and not in the order of their lines.",
        bad="""\
description: Close the shop
steps:
  - { id: close-door, type: python.call, input: { function: "shop:close_door" } }
  - { id: count-money, type: python.call, input: { function: "shop:count_money" } }
""",
        good="""\
description: Close the shop
order: sequential
steps:
  - { id: close-door, type: python.call, input: { function: "shop:close_door" } }
  - { id: count-money, type: python.call, input: { function: "shop:count_money" } }
""",
        check=check,
    ),
)
