"""How the whole fares: what waits, how busy the workers are, how the last day went, how large the database is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from stepflow.model.run import RunRecord, WorkerRecord
from stepflow.model.stats import percentile
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.workers import slots_bar

LABEL = 9
WAITING = (RunStatus.QUEUED, RunStatus.SCHEDULED, RunStatus.AWAITING_RETRY)
ENDED_BADLY = (RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.STALLED)
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Today(msgspec.Struct, frozen=True):
    """How the executions of the last day went."""

    count: int
    is_whole: bool
    """False: there are more, and these are the newest."""
    completed: int
    failed: int
    ended: int
    p95_seconds: float | None
    """Of completed ones."""

    @property
    def success(self) -> float | None:
        """Completed ones of those that ended, 0 to 1; None: none ended."""
        return self.completed / self.ended if self.ended else None


def today_of(runs: Sequence[RunRecord], *, is_whole: bool) -> Today:
    counts = Counter(run.status for run in runs)
    took = [run.duration_ms / 1000 for run in runs if run.status is RunStatus.COMPLETED and run.duration_ms is not None]
    return Today(
        count=len(runs),
        is_whole=is_whole,
        completed=counts[RunStatus.COMPLETED],
        failed=sum(counts[status] for status in ENDED_BADLY),
        ended=sum(count for status, count in counts.items() if status.is_final),
        p95_seconds=percentile(took, 0.95),
    )


class Fleet(msgspec.Struct, frozen=True):
    counts: Mapping[RunStatus, int]
    workers: tuple[WorkerRecord, ...]
    today: Today
    file_bytes: int


def fleet_lines(fleet: Fleet, width: int, now: datetime, glyphs: Glyphs) -> list[Line]:
    return [
        _labelled("queue", _queue(fleet, glyphs)),
        _labelled("workers", _workers(fleet, width, glyphs)),
        _labelled(
            "24 h" if fleet.today.is_whole else f"last {fleet.today.count // 1000}k", _today(fleet.today, glyphs)
        ),
        _labelled("file", [(size(fleet.file_bytes), "")]),
    ]


def _labelled(label: str, line: Line) -> Line:
    return [(f" {label:<{LABEL}}", "dim"), *line]


def _queue(fleet: Fleet, glyphs: Glyphs) -> Line:
    line: Line = []
    for status in WAITING:
        count = fleet.counts.get(status, 0)
        if count:
            sign, style = glyphs.run(status)
            line.append((f"{sign}{count:,} ", style))
    return line or [("nothing waits", "dim")]


def _workers(fleet: Fleet, width: int, glyphs: Glyphs) -> Line:
    alive = [worker for worker in fleet.workers if worker.alive]
    if not alive:
        return [("none", "bad" if fleet.counts.get(RunStatus.QUEUED) else "dim")]
    held, slots = sum(worker.held_runs for worker in alive), sum(worker.slots for worker in alive)
    troubled = any(worker.trouble is not None for worker in alive)
    style = "bad" if troubled else "good"
    line: Line = [(f"{held}/{slots} ", ""), (slots_bar(held, slots, 8, glyphs), style)]
    if width >= 32:
        line.append((f" {len(alive)} alive" if not troubled else " in trouble", "dim" if not troubled else "bad"))
    return line


def _today(today: Today, glyphs: Glyphs) -> Line:
    if not today.count:
        return [("nothing ran", "dim")]
    good, bad = glyphs.run(RunStatus.COMPLETED), glyphs.run(RunStatus.FAILED)
    line: Line = [
        (f"{good[0]}{today.completed:,} ", good[1]),
        (f"{bad[0]}{today.failed:,}", bad[1] if today.failed else "dim"),
    ]
    if today.p95_seconds is not None:
        line += [(" p95 ", "dim"), (short(today.p95_seconds), "")]
    return line


def size(count: float) -> str:
    """`1.2 MB`"""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count /= 1000
        unit += 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 or count >= 100 else f"{count:.1f} {_UNITS[unit]}"
