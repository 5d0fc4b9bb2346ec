"""Looking for words in all that is stored, the newest first, a bounded piece at a time; and reading certain runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from stepflow.client.connection import Connection
from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord


class LogPage(msgspec.Struct, frozen=True):
    """What was found in a piece of the log."""

    events: list[WorkflowEvent]
    before_seq: int
    """Where the piece begins, for the next one; 0: nothing is before it."""
    begins_at: datetime | None = None
    """When its first event was; None: it has none."""


class Search(Connection):
    async def search_log(
        self, needles: Sequence[str] = (), before_seq: int | None = None, look_at: int = 10_000
    ) -> LogPage:
        """Log lines and ends of steps without bodies, the newest first, among the last `look_at` events, or those
        before `before_seq`. All that have each needle in their words or in their step's key, whatever the case of its
        letters, are among them: the caller judges."""
        storage = self._open_storage

        def search() -> LogPage:
            before = storage.last_seq() + 1 if before_seq is None else before_seq
            events, begin = storage.search_log(needles, before, look_at)
            first = storage.get_events(
                None, after_seq=begin - 1, before_seq=before, limit=1, newest=False, bodies=False
            )
            return LogPage(events, begin, first[0].timestamp if first else None)

        return await self._open_bridge.call(search)

    async def get_runs(self, run_ids: Collection[str]) -> list[RunRecord]:
        """By their whole ids, without bodies, in any order; those that are not stored are left out."""
        return await self._open_bridge.call(self._open_storage.runs_by_id, run_ids)
