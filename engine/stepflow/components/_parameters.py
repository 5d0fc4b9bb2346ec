"""How a function of the user's takes a step's input: whole as it is, whole as one record, or by its named parameters.

Annotations decide. What they ask for is said as a JSON Schema when the function is marked, and made from the input,
strictly, when it is called. A null where there is a default counts as absent, as everywhere in a template.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Mapping, MutableMapping
from types import SimpleNamespace
from typing import Any

import msgspec

from stepflow.components._failure import failure
from stepflow.dsl.diagnostics import did_you_mean
from stepflow.errors import ComponentError
from stepflow.model import jsontext
from stepflow.model.flow import Json

CONTEXT_NAMES = ("ctx", "context")

_OBJECTS = (dict, Mapping, MutableMapping)
_ANYTHING = (inspect.Parameter.empty, Any, object)
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at (?P<place>`.*`))?$", re.DOTALL)


class Parameters:
    """What a function is called with."""

    def __init__(self, taker: _Raw | _Whole | _Named, context: str | None, positional_only: tuple[str, ...]) -> None:
        self._taker = taker
        self._context = context
        self._positional_only = positional_only
        self.schema: Json = taker.schema
        """Of the input; None where anything goes."""

    def arguments(self, value: Json, context: object) -> tuple[list[Any], dict[str, Any]]:
        """`ComponentError` INVALID_INPUT: the input is not what the annotations ask for."""
        named = self._taker.arguments(value)
        if self._context is not None:
            named[self._context] = context
        return [named.pop(name) for name in self._positional_only if name in named], named


def read_parameters(function: Callable[..., Any], path: str) -> Parameters:
    """`TypeError`: no component can be made of such a function."""
    parameters = list(inspect.signature(function).parameters.values())
    asked = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    context = next((p for p in asked if _is_context(p)), None)
    fields = [p for p in asked if p is not context]
    if context is None and _is_input_and_context(function, fields):
        context = fields.pop()
    taker = _taker(function, path, fields)
    if isinstance(taker, _Named) and (any(p.kind is p.POSITIONAL_ONLY for p in fields) or len(asked) < len(parameters)):
        raise _unusable(function)
    positional_only = tuple(p.name for p in asked if p.kind is p.POSITIONAL_ONLY)
    return Parameters(taker, None if context is None else context.name, positional_only)


def _taker(function: Callable[..., Any], path: str, fields: list[inspect.Parameter]) -> _Raw | _Whole | _Named:
    hints = {p.name: _hint(function, p) for p in fields}
    first, others = fields[:1], fields[1:]
    if first and _is_raw(hints[first[0].name]) and all(p.annotation is p.empty for p in others):
        if any(p.default is p.empty for p in others):
            raise _unusable(function)
        return _Raw(first[0].name)
    try:
        if len(fields) == 1 and _is_whole(hints[fields[0].name]):
            return _Whole(path, fields[0].name, hints[fields[0].name])
        return _Named(path, fields, hints)
    except TypeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise TypeError(f"{function.__name__}() cannot be filled from a step's input: {reason}") from None


def _unusable(function: Callable[..., Any]) -> TypeError:
    return TypeError(
        f"{function.__name__}() must take (input) or (input, ctx) to be a component, or parameters that are named and "
        "annotated, like (user_id: str, limit: int = 10)"
    )


# Reading the annotations


def _is_context(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    said = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return parameter.name in CONTEXT_NAMES or said.rpartition(".")[2] == "ComponentContext"


def _is_input_and_context(function: Callable[..., Any], fields: list[inspect.Parameter]) -> bool:
    """Two that must be given, the second without a word about it: (input, anything)."""
    if len(fields) != 2 or any(p.default is not p.empty or p.kind is p.KEYWORD_ONLY for p in fields):
        return False
    return fields[1].annotation is inspect.Parameter.empty and _is_raw(_hint(function, fields[0]))


def _hint(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    if parameter.annotation is parameter.empty:
        return Any
    named = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return typing.get_type_hints(named, function.__globals__, include_extras=True)[parameter.name]
    except NameError as error:
        raise TypeError(
            f"{function.__name__}(): the annotation of '{parameter.name}' is not known when the file is loaded: {error}"
        ) from None


def _is_raw(hint: Any) -> bool:
    if hint in _ANYTHING or hint in _OBJECTS:
        return True
    return typing.get_origin(hint) in _OBJECTS and typing.get_args(hint) in ((str, Any), (str, object))


def _is_whole(hint: Any) -> bool:
    """A record's type, or a mapping of something."""
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    kind = typing.get_origin(hint) or hint
    if not isinstance(kind, type):
        return False
    return (
        kind in _OBJECTS
        or issubclass(kind, msgspec.Struct)
        or dataclasses.is_dataclass(kind)
        or typing.is_typeddict(kind)
        or hasattr(kind, "__attrs_attrs__")
        or _is_model(kind)
    )


def _is_model(kind: Any) -> bool:
    """A pydantic model, or what behaves like one."""
    return callable(getattr(kind, "model_validate", None))


# The three ways


class _Raw:
    schema: Json = None

    def __init__(self, name: str) -> None:
        self._name = name

    def arguments(self, value: Json) -> dict[str, Any]:
        return {self._name: value}


class _Whole:
    """One parameter that is made from the whole input."""

    def __init__(self, path: str, name: str, hint: Any) -> None:
        self._path = path
        self._name = name
        self._hint = hint
        if _is_model(hint):
            # Its own settings say what it takes, and its own schema stands for itself.
            describe = getattr(hint, "model_json_schema", None)
            self.schema: Json = describe() if callable(describe) else None
            self._keys: Mapping[str, Json] = {}
            return
        (schema,), definitions = msgspec.json.schema_components([hint], schema_hook=_schema_of_model)
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rpartition("/")[2]]
        self._keys = schema.get("properties", {})
        self.schema = _closed(schema) if self._keys else schema
        if definitions and "#/$defs/" in jsontext.encode([self.schema]):
            self.schema = {**self.schema, "$defs": definitions}
        self._optional = set(self._keys) - set(schema.get("required", ()))

    def arguments(self, value: Json) -> dict[str, Any]:
        if self._keys and isinstance(value, dict):
            _check_keys(self._path, value, self._keys)
            value = {key: item for key, item in value.items() if item is not None or key not in self._optional}
        return {self._name: _made(self._path, value, self._hint, "")}


class _Named:
    """Each key of the input is a parameter."""

    def __init__(self, path: str, fields: list[inspect.Parameter], hints: dict[str, Any]) -> None:
        self._path = path
        self._hints = hints
        self._required = [p.name for p in fields if p.default is p.empty]
        asked = [hints[p.name] for p in fields]
        schemas, definitions = msgspec.json.schema_components(asked, schema_hook=_schema_of_model)
        properties = {
            p.name: schema if p.default is p.empty else _with_default(schema, p.default)
            for p, schema in zip(fields, schemas, strict=True)
        }
        self.schema: Json = _closed(
            {
                "type": "object" if self._required else ["object", "null"],
                "properties": properties,
                **({"required": self._required} if self._required else {}),
                **({"$defs": definitions} if definitions else {}),
            }
        )

    def arguments(self, value: Json) -> dict[str, Any]:
        if value is None:
            value = {}
        if not isinstance(value, dict):
            names = ", ".join(self._hints) or "nothing in it"
            raise _refusal(self._path, "", f"expected an object with {names}; got {_kind(value)}")
        _check_keys(self._path, value, self._hints)
        missing = [name for name in self._required if name not in value]
        if missing:
            raise _refusal(self._path, missing[0], "it is missing")
        return {
            name: _made(self._path, item, self._hints[name], name)
            for name, item in value.items()
            if item is not None or name in self._required
        }


# Schemas


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """No other keys, and null for what has a default."""
    required = schema.get("required", ())
    properties = {
        name: item if name in required else _or_null(item) for name, item in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties, "additionalProperties": False}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if not schema or {"type": "null"} in schema.get("anyOf", ()):
        return schema
    if isinstance(schema.get("type"), str) and "enum" not in schema and "const" not in schema:
        return schema if schema["type"] == "null" else {**schema, "type": [schema["type"], "null"]}
    kept: dict[str, Any] = {name: schema[name] for name in ("default", "description") if name in schema}
    inner = {name: item for name, item in schema.items() if name not in kept}
    return {"anyOf": [inner, {"type": "null"}], **kept}


def _with_default(schema: dict[str, Any], default: Any) -> dict[str, Any]:
    try:
        value, _ = jsontext.normalise(default)
    except (TypeError, ValueError, RecursionError):
        return schema  # an object that no template could write
    return schema if value is None else {**schema, "default": value}


def _schema_of_model(kind: type) -> dict[str, Any]:
    """Of a model inside something else: there, references to its own definitions would lead nowhere."""
    if not _is_model(kind):
        raise NotImplementedError
    describe = getattr(kind, "model_json_schema", None)
    schema = describe() if callable(describe) else {}
    return schema if isinstance(schema, dict) and "$defs" not in schema else {"type": "object"}


# Making values


def _made(path: str, value: Json, hint: Any, where: str) -> Any:
    try:
        return _completed(msgspec.convert(value, hint, strict=True, str_keys=True, dec_hook=_model_of))
    except msgspec.ValidationError as error:
        found = _PLACE.match(str(error))
        assert found is not None
        place = re.sub(r"[`$]", "", found["place"] or "")
        raise _refusal(path, (where + place).removeprefix("."), _in_words(found["what"])) from None


def _completed(made: Any) -> Any:
    """A dataclass that is made has its plain defaults on its class alone, where whatever writes it out again does not
    look: here it gets them for its own."""
    if isinstance(made, list | tuple | set | frozenset):
        for item in made:
            _completed(item)
    elif isinstance(made, dict):
        for item in made.values():
            _completed(item)
    elif isinstance(made, msgspec.Struct):
        for name in made.__struct_fields__:
            _completed(getattr(made, name))
    elif dataclasses.is_dataclass(made) and hasattr(made, "__dict__"):
        own: dict[str, Any] = vars(made)
        for field in dataclasses.fields(made):
            _completed(own.setdefault(field.name, getattr(made, field.name)))
    return made


def _model_of(kind: type, value: Json) -> Any:
    if not _is_model(kind):
        raise NotImplementedError
    try:
        return kind.model_validate(value)  # type: ignore[attr-defined] # that is what makes it a model
    except ValueError as error:
        raise ValueError(_said_by_model(error)) from None


def _said_by_model(error: ValueError) -> str:
    """On one line, each field with what is wrong with it."""
    told = getattr(error, "errors", None)
    if not callable(told):
        return " ".join(str(error).split())
    parts = ((".".join(map(str, one.get("loc", ()))), str(one.get("msg", ""))) for one in told())
    return "; ".join(f"{where}: {message}" if where else message for where, message in parts)


def _in_words(message: str) -> str:
    missing = re.fullmatch(r"Object missing required field `(.*)`", message)
    if missing:
        return f"'{missing[1]}' is missing"
    message = message.replace("`", "")
    return message[:1].lower() + message[1:]


def _check_keys(path: str, value: dict[str, Any], known: Mapping[str, Any]) -> None:
    for key in value:
        if key not in known:
            hint = did_you_mean(key, known) or f"; it takes {', '.join(known) or 'nothing'}"
            raise _refusal(path, "", f"there is no '{key}'{hint}")


def _kind(value: Json) -> str:
    kinds = {str: "text", bool: "a boolean", int: "a number", float: "a number", list: "a list"}
    return kinds.get(type(value), type(value).__name__)


def _refusal(path: str, where: str, message: str) -> ComponentError:
    said = f"{where}: {message}" if where else message
    return failure("INVALID_INPUT", f"Input of {path}: {said}", errors=[{"path": where, "message": message}])
