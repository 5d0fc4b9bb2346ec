"""YAML to data: 1.2's core scalars, with what is refused and where it stands. Reading goes on behind a mistake where it
can, so that all of them are said at once."""

from __future__ import annotations

import math
import re
from functools import cached_property
from typing import Any

import yaml

from stepflow.dsl.bounds import LONG_TEXT, MAX_NESTING, MAX_NODES
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.dsl.places import YAML_READER, Entry, Place, Places, write_place
from stepflow.model.flow import Json

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_OCTAL = re.compile(r"0o[0-7]+")
_WORDS: dict[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
TOO_MANY_DIGITS = "A number has at most 4,000 digits"
_NO_NUMBERS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Refused(Exception):
    """Nothing can be read behind it."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class _Dropped(str):
    """A key whose value is read and not kept: equal to no other."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class _Frame:
    """A collection that is being read."""

    __slots__ = ("anchor", "data", "is_mapping", "key", "nodes")

    def __init__(self, is_mapping: bool, anchor: str | None) -> None:
        self.is_mapping = is_mapping
        self.data: Any = {} if is_mapping else []
        self.anchor = anchor
        self.key: str | None = None
        self.nodes = 1
        """What an alias of it counts for: it and all in it, long texts more than once, aliases each time."""

    def add(self, value: Json, nodes: int) -> None:
        self.nodes += nodes
        if self.is_mapping:
            self.data[self.key] = value
            self.key = None
        else:
            self.data.append(value)


class Composer:
    """Builds data from the parser's events, without recursion. Most events are scalars: what is done for each of them
    is what loading costs."""

    def __init__(self, text: str) -> None:
        self.mistakes: list[Diagnostic] = []
        """Behind which reading went on."""
        self.warnings: list[Diagnostic] = []
        self._text = text
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._nodes = 0
        self._root: Json = None
        self._documents = 0

    def compose(self) -> Json:
        next_event = YAML_READER(self._text).get_event
        scalar, stream_end, stack = yaml.ScalarEvent, yaml.StreamEndEvent, self._stack
        while True:
            event = next_event()
            kind = type(event)
            if kind is scalar:
                frame = stack[-1] if stack else None
                key = event.value
                if (
                    frame is not None and frame.is_mapping and frame.key is None
                    and event.tag is None and key not in frame.data and key != "<<" and len(key) < LONG_TEXT
                ):  # fmt: skip
                    # More than half of all events: a key like any other, whose value is counted with it.
                    frame.key = key
                    frame.nodes += 1
                    self._nodes += 1
                else:
                    self._scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._begin(event, kind is yaml.MappingStartEvent)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                self._documents += 1
                if self._documents > 1:
                    hint = "one file is one template"
                    self.mistakes.append(_mistake("E004", "A second document begins here", event.start_mark, hint))
                    return self._root
                if event.version not in (None, (1, 2)):
                    self.warnings.append(_other_version(event))
            elif kind is stream_end:
                return self._root

    def _count(self, nodes: int, mark: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise Refused(_mistake("E005", f"More than {MAX_NODES:,} values (aliases count each time)", mark))

    def _refuse_as_key(self, mark: Any) -> None:
        if self._stack and self._stack[-1].is_mapping and self._stack[-1].key is None:
            raise Refused(_mistake("E006", "A key must be a plain text", mark))

    def _begin(self, event: Any, is_mapping: bool) -> None:
        mark = event.start_mark
        if event.tag is not None and event.tag != "!":
            self.mistakes.append(self._tag(event))
        self._refuse_as_key(mark)
        if len(self._stack) >= MAX_NESTING:
            raise Refused(_mistake("E003", f"Nested deeper than {MAX_NESTING} levels", mark))
        self._count(1, mark)
        self._stack.append(_Frame(is_mapping, event.anchor))

    def _end(self) -> None:
        frame = self._stack.pop()
        if self.mistakes and frame.is_mapping:
            for key in [key for key in frame.data if type(key) is _Dropped]:
                del frame.data[key]
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.data, frame.nodes)
        if self._stack:
            self._stack[-1].add(frame.data, frame.nodes)
        else:
            self._root = frame.data

    def _alias(self, event: Any) -> None:
        mark = event.start_mark
        if event.anchor not in self._anchors:
            raise Refused(_mistake("E007", f"Unknown anchor '*{event.anchor}'", mark, "define it first with &name"))
        self._refuse_as_key(mark)
        data, nodes = self._anchors[event.anchor]
        self._count(nodes, mark)
        self._stack[-1].add(data, nodes)

    def _scalar(self, event: Any) -> None:
        tag = event.tag
        if tag is not None and tag != "!":
            self.mistakes.append(self._tag(event))
            tag = None
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._count(0, event.start_mark)
        frame = self._stack[-1] if self._stack else None
        value: Json = event.value
        if frame is not None and frame.is_mapping and frame.key is None:
            if value in frame.data or (value == "<<" and not event.style):
                self.mistakes.append(self._refused_key(event))
                value = _Dropped(value)
            frame.key = value
            frame.nodes += 1 + len(value) // LONG_TEXT
            return
        nodes = 1 + len(value) // LONG_TEXT
        if not event.style and tag is None:
            try:
                value = _plain(value)
            except ValueError as error:
                hint = "quote it to keep it as text"
                self.mistakes.append(_mistake("E010", str(error), event.start_mark, hint, _place(self._stack)))
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, nodes)
        if frame is None:
            self._root = value
        else:
            frame.add(value, nodes)

    def _refused_key(self, event: Any) -> Diagnostic:
        key, mark = event.value, event.start_mark
        place = _place(self._stack[:-1])
        if key == "<<" and not event.style:
            message = "Merge keys (<<) are not part of YAML 1.2"
            return _mistake("E008", message, mark, "write the keys out here", place)
        first = self._entries.get((*place, key))
        where = f"in line {first.key_position[0]}" if first is not None and first.key_position else "above"
        hint = f"it stands already {where}; remove one of them"
        return _mistake("E009", f"Duplicate key '{key}'", mark, hint, (*place, key))

    def _tag(self, event: Any) -> Diagnostic:
        looks_like_expression = "$" in event.tag or "(" in event.tag
        hint = "put the expression into quotes" if looks_like_expression else "leave the tag out"
        message = f"Tags like {event.tag} are not allowed"
        return _mistake("E011", message, event.start_mark, hint, _place(self._stack))

    @cached_property
    def _entries(self) -> dict[Place, Entry]:
        return Places(self._text, "yaml").entries


def _place(stack: list[_Frame]) -> Place:
    """Of what comes next in the collections that are open."""
    return tuple(
        key
        for key in (frame.key if frame.is_mapping else len(frame.data) for frame in stack)
        if key is not None  # It is a key itself.
    )


def _plain(text: str) -> Json:
    """What a text without quotes says. `ValueError` says why it is no value."""
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first in "0123456789+-.":
        if _INTEGER.fullmatch(text):
            return _integer(text, 10)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isinf(number):
                raise ValueError(f"{text} is too large a number")
            return number
        if _HEX.fullmatch(text):
            return _integer(text[2:], 16)
        if _OCTAL.fullmatch(text):
            return _integer(text[2:], 8)
        if _NO_NUMBERS.fullmatch(text):
            raise ValueError(f"{text} is not a JSON number")
    return text


def _integer(digits: str, base: int) -> int:
    if len(digits) > 4000:
        raise ValueError(TOO_MANY_DIGITS)
    return int(digits, base)


def _mistake(code: str, message: str, mark: Any, hint: str = "", place: Place = ()) -> Diagnostic:
    return Diagnostic(code, "error", message, write_place(place), None, mark.line + 1, mark.column + 1, hint)


def _other_version(event: Any) -> Diagnostic:
    written, mark = ".".join(map(str, event.version)), event.start_mark
    message = f"The text says that it is YAML {written}, and is read as YAML 1.2"
    return Diagnostic("W012", "warning", message, "", None, mark.line + 1, mark.column + 1, "leave the line out")
