"""The timeline of one execution, also as it was: the axis spans all of it, whatever moment is looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime

from stepflow.model.run import RunRecord, StepRecord
from stepflow_tui.panes.timeline import Timeline
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.timeline import Axis, axis_of


class RunTimeline(Timeline):
    def __init__(self, glyphs: Glyphs, now: Callable[[], datetime]) -> None:
        super().__init__(glyphs)
        self._now = now
        self._whole: RunRecord | None = None
        self._critical: Collection[str] = ()

    def show_all(
        self, run: RunRecord, records: list[StepRecord], critical: Collection[str], whole: RunRecord | None
    ) -> None:
        """`whole`: the execution as it is now, where `run` is as it was."""
        self._whole, self._critical = whole, frozenset(critical)
        self.show(run, records)
        self.border_title = "Timeline"

    def select(self, key: str) -> None:
        for place, row in enumerate(self.rows):
            if row.step.key == key:
                self.move_to(place)
                return

    def now(self) -> datetime:
        return self._now()

    def axis(self) -> Axis:
        return super().axis() if self._whole is None else axis_of(self._whole, datetime.now(UTC))

    def line_at(self, row: int, width: int) -> Line:
        line = super().line_at(row, width)
        if self.rows[row].step.key in self._critical:
            line[1] = (line[1][0], "title")
        return line
