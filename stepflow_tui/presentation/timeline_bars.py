"""A row of cells in which bars are drawn, in eighths of a cell: attempts side by side, waits, what is expected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from stepflow.model.run import StepRecord
from stepflow.model.statuses import StepStatus
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.timeline_axis import Axis
from stepflow_tui.presentation.timeline_items import AWAITS_CHILDREN

EIGHTHS = " ▏▎▍▌▋▊▉█"
WAITERS = ("/builtin/sleep", "/builtin/wait_event")
"""Components that only wait."""


class Cells:
    """`used`: from here on all are free."""

    def __init__(self, count: int, glyphs: Glyphs) -> None:
        self.count = count
        self.used = 0
        self.ascii_only = glyphs.ascii_only
        self._texts = [" "] * count
        self._styles = [""] * count

    def put(self, column: int, text: str, style: str) -> None:
        """Over what stands there; what is outside is left out."""
        for place, character in enumerate(text, column):
            if 0 <= place < self.count:
                self._texts[place] = character
                self._styles[place] = style
                self.used = max(self.used, place + 1)

    def fill(self, first: int, last: int, character: str, style: str) -> None:
        """Whole cells from `first` up to `last`, without it."""
        first, last = max(0, first), min(last, self.count)
        if last > first:
            self.put(first, character * (last - first), style)

    def bar(self, first: int, last: int, style: str) -> None:
        """From eighth `first` to `last`, at least one, behind what is used."""
        if last < 0 or first > self.count * 8:
            return
        first = max(first, self.used * 8, 0)
        first = min(first, self.count * 8 - 1)
        last = min(max(last, first + 1), self.count * 8)
        column = first // 8
        if self.ascii_only:
            self.fill(column, max(column + 1, (last + 7) // 8), "#", style)
            return
        if first % 8 and last // 8 > column:
            # It begins inside a cell: the free left part is a block in reverse.
            self.put(column, EIGHTHS[first % 8], f"{style}-reverse")
            column += 1
        elif first % 8:
            self.put(column, EIGHTHS[max(1, last - first)], style)
            return
        full, rest = divmod(last - column * 8, 8)
        self.put(column, "█" * full + (EIGHTHS[rest] if rest else ""), style)

    def gap(self) -> tuple[int, int]:
        """The last of the widest stretches of free cells, from its first cell to the one after it."""
        widest = begin = 0, 0
        for place, text in enumerate([*self._texts, ""]):
            begin = (begin[0], place)
            if text != " ":
                widest = max(widest, begin, key=lambda one: (one[1] - one[0], one))
                begin = place + 1, place + 1
        return widest

    def write(self, column: int, line: Line) -> None:
        """Words over what stands there, in reverse where that is a bar."""
        for text, style in line:
            for character in text:
                if 0 <= column < self.count:
                    below = self._styles[column].removesuffix("-reverse")
                    is_free = self._texts[column] == " "
                    self.put(column, character, style if is_free or not below else f"{below}-reverse")
                column += 1

    def line(self, end: int | None = None) -> Line:
        """Up to `end`, or as far as it is used."""
        pairs = list(zip(self._styles, self._texts, strict=True))[: self.used if end is None else end]
        return [("".join(text for _, text in some), style) for style, some in groupby(pairs, key=lambda pair: pair[0])]


def draw_attempts(
    cells: Cells, attempts: Sequence[StepRecord], axis: Axis, now: datetime, style: str, ready_at: datetime | None
) -> None:
    """`ready_at`: since when all was there that it waited for."""
    ascii_only = cells.ascii_only
    wait = "-" if ascii_only else "░"
    begun = [one for one in attempts if one.started_at is not None]
    if ready_at is not None:
        until = begun[0].started_at if begun and begun[0].started_at is not None else now
        cells.fill(-(-axis.at(ready_at, cells.count) // 8), axis.at(until, cells.count) // 8, wait, "dim")
    for place, attempt in enumerate(begun):
        assert attempt.started_at is not None
        is_last = place + 1 == len(begun)
        first = axis.at(attempt.started_at, cells.count)
        last = axis.at(attempt.finished_at or now, cells.count)
        attempt_style = style if is_last else "bad"
        if is_last and _only_waits(attempt):
            first_cell = max(first // 8, cells.used)
            cells.fill(first_cell, max(first_cell + 1, -(-last // 8)), "=" if ascii_only else "═", style)
        else:
            cells.bar(first, last, attempt_style)
        if not is_last and first >= 0 and cells.used < cells.count:
            cells.put(cells.used, "|" if ascii_only else "┊", "dim")
    newest = attempts[-1]
    if newest.status is StepStatus.AWAITING_RETRY and newest.finished_at is not None:
        cells.fill(cells.used, axis.at(now, cells.count) // 8, wait, "dim")


def draw_expected(cells: Cells, begin: datetime, end: datetime, axis: Axis) -> None:
    """What of it is still to come."""
    first = max(cells.used, -(-axis.at(begin, cells.count) // 8))
    last = max(-(-axis.at(end, cells.count) // 8), min(first + 1, cells.count))
    if axis.at(begin, cells.count) <= cells.count * 8 and last > 0:
        cells.fill(first, last, "." if cells.ascii_only else "╌", "dim")


def _only_waits(attempt: StepRecord) -> bool:
    if attempt.status in (StepStatus.SLEEPING, StepStatus.WAITING):
        return attempt.awaits != AWAITS_CHILDREN
    return attempt.component in WAITERS and attempt.status is not StepStatus.RUNNING
