"""A field of the input that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View, property_names


def check(view: View) -> Iterator[Finding]:
    paths = [reference.path for reference in view.references if reference.kind == "input"]
    if () in paths:
        return  # All of it goes somewhere.
    read = {path[0] for path in paths}
    for name in property_names(view.flow.input_schema):
        if name not in read and not view.mentions(f"input.{name}"):
            yield Finding(
                f"Field '{name}' of the input is never used",
                ("input_schema", "properties", name),
                f"read it as $.input.{name}, or take it out of input_schema",
            )


RULES: tuple[Rule, ...] = (
    Rule(
        code="L220",
        name="unused-input",
        level="info",
        reason="Whoever starts the template gives a value that changes nothing.",
        bad="""\
description: Greet
input_schema: { type: object, properties: { name: { type: string }, language: { type: string } } }
steps:
  - { id: greet, component: /builtin/echo, input: { text: "$.input.name" } }
""",
        good="""\
description: Greet
input_schema: { type: object, properties: { name: { type: string } } }
steps:
  - { id: greet, component: /builtin/echo, input: { text: "$.input.name" } }
""",
        check=check,
    ),
)
