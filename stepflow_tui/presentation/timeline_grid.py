"""The items of a step as a grid, one cell an item, two where there are very many: the worse of them is shown, so that
no state is told by its colour alone."""

from __future__ import annotations

from collections.abc import Sequence

from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.presentation.timeline_items import FAILED, GOING, Item, Items

ALONE = 999
"""Items up to which each has a cell of its own."""
ENOUGH = 20
"""Items from which on some are called slow: those beyond the 95th percentile."""
SIGNS, ASCII_SIGNS = tuple("█▒▓·"), tuple("#%o.")
"""Completed, slow, going on, not begun."""


def per_cell(count: int) -> int:
    return 1 if count <= ALONE else 2


def grid_rows(count: int, cells: int) -> list[range]:
    """The items that stand in each row."""
    wide = max(1, cells) * per_cell(count)
    return [range(first, min(first + wide, count)) for first in range(0, count, wide)]


def grid_cells(items: Items, some: range, glyphs: Glyphs) -> Line:
    """The sign of each cell, the worse one of two."""
    step = per_cell(items.total)
    line: Line = []
    for first in range(some.start, some.stop, step):
        text, style = _cell(items.items[first : min(first + step, some.stop)], items, glyphs)
        if line and line[-1][1] == style:
            line[-1] = (line[-1][0] + text, style)
        else:
            line.append((text, style))
    return line


def _cell(some: Sequence[Item], items: Items, glyphs: Glyphs) -> tuple[str, str]:
    done, long, going, waits = ASCII_SIGNS if glyphs.ascii_only else SIGNS
    statuses = [item.status for item in some]
    failed = next((status for status in statuses if status in FAILED), None)
    if failed is not None:
        return glyphs.run(failed)
    if any(status in GOING for status in statuses):
        return going, "active"
    if statuses and all(status is RunStatus.COMPLETED for status in statuses):
        slow = items.slow if items.slow is not None and len(items.items) >= ENOUGH else None
        is_slow = slow is not None and any(_seconds(item) > slow for item in some)
        return (long, "late") if is_slow else (done, "good")
    if RunStatus.CANCELLED in statuses:
        return glyphs.run(RunStatus.CANCELLED)
    return waits, "quiet"


def _seconds(item: Item) -> float:
    if item.started_at is None or item.finished_at is None:
        return 0.0
    return (item.finished_at - item.started_at).total_seconds()


def legend(items: Items, glyphs: Glyphs) -> Line:
    """What the signs mean, the most frequent failure, the slowest."""
    done, long, going, waits = ASCII_SIGNS if glyphs.ascii_only else SIGNS
    failed = glyphs.run(RunStatus.FAILED)
    many = f"{per_cell(items.total)} items a cell  " if per_cell(items.total) > 1 else ""
    line: Line = [
        (many, "dim"),
        (done, "good"),
        (" ok ", "dim"),
        (long, "late"),
        (" slow ", "dim"),
        (going, "active"),
        (" running ", "dim"),
        failed,
        (" failed ", "dim"),
        (waits, "quiet"),
        (" waiting", "dim"),
    ]
    ended = [item for item in items.items if item.finished_at is not None and item.started_at is not None]
    if ended:
        slowest = max(ended, key=_seconds)
        line.append((f"  slowest [{slowest.number}] {short(_seconds(slowest))}", "dim"))
    groups = items.failures()
    if groups:
        first = groups[0].items[0]
        line.append((f"  [{first.number}] {safe(first.message)}", "bad"))
    return line
