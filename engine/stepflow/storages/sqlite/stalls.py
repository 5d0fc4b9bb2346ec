"""Queued runs that no living worker could take for long: only a person can help, so they stall."""

from __future__ import annotations

from collections.abc import Collection

from stepflow.model import jsontext
from stepflow.model.event import EventType
from stepflow.storages.sqlite import upkeep_queries
from stepflow.storages.sqlite.writer import Group

MOST_LOOKED_AT = 20_000
"""Of the oldest queued runs; a later look sees the next ones."""


def stall_unoffered(group: Group, offers: Collection[str], before: int, now: int) -> int:
    """Those to which nothing has happened since `before` and that need what is not among `offers`; how many."""
    group.flush()  # what happened to them in this very group counts
    count = 0
    rows = group.connection.execute(upkeep_queries.QUEUED_UNTOUCHED, (before, MOST_LOOKED_AT, before)).fetchall()
    for number, components in rows:
        missing = [component for component in jsontext.decode(components) if component not in offers]
        if not missing:
            continue
        reason = f"no worker has offered {missing[0]} for long; start one that does, then resume it, or cancel it"
        row = group.connection.execute(upkeep_queries.STALL, (reason, number)).fetchone()
        group.add_run_event(number, row[0], EventType.RUN_STALLED, now, {"reason": reason})
        count += 1
    return count
