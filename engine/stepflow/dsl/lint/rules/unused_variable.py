"""A variable that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator

from stepflow.dsl.lint.rule import Finding, Rule
from stepflow.dsl.lint.view import View, property_names


def check(view: View) -> Iterator[Finding]:
    read = {reference.name for reference in view.references if reference.kind == "variable"}
    for name in property_names(view.flow.variables):
        if name not in read and not view.mentions(f"variables.{name}"):
            yield Finding(
                f"Variable '{name}' is never used",
                _place(view, name),
                f"read it as $.variables.{name}, or remove it",
            )


def _place(view: View, name: str) -> tuple[str, ...]:
    """Variables may be written as a JSON Schema or as its properties alone."""
    properties = ("variables", "properties", name)
    return properties if view.written_at(properties) is not None else ("variables", name)


RULES: tuple[Rule, ...] = (
    Rule(
        code="L219",
        name="unused-variable",
        level="warning",
        reason="Whoever starts the template is asked for a value that changes nothing.",
        bad="""\
description: Greet
variables: { greeting: { type: string }, language: { type: string } }
steps:
  - { id: greet, component: /builtin/echo, input: { text: "$.variables.greeting" } }
""",
        good="""\
description: Greet
variables: { greeting: { type: string } }
steps:
  - { id: greet, component: /builtin/echo, input: { text: "$.variables.greeting" } }
""",
        check=check,
    ),
)
