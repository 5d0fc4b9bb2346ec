"""A value that folds, as rows that are made when they are looked at: ten megabytes open as quickly as ten bytes.

Its parts are what JSON is in Python, or `JsonText` where they are large.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, Literal

import msgspec

from stepflow.model import jsontext
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.json_text import JsonText
from stepflow_tui.presentation.pieces import LONG, Pieces
from stepflow_tui.presentation.spans import Line, safe

Form = Literal["json", "yaml"]
Path = tuple[str | int, ...]

AT_FIRST = 200
"""Rows that are unfolded to begin with."""
MOST_SHOWN = 1000
"""Characters of a value, and parts of a collection, that are looked at to show it in a line."""
MOST_PARTS = 8

_PLAIN = re.compile(r"[A-Za-z_][\w -]*")


class Row(msgspec.Struct, frozen=True):
    path: Path
    depth: int
    value: Any
    folds: bool = False
    is_open: bool = False
    is_piece: bool = False
    """A line of a long text, to which `path` leads."""


class _Open:
    """An unfolded value: what is in it, and which of that is unfolded too."""

    def __init__(self, value: Any) -> None:
        self.is_text = is_text(value)
        self._value: Any = Pieces(whole(value)) if self.is_text else value
        self._keys: Sequence[Any] = list(value) if isinstance(value, dict) else range(len(self._value))
        self.opened: dict[int, _Open] = {}
        """By place."""
        self.places: list[int] = []
        """Of these, in order."""
        self.rows = len(self._keys)

    def at(self, place: int) -> tuple[str | int, Any]:
        if isinstance(self._value, JsonText):
            return self._value.at(place)
        key = self._keys[place]
        return key, self._value[key]

    def place_of(self, key: str | int) -> int:
        if isinstance(self._value, JsonText):
            return self._value.place_of(key)
        return key if isinstance(self._keys, range) and isinstance(key, int) else self._keys.index(key)


def is_text(value: Any) -> bool:
    return value.is_text if isinstance(value, JsonText) else isinstance(value, str)


def is_object(value: Any) -> bool:
    return value.is_object if isinstance(value, JsonText) else isinstance(value, dict)


def has_parts(value: Any) -> bool:
    """It is an object or a list."""
    return isinstance(value, dict | list) or (isinstance(value, JsonText) and not value.is_text)


def members(value: Any) -> Iterator[tuple[str | int, Any]]:
    """Of an object or a list: keys or places, and what stands there."""
    if isinstance(value, JsonText):
        return value.members()
    return iter(value.items() if isinstance(value, dict) else enumerate(value))


def whole(value: Any) -> Any:
    """Without any `JsonText`, also in it: all is decoded."""
    if isinstance(value, JsonText):
        return value.decode()
    return {key: whole(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def large_of(document: dict[str, Any]) -> list[JsonText]:
    """What of it is large, however deep in objects."""
    found: list[JsonText] = []
    waiting: list[Any] = [document]
    for value in waiting:
        if isinstance(value, JsonText):
            found.append(value)
        elif isinstance(value, dict):
            waiting += value.values()
    return found


def folds(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) > LONG or len(value.splitlines()) > 1
    return isinstance(value, JsonText) or (isinstance(value, dict | list) and bool(value))


class JsonTree:
    """The rows of a value: its own keys are the first ones."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value
        self._root = _Open(value)
        self._unfold_first()

    @property
    def row_count(self) -> int:
        return self._root.rows

    def row_at(self, row: int) -> Row:
        node, path = self._root, Path()
        while True:
            inside: int | None = None
            for place in node.places:
                if row <= place:
                    break
                if row <= place + node.opened[place].rows:
                    inside = place
                    break
                row -= node.opened[place].rows
            if inside is None:
                return self._row(node, path, row)
            row -= inside + 1
            path = (*path, node.at(inside)[0])
            node = node.opened[inside]

    def _row(self, node: _Open, path: Path, place: int) -> Row:
        key, value = node.at(place)
        if node.is_text:
            return Row(path, len(path), value, is_piece=True)
        return Row((*path, key), len(path), value, folds(value), place in node.opened)

    def row_of(self, path: Path) -> int:
        """Of a value, all above which is unfolded."""
        node, row = self._root, -1
        for key in path:
            place = node.place_of(key)
            row += 1 + place + sum(node.opened[one].rows for one in node.places if one < place)
            if place in node.opened:
                node = node.opened[place]
        return row

    def unfold(self, path: Path) -> None:
        """And all above it. Nothing happens where it does not fold; `KeyError`, `IndexError`, `ValueError`: there is
        none."""
        node, above = self._root, [self._root]
        for key in path:
            place = node.place_of(key)
            if place not in node.opened:
                _, value = node.at(place)
                if not folds(value):
                    return
                new = _Open(value)
                node.opened[place] = new
                insort(node.places, place)
                for one in above:
                    one.rows += new.rows
            node = node.opened[place]
            above.append(node)

    def fold(self, path: Path) -> None:
        node, above = self._root, [self._root]
        for key in path[:-1]:
            node = node.opened[node.place_of(key)]
            above.append(node)
        place = node.place_of(path[-1])
        gone = node.opened.pop(place, None)
        if gone is not None:
            del node.places[bisect_left(node.places, place)]
            for one in above:
                one.rows -= gone.rows

    def unfolded(self) -> Iterator[Path]:
        """What is unfolded, from above."""
        waiting: list[tuple[Path, _Open]] = [((), self._root)]
        for path, node in waiting:
            for place in node.places:
                inner = (*path, node.at(place)[0])
                yield inner
                waiting.append((inner, node.opened[place]))

    def _unfold_first(self) -> None:
        """Level by level, while there is room."""
        level: list[Path] = [()]
        while level:
            below: list[Path] = []
            for path in level:
                value = self.at(path)
                if len(value) > AT_FIRST:
                    continue
                for key, inner in members(value):
                    is_small = has_parts(inner) and self.row_count + len(inner) <= AT_FIRST
                    if is_small and len(inner):
                        self.unfold((*path, key))
                        below.append((*path, key))
            level = below

    def at(self, path: Path) -> Any:
        value: Any = self.value
        for key in path:
            value = value[key]
        return value

    def walk(self) -> Iterator[tuple[Path, Any]]:
        """Every value with its path, in order."""
        waiting: list[tuple[Path, Iterator[tuple[str | int, Any]]]] = [((), members(self.value))]
        while waiting:
            path, inside = waiting[-1]
            for key, value in inside:
                yield (*path, key), value
                if has_parts(value):
                    waiting.append(((*path, key), members(value)))
                    break
            else:
                waiting.pop()


def matches(path: Path, value: Any, needle: str) -> bool:
    """In its own key or text. `needle` in lower case."""
    key = path[-1]
    if isinstance(key, str) and needle in key.lower():
        return True
    if has_parts(value):
        return False
    return needle in (whole(value) if is_text(value) else json.dumps(value)).lower()


# As text


def json_row(row: Row, form: Form, glyphs: Glyphs) -> Line:
    if glyphs.ascii_only:
        sign = ("-" if row.is_open else "+") if row.folds else " "
    else:
        sign = ("▾" if row.is_open else "▸") if row.folds else " "
    line: Line = [("  " * row.depth + sign + " ", "dim")]
    if row.is_piece:
        return [*line, (safe(row.value), "")]
    key = row.path[-1]
    if isinstance(key, int):
        line.append(("- " if form == "yaml" else f"{key}: ", "dim"))
    else:
        line.append((f"{_key(key, form)}: ", "active"))
    text, style = _short(row.value, form, is_open=row.is_open)
    line.append((text, style))
    return line


def _key(key: str, form: Form) -> str:
    if form == "yaml" and _PLAIN.fullmatch(key):
        return key
    return safe(json.dumps(key, ensure_ascii=False))


def _short(value: Any, form: Form, *, is_open: bool) -> tuple[str, str]:
    if has_parts(value):
        begin, end = "{}" if is_object(value) else "[]"
        count = f"{len(value):,}" if len(value) else ""
        if is_open or not len(value):
            return (f"{begin}{count}{end}", "dim")
        shown = _parts(value, form)
        return (f"{begin}{count}{end}  {shown}", "dim")
    if is_text(value):
        if is_open:
            return (f"{len(value):,} characters", "dim")
        return safe(_scalar(_beginning(value, MOST_SHOWN), form)), ""
    return _scalar(value, form), "wait" if isinstance(value, int | float) and not isinstance(value, bool) else "late"


def _beginning(value: str | JsonText, characters: int) -> str:
    return value.beginning(characters) if isinstance(value, JsonText) else value[:characters]


def _parts(value: Any, form: Form) -> str:
    """The first of what is folded in it."""
    if isinstance(value, JsonText):
        first = [value.at(place) for place in range(min(len(value), MOST_PARTS))]
    else:
        first = list(islice(members(value), MOST_PARTS))
    if is_object(value):
        shown = [f"{_key(str(key), form)}: {_part(inner, form)}" for key, inner in first]
    else:
        shown = [_part(inner, form) for _, inner in first]
    return ", ".join(shown) + (", …" if len(value) > MOST_PARTS else "")


def _part(value: Any, form: Form) -> str:
    if has_parts(value):
        begin, end = "{}" if is_object(value) else "[]"
        return f"{begin}…{end}" if len(value) else begin + end
    return safe(_scalar(_beginning(value, LONG) if is_text(value) else value, form))


def _scalar(value: Any, form: Form) -> str:
    if form == "yaml" and isinstance(value, str):
        return _yaml(value, in_a_line=True)
    return json.dumps(value, ensure_ascii=False)


def as_text(value: Any, form: Form) -> str:
    """All of it, for the clipboard."""
    try:
        told = whole(value)
        if isinstance(told, str):
            return told
        return _yaml(told) if form == "yaml" else json.dumps(told, ensure_ascii=False, indent=2)
    except RecursionError:  # nested deeper than what lays it out can follow
        return _written(value)


def _written(value: Any) -> str:
    if isinstance(value, JsonText):
        return value.written().decode()
    if isinstance(value, dict):
        return "{" + ",".join(f"{jsontext.encode(key)}:{_written(inner)}" for key, inner in value.items()) + "}"
    return jsontext.encode(value)


def _yaml(value: Any, *, in_a_line: bool = False) -> str:
    """Texts of several lines stand in blocks; `in_a_line`: their ends are escaped."""
    import yaml  # most never look at YAML

    dumper = _dumper()

    def dump(*, allow_unicode: bool, style: str | None = None) -> str:
        text: str = yaml.dump(
            value,
            Dumper=dumper,
            allow_unicode=allow_unicode,
            sort_keys=False,
            width=MOST_SHOWN * 10,
            default_style=style,
        )
        return text if isinstance(value, dict | list) else text.removesuffix("\n").removesuffix("\n...")

    if in_a_line and "\n" in value:
        return dump(allow_unicode=False, style='"')
    text = dump(allow_unicode=True)
    # Its writer leaves the rarer line ends as they are, and readers make spaces of them.
    return dump(allow_unicode=False) if any(end in text for end in "\x85\u2028\u2029") else text


@cache
def _dumper() -> type[Any]:
    import yaml  # most never look at YAML

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: Any, value: str) -> Any:
        is_block = "\n" in value and not value[0].isspace() and not dumper.default_style
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if is_block else None)

    Dumper.add_representer(str, text)
    return Dumper
