"""Rewrites what the cases of a template expect, and leaves the rest of its text as it is."""

from __future__ import annotations

from collections.abc import Mapping

from stepflow.dsl.lint.source import Edit, Source
from stepflow.dsl.load import Place, load
from stepflow.model import jsontext
from stepflow.model.flow import Json


def with_expectations(text: str, file: str | None, expected: Mapping[int, Json]) -> str | None:
    """The text with the `expect` of these cases replaced; None: it cannot be said where they stand."""
    document = load(text, "json" if file is not None and file.endswith(".json") else None)
    source = Source(text, document.source_format)
    place: Place = ("tests",) if "tests" in document.data else ("test",)
    if isinstance(document.data[place[0]], dict):
        place = (*place, "cases")
    edits: list[Edit] = []
    for index, value in expected.items():
        entry = source.entries.get((*place, index, "expect"))
        if entry is None:
            return None
        kept = "\n" if text[entry.start : entry.end].endswith("\n") else ""
        edits.append(Edit(entry.start, entry.end, jsontext.encode(value) + kept))
    for edit in sorted(edits, key=lambda one: one.start, reverse=True):
        text = text[: edit.start] + edit.replacement + text[edit.end :]
    return text
