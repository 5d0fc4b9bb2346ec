"""Inputs that are written out, judged by what their components take: mistakes that fail the step whenever it runs.

What a reference or an expression will give is not known, so of an input that holds some, only the rest is judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from stepflow.dsl.parse import Parser
from stepflow.dsl.places import Place, write_place
from stepflow.dsl.schemas import Validator, compile_schema, lasting_validator
from stepflow.dsl.violations import Violation, violations
from stepflow.model.flow import Flow, Json

_HOLDS_OF_THE_REST = ("$schema", "$id", "$defs", "definitions", "required", "additionalProperties")
"""Keywords that say of an object what they say whatever some of its values are."""


class Takes(Protocol):
    @property
    def input_schema(self) -> Json:
        """None: anything."""


class InputChecks:
    """By path, what the components take. `check` for each flow of one document."""

    def __init__(self, components: Mapping[str, Takes]) -> None:
        self._components = components
        self._of_the_rest: dict[tuple[str, frozenset[str]], tuple[Json, Validator]] = {}

    def check(self, flow: Flow, parser: Parser) -> None:
        for step in flow.steps:
            component = self._components.get(step.component)
            schema = None if component is None else component.input_schema
            if schema is None or schema is True:
                continue
            for violation in self._violations(step.component, schema, step.input):
                _report(violation, step.component, parser, parser.places[step.key], step.input)

    def _violations(self, path: str, schema: Json, value: Json) -> Iterator[Violation]:
        try:
            if _is_constant(value):
                validator = lasting_validator(schema)
            elif isinstance(value, dict) and isinstance(schema, dict) and not _is_form(value):
                unknown = frozenset(key for key, item in value.items() if not _is_constant(item))
                schema, validator = self._rest(path, schema, unknown)
                value = {key: None if key in unknown else item for key, item in value.items()}
            else:
                return
        except ValueError:
            return  # it is no schema, which is said where the component is loaded
        if not validator.is_valid(value):
            yield from violations(validator, value, schema)

    def _rest(self, path: str, schema: dict[str, Any], unknown: frozenset[str]) -> tuple[Json, Validator]:
        """The schema of an input in which the values of these keys are not known."""
        found = self._of_the_rest.get((path, unknown))
        if found is None:
            rest: dict[str, Any] = {name: schema[name] for name in _HOLDS_OF_THE_REST if name in schema}
            rest["properties"] = {**schema.get("properties", {}), **dict.fromkeys(unknown, True)}
            if "patternProperties" in schema:
                rest.pop("additionalProperties", None)
            found = self._of_the_rest[path, unknown] = (rest, compile_schema(rest))
        return found


def _is_form(value: dict[str, Any]) -> bool:
    return any(key.startswith("$") for key in value)


def _is_constant(value: Json) -> bool:
    if isinstance(value, dict):
        return not _is_form(value) and all(map(_is_constant, value.values()))
    return all(map(_is_constant, value)) if isinstance(value, list) else True


def _report(violation: Violation, component: str, parser: Parser, step: Place, value: Json) -> None:
    problems = parser.problems
    place = (*step, "input", *violation.place)
    hint = problems.suggestion(violation.word, violation.known) if violation.known else ""
    hint = hint or violation.otherwise
    if violation.unexpected is not None:
        key = violation.unexpected
        problems.error("E153", f"{component} takes no '{key}'", (*place, key), hint, at_key=True)
    elif violation.missing is not None:
        field = write_place((*place, violation.missing))
        problems.error("E153", f"Missing required field: {field}", step if value is None else place, hint)
    else:
        where = f"{violation.where}: " if violation.where else ""
        problems.error(
            "E153", f"Input of {component}: {where}{violation.message}", step if value is None else place, hint
        )
