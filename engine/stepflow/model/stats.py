"""How executions went in a stretch of time: counts, durations, failures; and how much is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec


def percentile(values: Sequence[float], share: float) -> float | None:
    """Between the two values nearest to it, in proportion: half of an even number of values is their median. None:
    there are no values."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def percentile_ms(values: Sequence[int], share: float) -> int | None:
    """In whole milliseconds."""
    found = percentile(values, share)
    return None if found is None else round(found)


class TemplateStats(msgspec.Struct, frozen=True):
    name: str
    count: int
    completed: int
    ended: int
    last_run: datetime
    """When its newest execution was made."""
    median_ms: int | None = None
    """Of the durations of completed ones, from their first start."""
    p95_ms: int | None = None

    @property
    def success_rate(self) -> float | None:
        """Completed ones of those that ended, 0 to 1; None: none ended."""
        return self.completed / self.ended if self.ended else None


class Stats(msgspec.Struct, frozen=True):
    """Of executions that nobody else started; children are not counted."""

    since: datetime
    until: datetime
    count: int
    is_whole: bool
    """False: there are more in that time than were looked at, which are the newest."""
    oldest: datetime | None
    """Of those that were looked at, when the first was made."""
    statuses: dict[str, int]
    templates: tuple[TemplateStats, ...]
    """The busiest first."""
    failures: dict[str, int]
    """By error code, the most frequent first."""
    per_hour: float
    """Executions that ended, over the time that was looked at."""
    wait_median_ms: int | None
    """From when it was due to its first start."""
    wait_p95_ms: int | None
    rows: dict[str, int | None]
    """By table; None: more than `counted_to`."""
    counted_to: int
    bytes: dict[str, int]
    """By table, with its indexes; empty where that would take too long to find out."""
    file_bytes: int
    workers_alive: int = 0
    slots: int = 0
    held_runs: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            **msgspec.to_builtins(self),
            "templates": [{**msgspec.to_builtins(one), "success_rate": one.success_rate} for one in self.templates],
        }
