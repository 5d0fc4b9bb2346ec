"""What stands in a box of a graph, or in a line of its indented form."""

from __future__ import annotations

from datetime import datetime

from rich.cells import cell_len, set_cell_size

from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.graph import BOX_HEIGHT, Branch
from stepflow_tui.presentation.spans import Line, fit_line, fit_name, safe
from stepflow_tui.presentation.timeline import NOTHING, Told, note_of, took_of
from stepflow_tui.presentation.timeline_folding import Row, is_upstream_failure
from stepflow_tui.presentation.timeline_items import FAILED, Items, is_fan_out
from stepflow_tui.presentation.timeline_prediction import share_of
from stepflow_tui.presentation.workers import slots_bar

MOST_NAME, LEAST_NAME = 24, 10
"""`1m40 ~44s` has room in the shortest."""
LEAST_BAR = 3
_LIGHT, _HEAVY, _ASCII = tuple("╭─╮│╰╯"), tuple("┏━┓┃┗┛"), tuple("+-+|++")
"""Left top, flat, right top, side, left bottom, right bottom."""


def box_width(key: str, items: Items | None = None) -> int:
    """With its borders."""
    label = name_with_count(key, items, Glyphs())
    return max(LEAST_NAME, min(MOST_NAME, cell_len(label))) + 5


def box_line(
    row: Row,
    line: int,
    width: int,
    now: datetime,
    glyphs: Glyphs,
    told: Told = NOTHING,
    *,
    is_selected: bool,
) -> Line:
    """Its `line` of `BOX_HEIGHT`."""
    left_top, flat, right_top, side, left_bottom, right_bottom = (
        _ASCII if glyphs.ascii_only else _HEAVY if told.is_critical else _LIGHT
    )
    step = row.step
    glyph, style = glyphs.step(step.status)
    if is_upstream_failure(step):
        style = "dim"
    border = "title" if is_selected else style if style != "good" or told.is_critical else "dim"
    if line in (0, BOX_HEIGHT - 1):
        begin, end = (left_top, right_top) if line == 0 else (left_bottom, right_bottom)
        return [(begin + flat * (width - 2) + end, border)]
    room = width - 5
    name = name_with_count(step.key, told.items, glyphs)
    said = _said(row, told, room, now, glyphs)
    share = _share(row, told, now)
    beside = ""
    if share is not None and not _has_many(row, told) and cell_len(name) + len(f"{share}%") < room:
        beside, said = f"{share}%", _said(row, told, room, now, glyphs, with_share=False)
    if line == 1:
        inside: Line = [
            (f"{glyph} ", style),
            (fit_name(name, room - cell_len(beside)), "title-reverse" if is_selected else ""),
            (beside, "dim"),
        ]
    else:
        inside = [("  ", ""), *fit_line(said, room)]
    return [(side, border), *inside, (" ", ""), (side, border)]


def name_with_count(key: str, items: Items | None, glyphs: Glyphs) -> str:
    if items is None or items.total < 2:
        return safe(key)
    return f"{safe(key)} {'x' if glyphs.ascii_only else '×'}{items.total:,}"


def _has_many(row: Row, told: Told) -> bool:
    """It is known how many there are to be, and that is what it waits for."""
    return told.items is not None and told.items.total > 1 and is_fan_out(row.step)


def _said(row: Row, told: Told, room: int, now: datetime, glyphs: Glyphs, *, with_share: bool = True) -> Line:
    """How long it took, how far it is and what it still takes, in the longest way that there is room for."""
    items = told.items
    style = "bad" if glyphs.step(row.step.status)[1] == "bad" and not is_upstream_failure(row.step) else "dim"
    took: Line = [(said_of(row, told, now), style)]
    if items is not None and _has_many(row, told):
        failed = _failed_items(items, glyphs)
        if row.step.status.is_final or row.step.started_at is None:
            return [*took, *failed]
        share = f" {items.ended * 100 // items.total}%"
        bar = room - len(share) - sum(cell_len(text) for text, _ in failed)
        drawn = slots_bar(items.ended, items.total, bar, glyphs) if bar >= LEAST_BAR else ""
        return [(drawn, "active"), (share if drawn else share.lstrip(), "dim"), *failed]
    if row.step.status is not StepStatus.RUNNING or told.expected is None or row.step.started_at is None:
        return took
    elapsed = (now - row.step.started_at).total_seconds()
    late = told.expected.usual.is_late(elapsed)
    left = (told.expected.end - now).total_seconds()
    rest = f" late {short(elapsed - told.expected.usual.median)}" if late else f" ~{short(left)}" if left > 0 else ""
    done = _share(row, told, now) if with_share else None
    percent = "" if done is None else f" {done}%"
    for more in (f"{rest}{percent}", rest, percent):
        if cell_len(took[0][0]) + cell_len(more) <= room:
            return [*took, (more, "late" if late else "dim")]
    return took


def _failed_items(items: Items, glyphs: Glyphs) -> Line:
    count = sum(items.counts[status] for status in FAILED)
    sign, style = glyphs.run(RunStatus.FAILED)
    return [(f" {count:,}{sign}", style)] if count else []


def _share(row: Row, told: Told, now: datetime) -> int | None:
    """Of a running step, how much of a hundred of the time that it is expected to take."""
    if told.expected is None or row.step.status is not StepStatus.RUNNING or row.step.started_at is None:
        return None
    return share_of(told.expected, row.step.started_at, now)


def said_of(row: Row, told: Told, now: datetime) -> str:
    """How long it took, all attempts of it, and which attempt it is; or how long it is expected to take."""
    step = row.step
    if is_upstream_failure(step):
        return "not run"
    if step.status in (StepStatus.SLEEPING, StepStatus.AWAITING_RETRY) and step.wake_at is not None:
        return f"in {short((step.wake_at - now).total_seconds())}"
    took = took_of(row, now, told.expected)
    return f"{took} #{step.attempt}" if step.attempt > 1 else took


def branch_line(
    branch: Branch, row: Row, names: int, now: datetime, glyphs: Glyphs, told: Told = NOTHING, *, progress: int = 0
) -> Line:
    """`progress`: cells for how far those are that go on."""
    step = row.step
    glyph, style = glyphs.step(step.status)
    if is_upstream_failure(step):
        style = "dim"
    star = "*" if glyphs.ascii_only else "★"
    line: Line = [(branch.prefix, "title" if told.is_critical else "dim"), (f"{glyph} ", style)]
    name = name_with_count(step.key, told.items, glyphs)
    line.append((fit_name(name, max(4, names - cell_len(branch.prefix))), "dim" if style == "dim" else ""))
    line.append((f" {said_of(row, told, now):<9}", "dim"))
    if progress:
        line += [*fit_line(progress_of(row, told, progress, now, glyphs), progress), (" ", "")]
    line.append((f"{star} " if told.is_critical else "  ", "title"))
    if branch.also:
        also = ", ".join(branch.also)
        arrow = "<-" if glyphs.ascii_only else "←"
        line.append((f"{arrow} also {safe(also)}  ", "dim"))
    note = note_of(step, now)
    if note:
        line.append((note, "bad" if style == "bad" else "dim"))
    return line


def progress_of(row: Row, told: Told, cells: int, now: datetime, glyphs: Glyphs) -> Line:
    """How far one is that goes on, as a bar; empty: nobody knows, or it does not go on."""
    if row.step.status.is_final or row.step.started_at is None:
        return _failed_items(told.items, glyphs) if told.items is not None and _has_many(row, told) else []
    if told.items is not None and _has_many(row, told):
        return _said(row, told, cells, now, glyphs)
    share = _share(row, told, now)
    if share is None:
        return []
    bar = slots_bar(share, 100, max(LEAST_BAR, cells - 11), glyphs)
    left = (told.expected.end - now).total_seconds() if told.expected is not None else 0.0
    return [(bar, "active"), (f" {share}% ~{short(left)}", "dim")]


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
