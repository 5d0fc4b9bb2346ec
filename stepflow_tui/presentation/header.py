"""The top line: how everything stands, in one glance."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.fleet import Today
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, cells, safe

_SHOWN = (
    RunStatus.FAILED,
    RunStatus.STALLED,
    RunStatus.RUNNING,
    RunStatus.AWAITING_RETRY,
    RunStatus.SLEEPING,
    RunStatus.WAITING,
    RunStatus.PAUSED,
    RunStatus.QUEUED,
    RunStatus.SCHEDULED,
    RunStatus.COMPLETED,
)


LEAST_FOR_DIGIT = 60
"""Columns from which on the view's digit matters more than the last of the counts."""


class Standing(msgspec.Struct, frozen=True):
    """What the header says."""

    database: str
    counts: Mapping[RunStatus, int] = {}
    workers: int | None = None
    """Living ones; None: not known yet."""
    trouble: str | None = None
    """What is wrong with the storage or a worker."""
    read_only: bool = False


def header_line(
    standing: Standing, width: int, glyphs: Glyphs, place: tuple[str, str] = ("", ""), today: Today | None = None
) -> Line:
    """What has no room is left out whole: how today went first, then what is of least concern. `place`: the digit of
    the view and its name, at the right."""
    bar = " | " if glyphs.ascii_only else " │ "
    line: Line = [(" stepflow ", "title")]
    if standing.trouble is not None:
        return [*line, *_counts(standing, glyphs), (f"  ! {safe(standing.trouble)}", "bad")]
    counts, worker = _counts(standing, glyphs), _worker(standing, glyphs)
    databases = _databases(standing)
    digit: Line = [(f"{place[0]} ", "title")] if place[0] and width >= LEAST_FOR_DIGIT else []
    named: Line = [(f"{place[0]} {place[1]} ", "title")] if place[0] else []

    def room_for(*pieces: Line, right: Line) -> bool:
        told = sum(len(bar) + cells(piece) for piece in pieces)
        return cells(line) + cells(counts) + told + cells(right) < width

    if standing.counts.get(RunStatus.COMPLETED) and not room_for(worker, databases[:2][-1], right=named):
        del counts[-1]  # how many went well is of the least concern
    right = digit
    if room_for(worker, databases[-1], right=named) or not room_for(worker, databases[-1], right=digit):
        right = named if room_for(worker, right=named) else digit
    while counts and not room_for(worker, right=right):
        del counts[-1]
    line += counts
    told: Line = []
    if today is not None and today.success is not None:
        p95 = "" if today.p95_seconds is None else f" p95 {short(today.p95_seconds)}"
        told = [
            (f"{today.count:,}{'' if today.is_whole else '+'} in 24 h ", ""),
            (f"{glyphs.run(RunStatus.COMPLETED)[0]}{today.success:.1%}", "good"),
            (p95, ""),
        ]
    database = next(
        (one for one in databases if cells(line) + 2 * len(bar) + cells([*worker, *one, *right]) < width), []
    )
    for piece in (worker, database, told):
        if piece and cells(line) + len(bar) + cells(piece) + cells(right) < width:
            line += [(bar, "dim"), *piece]
    gap = width - cells(line) - cells(right)
    return [*line, (" " * gap, ""), *right] if right and gap > 0 else line


def _databases(standing: Standing) -> list[Line]:
    """Ways to name the database, the longest first; where it is only read, that is said at least."""
    name = safe(standing.database)
    ways = (f"{name} read-only", "read-only", "ro") if standing.read_only else (name,)
    return [[(one, "dim")] for one in ways]


def _counts(standing: Standing, glyphs: Glyphs) -> Line:
    counts: Line = []
    for status in _SHOWN:
        count = standing.counts.get(status, 0)
        if count:
            glyph, style = glyphs.run(status)
            counts.append((f" {glyph}{count:,}", style))
    return counts


def _worker(standing: Standing, glyphs: Glyphs) -> Line:
    waits = sum(standing.counts.get(status, 0) for status in (RunStatus.QUEUED, RunStatus.RUNNING))
    if standing.workers is None:
        return [("worker …" if not glyphs.ascii_only else "worker ...", "dim")]
    if standing.workers == 0:
        return [("no worker", "bad" if waits else "dim")]
    sign = "*" if glyphs.ascii_only else "●"
    return [(f"{sign} {standing.workers} worker{'s' if standing.workers > 1 else ''}", "good")]
