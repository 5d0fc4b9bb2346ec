"""Work on values: a deep merge, a check against a JSON Schema, a query."""

from __future__ import annotations

from itertools import islice
from typing import Any

from stepflow.components._failure import failure, invalid_input
from stepflow.contracts.component import Component, ComponentContext
from stepflow.dsl.schemas import compile_schema, problems
from stepflow.model.flow import Json

MAX_ERRORS = 100
MAX_RESULTS = 100_000


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
    found = list(islice(problems(validator, data, value["schema"]), MAX_ERRORS + 1))
    errors = [{"path": path, "message": message} for path, message in found[:MAX_ERRORS]]
    if len(found) > MAX_ERRORS:
        errors.append({"path": "", "message": f"and more: only the first {MAX_ERRORS} errors are listed"})
    if errors and value.get("strict"):
        raise failure("VALIDATION_FAILED", f"The data violates its schema: {_first(found)}", errors=errors)
    return {"valid": not errors, "errors": errors, "data": data}


def _first(found: list[tuple[str, str]]) -> str:
    path, message = found[0]
    return f"{path}: {message}" if path else message


def query(value: dict[str, Any], context: ComponentContext) -> dict[str, Any]:
    from jsonpath_rfc9535 import JSONPathError, find

    try:
        results = list(islice(find(value["query"], value["data"]), MAX_RESULTS + 1))
    except JSONPathError as error:
        raise invalid_input(f"query: {error}") from None
    except RecursionError:
        raise invalid_input("query: the query or the data is nested too deep") from None
    if len(results) > MAX_RESULTS:
        raise failure("TOO_MANY_RESULTS", f"The query has more than {MAX_RESULTS:,} results; make it narrower")
    return {"results": [node.value for node in results], "count": len(results)}


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
        pure=True,
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
        pure=True,
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
    Component(
        path="/data/query",
        function=query,
        mode="sync",
        pure=True,
        description="Finds values in data with a JSONPath query (RFC 9535)",
        input_schema={
            "type": "object",
            "required": ["data", "query"],
            "additionalProperties": False,
            "properties": {"data": True, "query": {"type": "string", "minLength": 1}},
        },
        output_schema={
            "type": "object",
            "required": ["results", "count"],
            "properties": {"results": {"type": "array"}, "count": {"type": "integer"}},
        },
        example={
            "input": {"data": {"books": [{"price": 8}, {"price": 12}]}, "query": "$.books[?@.price < 10].price"},
            "output": {"results": [8], "count": 1},
        },
    ),
)
