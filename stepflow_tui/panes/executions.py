"""The executions, newest first: what they are, how they stand, what is wrong. Reads pages as they are scrolled to."""

from __future__ import annotations

from datetime import UTC, datetime

from stepflow.client import Client
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.executions import execution_row
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.widgets.lines import LineView

PAGE = 200
MORE_WITHIN = 50
"""Rows before the end at which the next page is read."""

PROBLEMS = (RunStatus.FAILED, RunStatus.STALLED, RunStatus.TIMED_OUT, RunStatus.AWAITING_RETRY)


class Executions(LineView):
    BORDER_TITLE = "Executions"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="executions")
        self._glyphs = glyphs
        self.runs: list[RunRecord] = []
        self._next_cursor: str | None = None
        self._total = 0
        self._reading_more = False
        self._apart: RunRecord | None = None
        """One that was asked for and is on none of the pages that were read: it stands below them."""

    @property
    def selected(self) -> RunRecord | None:
        return self.runs[self.cursor] if self.runs else None

    def begin_on(self, run: RunRecord) -> None:
        """Select it, on whichever page it is. Before anything was read."""
        self._apart = run
        self.runs = [run]

    async def load(self, client: Client) -> None:
        """Read the newest page again; older pages that were read stay. The cursor stays on its execution."""
        selected = self.selected
        page = await client.list_runs(PAGE)
        self._total = await client.count_runs()
        # What runs may have been read pages ago: it is read again by itself.
        fresh = {run.id for run in page.items}
        apart = None if self._apart is None else self._apart.id
        older = [
            run
            for run in self.runs
            if run.id not in fresh and run.id != apart and page.items and run.id < page.items[-1].id
        ]
        if older:
            for index, run in enumerate(older):
                if not run.status.is_final:
                    older[index] = await client.get_run(run.id)
        else:
            self._next_cursor = page.next_cursor
        if self._apart is not None and not self._apart.status.is_final:
            self._apart = await client.get_run(self._apart.id)
        self._show([*page.items, *older], selected)
        self._say_count()
        if self.selected is not None and (selected is None or self.selected != selected):
            self.post_message(self.Moved(self))

    async def load_more(self, client: Client) -> None:
        """Read the next page if the cursor is near the end of what was read."""
        if self._next_cursor is None or self._reading_more or self.cursor < len(self.runs) - MORE_WITHIN:
            return
        self._reading_more = True
        try:
            page = await client.list_runs(PAGE, self._next_cursor)
        finally:
            self._reading_more = False
        self._next_cursor = page.next_cursor
        listed = self.runs if self._apart is None else [run for run in self.runs if run.id != self._apart.id]
        self._show([*listed, *page.items], self.selected)

    def _show(self, listed: list[RunRecord], selected: RunRecord | None) -> None:
        """With the one that stands apart, unless it is among them by now; the cursor on `selected`."""
        if self._apart is not None and all(run.id != self._apart.id for run in listed):
            listed = [*listed, self._apart]
        else:
            self._apart = None
        self.runs = listed
        row = 0
        if selected is not None:
            row = next((index for index, run in enumerate(listed) if run.id == selected.id), 0)
        self.set_rows(len(listed), row)

    def select(self, run_id: str) -> None:
        for index, run in enumerate(self.runs):
            if run.id == run_id:
                self.move_to(index)
                return

    def next_problem(self, direction: int) -> bool:
        """Move to the next execution that failed or stands still."""
        rows = range(self.cursor + 1, len(self.runs)) if direction > 0 else range(self.cursor - 1, -1, -1)
        for row in rows:
            if self.runs[row].status in PROBLEMS:
                self.move_to(row)
                return True
        return False

    def _say_count(self) -> None:
        subtitle = f"{self._total:,}" if self._total else ""
        if self.border_subtitle != subtitle:
            self.border_subtitle = subtitle

    def line_at(self, row: int, width: int) -> Line:
        return execution_row(self.runs[row], width, datetime.now(UTC), self._glyphs)
