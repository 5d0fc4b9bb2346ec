"""Text to data with positions: YAML 1.2 (core scalars) or JSON, with every syntax mistake as a diagnostic.

`on`, `no`, `0777`, `12:30`, `2024-01-01` are strings or plain integers, never booleans, octals or dates. Duplicate
keys, tags, merge keys and a second document are errors. Size, nesting and node count are capped, so that an alias bomb
is an error and not a hang.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Literal

import msgspec
import yaml

from stepflow.dsl.diagnostics import Diagnostic
from stepflow.model.flow import Json

MAX_BYTES = 10 * 1024 * 1024
MAX_NODES = 200_000
MAX_NESTING = 100

Place = tuple[str | int, ...]
"""Where something is in the document: keys and indexes."""
Position = tuple[int, int]
"""Line and column, from 1."""
Format = Literal["yaml", "json"]

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_OCTAL = re.compile(r"0o[0-7]+")
_WORDS: dict[str, Json] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_NO_NUMBERS = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class Document(msgspec.Struct):
    """What a text says, or why it says nothing."""

    data: Json
    positions: dict[Place, Position]
    source_format: Format
    diagnostics: list[Diagnostic]
    text: str = ""
    """As the author wrote it."""

    def position(self, place: Place) -> Position:
        """Of the nearest thing that stands in the text itself."""
        while place not in self.positions:
            if not place:
                return 0, 0
            place = place[:-1]
        return self.positions[place]


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
    document = Document(None, {}, chosen, [], text)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        message = f"The text is larger than {MAX_BYTES // 1024 // 1024} MB"
        document.diagnostics.append(
            Diagnostic("E001", "error", message, hint="move data into files and read them with /builtin/load_file")
        )
        return document
    if chosen == "json":
        problem, data = _json(text)
        if problem is None:
            # YAML's reader gives the positions; the values are JSON's own.
            _compose(_as_yaml(text), document, lenient=True)
            document.data = data
            return document
        if source_format == "json" or _yaml_problem(text):
            document.diagnostics.append(problem)
            return document
    _compose(text, document)
    return document


def _compose(text: str, document: Document, *, lenient: bool = False) -> None:
    """`lenient`: what YAML alone dislikes costs positions and nothing else."""
    try:
        document.data = _Composer(text, document.positions).compose()
    except _Refused as refusal:
        document.diagnostics.append(refusal.diagnostic)
    except yaml.YAMLError as error:
        if not lenient:
            document.diagnostics.append(_syntax_error(error))


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
        return Diagnostic("E010", "error", f"{error} is not a JSON number", hint="quote it to keep it as text"), None
    except RecursionError:
        return Diagnostic("E003", "error", f"Nested deeper than {MAX_NESTING} levels"), None


def _as_yaml(text: str) -> str:
    """JSON as YAML's reader takes it, with everything at its place: without tabs and without surrogate escapes."""
    return _SURROGATE.sub(r"\\u0020", text.replace("\t", " "))


def _yaml_problem(text: str) -> bool:
    try:
        for _ in yaml.parse(text, Loader=_PARSER):
            pass
    except yaml.YAMLError:
        return True
    return False


def _syntax_error(error: yaml.YAMLError) -> Diagnostic:
    problem = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    message = f"Not valid YAML: {problem}" + (f" ({context})" if context else "")
    return Diagnostic(
        code="E002",
        level="error",
        message=message,
        line=mark.line + 1 if mark is not None else 0,
        column=mark.column + 1 if mark is not None else 0,
        hint=_syntax_hint(problem),
    )


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
    __slots__ = ("anchor", "data", "is_mapping", "key", "mark", "nodes", "place")

    def __init__(self, is_mapping: bool, place: Place, anchor: str | None, mark: Any) -> None:
        self.is_mapping = is_mapping
        self.data: Any = {} if is_mapping else []
        self.place = place
        self.anchor = anchor
        self.mark = mark
        self.key: str | None = None
        self.nodes = 1


class _Composer:
    """Builds data from the parser's events, without recursion."""

    def __init__(self, text: str, positions: dict[Place, Position]) -> None:
        self._text = text
        self._positions = positions
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Json, int]] = {}
        self._nodes = 0
        self._root: Json = None
        self._documents = 0

    def compose(self) -> Json:
        for event in yaml.parse(self._text, Loader=_PARSER):
            kind = type(event)
            if kind is yaml.ScalarEvent:
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
        return self._root

    def _place(self) -> Place:
        if not self._stack:
            return ()
        top = self._stack[-1]
        return (*top.place, top.key if top.is_mapping and top.key is not None else len(top.data))

    def _is_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].is_mapping and self._stack[-1].key is None

    def _count(self, nodes: int, mark: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _Refused("E005", f"More than {MAX_NODES:,} values (aliases count each time)", mark)

    def _begin(self, event: Any, is_mapping: bool) -> None:
        if event.tag is not None and event.tag != "!":
            raise _tag(event)
        if self._is_key():
            raise _Refused("E006", "A key must be a plain text", event.start_mark)
        if len(self._stack) >= MAX_NESTING:
            raise _Refused("E003", f"Nested deeper than {MAX_NESTING} levels", event.start_mark)
        place = self._place()
        self._count(1, event.start_mark)
        self._positions.setdefault(place, _position(event.start_mark))
        self._stack.append(_Frame(is_mapping, place, event.anchor, event.start_mark))

    def _end(self) -> None:
        frame = self._stack.pop()
        if frame.anchor is not None:
            self._anchors[frame.anchor] = (frame.data, frame.nodes)
        self._add(frame.data, frame.nodes, frame.mark)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise _Refused("E007", f"Unknown anchor '*{event.anchor}'", event.start_mark, "define it first with &name")
        data, nodes = self._anchors[event.anchor]
        self._count(nodes, event.start_mark)
        if self._is_key():
            raise _Refused("E006", "A key must be a plain text", event.start_mark)
        self._positions[self._place()] = _position(event.start_mark)
        self._add(data, nodes, event.start_mark)

    def _scalar(self, event: Any) -> None:
        if event.tag is not None and event.tag != "!":
            raise _tag(event)
        self._count(1, event.start_mark)
        if self._is_key():
            self._key(event)
            return
        value: Json = event.value
        if event.style in (None, "") and event.tag is None:
            value = _plain(event.value, event)
        # A value stands where it begins; an empty one where its key does.
        if event.value or event.style not in (None, ""):
            place = self._place()
            self._positions[place] = _position(event.start_mark)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._add(value, 1, event.start_mark)

    def _key(self, event: Any) -> None:
        frame = self._stack[-1]
        key = event.value
        if key == "<<" and event.style in (None, ""):
            raise _Refused(
                "E008",
                "Merge keys (<<) are not part of YAML 1.2",
                event.start_mark,
                "write the keys out here",
                frame.place,
            )
        if key in frame.data:
            first = self._positions.get((*frame.place, key), (0, 0))
            raise _Refused(
                "E009", f"Duplicate key '{key}'", event.start_mark,
                f"it stands already in line {first[0]}; remove one of them", (*frame.place, key),
            )  # fmt: skip
        frame.key = key
        self._positions[(*frame.place, key)] = _position(event.start_mark)

    def _add(self, value: Json, nodes: int, mark: Any) -> None:
        if not self._stack:
            self._root = value
            return
        frame = self._stack[-1]
        frame.nodes += nodes
        if frame.is_mapping:
            frame.data[frame.key] = value
            frame.key = None
        else:
            frame.data.append(value)


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
        raise _Refused("E010", "A number has at most 4,000 digits", event.start_mark, "quote it to keep it as text")
    return int(digits, base)


def _tag(event: Any) -> _Refused:
    return _Refused("E011", f"Tags like {event.tag} are not allowed", event.start_mark, "leave the tag out")


def _position(mark: Any) -> Position:
    return mark.line + 1, mark.column + 1


def write_place(place: Place) -> str:
    """`steps[0].input.x`"""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w$-]+", part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text
