"""JSON Schema, always offline and compiled once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from stepflow.dsl.violations import Violation, shortened, violation_of, violations
from stepflow.model import jsontext
from stepflow.model.flow import Json

MOST_PROBLEMS = 20
MOST_LASTING = 2000


class TooDeepError(ValueError):
    """A value is wrong, but nested too deep to say where."""


class Validator:
    """A jsonschema_rs validator for all that a JSON value may be: where there is half a surrogate pair in a text, which
    it cannot read, it is given a question mark."""

    def __init__(self, validator: Any) -> None:
        self._validator = validator

    def is_valid(self, value: Json) -> bool:
        try:
            return bool(self._validator.is_valid(value))
        except ValueError:
            return bool(self._validator.is_valid(_readable(value)))

    def iter_errors(self, value: Json) -> Iterator[Any]:
        """`TooDeepError`: it follows no value so far down."""
        try:
            return iter(self._validator.iter_errors(value))
        except ValueError:
            pass
        try:
            return iter(self._validator.iter_errors(_readable(value)))
        except ValueError as error:
            raise TooDeepError(str(error)) from None


def _readable(value: Json) -> Json:
    text = json.dumps(value, ensure_ascii=False)
    return jsontext.decode(jsontext.storable(text))


def check_value(schema: Json, value: Json) -> list[str]:
    """What is wrong with `value`, each with its place; empty: nothing."""
    found = islice(problems(_cached(jsontext.encode(schema)), value, schema), MOST_PROBLEMS)
    return [f"{where}: {message}" if where else message for where, message in found]


def output_check(schema: Json, what: str = "The output", *, hidden: bool = False) -> Callable[[Json], str | None]:
    """Tells of an output what is wrong with it; None: nothing. `hidden`: without quoting it."""

    def check(value: Json) -> str | None:
        if lasting_validator(schema).is_valid(value):
            return None
        said = "what it holds is hidden" if hidden else "; ".join(check_value(schema, value))
        return f"{what} violates its schema: {said}"

    return check


def lasting_validator(schema: Json) -> Validator:
    """Of a schema that is used again and again and never changed. `ValueError` says what is wrong with it."""
    found = _lasting.get(id(schema))
    if found is None:
        if len(_lasting) >= MOST_LASTING:
            _lasting.clear()
        found = _lasting[id(schema)] = (schema, compile_schema(schema))
    return found[1]


_lasting: dict[int, tuple[Json, Validator]] = {}
"""By identity: dicts cannot be hashed. The schema beside it keeps its id from being reused."""


class SchemaError(ValueError):
    """It is not a JSON Schema. The text says where in it, too."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(f"{violation.where}: {violation.said}" if violation.place else violation.said)
        self.violation = violation


def check_schema(schema: Json) -> Violation | None:
    """What is wrong with a schema; a `$ref` that would have to be fetched is."""
    return _checked(jsontext.encode(schema))


@lru_cache(maxsize=256)
def _checked(text: str) -> Violation | None:
    try:
        _cached(text)
    except SchemaError as error:
        return error.violation
    return None


@lru_cache(maxsize=256)
def _cached(text: str) -> Validator:
    return compile_schema(jsontext.decode(text))


def compile_schema(schema: Json) -> Validator:
    """`SchemaError` says what is wrong with it."""
    import jsonschema_rs

    try:
        return Validator(_compiled(schema))
    except jsonschema_rs.ValidationError as error:
        raise SchemaError(_no_schema(error)) from None


def _compiled(schema: Json) -> Any:
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(schema, retriever=_never_fetch)
    except jsonschema_rs.ValidationError:
        raise
    except ValueError:
        return jsonschema_rs.validator_for(_readable(schema), retriever=_never_fetch)


def problems(validator: Validator, value: Json, schema: Json = None) -> Iterator[tuple[str, str]]:
    """What is wrong with `value`: where in it (`a.b[0]`, empty at its root), and what."""
    try:
        for violation in violations(validator, value, schema):
            yield violation.where, violation.said
    except TooDeepError:
        yield "", "it is nested too deep to say what is wrong with it"


def _no_schema(error: Any) -> Violation:
    # Of what it cannot resolve it tells in words of its own, around ours.
    around, _, ours = error.message.rpartition("LookupError: ")
    if around:
        return Violation((), shortened(ours))
    unknown, is_dialect, _ = error.message.partition(". Custom meta-schemas")
    return Violation((), shortened(unknown), otherwise="leave $schema out") if is_dialect else violation_of(error)


def _never_fetch(uri: str) -> Json:
    raise LookupError(f"schemas are never fetched; write {uri} out under $defs")
