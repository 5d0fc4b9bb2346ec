"""What a search found: executions, steps or log lines, each kind with a cursor of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from textual.strip import Strip

from stepflow.model.run import RunRecord
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.search import line_row, run_row, step_row
from stepflow_tui.presentation.spans import Line
from stepflow_tui.searching import Hit, Search
from stepflow_tui.widgets.fresh_list import FreshList
from stepflow_tui.widgets.lines import Drawing

LINES = "Log lines"
KINDS = ("Executions", "Steps", LINES)


class Found(FreshList):
    BORDER_TITLE = "6 Found"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs, id="found")
        self._search: Search | None = None
        self._cursors = [0] * len(KINDS)
        self.kind = 0

    @property
    def rows(self) -> Sequence[RunRecord | Hit]:
        if self._search is None:
            return ()
        return (self._search.runs, self._search.steps, self._search.lines)[self.kind]

    @property
    def selected(self) -> RunRecord | Hit | None:
        return self.rows[self.cursor] if self.rows else None

    def show(self, search: Search) -> None:
        """What it has found so far."""
        if search is not self._search:
            self._search = search
            self._cursors = [0] * len(KINDS)
            self.cursor = 0
        self.set_rows(len(self.rows))

    def show_kind(self, kind: int) -> None:
        self._cursors[self.kind] = self.cursor
        self.kind = kind
        self.set_rows(len(self.rows), self._cursors[kind])

    def line_in(self, y: int, drawing: Drawing) -> Strip:
        if y == 0 and not self.rows and (nothing := self._nothing()):
            return self._strip([(f" {nothing}", "dim")], drawing.width)
        return super().line_in(y, drawing)

    def _nothing(self) -> str:
        """What stands where nothing does."""
        if self._search is None:
            return ""
        if self.kind and not self._search.filter.looks_inside:
            return "Only executions were looked for: a word, err~ or step: looks inside them"
        return "Nothing was found" if self._search.is_over else ""

    def line_at(self, row: int, width: int) -> Line:
        assert self._search is not None
        found, now, needles = self.rows[row], datetime.now(UTC), self._search.filter.needles
        if isinstance(found, RunRecord):
            return run_row(found, needles, width, now, self._glyphs)
        if self.kind == KINDS.index("Steps"):
            return step_row(found.event, found.run, needles, width, now, self._glyphs)
        return line_row(found.event, found.run, needles, width, now)
