"""A form made from an input schema: its fields, and how what stands in them becomes a value and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from stepflow.model.flow import Json

MOST_FIELDS = 60
"""An input with more is written as JSON."""

Kind = Literal["text", "integer", "number", "choice", "json"]
_KINDS: dict[str, Kind] = {"string": "text", "integer": "integer", "number": "number"}


class Field(msgspec.Struct, frozen=True):
    name: str
    kind: Kind
    is_required: bool
    schema: Json
    """Of its value."""
    choices: tuple[Json, ...] = ()
    description: str = ""

    @property
    def words(self) -> str:
        """What may stand in it."""
        if self.description:
            return self.description
        if self.kind == "choice":
            return " ".join(shown(one) for one in self.choices)
        if self.kind == "json":
            kind = self.schema.get("type") if isinstance(self.schema, dict) else None
            return f"{kind} as JSON" if isinstance(kind, str) else "JSON"
        return str(self.kind)


def fields_of(schema: Json) -> tuple[Field, ...] | None:
    """None: it is no object with named parts, or has too many."""
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        return None
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not 0 < len(properties) <= MOST_FIELDS:
        return None
    required = schema.get("required")
    named = required if isinstance(required, list) else []
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    return tuple(_field(name, one, name in named, shared) for name, one in properties.items())


def _field(name: str, schema: Json, is_required: bool, shared: dict[str, Json]) -> Field:
    if not isinstance(schema, dict):
        return Field(name, "json", is_required, schema)
    description = str(schema.get("description") or schema.get("title") or "")
    judged = {**schema, **shared}
    listed = schema.get("enum")
    if isinstance(listed, list) and listed and len(set(map(shown, listed))) == len(listed):
        return Field(name, "choice", is_required, judged, tuple(listed), description)
    kind = schema.get("type")
    if isinstance(kind, list):
        others = [one for one in kind if one != "null"]
        kind = others[0] if len(others) == 1 else None
    if kind == "boolean":
        return Field(name, "choice", is_required, judged, (True, False), description)
    known: Kind = _KINDS.get(kind, "json") if isinstance(kind, str) else "json"
    return Field(name, known, is_required, judged, (), description)


def shown(value: Json) -> str:
    """A choice as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def begin_with(field: Field, given: Mapping[str, Json]) -> tuple[Field, str]:
    """The text that stands in it at first; and the field, which is of JSON where the value has no other form."""
    value = given.get(field.name, msgspec.UNSET)
    if value is msgspec.UNSET:
        return field, ""
    if field.kind == "choice":
        same = (one for one in field.choices if one == value and type(one) is type(value))
        return field, next(map(shown, same), "")
    if field.kind == "text" and isinstance(value, str) and (value.isprintable() or not value):
        return field, value
    if field.kind in ("integer", "number") and isinstance(value, int | float) and not isinstance(value, bool):
        return field, json.dumps(value)
    return msgspec.structs.replace(field, kind="json"), json.dumps(value, ensure_ascii=False)


def value_of(field: Field, text: str) -> Any:
    """`UNSET`: nothing is given. `ValueError` says what is wrong."""
    if field.kind == "choice":
        return next((one for one in field.choices if shown(one) == text), msgspec.UNSET)
    if field.kind == "text":
        return text or msgspec.UNSET
    written = text.strip()
    if not written:
        return msgspec.UNSET
    if field.kind == "integer":
        try:
            return int(written)
        except ValueError:
            raise ValueError("not a whole number") from None
    try:
        value = json.loads(written)
    except json.JSONDecodeError as error:
        said = "not a number" if field.kind == "number" else f"not JSON: {error.msg}, column {error.colno}"
        raise ValueError(said) from None
    if field.kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError("not a number")
    return value


def problem_with(field: Field, text: str) -> str:
    """What is wrong with what stands in it; empty: nothing."""
    from stepflow.dsl.schemas import check_value

    try:
        value = value_of(field, text)
    except ValueError as error:
        return str(error)
    if value is msgspec.UNSET:
        return "is required" if field.is_required else ""
    try:
        return next(iter(check_value(field.schema, value)), "")
    except ValueError:
        return ""  # its schema cannot stand alone: the whole is judged when it starts


def whole(fields: Sequence[Field], texts: Sequence[str], given: Mapping[str, Json]) -> dict[str, Json]:
    """The input that they make; what was `given` and has no field stays."""
    named = {field.name for field in fields}
    value = {name: one for name, one in given.items() if name not in named}
    for field, text in zip(fields, texts, strict=True):
        one = value_of(field, text)
        if one is not msgspec.UNSET:
            value[field.name] = one
    return value
