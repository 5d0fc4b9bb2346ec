"""All templates, and the files that were meant to be some: how they ran, what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from stepflow.dsl.diagnostics import Diagnostic
from stepflow.model.statuses import RunStatus
from stepflow.model.template import Template
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.templates import NONE_YET, Entry, entry_row, is_fresh
from stepflow_tui.watching import WatchedFiles
from stepflow_tui.widgets.fresh_list import FreshList

MOST = 5000


class TemplateList(FreshList):
    BORDER_TITLE = "3 Templates"

    def __init__(self, glyphs: Glyphs, files: WatchedFiles) -> None:
        super().__init__(glyphs, id="list")
        self._files = files
        self.entries: list[Entry] = []
        self.runs: dict[str, Sequence[RunStatus]] = {}
        """By template, how its last executions stand, newest first."""
        self.problems: dict[str, Sequence[Diagnostic]] = {}
        """By template, where somebody has looked."""

    @property
    def selected(self) -> Entry | None:
        return self.entries[self.cursor] if self.entries else None

    def show(self, templates: Sequence[Template]) -> None:
        """By name; the cursor stays on its entry. What is wrong with a file that never was a template comes first."""
        selected = self.selected
        made = {template.file for template in templates}
        lost = sorted(file for file in self._files.problems if file not in made)
        self.entries = [Entry(Path(file).name, None, file, True) for file in lost]
        for one in sorted(templates, key=lambda template: template.name):
            self.entries.append(Entry(one.name, one, one.file, bool(self._files.problem_of(one.file))))
        self.has_cursor = bool(self.entries)
        row = None if selected is None else self._row_of(selected)
        self.set_rows(len(self.entries) or len(NONE_YET), row)
        watched = "watched" if self._files.is_watched else "unwatched"
        self.tell(f"{len(self.entries):,} {watched}" if self.entries else watched)

    def _row_of(self, entry: Entry) -> int | None:
        """Where it is by now; a file that was mended is a template elsewhere."""
        by_key = (row for row, one in enumerate(self.entries) if one.key == entry.key)
        by_place = (row for row, one in enumerate(self.entries) if one.place == entry.place is not None)
        return next(by_key, next(by_place, None))

    def select(self, name: str) -> bool:
        for row, entry in enumerate(self.entries):
            if entry.name == name and entry.template is not None:
                self.move_to(row)
                return True
        return False

    @property
    def seen(self) -> list[Entry]:
        """Those on the screen."""
        top = self.scroll_offset.y
        return self.entries[top : top + max(1, self.size.height)]

    @property
    def has_fresh(self) -> bool:
        """It is told how long ago one was saved."""
        now = datetime.now(UTC)
        return any(is_fresh(saved, now) for saved in self._files.saved.values())

    def line_at(self, row: int, width: int) -> Line:
        if not self.entries:
            return [(f" {NONE_YET[row]}", "dim")]
        entry = self.entries[row]
        saved = self._files.saved.get(entry.name) if entry.template is not None else None
        runs, problems = self.runs.get(entry.name, ()), self.problems.get(entry.name)
        return entry_row(entry, runs, problems, saved, width, datetime.now(UTC), self._glyphs)
