"""The steps of the selected execution as bars on its time axis. Ticks only while something on it moves."""

from __future__ import annotations

from datetime import UTC, datetime

from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import StepStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.executions import error_text, short_id, what_now
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.presentation.timeline import (
    Axis,
    Row,
    axis_line,
    axis_of,
    is_upstream_failure,
    label_width,
    moves,
    rows_of,
    step_row,
)
from stepflow_tui.widgets.lines import LineView

NOTHING_YET = "Nothing has run yet. Select a template and press r."


class Timeline(LineView):
    BORDER_TITLE = "Steps"
    header_lines = 1

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="timeline")
        self._glyphs = glyphs
        self.run: RunRecord | None = None
        self.rows: list[Row] = []
        self._why = NOTHING_YET

    def show(self, run: RunRecord, records: list[StepRecord]) -> None:
        """The steps of `run`, one record per attempt."""
        is_other = self.run is None or self.run.id != run.id
        key = None if is_other else self.selected_key
        self.run = run
        self.rows = rows_of(records)
        cursor = next((index for index, row in enumerate(self.rows) if row.step.key == key), None)
        if is_other:
            # What is wrong comes first.
            cursor = next(
                (
                    index
                    for index, row in enumerate(self.rows)
                    if row.step.status is StepStatus.FAILED and not is_upstream_failure(row.step)
                ),
                0,
            )
        self.set_rows(len(self.rows), cursor)
        self.border_title = f"Steps  {short_id(run.id)} {safe(run.template)}"
        self.border_subtitle = self._subtitle(run)

    def clear(self, why: str = NOTHING_YET) -> None:
        """There is no execution; `why`."""
        self._why = why
        self.run, self.rows = None, []
        self.border_title, self.border_subtitle = "Steps", ""
        self.set_rows(0)

    @property
    def selected_key(self) -> str | None:
        return self.rows[self.cursor].step.key if self.rows else None

    @property
    def ticks(self) -> bool:
        """Whether it has to be drawn again as time goes by."""
        return self.run is not None and not self.run.status.is_final and moves(self.rows)

    def _subtitle(self, run: RunRecord) -> str:
        if run.error is not None:
            hint = what_now(run)
            return f"{f'{hint} · ' if hint else ''}✗ {error_text(run.error)[:100]}".replace("[", "\\[")
        if run.status.is_final and run.started_at is not None and run.finished_at is not None:
            took = short((run.finished_at - run.started_at).total_seconds())
            hint = what_now(run)
            return f"{run.status.value} in {took}{f' · {hint}' if hint else ''}"
        return f"{run.steps_done}/{run.steps_total}"

    def now(self) -> datetime:
        return datetime.now(UTC)

    def axis(self) -> Axis:
        assert self.run is not None
        return axis_of(self.run, self.now())

    def header_at(self, width: int) -> Line:
        if self.run is None:
            return [(f" {self._why}", "dim")]
        return axis_line(self.axis(), label_width(self.rows, width), width)

    def line_at(self, row: int, width: int) -> Line:
        names = label_width(self.rows, width)
        return step_row(self.rows[row], self.axis(), names, width, self.now(), self._glyphs)
