"""How executions went, counted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from stepflow.client.connection import Connection

if TYPE_CHECKING:
    from stepflow.model.stats import Stats

A_DAY = timedelta(days=1)


class Statistics(Connection):
    async def stats(self, since: timedelta = A_DAY, template: str | None = None) -> Stats:
        """Of executions made in the last `since`, children left out; of the newest where there are many, and then
        `is_whole` is false. `TemplateNotFoundError`."""
        now = self._clock.now()
        begin = max(now - round(since.total_seconds() * 1000), 0)
        return await self._open_bridge.call(self._open_storage.stats, begin, now, template)
