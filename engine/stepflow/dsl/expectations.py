"""Rewrites what the cases of a template expect: the values that differ, and nothing else of its text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stepflow.dsl.lint.source import Edit, Source
from stepflow.dsl.load import Document, load
from stepflow.dsl.places import Entry, Format, Place
from stepflow.model.flow import Json
from stepflow.model.statuses import RunStatus, StepStatus

_BARE = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_NOT_IN_YAML = re.compile(
    "[^\\x20-\\x7e\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff]"
)
"""Characters that YAML has only as escapes, or reads as the end of a line."""


def with_expectations(text: str, file: str | None, wanted: Mapping[int, Mapping[str, Any]]) -> str | None:
    """`wanted`: what cases, by their number, are to expect. None: it cannot be said where in the text that stands."""
    source_format: Format | None = "json" if file is not None and file.endswith(".json") else None
    document = load(text, source_format)
    rewriter = _Rewriter(document, Source(text, document.source_format))
    edits = [edit for case, expected in wanted.items() for edit in rewriter.edits(case, expected)]
    if None in edits:
        return None
    for edit in sorted((edit for edit in edits if edit is not None), key=lambda one: one.start, reverse=True):
        text = text[: edit.start] + edit.replacement + text[edit.end :]
    return text if _says(load(text, source_format), document, wanted) else None


def _says(changed: Document, before: Document, wanted: Mapping[int, Mapping[str, Any]]) -> bool:
    """Read again it expects what it should, and says all else that it said before."""
    if changed.diagnostics:
        return False
    cases, cases_before = _cases(changed.data)[1], _cases(before.data)[1]
    for case, expected in wanted.items():
        key = _key(cases[case])
        if cases[case].get(key) != _as_written(cases_before[case].get(key), expected):
            return False
        cases[case].pop(key)
        cases_before[case].pop(key, None)
    return bool(changed.data == before.data)


def _cases(data: Json) -> tuple[Place, list[dict[str, Any]]]:
    top = "tests" if data.get("tests") is not None else "test"
    listed = data[top]
    return ((top, "cases"), listed["cases"]) if isinstance(listed, dict) else ((top,), listed)


def _key(case: Mapping[str, Any]) -> str:
    """Where a case says what it expects."""
    return "output" if case.get("expect") is None and isinstance(case.get("output"), dict) else "expect"


def _as_written(written: Json, expected: Mapping[str, Any]) -> dict[str, Any]:
    """`expected` in the spellings that the author chose."""
    if not isinstance(written, dict):
        return dict(expected)
    found: dict[str, Any] = {}
    for key, value in expected.items():
        name = key
        if key == "status" and written.get("status") is None and "outcome" in written:
            name = "outcome"
        if key == "output" and "outcome" in written and "result" in written:
            name = "result"
        if key == "status":
            value = _word(RunStatus, written.get(name), value)
        found[name] = _steps_as_written(written.get(key), value) if key == "steps" else value
    return found


def _steps_as_written(written: Json, steps: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, expected in steps.items():
        before = written.get(key) if isinstance(written, dict) else None
        if isinstance(before, str):
            found[key] = _word(StepStatus, before, expected["status"])
        elif isinstance(before, dict) and "status" in expected:
            found[key] = {**expected, "status": _word(StepStatus, before.get("status"), expected["status"])}
        else:
            found[key] = expected
    return found


def _word(kind: type[RunStatus | StepStatus], written: Json, status: str) -> str:
    """The author's word for a status, if it is one."""
    return written if isinstance(written, str) and kind(written) == status else status


class _Rewriter:
    def __init__(self, document: Document, source: Source) -> None:
        self._text = source.text
        self._format = document.source_format
        self._entries = source.entries
        self._place, self._cases = _cases(document.data)

    def edits(self, case: int, expected: Mapping[str, Any]) -> Iterator[Edit | None]:
        """None: one that cannot be made."""
        written = self._cases[case]
        place, key = (*self._place, case), _key(written)
        if key in written:
            yield from self._changes((*place, key), written[key], _as_written(written[key], expected))
        else:
            yield self._added(place, key, dict(expected))

    def _changes(self, place: Place, before: Json, after: Json) -> list[Edit | None]:
        """As few as can be made; else the whole is replaced."""
        if _same(before, after):
            return []
        pairs: list[tuple[str | int, Json, Json]] = []
        if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
            pairs = [(key, before[key], after[key]) for key in before]
        elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            pairs = [(index, *pair) for index, pair in enumerate(zip(before, after, strict=True))]
        edits = [edit for key, old, new in pairs for edit in self._changes((*place, key), old, new)]
        return edits if edits and None not in edits else [self._replaced(self._entries.get(place), after)]

    def _replaced(self, entry: Entry | None, value: Json) -> Edit | None:
        if entry is None:
            return None
        old = self._text[entry.start : entry.end]
        before = "" if old else " "  # nothing stands behind the colon
        after = "\n" if old.endswith("\n") else ""  # a block of text ends with its line
        return Edit(entry.start, entry.end, before + self._written(value, bare=old[:1] not in ("'", '"')) + after)

    def _added(self, place: Place, key: str, value: Json) -> Edit | None:
        """A new key at the end of a case."""
        entry = self._entries.get(place)
        first = next((one for at, one in self._entries.items() if at[:-1] == place and one.key is not None), None)
        if entry is None or first is None or first.key is None:
            return None
        new = f"{self._written(key, bare=True)}: {self._written(value, bare=True)}"
        if self._text[entry.start] == "{":
            body = self._text[entry.start + 1 : entry.end - 1].rstrip()
            end = entry.start + 1 + len(body)
            return Edit(end, end, f" {new}" if body.endswith(",") else f", {new}")
        line = self._text.rfind("\n", 0, first.key[0]) + 1
        newline = "\r\n" if "\r\n" in self._text else "\n"
        end = self._text.find("\n", max(entry.end - 1, 0))
        indent = " " * (first.key[0] - line)
        if end < 0:
            return Edit(len(self._text), len(self._text), f"{newline}{indent}{new}")
        return Edit(end + 1, end + 1, f"{indent}{new}{newline}")

    def _written(self, value: Json, *, bare: bool) -> str:
        """On one line; `bare`: words may stand without quotes."""
        if self._format == "json":
            return json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict):
            pairs = (f"{self._written(key, bare=bare)}: {self._written(one, bare=bare)}" for key, one in value.items())
            return f"{{{', '.join(pairs)}}}"
        if isinstance(value, list):
            return f"[{', '.join(self._written(one, bare=bare) for one in value)}]"
        if isinstance(value, str) and bare and _BARE.fullmatch(value) and load(value, "yaml").data == value:
            return value
        text = json.dumps(value, ensure_ascii=False)
        return _NOT_IN_YAML.sub(lambda character: json.dumps(character[0])[1:-1], text)


def _same(before: Json, after: Json) -> bool:
    """Equal, and `1` is not `true`."""
    return bool(before == after) and json.dumps(before) == json.dumps(after)
