"""Why a run that does not go on stands where it does, as those who read it are told: its worker died, it waits for
somebody, it is tried again; and how many there are of each status."""

from __future__ import annotations

import asyncio
import socket

import msgspec

from stepflow.contracts.storage import WorkerIdentity
from stepflow.core.facts import Claimed
from stepflow.model.flow import OnError, RetryPolicy, Step
from stepflow.model.run import Awaited, RunRecord
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage, queries
from tests.conftest import OpenStorage
from tests.runtime.test_children import FAILING, one_step
from tests.support.engine import start, until, working
from tests.support.flows import chain, echo, flow, quick_retry
from tests.support.hand import HERE, hold, identity


def of_this_host(number: int, *offers: str) -> WorkerIdentity:
    changed = {"host": socket.gethostname(), "offers": offers or ("/builtin/echo",)}
    return msgspec.structs.replace(identity(number), **changed)


def read(storage: SQLiteStorage, run_id: str) -> RunRecord:
    """As each of the reading verbs gives it, which is the same."""
    (listed,), _ = storage.list_runs(1, None, None, None, False)
    (by_id,) = storage.runs_by_id([run_id])
    assert listed.id == run_id
    assert (listed.reason, listed.awaits, listed.last_error) == (by_id.reason, by_id.awaits, by_id.last_error)
    run = storage.get_run(run_id)
    assert (run.reason, run.awaits, run.last_error) == (by_id.reason, by_id.awaits, by_id.last_error)
    return run


def test_a_run_whose_worker_died_says_so_and_who_goes_on_with_it(open_storage: OpenStorage) -> None:
    storage, victim = open_storage(), open_storage()
    hand = hold(victim, victim.register_worker(of_this_host(1), 1e12), chain(2))
    hand.give(Claimed())
    run = read(storage, hand.stored.id)
    assert (run.status, run.reason, run.lacks_worker) == (RunStatus.RUNNING, None, False)
    victim.close()  # as its death does, this lets go of its lock and leaves all else
    run = read(storage, hand.stored.id)
    assert (run.status, run.worker, run.reason) == (RunStatus.RUNNING, "w_1", "its worker died")
    assert run.lacks_worker
    storage.request_cancel(run.id, "enough", 0)
    assert read(storage, run.id).reason == "its worker died", "of its end somebody has to see to first"
    other = storage.register_worker(of_this_host(2, "/builtin/noop"), 1e12)
    assert read(storage, run.id).reason == "its worker died, and no running worker offers /builtin/echo"
    storage.remove_worker(other)
    storage.register_worker(of_this_host(3), 1e12)
    assert read(storage, run.id).reason == "its worker died; another one takes it over"
    storage.free_dead_workers(0, HERE)
    run = read(storage, run.id)
    assert (run.worker, run.reason) == (None, "its worker is gone; another one takes it over")
    assert run.lacks_worker


def test_of_a_worker_on_another_host_nobody_says_that_it_died(open_storage: OpenStorage) -> None:
    storage, other = open_storage(), open_storage()
    hand = hold(other, other.register_worker(identity(1), 1e12), chain(1))
    hand.give(Claimed())
    other.close()
    assert read(storage, hand.stored.id).reason is None


async def test_a_waiting_run_says_what_it_waits_for(storage: SQLiteStorage) -> None:
    asked = {"name": "deploy", "message": "Deploy 2.3.1?", "timeout": "2d"}
    flaky = Step(key="flaky", component="/builtin/fail", retry=quick_retry(2), on_error=OnError("skip"))
    flow_ = flow(
        flaky,
        Step(key="ops", component="/builtin/wait_event", input=asked),
        echo("between", 1),
        Step(key="paid", component="/builtin/wait_event"),
    )
    run_id = start(storage, flow_)
    async with working(storage):
        run = await until(storage, run_id, RunStatus.WAITING)
        assert run.awaits == (Awaited("ops", "deploy", "Deploy 2.3.1?"), Awaited("paid", "paid"))
        assert read(storage, run_id).awaits == run.awaits
        assert run.last_error is None, "that is over"
        storage.pause(run_id, 0)
        assert read(storage, run_id).awaits == (), "it waits to be let go on"


async def test_a_run_that_waits_for_children_says_how_many_have_ended(storage: SQLiteStorage) -> None:
    waiting = {"steps": [{"id": "w", "type": "wait_event", "when": "$.input % 2 == 0"}]}
    mapped = {"workflow": waiting, "items": [0, 1, 2, 3]}
    run_id = start(storage, one_step("map", mapped))
    async with working(storage):
        await until(storage, run_id, RunStatus.WAITING)
        while read(storage, run_id).awaits != (Awaited("s", children=4, ended=2),):
            await asyncio.sleep(0.005)


async def test_a_run_that_is_tried_again_says_what_failed(storage: SQLiteStorage) -> None:
    retry = RetryPolicy(strategy="fixed", max_attempts=3, base_delay_ms=3_600_000)
    failing = Step(key="load", component="/builtin/fail", input={"code": "HTTP", "message": "HTTP 503"}, retry=retry)
    run_id = start(storage, flow(failing))
    async with working(storage):
        await until(storage, run_id, RunStatus.AWAITING_RETRY)
    error = read(storage, run_id).last_error
    assert error is not None
    assert (error["message"], error["details"]["step_key"]) == ("HTTP 503", "load")


async def test_statuses_are_counted_of_root_runs_unless_children_are_asked_for(storage: SQLiteStorage) -> None:
    tolerant = one_step("map", {"workflow": FAILING, "items": [1, 2, 3]})
    run_id = start(storage, tolerant)
    start(storage, chain(1), start_at=now_ms() + 3_600_000)
    async with working(storage):
        await until(storage, run_id)
    assert storage.status_counts() == {RunStatus.COMPLETED: 1, RunStatus.SCHEDULED: 1}
    counts = storage.status_counts(children=True)
    assert counts == {RunStatus.COMPLETED: 2, RunStatus.SCHEDULED: 1, RunStatus.FAILED: 2}
    for status, count in counts.items():
        assert storage.count_runs([status], None, children=True) == count
        assert storage.count_runs([status], None) == storage.status_counts().get(status, 0)


def test_children_of_one_run_are_found_by_their_parent_whatever_their_status(storage: SQLiteStorage) -> None:
    for sort in ("created", "duration"):
        sql = queries.list_runs(
            [5], by_template=False, children=False, by_parent=True, since=False, sort=sort, reverse=False
        )
        plan = storage.fetch(f"EXPLAIN QUERY PLAN {sql}", {"number": 1, "value": 1, "limit": 1, "parent": "x"})
        assert any("runs_by_parent (parent=?" in step for *_, step in plan)
