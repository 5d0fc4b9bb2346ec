"""Text to data with positions: YAML 1.2 (core scalars) or JSON, with every syntax mistake as a diagnostic.

`on`, `no`, `0777`, `12:30`, `2024-01-01` are strings or plain integers, never booleans, octals or dates. Duplicate
keys, tags, merge keys and a second document are errors. Size, nesting and node count are capped, so that an alias bomb
is an error and not a hang.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import yaml

from stepflow.dsl.bounds import LONG_TEXT, MAX_NESTING, MAX_NODES, beyond_bounds
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.dsl.places import YAML_READER, Entry, Format, Place, Places, Position, json_as_yaml, write_place
from stepflow.model.flow import Json

MAX_BYTES = 10 * 1024 * 1024

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_OCTAL = re.compile(r"0o[0-7]+")
_WORDS: dict[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_LINE_BREAKS = ("\n", "\r", "\x85", "\u2028", "\u2029")
_TOO_MANY_DIGITS = "A number has at most 4,000 digits"
_NO_NUMBERS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Document:
    """What a text says, or why it says nothing."""

    def __init__(self, text: str, source_format: Format, data: Json = None) -> None:
        self.data = data
        self.text = text
        """As the author wrote it."""
        self.source_format = source_format
        self.diagnostics: list[Diagnostic] = []
        self._renamed: dict[Place, Place] = {}

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _entries(self) -> Mapping[Place, Entry]:
        return Places(self.text, self.source_format).entries

    def position(self, place: Place) -> Position:
        """Of the nearest thing that stands in the text itself."""
        while True:
            entry = self._entries.get(place) or self._entries.get(self._written(place))
            if entry is not None and entry.position is not None:
                return entry.position
            if not place:
                return 0, 0
            place = place[:-1]

    def holds(self, place: Place) -> bool:
        """It stands in the text under just these keys."""
        return place in self._entries

    def renamed(self, before: Place, after: Place) -> None:
        """What stands at `before` is called `after` from here on."""
        self._renamed.setdefault(after, before)

    def _written(self, place: Place) -> Place:
        for end in range(len(place), 0, -1):
            before = self._renamed.get(place[:end])
            if before is not None:
                return (*before, *place[end:])
        return place


class _Refused(Exception):
    def __init__(self, code: str, message: str, mark: Any, hint: str = "", place: Place = ()) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(
            code=code,
            level="error",
            message=message,
            path=write_place(place),
            line=mark.line + 1 if mark is not None else 0,
            column=mark.column + 1 if mark is not None else 0,
            hint=hint,
        )


def load(text: str, source_format: Format | None = None) -> Document:
    """Never raises for what is in the text."""
    chosen: Format = source_format or ("json" if text.lstrip()[:1] in ("{", "[") else "yaml")
    document = Document(text, chosen)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        document.diagnostics.append(_no_character(text, error.start))
        return document
    if size > MAX_BYTES:
        message = f"The text is larger than {MAX_BYTES // 1024 // 1024} MB"
        document.diagnostics.append(
            Diagnostic("E001", "error", message, hint="move data into files and read them with /builtin/load_file")
        )
        return document
    if chosen == "json":
        problem, data = _json(text)
        if problem is None:
            # YAML's reader gives the positions; the values are JSON's own.
            _compose(json_as_yaml(text), document, is_json=True)
            document.data = data
            return document
        if source_format == "json" or _yaml_problem(text):
            document.diagnostics.append(problem)
            return document
    _compose(text, document)
    return document


def _no_character(text: str, at: int) -> Diagnostic:
    line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    message = "Half a surrogate pair is no character"
    return Diagnostic("E002", "error", message, line=line, column=column, hint="save the text as UTF-8")


def _compose(text: str, document: Document, *, is_json: bool = False) -> None:
    """`is_json`: what YAML alone dislikes costs positions and nothing else."""
    try:
        document.data = _Composer(text).compose()
    except _Refused as refusal:
        document.diagnostics.append(refusal.diagnostic)
    except yaml.YAMLError as error:
        problem = _json_problem(document.text) if is_json else _syntax_error(error, text)
        if problem is not None:
            document.diagnostics.append(problem)


def _json(text: str) -> tuple[Diagnostic | None, Json]:
    """What is wrong with it as JSON, or what it says."""

    def refuse(constant: str) -> Json:
        raise ValueError(constant)

    try:
        return None, json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        hint = "check commas, quotes and brackets there"
        message = f"Not valid JSON: {error.msg}"
        return Diagnostic("E002", "error", message, line=error.lineno, column=error.colno, hint=hint), None
    except ValueError as error:
        is_word = str(error) in ("NaN", "Infinity", "-Infinity")
        message = f"{error} is not a JSON number" if is_word else _TOO_MANY_DIGITS
        return Diagnostic("E010", "error", message, hint="quote it to keep it as text"), None
    except RecursionError:
        return Diagnostic("E003", "error", f"Nested deeper than {MAX_NESTING} levels"), None


def _json_problem(text: str) -> Diagnostic | None:
    """What YAML's reader would have refused in JSON that it cannot read."""

    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for key, value in pairs:
            if key in found:
                raise _Refused("E009", f"Duplicate key '{key}'", None, "remove one of them")
            found[key] = value
        return found

    try:
        return beyond_bounds(json.loads(text, object_pairs_hook=unique))
    except _Refused as refusal:
        return refusal.diagnostic


def _yaml_problem(text: str) -> bool:
    try:
        for _ in yaml.parse(text, Loader=YAML_READER):
            pass
    except yaml.YAMLError:
        return True
    return False


def _syntax_error(error: yaml.YAMLError, text: str) -> Diagnostic:
    problem = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    message = f"Not valid YAML: {problem}" + (f" ({context})" if context else "")
    line, column = (0, 0) if mark is None else (mark.line + 1, mark.column + 1)
    if mark is not None and line > 1 and column == 1 and mark.index + text.startswith("\ufeff") >= len(text) and not text.endswith(_LINE_BREAKS):
        # The reader counts a line break at the end that is not there.
        line, column = line - 1, len(text) - text.rfind("\n")
    return Diagnostic("E002", "error", message, line=line, column=column, hint=_syntax_hint(problem))


def _syntax_hint(problem: str) -> str:
    if "'\\t'" in problem or "tab" in problem:
        return "indent with spaces; YAML does not allow tabs"
    if "mapping values are not allowed" in problem:
        return "expected a space after ':' and a consistent indent, or quotes around a text that contains ': '"
    if "could not find expected ':'" in problem:
        return "expected 'key: value'; is a ':' missing, or a text not quoted?"
    if "did not find expected key" in problem or "block end" in problem:
        return "expected a key at the indent of its neighbours; check the indent of this line"
    if "undefined alias" in problem:
        return "define it first with &name"
    if "unexpected end of stream" in problem or "quoted scalar" in problem:
        return "expected the closing quote"
    return "expected YAML there; check the indent, colons, quotes and brackets of this line"


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


class _Composer:
    """Builds data from the parser's events, without recursion. Most events are scalars: what is done for each of them
    is what loading costs."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._nodes = 0
        self._root: Json = None
        self._documents = 0

    def compose(self) -> Json:
        next_event = YAML_READER(self._text).get_event
        scalar, stream_end = yaml.ScalarEvent, yaml.StreamEndEvent
        while True:
            event = next_event()
            kind = type(event)
            if kind is scalar:
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
                    raise _Refused(
                        "E004", "A second document begins here", event.start_mark, "one file is one template"
                    )
            elif kind is stream_end:
                return self._root

    def _count(self, nodes: int, mark: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _Refused("E005", f"More than {MAX_NODES:,} values (aliases count each time)", mark)

    def _refuse_as_key(self, mark: Any) -> None:
        if self._stack and self._stack[-1].is_mapping and self._stack[-1].key is None:
            raise _Refused("E006", "A key must be a plain text", mark)

    def _begin(self, event: Any, is_mapping: bool) -> None:
        mark = event.start_mark
        if event.tag is not None and event.tag != "!":
            raise _tag(event)
        self._refuse_as_key(mark)
        if len(self._stack) >= MAX_NESTING:
            raise _Refused("E003", f"Nested deeper than {MAX_NESTING} levels", mark)
        self._count(1, mark)
        self._stack.append(_Frame(is_mapping, event.anchor))

    def _end(self) -> None:
        frame = self._stack.pop()
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.data, frame.nodes)
        if self._stack:
            self._stack[-1].add(frame.data, frame.nodes)
        else:
            self._root = frame.data

    def _alias(self, event: Any) -> None:
        mark = event.start_mark
        if event.anchor not in self._anchors:
            raise _Refused("E007", f"Unknown anchor '*{event.anchor}'", mark, "define it first with &name")
        self._refuse_as_key(mark)
        data, nodes = self._anchors[event.anchor]
        self._count(nodes, mark)
        self._stack[-1].add(data, nodes)

    def _scalar(self, event: Any) -> None:
        tag = event.tag
        if tag is not None and tag != "!":
            raise _tag(event)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._count(0, event.start_mark)
        frame = self._stack[-1] if self._stack else None
        value: Json = event.value
        if frame is not None and frame.is_mapping and frame.key is None:
            if value in frame.data or (value == "<<" and not event.style):
                raise self._refused_key(event)
            frame.key = value
            frame.nodes += 1 + len(value) // LONG_TEXT
            return
        nodes = 1 + len(value) // LONG_TEXT
        if not event.style and tag is None:
            value = _plain(event.value, event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, nodes)
        if frame is None:
            self._root = value
        else:
            frame.add(value, nodes)

    def _refused_key(self, event: Any) -> _Refused:
        key, mark = event.value, event.start_mark
        place = tuple(frame.key if frame.key is not None else len(frame.data) for frame in self._stack[:-1])
        if key == "<<" and not event.style:
            message = "Merge keys (<<) are not part of YAML 1.2"
            return _Refused("E008", message, mark, "write the keys out here", place)
        first = Places(self._text, "yaml").entries.get((*place, key))
        line = self._text.count("\n", 0, first.key[0]) + 1 if first is not None and first.key is not None else 0
        hint = f"it stands already {f'in line {line}' if line else 'above'}; remove one of them"
        return _Refused("E009", f"Duplicate key '{key}'", mark, hint, (*place, key))


def _plain(text: str, event: Any) -> Json:
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first in "0123456789+-.":
        if _INTEGER.fullmatch(text):
            return _integer(text, 10, event)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if math.isinf(number):
                raise _Refused("E010", f"{text} is too large a number", event.start_mark, "quote it to keep it as text")
            return number
        if _HEX.fullmatch(text):
            return _integer(text[2:], 16, event)
        if _OCTAL.fullmatch(text):
            return _integer(text[2:], 8, event)
        if _NO_NUMBERS.fullmatch(text):
            raise _Refused("E010", f"{text} is not a JSON number", event.start_mark, "quote it to keep it as text")
    return text


def _integer(digits: str, base: int, event: Any) -> int:
    if len(digits) > 4000:
        raise _Refused("E010", _TOO_MANY_DIGITS, event.start_mark, "quote it to keep it as text")
    return int(digits, base)


def _tag(event: Any) -> _Refused:
    return _Refused("E011", f"Tags like {event.tag} are not allowed", event.start_mark, "leave the tag out")
