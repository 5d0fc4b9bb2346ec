"""A version of a template as a line: its number and age, how often it ran, what changed in it; and texts compared."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from difflib import unified_diff

import msgspec
from rich.cells import cell_len

from stepflow.model.changes import FlowChanges, compare_flows
from stepflow.model.flow import Flow
from stepflow.model.template import TemplateVersion
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.source import lines_of
from stepflow_tui.presentation.spans import Line, safe

_NAMED = 3
"""Steps of one kind of change."""
LEAST_SEEN = 16
"""Characters from the first difference on that are seen at least."""
_DIFF_STYLES = {"+": "good", "-": "bad", "@": "active", "~": "late"}


class VersionRow(msgspec.Struct, frozen=True):
    version: TemplateVersion
    changes: FlowChanges | None
    """To the one before; None: that is not known, or it is the first."""


def version_rows(versions: Sequence[TemplateVersion]) -> list[VersionRow]:
    """From versions, newest first."""
    rows = []
    for index, after in enumerate(versions):
        before = versions[index + 1] if index + 1 < len(versions) else None
        changes = None
        if before is not None:
            changes = compare_flows(before.flow, after.flow, before.base_dir, after.base_dir)
        rows.append(VersionRow(without_flow(after), changes))
    return rows


def without_flow(version: TemplateVersion) -> TemplateVersion:
    """Of which nothing is shown, and which takes many times what the text does."""
    return msgspec.structs.replace(version, flow=Flow(steps=(), name=version.name))


def version_row(row: VersionRow, runs: int, now: datetime) -> Line:
    version = row.version
    age = short((now - version.created_at).total_seconds())
    ran = "never ran" if not runs else f"{runs:,} run{'s' if runs > 1 else ''}"
    line: Line = [(f"{f'v{version.version}':<5}", "title"), (f"{age:>6} ago ", "dim"), (f"{ran:>9}  ", "dim")]
    if row.changes is None:
        return [*line, ("the first" if version.version == 1 else "", "dim")]
    return [*line, *_words(row.changes)]


def _words(changes: FlowChanges) -> Line:
    """`+pack ~charge (input, retry) -old timeout`"""
    changed = [f"{key} ({', '.join(what)})" for key, what in changes.changed.items()]
    line: Line = []
    for sign, names in (("+", changes.added), ("~", changed), ("-", changes.removed)):
        if names:
            line.append((f"{sign}{_some(names)} ", _DIFF_STYLES[sign]))
    if changes.reordered:
        line.append(("~order of steps ", "late"))
    if changes.settings:
        line.append(("~" + ", ".join(changes.settings), "late"))
    return line or [("only its text", "dim")]


def _some(names: Collection[str]) -> str:
    rest = len(names) - _NAMED
    return safe(", ".join(list(names)[:_NAMED])) + (f" and {rest} more" if rest > 0 else "")


def diff_of(before: str, after: str) -> list[str]:
    """The unified difference of two texts, without the names above it."""
    return list(unified_diff(lines_of(before), lines_of(after), lineterm=""))[2:]


def first_differences(lines: Sequence[str]) -> dict[int, int]:
    """By the place of a line of `diff_of` that another one came for, or that came for one: the first character in which
    the two differ."""
    found: dict[int, int] = {}
    begin = 0
    while begin < len(lines):
        middle = begin
        while middle < len(lines) and lines[middle].startswith("-"):
            middle += 1
        end = middle
        while end < len(lines) and lines[end].startswith("+"):
            end += 1
        for old, new in zip(range(begin, middle), range(middle, end), strict=False):
            found[old] = found[new] = 1 + first_difference(_shown(lines[old])[1:], _shown(lines[new])[1:])
        begin = max(end, begin + 1)
    return found


def first_difference(one: str, other: str) -> int:
    """Their length where they are the same, or the one begins the other."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (old, new) in pairs if old != new), min(len(one), len(other)))


def diff_line(text: str, width: int = 0, at: int = 0) -> Line:
    """Cut so that the character at `at` is seen in `width` cells, where that would be cut off."""
    said, style = _shown(text), _DIFF_STYLES.get(text[:1], "")
    hidden = at - width // 2
    if width and hidden > 0 and cell_len(said[: at + LEAST_SEEN]) > width:
        return [(said[:1], style), ("…", "dim"), (said[1 + hidden :], style)]
    return [(said, style)]


def _shown(text: str) -> str:
    return safe(text.removesuffix("\r").expandtabs(4))
