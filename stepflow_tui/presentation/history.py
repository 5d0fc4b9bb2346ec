"""What earlier executions of a template tell: how long it usually takes, and when one is late."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from stepflow.model.run import RunRecord
from stepflow.model.stats import percentile
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.durations import passed, short
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.sparkline import bar_of

CELLS = 6
ENOUGH_TO_BE_LATE = 3
"""Completed executions from which on another one can be late."""


class Past(msgspec.Struct, frozen=True):
    """An execution that ended."""

    id: str
    status: RunStatus
    seconds: float | None
    """None: it never started."""


class History(msgspec.Struct, frozen=True):
    ended: tuple[Past, ...] = ()
    """The newest first."""
    median: float | None = None
    """Seconds that a completed one took."""
    late_after: float | None = None
    """Seconds: the 95th percentile of them, where there are enough."""


def history_of(runs: Sequence[RunRecord]) -> History:
    """Of executions of one template, the newest first."""
    ended = tuple(Past(run.id, run.status, _seconds(run)) for run in runs if run.status.is_final)
    took = [one.seconds for one in ended if one.seconds is not None and one.status is RunStatus.COMPLETED]
    late_after = percentile(took, 0.95) if len(took) >= ENOUGH_TO_BE_LATE else None
    return History(ended, percentile(took, 0.5), late_after)


def _seconds(run: RunRecord) -> float | None:
    return None if run.duration_ms is None else run.duration_ms / 1000


def past_line(history: History | None, run: RunRecord, glyphs: Glyphs) -> Line:
    """How those before it went, and it: how long it took, or the sign of its status while it has not ended."""
    ended = () if history is None else history.ended
    before = [one for one in ended if one.id < run.id][: CELLS - 1]
    took = _seconds(run)
    usual = _usual(history, before) or took or 0
    line = _pieces(before, CELLS - 1, usual, glyphs)
    sign, style = glyphs.run(run.status)
    if took is None:
        return [*line, (sign, style)]
    return [*line, (bar_of(took, usual, glyphs), "dim" if run.status is RunStatus.COMPLETED else style)]


def newest_line(history: History | None, glyphs: Glyphs) -> Line:
    """How the last executions of a template went: how long they took, or the sign of those that did not complete."""
    ended = [] if history is None else list(history.ended[:CELLS])
    return _pieces(ended, CELLS, _usual(history, ended), glyphs)


def _usual(history: History | None, some: Sequence[Past]) -> float:
    if history is not None and history.median is not None:
        return history.median
    return percentile([one.seconds for one in some if one.seconds is not None], 0.5) or 0


def _pieces(newest_first: Sequence[Past], cells: int, usual: float, glyphs: Glyphs) -> Line:
    line: Line = [(" " * (cells - len(newest_first)), "")]
    for one in reversed(newest_first):
        is_bar = one.status is RunStatus.COMPLETED and one.seconds is not None
        line.append((bar_of(one.seconds or 0, usual, glyphs), "dim") if is_bar else glyphs.run(one.status))
    return line


def is_working(run: RunRecord) -> bool:
    """Itself, or only what its steps have started."""
    if run.status is RunStatus.WAITING:
        return bool(run.awaits) and all(one.signal is None for one in run.awaits)
    return run.status is RunStatus.RUNNING


def passed_usually(history: History | None, run: RunRecord, now: datetime) -> int | None:
    """Of a hundred, how much of the time is over that its template's history tells; None: it tells nothing."""
    if history is None or history.median is None or run.started_at is None or not is_working(run) or run.lacks_worker:
        return None
    elapsed = (now - run.started_at).total_seconds()
    ends = history.median if elapsed <= history.median else history.late_after or 0.0
    return passed(elapsed, max(0.0, ends - elapsed))


def expected(history: History | None, run: RunRecord, now: datetime) -> tuple[str, str]:
    """When it will end, as far as its template's history tells; text and style."""
    if history is None or history.median is None or run.started_at is None or not is_working(run):
        return "", ""
    elapsed = (now - run.started_at).total_seconds()
    if elapsed <= history.median:
        return f"ETA {short(history.median - elapsed)}", "dim"
    if history.late_after is None:
        return "", ""
    if elapsed <= history.late_after:
        return f"ETA <{short(history.late_after - elapsed)}", "dim"
    return f"late {short(elapsed - history.median)}", "late"
