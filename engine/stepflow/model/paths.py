"""Paths into values: `a.b[0]["c d"]`, `$.a.b`, `/a/0`. Parsed once, followed often."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from stepflow.model.flow import Json

Key = str | int
Path = tuple[Key, ...]

_PART = re.compile(
    r"""
    \.?(?P<name>[^.\[\]"'\s]+)
    | \[(?P<index>-?\d+)\]
    | \["(?P<double>(?:[^"\\]|\\.)*)"\]
    | \['(?P<single>[^']*)'\]
    """,
    re.VERBOSE,
)

_PLAIN = re.compile(r"\$?\.?[^\W\d][\w-]*(?:\.[^\W\d][\w-]*)*")
"""Names and dots: most paths."""

MAX_PATH = 1000
"""Characters."""


class Missing(Exception):
    """There is nothing at the path."""


def parse_path(text: str) -> Path:
    """The keys of a path. `ValueError` says where it is wrong."""
    if len(text) > MAX_PATH:
        raise ValueError(f"a path has at most {MAX_PATH} characters")
    if _PLAIN.fullmatch(text):
        return tuple(text.lstrip("$.").split("."))
    if text.startswith("/"):
        return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))
    rest = text.removeprefix("$")
    keys: list[Key] = []
    position = 0
    while position < len(rest):
        found = _PART.match(rest, position)
        if found is None or (keys and found["name"] is not None and rest[position] != "."):
            raise ValueError(
                f"'{text}' is not a path: unexpected {rest[position:][:10]!r}; write it like a.b[0][\"c d\"]"
            )
        if found["index"] is not None:
            keys.append(int(found["index"]))
        elif found["double"] is not None:
            keys.append(re.sub(r"\\(.)", r"\1", found["double"]))
        else:
            keys.append(found["name"] if found["name"] is not None else found["single"])
        position = found.end()
    return tuple(keys)


def follow(value: Json, path: Path) -> Json:
    """What is at `path` in `value`; `Missing` where there is nothing."""
    for key in path:
        if type(value) is dict:
            try:
                value = value[key]
            except KeyError:
                if isinstance(key, int) and str(key) in value:
                    value = value[str(key)]
                else:
                    raise Missing from None
        elif type(value) is list:
            value = _item(value, key)
        else:
            raise Missing
    return value


def _item(items: list[Any], key: Key) -> Json:
    if isinstance(key, str):
        if not re.fullmatch(r"-?\d{1,9}", key):
            raise Missing
        key = int(key)
    try:
        return items[key]
    except IndexError:
        raise Missing from None


def minus_hint(key: Key, known: Collection[str]) -> str:
    """For a key that is not among those known: `n-1`, where there is `n`, was meant as a sum. Else empty."""
    if not isinstance(key, str) or not any(key[: found.start()] in known for found in re.finditer("-", key)):
        return ""
    return "a minus between two values needs spaces around it"


def not_found(path: Path, value: Json, where: str) -> str:
    """What to say of a path at which there is nothing in `value`."""
    message = f"Path {write_path(path)} not found in {where}"
    for key in path:
        try:
            value = follow(value, (key,))
        except Missing:
            hint = minus_hint(key, value) if type(value) is dict else ""
            return f"{message}; {hint}" if hint else message
    return message


def write_path(path: Path) -> str:
    """`$.a[0]["c d"]`, for messages."""
    parts = ["$"]
    for key in path:
        if isinstance(key, int):
            parts.append(f"[{key}]")
        elif re.fullmatch(r"[\w-]+", key):
            parts.append(f".{key}")
        else:
            parts.append(f'["{key}"]')
    return "".join(parts)
