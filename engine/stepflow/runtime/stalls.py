"""Queued runs stall that no worker could take for a day: a person has to start one that can, or cancel them."""

from __future__ import annotations

from stepflow.contracts.clock import Clock
from stepflow.runtime.bridge import Bridge

LOOK_SECONDS = 3600.0
"""Also before the first look: of workers that start together, at boot, none judges before all are there."""
PATIENCE_MS = 86_400_000


class Stalls:
    def __init__(self, bridge: Bridge, clock: Clock) -> None:
        self._bridge = bridge
        self._clock = clock
        self._next_look = clock.monotonic() + LOOK_SECONDS
        self._offered: set[str] | None = None
        """At the last look: a worker that is started anew in the moment of one is missed by nobody."""

    async def run_once(self) -> None:
        if self._clock.monotonic() < self._next_look:
            return
        storage, now = self._bridge.storage, self._clock.now()
        offered = await self._bridge.call(storage.offered)
        if self._offered is not None:
            await self._bridge.call(storage.stall_unoffered, offered | self._offered, now - PATIENCE_MS, now)
        self._offered = offered
        self._next_look = self._clock.monotonic() + LOOK_SECONDS
