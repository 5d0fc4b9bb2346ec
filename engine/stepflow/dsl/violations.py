"""What a JSON Schema finds wrong with a value, in words: where, what, and what was probably meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.model import jsontext
from stepflow.model.flow import Json

MAX_MESSAGE = 300
MOST_LISTED = 20
"""Options or keys that a message names."""


class Violation(msgspec.Struct, frozen=True):
    place: tuple[str | int, ...]
    """Where in the value."""
    message: str
    word: str = ""
    """What was probably one of the `known`."""
    known: tuple[str, ...] = ()
    otherwise: str = ""
    """The way out if it was not."""
    unexpected: str | None = None
    """The key that should not be there."""
    missing: str | None = None
    """The key that is not there."""

    @property
    def where(self) -> str:
        """`a.b[0]`; empty at the root."""
        text = ""
        for part in self.place:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text

    @property
    def said(self) -> str:
        """With the way out."""
        hint = did_you_mean(self.word, self.known).removeprefix("; ") or self.otherwise
        return f"{self.message}; {hint}" if hint else self.message


def violations(validator: Any, value: Json, schema: Json = None) -> Iterator[Violation]:
    """`validator`: of jsonschema_rs, made from `schema`."""
    for error in validator.iter_errors(value):
        yield from _violations(error, schema)


def violation_of(error: Any) -> Violation:
    """`error`: of jsonschema_rs, about a schema."""
    return next(_violations(error, None))


def _violations(error: Any, schema: Json) -> Iterator[Violation]:
    kind, place = error.kind, tuple(error.instance_path)
    told = _told(schema, error.schema_path)
    if told:
        yield Violation(place, told)
        return
    match type(kind).__name__.rpartition("_")[2]:
        case "AdditionalProperties" | "UnevaluatedProperties":
            known = _properties(schema, error.schema_path)
            for key in kind.unexpected:
                yield Violation(place, f"'{key}' was unexpected", key, known, _listed(known), unexpected=key)
        case "Required":
            yield Violation(place, shortened(error.message), missing=kind.property)
        case "Enum":
            yield _not_listed(error.instance, place, kind.options)
        case "AnyOf" | "OneOfNotValid":
            yield from _nothing_fits(error, schema)
        case "Type" if error.instance is None and not place and isinstance(schema, dict):
            yield from _nothing_given(schema)
        case _:
            yield Violation(place, shortened(error.message))


def _told(schema: Json, path: Sequence[str | int]) -> str:
    """What the schema's author says of a `then` or `else` that is not kept."""
    for index, part in enumerate(path):
        if part in ("then", "else") and path[max(index - 1, 0)] not in ("properties", "$defs"):
            branch = _at(schema, path[: index + 1])
            return str(branch.get("description", "")) if isinstance(branch, dict) else ""
    return ""


def _not_listed(value: Json, place: tuple[str | int, ...], options: Sequence[Json]) -> Violation:
    said = ", ".join(map(jsontext.encode, options[:MOST_LISTED])) + (", …" if len(options) > MOST_LISTED else "")
    message = f"{shortened(jsontext.encode(value))} is not one of {said}"
    if not isinstance(value, str):
        return Violation(place, message)
    return Violation(place, message, value, tuple(option for option in options if isinstance(option, str)))


def _nothing_fits(error: Any, schema: Json) -> Iterator[Violation]:
    """Of several ways something may be: what is wrong with the one that was meant, if its kind tells which."""
    kinds: list[str] = []
    meant: list[list[Any]] = []
    for branch in error.kind.context:
        of_kind = [one for one in branch if one.kind.name == "type" and one.instance_path == error.instance_path]
        if of_kind:
            kinds += of_kind[0].kind.types
        else:
            meant.append(branch)
    place, value = tuple(error.instance_path), shortened(jsontext.encode(error.instance))
    if len(meant) == 1:
        for one in meant[0]:
            yield from _violations(one, schema)
    elif kinds and not meant:
        names = ", ".join(f'"{kind}"' for kind in dict.fromkeys(kinds))
        yield Violation(place, f"{value} is not of types {names}")
    else:
        described = _at(schema, error.schema_path[:-1])
        description = described.get("description") if isinstance(described, dict) else None
        yield Violation(place, f"{value} is not {description or 'any of what it may be'}")


def _nothing_given(schema: dict[str, Any]) -> Iterator[Violation]:
    """As of an empty object: it names what has to be given."""
    required = schema.get("required") or ()
    for key in required:
        yield Violation((), f'"{key}" is a required property', missing=key)
    if not required:
        yield Violation((), "nothing is given", otherwise=_listed(_properties(schema, [""])))


def _listed(known: Sequence[str]) -> str:
    return f"it takes {', '.join(known)}" if 0 < len(known) <= MOST_LISTED else ""


def _properties(schema: Json, path: Sequence[str | int]) -> tuple[str, ...]:
    """The keys that are named beside the keyword that `path` leads to."""
    beside = _at(schema, path[:-1])
    return tuple(beside.get("properties") or ()) if isinstance(beside, dict) else ()


def _at(schema: Json, path: Sequence[str | int]) -> Json:
    for part in path:
        try:
            schema = schema[part]
        except (KeyError, IndexError, TypeError):
            return None
    return schema


def shortened(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE // 2]} … {message[-MAX_MESSAGE // 2 :]}"
