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

    async def run_once(self) -> None:
        if self._clock.monotonic() < self._next_look:
            return
        now = self._clock.now()
        await self._bridge.call(self._bridge.storage.stall_unoffered, now - PATIENCE_MS, now)
        self._next_look = self._clock.monotonic() + LOOK_SECONDS
