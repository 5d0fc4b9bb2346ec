"""A step with the name of a variable or of a field of the input."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View, property_names


def check(view: View) -> Iterator[Finding]:
    variables = property_names(view.flow.variables)
    fields = property_names(view.flow.input_schema)
    for step in view.flow.steps:
        if step.key in variables:
            what = "a variable"
        elif step.key in fields:
            what = "a field of the input"
        else:
            continue
        yield Finding(f"'{step.key}' names a step and {what}", view.place(step), "give one of them another name")
    for name in variables:
        if name in fields:
            yield Finding(
                f"'{name}' names a variable and a field of the input",
                ("variables", name),
                "give one of them another name",
            )


RULES: tuple[Rule, ...] = (
    Rule(
        code="L210",
        name="shadowed-name",
        level="info",
        reason="Two things of one name are taken for each other, by readers and in references.",
        bad="""\
description: Check an order
input_schema: { type: object, properties: { order: { type: string } } }
steps:
  - { id: order, component: /python/call, input: { function: "orders:check", args: ["$.input.order"] } }
""",
        good="""\
description: Check an order
input_schema: { type: object, properties: { order: { type: string } } }
steps:
  - { id: check-order, component: /python/call, input: { function: "orders:check", args: ["$.input.order"] } }
""",
        check=check,
    ),
)
