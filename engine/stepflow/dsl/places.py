"""Where keys and values stand in the text of a template: found when something has to be pointed at or edited."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec
import yaml

from stepflow.dsl.bounds import MAX_NESTING

Place = tuple[str | int, ...]
"""Where something is in the document: keys and indexes."""
Position = tuple[int, int]
"""Line and column, from 1."""
Span = tuple[int, int]
"""From a character up to another."""
Format = Literal["yaml", "json"]

YAML_READER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SURROGATE = re.compile(r"\\u([dD][89a-fA-F][0-9a-fA-F]{2})")


class Entry(msgspec.Struct, frozen=True):
    """One value of the text."""

    start: int
    end: int
    """In characters."""
    key: Span | None
    """Of its key, where it has one."""
    position: Position | None
    """What is said of it is said here: where a text begins, at the key of a collection and of what is empty. None: it
    has no place of its own."""
    key_position: Position | None
    """What is said of its key is said here."""
    in_flow: bool
    """It stands within brackets."""
    is_scalar: bool


class Places:
    """The entries of one text by their place. A text that cannot be read has none."""

    def __init__(self, text: str, source_format: Format) -> None:
        self.entries: dict[Place, Entry] = {}
        self.scalars: list[Span] = []
        """Keys and values, in order."""
        self._reached = 0
        # The reader does not count a byte order mark.
        self._skipped = int(text.startswith("\ufeff"))
        try:
            self._read(json_as_yaml(text) if source_format == "json" else text)
        except yaml.YAMLError:
            # JSON that YAML's reader dislikes.
            self.entries.clear()

    def _read(self, text: str) -> None:
        stack: list[_Frame] = []
        event: Any  # its attributes depend on its kind
        for event in yaml.parse(text, Loader=YAML_READER):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event, stack)
            elif kind is yaml.AliasEvent:
                self._enter(event, stack, is_scalar=True)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                place = self._enter(event, stack, is_scalar=False)
                stack.append(_Frame(place, kind is yaml.MappingStartEvent, bool(event.flow_style)))
                if len(stack) > MAX_NESTING:
                    return
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                frame = stack.pop()
                if frame.in_flow:
                    self._reached = self._offset(event.end_mark)
                # What has no brackets ends with the last thing in it; its own mark is where the next thing begins.
                entry = self.entries[frame.place]
                self.entries[frame.place] = msgspec.structs.replace(entry, end=self._reached)

    def _offset(self, mark: Any) -> int:
        return int(mark.index) + self._skipped

    def _scalar(self, event: Any, stack: list[_Frame]) -> None:
        self.scalars.append((self._offset(event.start_mark), self._offset(event.end_mark)))
        if stack and stack[-1].is_mapping and stack[-1].key is None:
            stack[-1].key = event.value
            stack[-1].key_event = event
        else:
            self._enter(event, stack, is_scalar=True)

    def _enter(self, event: Any, stack: list[_Frame], *, is_scalar: bool) -> Place:
        """Note a value, and where the next one of its collection belongs."""
        place: Place = ()
        key_event = None
        in_flow = False
        if stack:
            frame = stack[-1]
            place = (*frame.place, frame.key if frame.key is not None else frame.length)
            key_event, in_flow = frame.key_event, frame.in_flow
            frame.key = frame.key_event = None
            frame.length += 1
        start, end = self._offset(event.start_mark), self._offset(event.end_mark)
        key = None if key_event is None else (self._offset(key_event.start_mark), self._offset(key_event.end_mark))
        self._reached = end
        # Of a key that stands twice, which is a mistake, the first is meant.
        self.entries.setdefault(
            place,
            Entry(start, end, key, _position(event, key_event, is_scalar), _begin(key_event), in_flow, is_scalar),
        )
        return place


def _position(event: Any, key_event: Any, is_scalar: bool) -> Position | None:
    is_empty = is_scalar and isinstance(event, yaml.ScalarEvent) and not event.value and not event.style
    if key_event is not None and (is_empty or not is_scalar):
        event = key_event
    elif is_empty:
        return None
    return _begin(event)


def _begin(event: Any) -> Position | None:
    return None if event is None else (event.start_mark.line + 1, event.start_mark.column + 1)


class _Frame:
    __slots__ = ("in_flow", "is_mapping", "key", "key_event", "length", "place")

    def __init__(self, place: Place, is_mapping: bool, in_flow: bool) -> None:
        self.place = place
        self.is_mapping = is_mapping
        self.in_flow = in_flow
        self.key: str | None = None
        self.key_event: Any = None
        self.length = 0


def json_as_yaml(text: str) -> str:
    """JSON as YAML's reader takes it, with every character at its place: without tabs and without surrogate escapes."""
    return _SURROGATE.sub(_private, text.replace("\t", " "))


def _private(escape: re.Match[str]) -> str:
    """As different from one another as the halves they stand for: two keys must not become one."""
    half = int(escape[1], 16)
    return f"\\u{half + 0x800:04x}"


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
