"""JSON text of values: what is stored is what every later reader sees.

`encode` refuses what JSON cannot say (NaN, infinity, objects without a JSON form) and keeps integers of any size.
Dataclasses, msgspec structs and pydantic models are accepted here, at the border.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

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


def decode(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return json.loads(text)  # lone surrogates, and what else msgspec is stricter about


def storable(text: str) -> str:
    """`text` as UTF-8 can say it: a lone surrogate, legal in a Python string, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def normalise(value: Any) -> tuple[Any, str]:
    """`value` as every later reader will see it, and its JSON."""
    text = encode(value)
    if value is None or type(value) in (str, int, bool):
        return value, text
    return decode(text), text
