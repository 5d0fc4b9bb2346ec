"""A form made from the schemas of a template: its fields, and how what stands in them becomes values and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from stepflow.model.flow import Flow, Json

MOST_FIELDS = 60
"""An input with more is written as JSON."""

Kind = Literal["text", "integer", "number", "choice", "json"]
_KINDS: dict[str, Kind] = {"string": "text", "integer": "integer", "number": "number"}
REFERENCES = ("env:", "file:")
WHERE_SECRETS_ARE = "env:NAME or file:PATH"
MOST_OF_DEFAULT = 24


class Answer(msgspec.Struct, frozen=True):
    """What was given."""

    value: Any
    variables: dict[str, Any] | None = None
    """None: they were not asked for."""

    @property
    def text(self) -> str:
        return json.dumps(self.value, ensure_ascii=False)


class Field(msgspec.Struct, frozen=True):
    name: str
    kind: Kind
    is_required: bool
    schema: Json
    """Of its value."""
    choices: tuple[Json, ...] = ()
    description: str = ""
    is_secret: bool = False

    @property
    def words(self) -> str:
        """What may stand in it."""
        if self.is_secret:
            return f"{WHERE_SECRETS_ARE}{f' · {self.description}' if self.description else ''}"
        known, bounds = self._kind, self._bounds
        facts = [f"{known} {bounds}" if bounds else "" if self.description else known, self._default]
        return " · ".join(one for one in (", ".join(filter(None, facts)), self.description) if one)

    @property
    def _kind(self) -> str:
        if self.kind == "choice":
            return " ".join(shown(one) for one in self.choices)
        if self.kind == "json":
            kind = self.schema.get("type") if isinstance(self.schema, dict) else None
            return f"{kind} as JSON" if isinstance(kind, str) else "JSON"
        return str(self.kind)

    @property
    def _bounds(self) -> str:
        """Of a number itself, of a text its letters."""
        schema = self.schema if isinstance(self.schema, dict) else {}
        match self.kind:
            case "integer" | "number":
                low, high, unit = schema.get("minimum"), schema.get("maximum"), ""
            case "text":
                low, high, unit = schema.get("minLength"), schema.get("maxLength"), " letters"
            case _:
                return ""
        if low is not None and high is not None:
            return f"{low}–{high}{unit}"
        if low is not None:
            return f"from {low}{unit}" if not unit else f"of {low}{unit} or more"
        return "" if high is None else f"up to {high}{unit}"

    @property
    def _default(self) -> str:
        if not isinstance(self.schema, dict) or "default" not in self.schema:
            return ""
        default = shown(self.schema["default"])
        return f"default {default if len(default) <= MOST_OF_DEFAULT else default[: MOST_OF_DEFAULT - 1] + '…'}"


class Part(msgspec.Struct, frozen=True):
    """Fields that make one value."""

    fields: tuple[Field, ...]
    given: Mapping[str, Json]
    """What stands in them at first."""
    heading: str = ""
    is_whole: bool = False
    """Its one field is all of the value."""

    def value(self, fields: Sequence[Field], texts: Sequence[str]) -> Any:
        """`fields`: as they stand by now. `ValueError`: one is wrong."""
        if not self.is_whole:
            return whole(fields, texts, self.given)
        value = value_of(fields[0], texts[0])
        return {} if value is msgspec.UNSET else value


def parts_of(
    flow: Flow, value: Json, variables: Mapping[str, Json], *, needs_secrets: bool = True
) -> list[Part] | None:
    """The form for an input and for the variables; None: they are rather written as JSON."""
    own = fields_of(flow.input_schema)
    others = variable_fields(flow, needs_secrets=needs_secrets)
    if own is not None and isinstance(value, dict):
        parts = [Part(own, value)]
    elif others:
        schema = True if flow.input_schema is None else flow.input_schema
        parts = [Part((Field("input", "json", False, schema),), {"input": value}, is_whole=True)]
    else:
        return None
    if others is None:
        return None
    return [*parts, Part(others, variables, "Variables")] if others else parts


def variable_fields(flow: Flow, *, needs_secrets: bool = True) -> tuple[Field, ...] | None:
    """Empty: it has no variables; None: too many."""
    if not named_variables(flow):
        return ()
    fields = fields_of(flow.variables)
    if fields is None:
        return None
    return tuple(_secret(one, is_required=needs_secrets) if one.name in flow.secrets else one for one in fields)


def _secret(field: Field, *, is_required: bool) -> Field:
    return msgspec.structs.replace(
        field, kind="text", schema=True, choices=(), is_secret=True, is_required=is_required and field.is_required
    )


def named_variables(flow: Flow) -> Mapping[str, Json]:
    """By name, their schemas."""
    named = flow.variables.get("properties") if isinstance(flow.variables, dict) else None
    return named if isinstance(named, dict) else {}


def lacking_variables(flow: Flow, given: Mapping[str, Json]) -> list[str]:
    """Those without which it cannot start."""
    required = flow.variables.get("required") if isinstance(flow.variables, dict) else None
    return [name for name in required or () if name not in given]


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
        value = read_json(written)
    except json.JSONDecodeError as error:
        said = "not a number" if field.kind == "number" else f"not JSON: {error.msg}, column {error.colno}"
        raise ValueError(said) from None
    if field.kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ValueError("not a number")
    return value


def read_json(text: str) -> Any:
    """`json.JSONDecodeError` knows the column; `ValueError`: it is what only some programs take for JSON."""
    return json.loads(text, parse_constant=_no_number)


def _no_number(name: str) -> Any:
    raise ValueError(f"not a value: JSON has no {name}")


def problem_with(field: Field, text: str) -> str:
    """What is wrong with what stands in it; empty: nothing."""
    from stepflow.dsl.schemas import check_value

    if field.is_secret and text and not _is_reference(text):
        return f"not a secret itself: give {WHERE_SECRETS_ARE}"

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


def _is_reference(text: str) -> bool:
    return any(text.startswith(one) and len(text) > len(one) for one in REFERENCES)


def whole(fields: Sequence[Field], texts: Sequence[str], given: Mapping[str, Json]) -> dict[str, Json]:
    """The input that they make; what was `given` and has no field stays."""
    named = {field.name for field in fields}
    value = {name: one for name, one in given.items() if name not in named}
    for field, text in zip(fields, texts, strict=True):
        one = value_of(field, text)
        if one is not msgspec.UNSET:
            value[field.name] = one
    return value
