"""A step that runs a component which is on its way out."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import ComponentFacts, View


def check(view: View) -> Iterator[Finding]:
    for step in view.flow.steps:
        instead = view.facts(step).deprecated
        if instead:
            yield Finding(
                f"Step '{step.key}' runs the deprecated component '{step.component}'",
                view.place(step, "component"),
                instead,
            )


RULES: tuple[Rule, ...] = (
    Rule(
        code="L224",
        name="deprecated-component",
        level="warning",
        reason="A component that is deprecated may be gone with the next version of what offers it.",
        bad="""\
description: Load the orders
steps:
  - { id: orders, component: /user/load-v1 }
""",
        good="""\
description: Load the orders
steps:
  - { id: orders, component: /user/load }
""",
        check=check,
        example_components={
            "/user/load-v1": ComponentFacts(deprecated="run /user/load instead"),
            "/user/load": ComponentFacts(),
        },
    ),
)
