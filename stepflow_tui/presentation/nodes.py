"""What stands in a box of a graph, or in a line of its indented form."""

from __future__ import annotations

from datetime import datetime

from rich.cells import cell_len, set_cell_size

from stepflow.model.run import StepRecord
from stepflow.model.statuses import StepStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.graph import BOX_HEIGHT, Branch
from stepflow_tui.presentation.spans import Line, fit, fit_name, safe
from stepflow_tui.presentation.timeline import note_of
from stepflow_tui.presentation.timeline_folding import is_upstream_failure

MOST_NAME, LEAST_NAME = 24, 8
_LIGHT, _HEAVY, _ASCII = tuple("╭─╮│╰╯"), tuple("┏━┓┃┗┛"), tuple("+-+|++")
"""Left top, flat, right top, side, left bottom, right bottom."""


def box_width(key: str) -> int:
    """With its borders."""
    return max(LEAST_NAME, min(MOST_NAME, cell_len(safe(key)))) + 5


def box_line(
    step: StepRecord,
    line: int,
    width: int,
    now: datetime,
    glyphs: Glyphs,
    *,
    is_critical: bool,
    is_selected: bool,
) -> Line:
    """Its `line` of `BOX_HEIGHT`."""
    left_top, flat, right_top, side, left_bottom, right_bottom = (
        _ASCII if glyphs.ascii_only else _HEAVY if is_critical else _LIGHT
    )
    glyph, style = glyphs.step(step.status)
    if is_upstream_failure(step):
        style = "dim"
    border = "title" if is_selected else style if style != "good" or is_critical else "dim"
    if line in (0, BOX_HEIGHT - 1):
        begin, end = (left_top, right_top) if line == 0 else (left_bottom, right_bottom)
        return [(begin + flat * (width - 2) + end, border)]
    if line == 1:
        inside: Line = [
            (f"{glyph} ", style),
            (fit_name(safe(step.key), width - 5), "title-reverse" if is_selected else ""),
        ]
    else:
        inside = [(fit(f"  {said_of(step, now)}", width - 3), "bad" if style == "bad" else "dim")]
    return [(side, border), *inside, (" ", ""), (side, border)]


def said_of(step: StepRecord, now: datetime) -> str:
    """How long it took, and which attempt it is."""
    if step.started_at is None:
        return "not run" if is_upstream_failure(step) else ""
    if step.status in (StepStatus.SLEEPING, StepStatus.AWAITING_RETRY) and step.wake_at is not None:
        return f"in {short((step.wake_at - now).total_seconds())}"
    took = short(((step.finished_at or now) - step.started_at).total_seconds())
    return f"{took} #{step.attempt}" if step.attempt > 1 else took


def branch_line(
    branch: Branch, step: StepRecord, names: int, now: datetime, glyphs: Glyphs, *, is_critical: bool
) -> Line:
    glyph, style = glyphs.step(step.status)
    if is_upstream_failure(step):
        style = "dim"
    star = "*" if glyphs.ascii_only else "★"
    line: Line = [(branch.prefix, "title" if is_critical else "dim"), (f"{glyph} ", style)]
    line.append((fit_name(safe(step.key), max(4, names - cell_len(branch.prefix))), "dim" if style == "dim" else ""))
    line.append((f" {said_of(step, now):<9}", "dim"))
    line.append((f"{star} " if is_critical else "  ", "title"))
    if branch.also:
        also = ", ".join(branch.also)
        arrow = "<-" if glyphs.ascii_only else "←"
        line.append((f"{arrow} also {safe(also)}  ", "dim"))
    note = note_of(step, now)
    if note:
        line.append((note, "bad" if style == "bad" else "dim"))
    return line


def without_cells(line: Line, cells: int) -> Line:
    """`line` from its cell `cells` on."""
    kept: Line = []
    for text, style in line:
        length = cell_len(text)
        if cells >= length:
            cells -= length
            continue
        if cells:
            # Half of a wide character that is cut through is a space.
            head = set_cell_size(text, cells)
            skipped = len(head) if text.startswith(head) else len(head) - 1
            tail = text[skipped:]
            text = set_cell_size(" " + tail[1:], length - cells) if cell_len(tail) != length - cells else tail
            cells = 0
        kept.append((text, style))
    return kept
