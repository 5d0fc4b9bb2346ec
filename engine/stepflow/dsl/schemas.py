"""JSON Schema, always offline: compiled once, and what it finds wrong, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.model import jsontext
from stepflow.model.flow import Json

MOST_PROBLEMS = 20
MAX_MESSAGE = 300

Validator = Any
"""A jsonschema_rs validator."""


def check_value(schema: Json, value: Json) -> list[str]:
    """What is wrong with `value`, each with its place; empty: nothing."""
    found = islice(problems(_cached(jsontext.encode(schema)), value, schema), MOST_PROBLEMS)
    return [f"{where}: {message}" if where else message for where, message in found]


def output_check(schema: Json) -> Callable[[Json], str | None]:
    """Tells of an output what is wrong with it; None: nothing."""

    def check(value: Json) -> str | None:
        problems = check_value(schema, value)
        return f"The output violates its schema: {'; '.join(problems)}" if problems else None

    return check


def check_schema(schema: Json) -> list[str]:
    """What is wrong with a schema; a `$ref` that would have to be fetched is."""
    try:
        _cached(jsontext.encode(schema))
    except ValueError as error:
        return [str(error)]
    return []


@lru_cache(maxsize=256)
def _cached(text: str) -> Validator:
    return compile_schema(jsontext.decode(text))


def compile_schema(schema: Json) -> Validator:
    """`ValueError` says what is wrong with the schema."""
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(schema, retriever=_never_fetch)
    except jsonschema_rs.ValidationError as error:
        raise ValueError(_shortened(error.message)) from None


def problems(validator: Validator, value: Json, schema: Json = None) -> Iterator[tuple[str, str]]:
    """What is wrong with `value`: where in it (`a.b[0]`, empty at its root), and what."""
    for error in validator.iter_errors(value):
        yield place(error.instance_path), _shortened(error.message) + _suggestion(error, schema)


def place(path: list[str | int]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _never_fetch(uri: str) -> Json:
    raise LookupError(f"schemas are never fetched; write {uri} out under $defs")


def _shortened(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE // 2]} … {message[-MAX_MESSAGE // 2 :]}"


def _suggestion(error: Any, schema: Json) -> str:
    unexpected = getattr(error.kind, "unexpected", None)
    if not unexpected or error.instance_path or not isinstance(schema, dict):
        return ""
    return did_you_mean(unexpected[0], schema.get("properties", {}))
