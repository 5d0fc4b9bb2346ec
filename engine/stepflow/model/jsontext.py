"""JSON text of values: what is stored is what every later reader sees.

`encode` refuses what JSON cannot say (NaN, infinity, objects without a JSON form) and keeps integers of any size.
Dataclasses, msgspec structs and pydantic models are accepted here, at the border.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

MAX_CHARACTERS = 128 * 1024 * 1024
"""Of the JSON of an input or an output."""
LARGE = 1024 * 1024
"""Values from here on can, put together, become too long."""
MAX_NESTING = 200
"""Levels of a value that comes from outside. Templates put up to a hundred around it, and what follows a value down,
Python's own encoder not the last, has room for that and not for much more."""

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_ascii_encoder = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def encode(value: Any) -> str:
    """Compact JSON. `ValueError` or `TypeError` say what has no JSON form."""
    try:
        text = _encoder.encode(value)
    except TypeError:
        value = _to_builtins(value)
        text = _encoder.encode(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            # A lone surrogate: legal in a Python string and as an escape, but not in UTF-8.
            return _ascii_encoder.encode(value)
    return text


def _to_builtins(value: Any) -> Any:
    def more(other: Any) -> Any:
        dump = getattr(other, "model_dump", None)
        if callable(dump):
            return dump(mode="json")
        raise TypeError(f"a value of type {type(other).__name__} has no JSON form")

    return msgspec.to_builtins(value, enc_hook=more, str_keys=True)


def too_long(characters: int) -> str:
    """What to do about a value of so many."""
    size, most = (number // 1024 // 1024 for number in (characters, MAX_CHARACTERS))
    return f"{size:,} MB of JSON, and {most} MB is the most; hand on where the data is (a file, a blob), not the data"


def size_of(value: Any) -> int:
    """About how many characters its JSON has. A part that stands in many places is looked at once: a value whose text
    would fill the memory is measured as quickly as any."""
    known: dict[int, int] = {}

    def measured(part: Any) -> int:
        return len(part) + 2 if type(part) is str else known.get(id(part), 5)

    stack = [value]
    while stack:
        part = stack[-1]
        items = part.values() if type(part) is dict else part if type(part) is list else ()
        inner = [item for item in items if type(item) in (list, dict) and id(item) not in known]
        if inner:
            stack += inner
            continue
        stack.pop()
        if type(part) in (list, dict):
            size = 2 + len(part) + sum(map(measured, items))
            known[id(part)] = size + (len(part) + sum(map(measured, part)) if type(part) is dict else 0)
    return measured(value)


def is_too_deep(value: Any) -> bool:
    level = [value] if isinstance(value, list | tuple | dict) else []
    for _ in range(MAX_NESTING):
        if not level:
            return False
        level = [
            item
            for part in level
            for item in (part.values() if isinstance(part, dict) else part)
            if isinstance(item, list | tuple | dict)
        ]
    return bool(level)


def decode(text: str | bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return json.loads(text)  # lone surrogates, and what else msgspec is stricter about


def storable(text: str) -> str:
    """`text` as UTF-8 can say it: a lone surrogate, legal in a Python string, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def normalise(value: Any) -> tuple[Any, str]:
    """`value` as every later reader will see it, and its JSON. `ValueError`: also where it is nested too deep."""
    text = encode(value)
    if value is None or type(value) in (str, int, bool):
        return value, text
    seen = decode(text)
    if text.count("[") + text.count("{") > MAX_NESTING and is_too_deep(seen):
        raise ValueError(f"it is nested deeper than {MAX_NESTING} levels")
    return seen, text
