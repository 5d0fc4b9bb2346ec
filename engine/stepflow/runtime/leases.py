"""Leases: this worker's life in the storage, and the freeing of runs whose worker is gone.

A worker's lease is one row, extended each few seconds, whatever it holds; its runs carry only its number. The dead are
found by their locks within a second; the lease covers the hung. Time is monotonic and of this boot, never the wall's.
"""

from __future__ import annotations

import os

from stepflow.contracts.clock import Clock
from stepflow.contracts.storage import WorkerIdentity
from stepflow.model.ids import generate_id
from stepflow.runtime.bridge import Bridge
from stepflow.runtime.processes import boot_id, host_id

REST_SECONDS = 1.0


class Leases:
    def __init__(
        self,
        bridge: Bridge,
        clock: Clock,
        *,
        lease_seconds: float,
        slots: int,
        background: bool,
        offers: tuple[str, ...],
    ) -> None:
        self._bridge = bridge
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._slots = slots
        self._background = background
        self._offers = offers
        self._next_heartbeat = 0.0
        self.rest_seconds = min(REST_SECONDS, lease_seconds / 6)
        self.worker = 0
        self.identity = self._new_identity()

    def _new_identity(self) -> WorkerIdentity:
        return WorkerIdentity(
            id=f"w_{generate_id()}",
            pid=os.getpid(),
            host=host_id(),
            boot_id=boot_id(),
            started_at=self._clock.now(),
            slots=self._slots,
            background=self._background,
            offers=self._offers,
        )

    async def begin(self) -> None:
        """Register, and take the runs of the dead away from them at once."""
        if self.worker:
            self.identity = self._new_identity()
        storage = self._bridge.storage
        self.worker = await self._bridge.call(storage.register_worker, self.identity, self._until())
        self._next_heartbeat = self._clock.monotonic() + self._lease_seconds / 3
        await self._free_dead()

    def _until(self) -> float:
        return self._clock.monotonic() + self._lease_seconds

    async def _free_dead(self) -> None:
        await self._bridge.call(
            self._bridge.storage.free_dead_workers, self._clock.monotonic(), boot_id(), but=self.worker
        )

    async def run_once(self, trouble: str | None) -> bool:
        """False: others have declared this worker dead and freed its runs."""
        alive = True
        if self._clock.monotonic() >= self._next_heartbeat or trouble is not None:
            storage = self._bridge.storage
            alive = await self._bridge.call(storage.heartbeat, self.worker, self._until(), trouble)
            self._next_heartbeat = self._clock.monotonic() + self._lease_seconds / 3
        await self._free_dead()
        return alive

    async def give_back(self, run: int) -> None:
        """Let others claim one run again, whose state here is of no use."""
        await self._bridge.call(self._bridge.storage.free_run, run, self.worker)

    async def end(self) -> None:
        await self._bridge.call(self._bridge.storage.remove_worker, self.worker)
