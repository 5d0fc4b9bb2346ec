"""Where keys and values stand in the text of a template, to the character; and edits that leave the rest as it is."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import yaml

from stepflow.dsl.load import Format, Place

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_PLAIN = re.compile(r"[A-Za-z_/][\w./-]*|[0-9.]+[A-Za-z]*")
"""Words that may stand without quotes in YAML; only these are put in."""


class Edit(msgspec.Struct, frozen=True):
    """Replace the characters from `start` up to `end`."""

    start: int
    end: int
    replacement: str


class Entry(msgspec.Struct, frozen=True):
    """One value of the text, in characters."""

    start: int
    end: int
    key: tuple[int, int] | None
    """Of its key, where it has one."""
    in_flow: bool
    """It stands within brackets."""
    is_scalar: bool


class Source:
    """The entries of one text by their place."""

    def __init__(self, text: str, source_format: Format) -> None:
        self.text = text
        self.format = source_format
        self.entries: dict[Place, Entry] = {}
        self.scalars: list[tuple[int, int]] = []
        """Keys and values, in order."""
        self._reached = 0
        try:
            self._read()
        except yaml.YAMLError:
            # JSON that YAML's reader dislikes: it has neither comments nor known places.
            self.entries.clear()

    def rename_key(self, place: Place, name: str) -> Edit | None:
        """The edit that gives the key at `place` another name."""
        entry = self.entries.get(place)
        if entry is None or entry.key is None:
            return None
        return self._replace(*entry.key, str(place[-1]), name)

    def replace_value(self, place: Place, written: str, value: str) -> Edit | None:
        """The edit that puts the word `value` where the scalar `written` stands."""
        entry = self.entries.get(place)
        if entry is None or not entry.is_scalar:
            return None
        return self._replace(entry.start, entry.end, written, value)

    def remove(self, place: Place) -> Edit | None:
        """The edit that takes an item, or a key with its value, away; never with a comment."""
        entry = self.entries.get(place)
        if entry is None:
            return None
        start = entry.key[0] if entry.key is not None else entry.start
        if entry.in_flow:
            return self._out_of_brackets(start, entry.end)
        return self._out_of_lines(start, entry.end, entry.key is None)

    def _replace(self, start: int, end: int, written: str, word: str) -> Edit | None:
        found = self.text[start:end]
        quote = found[:1] if found[:1] in ("'", '"') else ""
        if found != f"{quote}{written}{quote}" or not _PLAIN.fullmatch(word):
            return None
        if not quote and self.format == "json":
            quote = '"'
        return Edit(start, end, f"{quote}{word}{quote}")

    def _out_of_brackets(self, start: int, end: int) -> Edit | None:
        """With the comma behind it, else the one before it; with its lines where it has them for itself."""
        after = re.compile(r"[ \t]*,[ \t]*").match(self.text, end)
        if after is not None:
            first = self.text.rfind("\n", 0, start) + 1
            ends_line = re.compile(r"\r?\n").match(self.text, after.end())
            if ends_line is not None and not self.text[first:start].strip():
                return Edit(first, ends_line.end(), "")
            return Edit(start, after.end(), "")
        before = self.text[:start].rstrip()
        return Edit(len(before) - 1, end, "") if before.endswith(",") else None

    def _out_of_lines(self, start: int, end: int, is_item: bool) -> Edit | None:
        first = self.text.rfind("\n", 0, start) + 1
        newline = self.text.find("\n", end)
        last = len(self.text) if newline < 0 else newline + 1
        before = re.fullmatch(r"[ \t]*(?:-[ \t]+)?" if is_item else r"[ \t]*", self.text[first:start])
        if before is None or self.text[end:last].strip() or "#" in self.text[start:end]:
            return None
        return Edit(first, last, "")

    # Reading

    def _read(self) -> None:
        stack: list[_Frame] = []
        event: Any  # its attributes depend on its kind
        for event in yaml.parse(self._for_yaml(), Loader=_PARSER):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event, stack)
            elif kind is yaml.AliasEvent:
                self._enter(event, stack, is_scalar=True)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                place = self._enter(event, stack, is_scalar=False)
                stack.append(_Frame(place, kind is yaml.MappingStartEvent, bool(event.flow_style)))
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                frame = stack.pop()
                if frame.in_flow:
                    self._reached = self._offset(event.end_mark)
                # What has no brackets ends with the last thing in it; its own mark is where the next thing begins.
                entry = self.entries[frame.place]
                self.entries[frame.place] = msgspec.structs.replace(entry, end=self._reached)

    def _for_yaml(self) -> str:
        """JSON without what YAML's reader refuses in it, every character at its place."""
        if self.format == "json":
            return _SURROGATE.sub(r"\\u0020", self.text.replace("\t", " "))
        return self.text

    def _offset(self, mark: Any) -> int:
        # The reader does not count a byte order mark.
        return int(mark.index) + self.text.startswith("\ufeff")

    def _scalar(self, event: Any, stack: list[_Frame]) -> None:
        span = self._offset(event.start_mark), self._offset(event.end_mark)
        self.scalars.append(span)
        if stack and stack[-1].is_mapping and stack[-1].key is None:
            stack[-1].key = event.value
            stack[-1].key_span = span
        else:
            self._enter(event, stack, is_scalar=True)

    def _enter(self, event: Any, stack: list[_Frame], *, is_scalar: bool) -> Place:
        """Note a value, and where the next one of its collection belongs."""
        place: Place = ()
        key = None
        if stack:
            frame = stack[-1]
            place = (*frame.place, frame.key if frame.key is not None else frame.length)
            key = frame.key_span
            frame.key = frame.key_span = None
            frame.length += 1
        start, end = self._offset(event.start_mark), self._offset(event.end_mark)
        self._reached = end
        self.entries[place] = Entry(start, end, key, bool(stack) and stack[-1].in_flow, is_scalar)
        return place


class _Frame:
    __slots__ = ("in_flow", "is_mapping", "key", "key_span", "length", "place")

    def __init__(self, place: Place, is_mapping: bool, in_flow: bool) -> None:
        self.place = place
        self.is_mapping = is_mapping
        self.in_flow = in_flow
        self.key: str | None = None
        self.key_span: tuple[int, int] | None = None
        self.length = 0
