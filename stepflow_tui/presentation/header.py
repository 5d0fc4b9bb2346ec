"""The top line: how everything stands, in one glance."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, safe

_SHOWN = (
    RunStatus.RUNNING,
    RunStatus.FAILED,
    RunStatus.STALLED,
    RunStatus.AWAITING_RETRY,
    RunStatus.SLEEPING,
    RunStatus.WAITING,
    RunStatus.PAUSED,
    RunStatus.QUEUED,
    RunStatus.SCHEDULED,
    RunStatus.COMPLETED,
)


class Standing(msgspec.Struct, frozen=True):
    """What the header says."""

    database: str
    counts: Mapping[RunStatus, int] = {}
    workers: int | None = None
    """Living ones; None: not known yet."""
    trouble: str | None = None
    """What is wrong with the storage or a worker."""


def header_line(standing: Standing, width: int, glyphs: Glyphs) -> Line:
    line: Line = [(" stepflow ", "title")]
    for status in _SHOWN:
        count = standing.counts.get(status, 0)
        if count:
            glyph, style = glyphs.run(status)
            line.append((f" {glyph}{count}", style))
    if standing.trouble is not None:
        line.append((f"  ! {safe(standing.trouble)}", "bad"))
        return line
    bar = "|" if glyphs.ascii_only else "│"
    waits = sum(standing.counts.get(status, 0) for status in (RunStatus.QUEUED, RunStatus.RUNNING))
    if standing.workers is None:
        worker, style = "worker …", "dim"
    elif standing.workers == 0:
        worker, style = ("no worker", "bad") if waits else ("no worker", "dim")
    else:
        worker, style = (f"{standing.workers} worker{'s' if standing.workers > 1 else ''}", "good")
    line += [(f" {bar} ", "dim"), (worker, style)]
    if width >= 60:
        line += [(f" {bar} ", "dim"), (safe(standing.database), "dim")]
    return line
