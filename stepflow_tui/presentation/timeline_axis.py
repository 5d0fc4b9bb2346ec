"""The time that bars span, all of an execution or a part of it, and the line of its ticks."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.durations import ticks
from stepflow_tui.presentation.spans import Line

BESIDE = 10
"""Cells that are neither names nor bars: the sign, how long it took, and the spaces between."""
LEAST_SECONDS = 0.001
"""That are ever spread over the whole width."""
STEP = 2.0
"""Of one zoom."""


class Axis(msgspec.Struct, frozen=True):
    """The time that the bars span."""

    begin: datetime
    seconds: float
    offset: float = 0.0
    """Seconds from the begin of the execution to that of the axis."""
    now: datetime | None = None
    """Marked, where the axis goes on beyond it."""

    def at(self, moment: datetime, cells: int) -> int:
        """The eighth of a cell at which `moment` stands; outside of the axis below 0, or beyond the last."""
        return round((moment - self.begin).total_seconds() / self.seconds * cells * 8)

    def eighth(self, moment: datetime, cells: int) -> int:
        """The same, and the nearest end for what is outside."""
        return max(0, min(cells * 8, self.at(moment, cells)))


class Zoom(msgspec.Struct, frozen=True):
    """A part of an axis, in seconds from its begin."""

    begin: float
    seconds: float


def axis_of(run: RunRecord, now: datetime, until: datetime | None = None) -> Axis:
    """`until`: when it is expected to end. What is scheduled begins when it is to start: before it nothing is drawn."""
    begin = run.started_at or run.created_at
    if run.status is RunStatus.SCHEDULED and run.wake_at is not None and until is not None:
        begin = max(begin, min(run.wake_at, until))
    end = run.finished_at or now
    goes_on = until is not None and until > end
    if goes_on and until is not None:
        end = until
    return Axis(begin, max((end - begin).total_seconds(), 0.001), 0.0, now if goes_on else None)


def part_of(axis: Axis, zoom: Zoom) -> Axis:
    begin = axis.begin + timedelta(seconds=zoom.begin)
    return Axis(begin, zoom.seconds, zoom.begin, axis.now)


def zoom_in(axis: Axis, zoom: Zoom | None, around: float) -> Zoom:
    """`around`: seconds from the axis' begin, which stay in the middle, if they are seen."""
    zoom = zoom or Zoom(0.0, axis.seconds)
    seconds = min(axis.seconds, max(LEAST_SECONDS, zoom.seconds / STEP))
    if not zoom.begin <= around <= zoom.begin + zoom.seconds:
        around = zoom.begin + zoom.seconds / 2
    return _within(axis, around - seconds / 2, seconds)


def zoom_out(axis: Axis, zoom: Zoom) -> Zoom | None:
    """None: it is all of it again."""
    seconds = zoom.seconds * STEP
    if seconds >= axis.seconds:
        return None
    return _within(axis, zoom.begin + zoom.seconds / 2 - seconds / 2, seconds)


def panned(axis: Axis, zoom: Zoom, by: int) -> Zoom:
    """By so many quarters of what is seen."""
    return _within(axis, zoom.begin + by * zoom.seconds / 4, zoom.seconds)


def _within(axis: Axis, begin: float, seconds: float) -> Zoom:
    return Zoom(max(0.0, min(begin, axis.seconds - seconds)), seconds)


def axis_line(axis: Axis, names: int, width: int, *, ascii_only: bool = False) -> Line:
    cells = width - names - BESIDE
    if cells < 4:
        return [("", "")]
    text = [" "] * cells
    mark, column = "", cells
    if axis.now is not None and 0 <= axis.at(axis.now, cells) // 8 < cells:
        column = axis.at(axis.now, cells) // 8
        mark = ("|now" if ascii_only else "┆now")[: cells - column]
        mark = mark if len(mark) == 4 else mark[:1]
        text[column : column + len(mark)] = mark
    for first, label in ticks(axis.seconds, cells, begin=axis.offset):
        last = first + len(label)
        beside = text[max(0, first - 1) : last + 1]
        if last <= cells and all(character == " " for character in beside):
            text[first:last] = label
    before, after = "".join(text[:column]), "".join(text[column + len(mark) :])
    return [(" " * (names + BESIDE), ""), (before, "dim"), (mark, "active"), (after, "dim")]
