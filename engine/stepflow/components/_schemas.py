"""JSON Schemas, compiled, and what they find wrong, in words. Nothing is ever fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.model.flow import Json

MAX_MESSAGE = 300

Validator = Any
"""A jsonschema_rs validator."""


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
