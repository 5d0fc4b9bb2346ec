"""A value made from a JSON Schema: the plainest one that it describes."""

from __future__ import annotations

from typing import Any

from stepflow.model.flow import Json

MAX_DEPTH = 12
_PLAIN: dict[str, Json] = {"string": "", "integer": 0, "number": 0, "boolean": False, "null": None, "array": []}
_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "email": "someone@example.org",
    "uri": "https://example.org",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example_of(schema: Json) -> Json:
    """Its `const`, `default`, first example or `enum`, else a value of its type; None where it says nothing."""
    return _value(schema, schema, 0)


def _value(schema: Json, root: Json, depth: int) -> Json:  # noqa: C901 - one case a keyword, in order of how much it says
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    if isinstance(schema.get("$ref"), str):
        return _value(_referred(schema["$ref"], root), root, depth + 1)
    for key in ("oneOf", "anyOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return _value(schema[key][0], root, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object" or (kind is None and ("properties" in schema or "allOf" in schema)):
        return _object(schema, root, depth)
    if kind == "array" and schema.get("minItems", 0) > 0:
        return [_value(schema.get("items"), root, depth + 1) for _ in range(min(schema["minItems"], 100))]
    if kind == "string":
        text = _FORMATS.get(schema.get("format", ""), "")
        return text or "x" * min(schema.get("minLength", 0), 1000)
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return _PLAIN.get(kind or "")


def _object(schema: dict[str, Any], root: Json, depth: int) -> Json:
    value: dict[str, Json] = {}
    for part in schema.get("allOf") or ():
        made = _value(part, root, depth + 1)
        value.update(made if isinstance(made, dict) else {})
    properties = schema.get("properties")
    for name, one in properties.items() if isinstance(properties, dict) else ():
        value[name] = _value(one, root, depth + 1)
    return value


def _referred(reference: str, root: Json) -> Json:
    found = root
    for part in reference.removeprefix("#").split("/")[1:]:
        if not isinstance(found, dict):
            return None
        found = found.get(part.replace("~1", "/").replace("~0", "~"))
    return found
