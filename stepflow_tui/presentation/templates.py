"""A template as a row: its name, how its newest executions stand, what is wrong with it and its file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from stepflow.dsl.diagnostics import Diagnostic
from stepflow.model.statuses import RunStatus
from stepflow.model.template import Template
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.history import CELLS, History, newest_line
from stepflow_tui.presentation.problems import problem_counts, problem_row
from stepflow_tui.presentation.spans import Line, cells, fit_name, safe
from stepflow_tui.presentation.wrapping import wrap_text
from stepflow_tui.watching import SavedFile

LAST_RUNS = 6
FRESH_SECONDS = 60.0
"""So long it is told that a template was just saved."""
LEAST_TEXT = 20
"""Cells of a problem's text beside its place; with fewer it stands below."""
RUNS_FROM = 30
"""Cells from which on there is room for more than the newest execution."""


NONE_YET = ("No template yet:", "stepflow init, or", "stepflow run FILE")
"""What a list says instead, line by line."""


class Entry(msgspec.Struct, frozen=True):
    """A template; or a file that was meant to be one and never was."""

    name: str
    """The template's, or that of the file."""
    template: Template | None
    file: str | None
    """Its whole path."""
    is_broken: bool = False
    """The file is wrong; what was saved before stays."""

    @property
    def key(self) -> tuple[str, str | None]:
        return ("template", self.name) if self.template is not None else ("file", self.file)

    @property
    def place(self) -> str | None:
        """The file whose text it is: what was wrong becomes a template there, once it is mended."""
        return None if self.template is not None and self.template.file_gone else self.file


def template_row(
    template: Template,
    newest: RunStatus | None,
    width: int,
    glyphs: Glyphs,
    is_broken: bool,
    history: History | None = None,
) -> Line:
    glyph, style = glyphs.run(newest) if newest is not None else (" ", "")
    version = f"v{template.version}"
    mark = "!" if is_broken or template.file_gone else " "
    past = [(" ", ""), *newest_line(history, glyphs)] if width >= RUNS_FROM else []
    name_width = max(1, width - 3 - len(version) - 1 - (CELLS + 1 if past else 0))
    name = fit_name(safe(template.name), name_width)
    said: Line = [(f"{glyph} ", style), (name, ""), (mark, "bad" if is_broken else "late")]
    return [*said, *past, (f" {version}", "dim")]


def entry_row(
    entry: Entry,
    runs: Sequence[RunStatus],
    problems: Sequence[Diagnostic] | None,
    saved: SavedFile | None,
    width: int,
    now: datetime,
    glyphs: Glyphs,
) -> Line:
    """`runs`: of its last executions, newest first; `problems`: None where nobody has looked yet."""
    said = _said(entry, problems, saved if saved is not None and is_fresh(saved, now) else None, width, now, glyphs)
    version = "" if entry.template is None else f"v{entry.template.version}"
    shown = runs[: LAST_RUNS if width >= RUNS_FROM else 1]
    room = LAST_RUNS if width >= RUNS_FROM else 1
    taken = sum(len(text) for text, _ in said)
    name_width = max(min(7, width - room - 2), width - room - 1 - len(version) - 1 - (taken + 1 if taken else 0))
    line: Line = [(" " * (room - len(shown)), "")]
    line += [glyphs.run(status) for status in reversed(shown)]
    line += [(" ", ""), (fit_name(safe(entry.name), name_width), "" if entry.template else "bad"), (" ", "")]
    if taken:
        line += [*said, (" ", "")]
    return [*line, (version, "dim")]


def _said(
    entry: Entry,
    problems: Sequence[Diagnostic] | None,
    saved: SavedFile | None,
    width: int,
    now: datetime,
    glyphs: Glyphs,
) -> Line:
    if entry.template is not None and entry.template.file_gone:
        return [("file gone", "late")]
    if entry.is_broken:
        return [(f"{'x' if glyphs.ascii_only else '✗'} not saved", "bad")]
    counts = problem_counts(problems or (), glyphs)
    if saved is None or (counts and width < RUNS_FROM):
        return counts
    return [*counts, (f"{' ' if counts else ''}saved {(now - saved.at).total_seconds():.0f}s ago", "good")]


def is_fresh(saved: SavedFile, now: datetime) -> bool:
    return (now - saved.at).total_seconds() < FRESH_SECONDS


def problem_lines(problem: Diagnostic, width: int, glyphs: Glyphs) -> list[Line]:
    """All of it, in as many lines as it takes."""
    row = problem_row(problem, glyphs)
    if cells(row) <= width:
        return [row]
    before = row[:2]
    is_beside = width - cells(before) >= LEAST_TEXT
    indent = cells(before) if is_beside else 2
    wrapped = wrap_text(problem.message, max(1, width - indent), "")
    if problem.hint:
        wrapped += wrap_text(problem.hint, max(1, width - indent), "dim")
    lines: list[Line] = [[(" " * indent, ""), *line] for line in wrapped]
    return [[*before, *wrapped[0]], *lines[1:]] if is_beside else [before, *lines]
