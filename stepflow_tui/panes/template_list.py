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
from stepflow_tui.presentation.templates import Entry, entry_row, is_fresh
from stepflow_tui.watching import WatchedFiles
from stepflow_tui.widgets.lines import LineView

MOST = 5000


class TemplateList(LineView):
    BORDER_TITLE = "3 Templates"

    def __init__(self, glyphs: Glyphs, files: WatchedFiles) -> None:
        super().__init__(id="list")
        self._glyphs = glyphs
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
        keys = [entry.key for entry in self.entries]
        row = keys.index(selected.key) if selected is not None and selected.key in keys else None
        self.set_rows(len(keys), row)
        watching = " · watching" if self._files.is_watched else ""
        self.border_subtitle = f"{len(templates):,}{watching}" if keys else watching.removeprefix(" · ")

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
        entry = self.entries[row]
        saved = self._files.saved.get(entry.name) if entry.template is not None else None
        runs, problems = self.runs.get(entry.name, ()), self.problems.get(entry.name)
        return entry_row(entry, runs, problems, saved, width, datetime.now(UTC), self._glyphs)
