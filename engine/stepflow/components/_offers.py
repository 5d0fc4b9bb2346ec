"""What is looked at before a component of the user's is taken."""

from __future__ import annotations

from stepflow.contracts.component import Component
from stepflow.dsl.schemas import compile_schema


def schema_problem(made: Component) -> str | None:
    """Why it is not taken."""
    for name, schema in (("input_schema", made.input_schema), ("output_schema", made.output_schema)):
        if schema is not None:
            try:
                compile_schema(schema)
            except ValueError as error:
                return f"its {name} is not a JSON Schema: {error}"
    return None
