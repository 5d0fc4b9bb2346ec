"""Is everything well?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepflow.client.connection import Connection

if TYPE_CHECKING:
    from stepflow.model.health import Finding


class Health(Connection):
    async def health(self, *, full: bool = False) -> list[Finding]:
        """What is well and what is not, with the storage and around it. `full`: take the time to look at every row.
        Where no client opens, `stepflow.client.doctor.examine` says why."""
        from stepflow.client.doctor import examine

        return await self._open_bridge.call(lambda: list(examine(self.url, self.workspace, full=full)))
