"""Work on values: a deep merge, and a check against a JSON Schema."""

from __future__ import annotations

from itertools import islice
from typing import Any

from stepflow.components._failure import failure, invalid_input
from stepflow.contracts.component import Component, ComponentContext
from stepflow.dsl.schemas import compile_schema, problems
from stepflow.model.flow import Json

MAX_ERRORS = 100


def merge(sources: dict[str, Any], context: ComponentContext) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name, source in sources.items():
        if source is None:
            continue  # a source that was skipped adds nothing
        if not isinstance(source, dict):
            raise invalid_input(f"'{name}' is not an object; only objects can be merged")
        merged = _merged(merged, source)
    return merged


def _merged(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    """A new object; the two and what they hold stay as they are."""
    result = dict(lower)
    for key, value in upper.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def validate(value: dict[str, Any], context: ComponentContext) -> dict[str, Any]:
    data = value["data"]
    try:
        validator = compile_schema(value["schema"])
    except ValueError as error:
        raise invalid_input(f"schema: {error}") from None
    found = list(islice(problems(validator, data), MAX_ERRORS + 1))
    errors = [{"path": path, "message": message} for path, message in found[:MAX_ERRORS]]
    if len(found) > MAX_ERRORS:
        errors.append({"path": "", "message": f"and more: only the first {MAX_ERRORS} errors are listed"})
    if errors and value.get("strict"):
        raise failure("VALIDATION_FAILED", f"The data violates its schema: {_first(found)}", errors=errors)
    return {"valid": not errors, "errors": errors, "data": data}


def _first(found: list[tuple[str, str]]) -> str:
    path, message = found[0]
    return f"{path}: {message}" if path else message


ERROR: Json = {
    "type": "object",
    "required": ["path", "message"],
    "properties": {"path": {"type": "string"}, "message": {"type": "string"}},
}

COMPONENTS: tuple[Component, ...] = (
    Component(
        path="/data/merge",
        function=merge,
        mode="inline",
        description="Merges the named objects deeply, in order: later ones win, lists are replaced",
        input_schema={"type": "object", "additionalProperties": {"type": ["object", "null"]}},
        output_schema={"type": "object"},
        example={
            "input": {"defaults": {"size": {"x": 1, "y": 1}, "tags": ["a"]}, "mine": {"size": {"y": 2}, "tags": ["b"]}},
            "output": {"size": {"x": 1, "y": 2}, "tags": ["b"]},
        },
    ),
    Component(
        path="/data/validate",
        function=validate,
        mode="sync",
        description="Checks data against a JSON Schema; fails only if strict",
        input_schema={
            "type": "object",
            "required": ["data", "schema"],
            "additionalProperties": False,
            "properties": {
                "data": True,
                "schema": {"type": ["object", "boolean"]},
                "strict": {"type": ["boolean", "null"]},
            },
        },
        output_schema={
            "type": "object",
            "required": ["valid", "errors", "data"],
            "properties": {"valid": {"type": "boolean"}, "errors": {"type": "array", "items": ERROR}, "data": True},
        },
        example={
            "input": {"data": {"age": "4"}, "schema": {"properties": {"age": {"type": "integer"}}}},
            "output": {
                "valid": False,
                "errors": [{"path": "age", "message": '"4" is not of type "integer"'}],
                "data": {"age": "4"},
            },
        },
    ),
)
