"""What a run may be started with: its input and its variables, judged by the template's schemas."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.dsl.schemas import check_value
from stepflow.errors import InvalidInputError
from stepflow.model import jsontext
from stepflow.model.flow import Flow, Json

_CLEAR = "{0} is secret and given as env:NAME or file:PATH, never in clear"


def check_start(flow: Flow, value: Json, variables: Mapping[str, Json] | None) -> None:
    """`InvalidInputError` says everything that is wrong with them."""
    given = dict(variables or {})
    for what, whole in (("input", value), ("variables", given)):
        if jsontext.is_too_deep(whole):
            raise InvalidInputError(f"Invalid {what}: nested deeper than {jsontext.MAX_NESTING} levels")
    problems = [_CLEAR.format(name) for name in sorted(flow.secrets & given.keys()) if not _is_reference(given[name])]
    problems += [f"there is no variable '{name}'{did_you_mean(name, known)}" for name, known in _unknown(flow, given)]
    if problems:
        # Before the schemas, which would repeat the secret in what they say.
        raise InvalidInputError(f"Invalid variables: {'; '.join(problems)}", {"problems": problems})
    for what, schema, what_is_given in (("input", flow.input_schema, value), ("variables", _judged(flow), given)):
        problems = [] if schema is None else check_value(schema, what_is_given)
        if problems:
            raise InvalidInputError(f"Invalid {what}: {'; '.join(problems)}", {"problems": problems})


def _unknown(flow: Flow, given: Mapping[str, Json]) -> Iterator[tuple[str, Collection[str]]]:
    """Each given variable that the template does not name, with those that it does."""
    schema = flow.variables or {}
    properties = schema.get("properties") or {}
    if not schema.get("additionalProperties") and "patternProperties" not in schema:
        yield from ((name, properties.keys()) for name in given if name not in properties)


def _judged(flow: Flow) -> Json:
    """Secrets are not looked at: what is given of them is only where they are."""
    if not flow.secrets:
        return flow.variables
    return {**flow.variables, "properties": {**flow.variables["properties"], **dict.fromkeys(flow.secrets, True)}}


def _is_reference(value: Json) -> bool:
    return isinstance(value, str) and value.startswith(("env:", "file:"))
