"""Where keys and values stand in the text of a template, to the character; and edits that leave the rest as it is."""

from __future__ import annotations

import re

import msgspec

from stepflow.dsl.places import Format, Place, Places

_PLAIN = re.compile(r"[A-Za-z_/][\w./-]*|[0-9.]+[A-Za-z]*")
"""Words that may stand without quotes in YAML; only these are put in."""


class Edit(msgspec.Struct, frozen=True):
    """Replace the characters from `start` up to `end`."""

    start: int
    end: int
    replacement: str


class Source:
    """The entries of one text by their place."""

    def __init__(self, text: str, source_format: Format) -> None:
        self.text = text
        self.format = source_format
        places = Places(text, source_format)
        self.entries = places.entries
        self.scalars = places.scalars

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
