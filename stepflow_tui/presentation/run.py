"""One execution in a line: which it is, how it stands, how long it will take; and the line of a journey in its past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import msgspec
from rich.cells import cell_len

from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.executions import error_text, short_id, why_line
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.presentation.timeline_bars import EIGHTHS
from stepflow_tui.presentation.timeline_folding import is_upstream_failure
from stepflow_tui.presentation.timeline_prediction import share_done

_COUNTED = (
    StepStatus.COMPLETED,
    StepStatus.RUNNING,
    StepStatus.FAILED,
    StepStatus.AWAITING_RETRY,
    StepStatus.SLEEPING,
    StepStatus.WAITING,
    StepStatus.SKIPPED,
    StepStatus.CANCELLED,
    StepStatus.PENDING,
)
HINTS = "b . event  < > step  R play  w speed  esc now "
FEW_HINTS = "b . < > R w  esc "
MOST_CRITICAL = 4
"""Steps of the critical path that are named."""


def run_header(
    run: RunRecord,
    steps: Sequence[StepRecord],
    critical: Sequence[str],
    seconds_left: float | None,
    width: int,
    now: datetime,
    glyphs: Glyphs,
) -> Line:
    """What has no room is left out whole, from the right. `steps`: one record a step."""
    bar = " | " if glyphs.ascii_only else " │ "
    arrow = "->" if glyphs.ascii_only else "→"
    glyph, style = glyphs.run(run.status)
    line: Line = [(f" {short_id(run.id)} ", "dim"), (safe(run.template), "title"), (f" v{run.version} ", "dim")]
    line.append((f"{glyph} {'cancelling' if run.cancel_requested else run.status.value}", style))
    more: list[Line] = []
    share = share_done(run, None if run.lacks_worker else seconds_left, now)
    if not run.status.is_final and share is not None:
        more.append([(f" {share}%", style)])
    if run.started_at is not None:
        took = ((run.finished_at or now) - run.started_at).total_seconds()
        more.append([(f" {short(took)}", "")])
    is_going_on = not run.status.is_final and run.status is not RunStatus.QUEUED and not run.lacks_worker
    if seconds_left and is_going_on:
        more.append([(f" ETA {short(seconds_left)}", "active")])
    not_run = sum(map(is_upstream_failure, steps))
    counts = Counter(step.status for step in steps if not is_upstream_failure(step))
    signs = [(status, *glyphs.step(status)) for status in _COUNTED if counts[status]]
    more.append([(f"{bar}{len(steps):,} step{'' if len(steps) == 1 else 's'}", "dim")])
    shown_counts: Line = [(f" {sign}{counts[status]:,}", style) for status, sign, style in signs]
    more.append([*shown_counts, *([(f" {not_run:,} not run", "dim")] if not_run else [])])
    why = why_line(run, now, width)
    if why and run.error is None:
        more.append([(bar, "dim"), *why])
    if len(critical) > 1:
        shown = critical if len(critical) <= MOST_CRITICAL else (*critical[:2], "…", critical[-1])
        more.append([(f"{bar}crit ", "dim"), (safe(arrow.join(shown)), "")])
    elif run.error is not None:
        more.append([(f"{bar}{error_text(run.error)}", "bad")])
    for piece in more:
        if _cells(line) + _cells(piece) > width:
            break
        line += piece
    return line


def _cells(line: Line) -> int:
    return sum(cell_len(text) for text, _ in line)


class Journey(msgspec.Struct, frozen=True):
    """Where in its past an execution is looked at."""

    number: int
    """Of the event, within the execution."""
    count: int
    """Events by now."""
    moment: datetime
    speed: int
    is_playing: bool


def scrubber(journey: Journey, width: int, glyphs: Glyphs) -> Line:
    sign = (">" if glyphs.ascii_only else "▶") if journey.is_playing else ("||" if glyphs.ascii_only else "⏸")
    said = f" #{journey.number:,} of {journey.count:,}  {journey.moment.astimezone():%H:%M:%S}  ×{journey.speed} "
    said = said.replace("×", "x") if glyphs.ascii_only else said
    hint = "" if width < 60 else FEW_HINTS if width < 110 else HINTS
    cells = width - len(said) - len(sign) - 3 - len(hint)
    line: Line = [(f" {sign} ", "active")]
    if cells >= 6:
        done = max(1, cells * 8 * journey.number // max(1, journey.count))
        full, rest = divmod(done, 8)
        if glyphs.ascii_only:
            text = "#" * max(1, full) + "." * (cells - max(1, full))
        else:
            text = ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(cells, "░")
        line.append((text, "active"))
    return [*line, (said, "title"), (hint, "dim")]
