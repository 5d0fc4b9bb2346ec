"""A value that folds, as rows that are made when they are looked at: ten megabytes open as quickly as ten bytes."""

from __future__ import annotations

import json
import re
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Literal

import msgspec

from stepflow.model import jsontext
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, safe

Form = Literal["json", "yaml"]
Path = tuple[str | int, ...]

LONG = 160
"""Characters from which on a text folds into its lines, and of a line of it."""
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
        self.is_text = isinstance(value, str)
        self.items: Any = pieces(value) if self.is_text else value
        self.keys: Sequence[Any] = list(value) if isinstance(value, dict) else range(len(self.items))
        self.opened: dict[int, _Open] = {}
        """By place."""
        self.places: list[int] = []
        """Of these, in order."""
        self.rows = len(self.keys)

    def place_of(self, key: str | int) -> int:
        return key if isinstance(self.keys, range) and isinstance(key, int) else self.keys.index(key)


def pieces(text: str) -> list[str]:
    return [line[at : at + LONG] for line in text.splitlines() for at in range(0, len(line) or 1, LONG)]


def folds(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) > LONG or len(value.splitlines()) > 1
    return isinstance(value, dict | list) and bool(value)


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
            path = (*path, node.keys[inside])
            node = node.opened[inside]

    def _row(self, node: _Open, path: Path, place: int) -> Row:
        key = node.keys[place]
        value = node.items[key]
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
                value = node.items[key]
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
                inner = (*path, node.keys[place])
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
                for key in value if isinstance(value, dict) else range(len(value)):
                    inner = value[key]
                    is_small = isinstance(inner, dict | list) and self.row_count + len(inner) <= AT_FIRST
                    if inner and is_small:
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
        waiting: list[tuple[Path, Any]] = [((), self.value)]
        while waiting:
            path, value = waiting.pop()
            if path:
                yield path, value
            if isinstance(value, dict):
                waiting += [((*path, key), inner) for key, inner in reversed(value.items())]
            elif isinstance(value, list):
                waiting += [((*path, place), value[place]) for place in range(len(value) - 1, -1, -1)]


def matches(path: Path, value: Any, needle: str) -> bool:
    """In its own key or text. `needle` in lower case."""
    key = path[-1]
    if isinstance(key, str) and needle in key.lower():
        return True
    if isinstance(value, dict | list):
        return False
    return needle in (value if isinstance(value, str) else json.dumps(value)).lower()


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
    if isinstance(value, dict | list):
        begin, end = "{}" if isinstance(value, dict) else "[]"
        count = f"{len(value):,}" if value else ""
        if is_open or not value:
            return (f"{begin}{count}{end}", "dim")
        shown = _parts(value, form)
        return (f"{begin}{count}{end}  {shown}", "dim")
    if isinstance(value, str):
        if is_open:
            return (f"{len(value):,} characters", "dim")
        return safe(_scalar(value[:MOST_SHOWN], form)), ""
    return _scalar(value, form), "wait" if isinstance(value, int | float) and not isinstance(value, bool) else "late"


def _parts(value: dict[str, Any] | list[Any], form: Form) -> str:
    """The first of what is folded in it."""
    keys = list(zip(range(MOST_PARTS), value, strict=False))
    if isinstance(value, dict):
        shown = [f"{_key(key, form)}: {_part(value[key], form)}" for _, key in keys]
    else:
        shown = [_part(item, form) for _, item in keys]
    return ", ".join(shown) + (", …" if len(value) > MOST_PARTS else "")


def _part(value: Any, form: Form) -> str:
    if isinstance(value, dict | list):
        return ("{…}" if isinstance(value, dict) else "[…]") if value else ("{}" if isinstance(value, dict) else "[]")
    return safe(_scalar(value[:LONG] if isinstance(value, str) else value, form))


def _scalar(value: Any, form: Form) -> str:
    if form == "yaml" and isinstance(value, str):
        return _yaml(value, in_a_line=True)
    return json.dumps(value, ensure_ascii=False)


def as_text(value: Any, form: Form) -> str:
    """All of it, for the clipboard."""
    if isinstance(value, str):
        return value
    return _yaml(value) if form == "yaml" else json.dumps(value, ensure_ascii=False, indent=2)


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


def shared(value: Any, known: Sequence[Any]) -> Any:
    """`value`, or what is the same and known already, also what stands in it: large ones are kept once."""
    same = _known(value, known)
    if same is value and isinstance(value, dict) and len(value) <= AT_FIRST:
        return {key: _known(inner, known) for key, inner in value.items()}
    return same


def _known(value: Any, known: Sequence[Any]) -> Any:
    return (
        next((one for one in known if _is_same(one, value)), value) if isinstance(value, dict | list | str) else value
    )


def _is_same(one: Any, other: Any) -> bool:
    """As text: Python says that 1, 1.0 and true are equal."""
    return one is other or (one == other and jsontext.encode(one) == jsontext.encode(other))
