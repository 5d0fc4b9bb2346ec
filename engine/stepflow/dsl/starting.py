"""What a run may be started with: its input and its variables, judged by the template's schemas."""

from __future__ import annotations

from collections.abc import Mapping

from stepflow.dsl.schemas import check_value
from stepflow.errors import InvalidInputError
from stepflow.model.flow import Flow, Json

_CLEAR = "{0} is secret and given as env:NAME or file:PATH, never in clear"


def check_start(flow: Flow, value: Json, variables: Mapping[str, Json] | None) -> None:
    """`InvalidInputError` says everything that is wrong with them."""
    given = dict(variables or {})
    problems = [_CLEAR.format(name) for name in sorted(flow.secrets & given.keys()) if not _is_reference(given[name])]
    if problems:
        # Before the schemas, which would repeat the secret in what they say.
        raise InvalidInputError(f"Invalid variables: {'; '.join(problems)}", {"problems": problems})
    for what, schema, what_is_given in (("input", flow.input_schema, value), ("variables", flow.variables, given)):
        problems = [] if schema is None else check_value(schema, what_is_given)
        if problems:
            raise InvalidInputError(f"Invalid {what}: {'; '.join(problems)}", {"problems": problems})


def _is_reference(value: Json) -> bool:
    return isinstance(value, str) and value.startswith(("env:", "file:"))
