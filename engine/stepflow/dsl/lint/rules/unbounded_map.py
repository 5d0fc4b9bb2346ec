"""A map over as many items as arrive, all at once."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import ComponentFacts, View

MAP = "/builtin/map"


def check(view: View) -> Iterator[Finding]:
    for step in view.flow.steps:
        if step.component != MAP or not isinstance(step.input, dict):
            continue
        items_are_counted = isinstance(step.input.get("items"), list)
        if not items_are_counted and step.input.get("max_concurrency") is None:
            yield Finding(
                f"Step '{step.key}' maps over any number of items without max_concurrency",
                view.place(step),
                "e.g. `max_concurrency: 10` in its input",
            )


_EXAMPLE = """\
description: Handle all orders
steps:
  - id: all-orders
    component: /builtin/map
    input:
      items: "$.input.orders"{limit}
      workflow:
        steps:
          - {{ id: handle, component: /python/call, input: {{ function: "orders:handle", args: ["$.input"] }} }}
"""

RULES: tuple[Rule, ...] = (
    Rule(
        code="L209",
        name="unbounded-map",
        level="warning",
        reason="How many items there will be is not known, and each of them is a run of its own.",
        bad=_EXAMPLE.format(limit=""),
        good=_EXAMPLE.format(limit="\n      max_concurrency: 10"),
        check=check,
        example_components={MAP: ComponentFacts()},
    ),
)
