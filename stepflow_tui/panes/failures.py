"""Failures by fingerprint, the most frequent first; a group unfolds into its executions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from textual.strip import Strip

from stepflow.model.event import EventType
from stepflow.model.run import RunRecord
from stepflow_tui.presentation.fingerprints import Fingerprint, Group, failed_at, failure_row, group_row, groups_of
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.widgets.fresh_list import FreshList
from stepflow_tui.widgets.lines import Drawing

FAILED = (EventType.RUN_FAILED, EventType.RUN_TIMEOUT, EventType.RUN_STALLED)
"""After which there is one more of them."""
Row = Group | RunRecord


class Failures(FreshList):
    BORDER_TITLE = "7 Failures"

    def __init__(self, glyphs: Glyphs, retried: Collection[str]) -> None:
        """`retried`: ids of those that were retried already."""
        super().__init__(glyphs, id="failures")
        self._retried = retried
        self._open: set[Fingerprint] = set()
        self._begin = datetime.now(UTC)
        self.groups: list[Group] = []
        self.rows: list[Row] = []
        self.was_read = False

    @property
    def selected(self) -> Row | None:
        return self.rows[self.cursor] if self.rows else None

    @property
    def selected_group(self) -> Group | None:
        """The one under the cursor, or of the execution there."""
        above = self.rows[: self.cursor + 1]
        return next((row for row in reversed(above) if isinstance(row, Group)), None)

    def show(self, runs: Sequence[RunRecord], begin: datetime | None) -> None:
        """`runs`, the newest first, since `begin`; the cursor stays where it is."""
        self.groups = groups_of(runs)
        self.was_read = True
        first = min((failed_at(run) for run in runs), default=None)
        self._begin = begin or first or datetime.now(UTC)
        self._lay_out()

    def _lay_out(self) -> None:
        selected = None if self.selected is None else _key(self.selected)
        self.rows = []
        for group in self.groups:
            self.rows.append(group)
            if group.fingerprint in self._open:
                self.rows += group.runs
        row = next((row for row, one in enumerate(self.rows) if _key(one) == selected), None)
        self.set_rows(len(self.rows), row)

    def toggle(self) -> None:
        """Unfold the group at hand, or fold it."""
        group = self.selected_group
        if group is not None:
            self._open ^= {group.fingerprint}
            self.cursor = self.rows.index(group)
            self._lay_out()

    def select(self, fingerprint: Fingerprint) -> bool:
        """False: there is no such group."""
        row = next((row for row, one in enumerate(self.rows) if _key(one) == fingerprint), None)
        if row is not None:
            self.move_to(row)
        return row is not None

    def next_group(self, direction: int) -> bool:
        rows = range(self.cursor + 1, len(self.rows)) if direction > 0 else range(self.cursor - 1, -1, -1)
        for row in rows:
            if isinstance(self.rows[row], Group):
                self.move_to(row)
                return True
        return False

    def line_in(self, y: int, drawing: Drawing) -> Strip:
        if y == 0 and not self.rows and self.was_read:
            return self._strip([(" Nothing failed", "good")], drawing.width)
        return super().line_in(y, drawing)

    def line_at(self, row: int, width: int) -> Line:
        one, now = self.rows[row], datetime.now(UTC)
        if isinstance(one, RunRecord):
            return failure_row(one, width, now, self._glyphs, is_retried=one.id in self._retried)
        retried = sum(run.retried_as is not None or run.id in self._retried for run in one.runs)
        is_open = one.fingerprint in self._open
        return group_row(one, width, self._begin, now, retried, self._glyphs, is_open=is_open)


def _key(row: Row) -> object:
    return row.id if isinstance(row, RunRecord) else row.fingerprint
