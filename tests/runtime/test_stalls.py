"""Queued executions that no worker could take for a day stall, and those alone."""

from __future__ import annotations

import asyncio
import os
import time

from stepflow.contracts.storage import WorkerIdentity
from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from stepflow.runtime.bridge import Bridge
from stepflow.runtime.processes import boot_id, host_id
from stepflow.runtime.stalls import LOOK_SECONDS, PATIENCE_MS, Stalls
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.engine import start, types_of, working
from tests.support.flows import chain, flow

NEEDS = flow(Step(key="a", component="/user/lod"), name="needs")


class Later:
    """The clock, `days` and an hour later whenever it is asked."""

    def __init__(self, days: float) -> None:
        self._days = days
        self._seconds = 0.0

    def now(self) -> int:
        return now_ms() + round(self._days * PATIENCE_MS)

    def monotonic(self) -> float:
        self._seconds += LOOK_SECONDS
        return self._seconds


async def look(storage: SQLiteStorage, days: float) -> None:
    bridge = Bridge(storage)
    stalls = Stalls(bridge, Later(days))
    for _ in range(2):
        await stalls.run_once()
    bridge.close()


def register(storage: SQLiteStorage, name: str, *offers: str) -> int:
    """A living worker without room for anything."""
    identity = WorkerIdentity(
        id=name, pid=os.getpid(), host=host_id(), boot_id=boot_id(), started_at=now_ms(), slots=0, background=False,
        offers=offers,
    )  # fmt: skip
    return storage.register_worker(identity, time.monotonic() + 60)


async def is_left(storage: SQLiteStorage, run_id: str) -> None:
    """The worker has looked at it and given it back."""
    async with asyncio.timeout(30):
        while storage.load_run(run_id).fence < 2:
            await asyncio.sleep(0.01)


async def test_what_nobody_could_take_for_a_day_stalls_with_the_reason(storage: SQLiteStorage) -> None:
    run_id = start(storage, NEEDS)
    async with working(storage):
        await is_left(storage, run_id)
        await look(storage, 0.9)
        assert storage.get_run(run_id).status is RunStatus.QUEUED
        await look(storage, 1.1)
        run = storage.get_run(run_id)
        assert run.status is RunStatus.STALLED
        assert run.reason is not None
        assert run.reason.startswith("no worker has offered /user/lod for long; start one")
        await look(storage, 1.1)
    assert types_of(storage, run_id) == ["run.created", "run.stalled"]


async def test_what_a_living_worker_has_no_room_for_stays_queued(storage: SQLiteStorage) -> None:
    run_id, other = start(storage, chain(1)), start(storage, NEEDS)
    register(storage, "w_1", "/builtin/echo")
    await look(storage, 2)
    assert storage.get_run(run_id).status is RunStatus.QUEUED
    assert storage.get_run(other).status is RunStatus.STALLED


async def test_a_worker_that_is_started_anew_in_the_moment_of_a_look_is_not_missed(storage: SQLiteStorage) -> None:
    run_id = start(storage, NEEDS)
    bridge = Bridge(storage)
    stalls = Stalls(bridge, Later(2))
    worker = register(storage, "w_1", "/user/lod")
    await stalls.run_once()
    storage.remove_worker(worker)
    await stalls.run_once()
    assert storage.get_run(run_id).status is RunStatus.QUEUED
    await stalls.run_once()
    bridge.close()
    assert storage.get_run(run_id).status is RunStatus.STALLED, "it did not come back"


async def test_what_is_being_cancelled_does_not_stall(storage: SQLiteStorage) -> None:
    run_id = start(storage, NEEDS)
    storage.request_cancel(run_id, None, now_ms())
    await look(storage, 2)
    assert storage.get_run(run_id).status is RunStatus.QUEUED


async def test_what_was_let_go_on_lately_has_its_day_again(storage: SQLiteStorage) -> None:
    run_id = start(storage, NEEDS)
    await look(storage, 1.1)
    storage.resume(run_id, now_ms() + PATIENCE_MS)
    await look(storage, 1.2)
    assert storage.get_run(run_id).status is RunStatus.QUEUED


async def test_it_goes_on_when_it_is_resumed(storage: SQLiteStorage) -> None:
    run_id = start(storage, NEEDS)
    await look(storage, 1.1)
    assert storage.get_run(run_id).status is RunStatus.STALLED
    assert storage.resume(run_id, now_ms())
    run = storage.load_run(run_id)
    assert (run.state.status, run.state.reason) == (RunStatus.QUEUED, None)


async def test_nobody_looks_before_an_hour_has_passed(storage: SQLiteStorage) -> None:
    class Young(Later):
        def monotonic(self) -> float:
            return 5.0

    run_id = start(storage, NEEDS)
    bridge = Bridge(storage)
    await Stalls(bridge, Young(2)).run_once()
    bridge.close()
    assert storage.get_run(run_id).status is RunStatus.QUEUED
