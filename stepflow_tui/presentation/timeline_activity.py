"""How many of many spans of time go on at each moment, as small bars in a line."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import accumulate

from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.sparkline import level_bar
from stepflow_tui.presentation.timeline_axis import BESIDE, Axis

Span = tuple[float, float | None]
"""Seconds since 1970 of its begin and its end; None: it goes on."""


class Activity:
    """Asked for any part of the time, it adds up sums that were made once, however many spans there are."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = known = list(spans)
        self._zero = min((begin for begin, _ in known), default=0.0)
        # From the first one on: sums of seconds since 1970 would be too large to be exact.
        self._begins = sorted(begin - self._zero for begin, _ in known)
        self._ends = sorted(end - self._zero for _, end in known if end is not None)
        self._begin_sums = [0.0, *accumulate(self._begins)]
        self._end_sums = [0.0, *accumulate(self._ends)]
        self.peak = _peak(self._begins, self._ends)
        """How many went on at a time, at most."""

    def levels(self, axis: Axis, cells: int, now: datetime) -> list[float]:
        """For each cell, how many went on in its time, on average; nothing after `now`."""
        begin, present = axis.begin.timestamp() - self._zero, now.timestamp() - self._zero
        edges = [min(present, begin + axis.seconds * cell / cells) for cell in range(cells + 1)]
        busy = [self._busy(at) for at in edges]
        width = axis.seconds / cells
        levels = []
        for cell in range(cells):
            average = (busy[cell + 1] - busy[cell]) / width
            if average < 0.01 and self._touches(edges[cell], edges[cell + 1]):
                average = 0.01
            levels.append(average)
        return levels

    def _busy(self, until: float) -> float:
        """Seconds, added up over all of them."""
        begun, ended = bisect_left(self._begins, until), bisect_left(self._ends, until)
        return (until * begun - self._begin_sums[begun]) - (until * ended - self._end_sums[ended])

    def _touches(self, begin: float, end: float) -> bool:
        if end <= begin:
            return False
        return bisect_left(self._begins, end) > bisect_right(self._ends, begin)


def _peak(begins: Sequence[float], ends: Sequence[float]) -> int:
    peak = ended = 0
    for begun, begin in enumerate(begins, 1):
        while ended < len(ends) and ends[ended] <= begin and ended < begun - 1:
            ended += 1
        peak = max(peak, begun - ended)
    return peak


def profile(levels: Sequence[float], peak: int, glyphs: Glyphs) -> str:
    """A blank where nothing goes on."""
    return "".join(level_bar(level / max(peak, 1), glyphs) if level > 0 else " " for level in levels)


def density_line(activity: Activity, axis: Axis, names: int, width: int, now: datetime, glyphs: Glyphs) -> Line:
    """How many steps go on over the time."""
    cells = width - names - BESIDE
    if cells < 4:
        return []
    drawn = profile(activity.levels(axis, cells, now), activity.peak, glyphs)
    room = names + BESIDE - 1
    label = next(
        (said for said in (f"  max {activity.peak:,} at a time", f"  max {activity.peak:,}") if len(said) <= room), ""
    )
    return [(f"{label:<{room}} ", "dim"), (drawn, "active")]
