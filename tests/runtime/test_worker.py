"""The worker's loop on a real file: what it performs, waits for, gives up, takes over and stops."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stepflow import worker as worker_process
from stepflow.components.registry import Registry, builtin_registry
from stepflow.contracts.component import Component, SkipStep
from stepflow.core.decide import MAX_LOSSES
from stepflow.core.facts import Claimed, Succeeded
from stepflow.errors import ComponentError, DatabaseGoneError, StorageError
from stepflow.model.flow import Flow, OnError, RetryPolicy, Step
from stepflow.model.statuses import RunStatus
from stepflow.runtime import worker as runtime_worker
from stepflow.runtime.templates import LoadedTemplates
from stepflow.storages.sqlite import SQLiteStorage
from stepflow.worker import make_worker
from tests.conftest import OpenStorage
from tests.support.engine import finish, start, steps_of, stored, types_of, until, until_event, working
from tests.support.flows import chain, echo, fan_out, flow, quick_retry, ref
from tests.support.hand import HERE, Hand, claim, hold, identity


def registry(**functions: Callable[..., Any]) -> Registry:
    """Ours, and these functions as `/test/name`: async ones as such, the others in threads."""
    made = builtin_registry()
    for name, function in functions.items():
        mode = "async" if asyncio.iscoroutinefunction(function) else "sync"
        made.register(Component(f"/test/{name}", function, mode, name))  # type: ignore[arg-type]
    return made


def shell(key: str, command: str, **options: Any) -> Step:
    return Step(key=key, component="/shell/run", input={"command": command, "shell": True}, **options)


async def test_a_chain_hands_values_on_and_completes(storage: SQLiteStorage) -> None:
    run = await finish(storage, chain(5))
    assert run.status is RunStatus.COMPLETED
    assert run.output == {"s4": 0}
    assert (run.steps_done, run.steps_total) == (5, 5)


@pytest.mark.full
async def test_ten_thousand_steps_fan_out_and_in(storage: SQLiteStorage) -> None:
    wide = fan_out(10_000)
    join = flow(*wide.steps, echo("join", [ref(f"s{index}") for index in range(10_000)]))
    run = await finish(storage, join)
    assert run.output["join"][-1] == 9999


async def test_sync_and_async_components_and_skips_are_performed(storage: SQLiteStorage) -> None:
    def in_thread(value: Any, context: Any) -> Any:
        return threading.current_thread().name

    async def in_loop(value: Any, context: Any) -> Any:
        await asyncio.sleep(0)
        return context.idempotency_key

    async def skips(value: Any, context: Any) -> Any:
        raise SkipStep("nothing to do")

    steps = [Step(key=name, component=f"/test/{name}") for name in ("in_thread", "in_loop", "skips")]
    made = registry(in_thread=in_thread, in_loop=in_loop, skips=skips)
    run = await finish(storage, flow(*steps), registry=made)
    assert run.output["in_thread"].startswith("stepflow-step")
    assert run.output["in_loop"] == f"{run.id}/in_loop"
    assert steps_of(storage, run.id)["skips"].reason == "nothing to do"


async def test_next_of_something_empty_fails_its_step_and_does_not_hang_it(storage: SQLiteStorage) -> None:
    def finds(value: Any, context: Any) -> Any:
        return next(one for one in value if one > 3)

    step = Step(key="x", component="/test/finds", input=[1, 2], retry=RetryPolicy(max_attempts=1))
    run = await finish(storage, flow(step), registry=registry(finds=finds))
    assert run.error is not None
    assert (run.error["code"], run.error["message"]) == ("COMPONENT_FAILED", "/test/finds raised StopIteration")


async def test_an_exception_becomes_a_failure_with_its_type_and_stack(storage: SQLiteStorage) -> None:
    def breaks(value: Any, context: Any) -> Any:
        return {}["nowhere"]

    run = await finish(storage, flow(Step(key="x", component="/test/breaks")), registry=registry(breaks=breaks))
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert run.error["code"] == "COMPONENT_FAILED"
    assert run.error["details"]["type"] == "KeyError"
    assert "breaks" in run.error["details"]["stack"]


@pytest.mark.parametrize("output", [float("nan"), {"x": object()}, {1, 2}.__iter__()])
async def test_an_output_that_is_not_json_fails_its_step(storage: SQLiteStorage, output: Any) -> None:
    made = registry(odd=lambda value, context: output)
    run = await finish(storage, flow(Step(key="x", component="/test/odd")), registry=made)
    assert run.error is not None
    assert run.error["code"] == "INVALID_OUTPUT"


async def test_integers_of_any_size_and_odd_text_survive(storage: SQLiteStorage) -> None:
    odd = {"big": 2**80, "text": "\ud800 \x00 ✓", "nested": [[]]}
    made = registry(odd=lambda value, context: odd)
    run = await finish(storage, flow(Step(key="x", component="/test/odd"), echo("y", ref("x"))), registry=made)
    assert run.output == {"y": odd}


async def test_a_retry_runs_again_after_its_delay_and_keeps_each_attempt(storage: SQLiteStorage) -> None:
    def flaky(value: Any, context: Any) -> Any:
        if context.attempt < 3:
            raise ComponentError("FLAKY", f"attempt {context.attempt}")
        return context.attempt

    step = Step(key="x", component="/test/flaky", retry=quick_retry(4, 20))
    run = await finish(storage, flow(step), registry=registry(flaky=flaky))
    assert run.output == {"x": 3}
    attempts = storage.get_steps(run.id, bodies=True, attempts=True)
    assert [(one.attempt, one.status.value) for one in attempts] == [(1, "failed"), (2, "failed"), (3, "completed")]
    assert attempts[0].error is not None
    assert attempts[0].error["message"] == "attempt 1"


async def test_a_step_that_times_out_is_stopped_before_its_next_attempt(storage: SQLiteStorage) -> None:
    running = 0

    async def slow(value: Any, context: Any) -> Any:
        nonlocal running
        running += 1
        assert running == 1, "attempts overlap"
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            running -= 1

    step = Step(key="x", component="/test/slow", timeout_ms=20, retry=quick_retry(2))
    run = await finish(storage, flow(step), registry=registry(slow=slow))
    assert run.error is not None
    assert run.error["code"] == "STEP_TIMEOUT"
    assert types_of(storage, run.id).count("step.started x") == 2


async def test_a_sleep_holds_no_slot_and_wakes_in_time(storage: SQLiteStorage) -> None:
    sleepers = [start(storage, flow(Step(key="nap", component="/builtin/sleep", input={"duration_ms": 150})))] * 1
    sleepers += [start(storage, flow(Step(key="nap", component="/builtin/sleep", input={"duration_ms": 150})))]
    async with working(storage, slots=1):
        began = time.monotonic()
        for run_id in sleepers:
            await until(storage, run_id, RunStatus.SLEEPING)
        quick = start(storage, chain(2))
        await until(storage, quick)
        for run_id in sleepers:
            await until(storage, run_id)
        assert time.monotonic() - began < 5


async def test_runs_that_are_being_taken_over_have_their_slots_already(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_load = asyncio.Event()
    load = LoadedTemplates.load

    async def waits(self: LoadedTemplates, number: int) -> Any:
        await may_load.wait()
        return await load(self, number)

    monkeypatch.setattr(LoadedTemplates, "load", waits)
    ids = [start(storage, chain(1)) for _ in range(4)]
    async with working(storage, slots=2) as worker:
        async with asyncio.timeout(10):
            while worker._coming < 2:
                await asyncio.sleep(0.005)
        await worker._claim()  # as any wake-up makes it do
        assert storage.workers()[0].held_runs == 2
        may_load.set()
        for run_id in ids:
            await until(storage, run_id)


async def test_the_runs_timeout_ends_it_while_a_step_runs(storage: SQLiteStorage) -> None:
    run = await finish(storage, flow(shell("x", "sleep 30"), timeout_ms=100))
    assert run.status is RunStatus.TIMED_OUT
    assert steps_of(storage, run.id)["x"].status == "cancelled"


async def test_priority_then_age_decides_who_is_claimed(storage: SQLiteStorage) -> None:
    low = start(storage, chain(1))
    high = start(storage, chain(1), priority=5)
    async with working(storage, slots=1):
        await until(storage, low)
        await until(storage, high)
    assert storage.get_run(high).started_at <= storage.get_run(low).started_at  # type: ignore[operator]
    order = [
        event.run_id
        for event in storage.get_events(None, after_seq=0, before_seq=None, limit=100, newest=False)
        if event.event_type == "run.started"
    ]
    assert order == [high, low]


async def test_a_delayed_run_starts_when_it_is_due(storage: SQLiteStorage) -> None:
    from stepflow.model.times import now_ms

    due = now_ms() + 150
    run_id = start(storage, chain(1), start_at=due)
    assert storage.get_run(run_id).status is RunStatus.SCHEDULED
    async with working(storage):
        run = await until(storage, run_id)
    assert run.started_at is not None
    assert run.started_at.timestamp() * 1000 >= due


async def test_a_run_whose_component_nobody_offers_stays_queued(storage: SQLiteStorage) -> None:
    unknown = start(storage, Flow(steps=(Step(key="x", component="/user/unknown"),), name="unknown"))
    known = start(storage, chain(1))
    async with working(storage):
        await until(storage, known)
        async with asyncio.timeout(10):
            while storage.get_run(unknown).worker is not None:  # it is looked at, and given back
                await asyncio.sleep(0.005)
        assert storage.get_run(unknown).status is RunStatus.QUEUED
        assert storage.get_run(unknown).reason == "no running worker offers /user/unknown"
        assert storage.list_runs(5, None, None, None, False)[0][1].reason == "no running worker offers /user/unknown"
    assert storage.get_run(unknown).reason == "no worker is running"


async def test_cancel_stops_a_running_shell_step_and_its_children_within_a_second(
    storage: SQLiteStorage, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    command = f"echo $$ >> {pids}; (echo $BASHPID; sleep 60) & echo $! >> {pids}; wait"
    run_id = start(storage, flow(shell("x", command), echo("after", ref("x"))))
    async with working(storage):
        async with asyncio.timeout(10):
            while not pids.exists() or len(pids.read_text().split()) < 2:
                await asyncio.sleep(0.005)
        began = time.monotonic()
        assert storage.request_cancel(run_id, "enough", 1)
        run = await until(storage, run_id)
        assert time.monotonic() - began < 1
    assert run.status is RunStatus.CANCELLED
    assert run.reason == "enough"
    for pid in pids.read_text().split():
        assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]


async def test_cancel_ends_a_run_between_attempts(storage: SQLiteStorage) -> None:
    def breaks(value: Any, context: Any) -> Any:
        raise ComponentError("BROKEN", "always")

    step = Step(key="x", component="/test/breaks", retry=quick_retry(9, 3_600_000))
    run_id = start(storage, flow(step))
    async with working(storage, registry=registry(breaks=breaks)):
        await until(storage, run_id, RunStatus.AWAITING_RETRY)
    # No worker is alive: the client does it by itself.
    from stepflow.client import Client

    async with Client(storage.url) as client:
        assert await client.cancel(run_id)
        assert (await client.get_run(run_id)).status is RunStatus.CANCELLED
        assert not await client.cancel(run_id)


@pytest.mark.parametrize("options", [{}, {"evaluate": "needed"}])
async def test_cancel_without_a_worker_ends_a_run_that_a_dead_one_was_in_the_middle_of(
    storage: SQLiteStorage, options: dict[str, Any]
) -> None:
    """What its output would need cannot be known without reading outputs, and does not matter."""
    from stepflow.client import Client

    output = {"$if": ref("flag"), "then": ref("yes"), "else": ref("no")}
    made = flow(echo("flag"), echo("yes"), echo("no"), output=output, has_output=True, **options)
    hand = hold(storage, storage.register_worker(identity(), 1e12), made)
    hand.give(Claimed())
    hand.give(Succeeded(0, 1, True, "true"))
    assert storage.free_dead_workers(1e13, HERE) == 1
    async with Client(storage.url) as client:
        assert await client.cancel(hand.stored.id, "enough")
        assert (await client.get_run(hand.stored.id)).status is RunStatus.CANCELLED


async def test_cancel_without_a_worker_ends_a_stalled_run(storage: SQLiteStorage) -> None:
    from stepflow.client import Client

    worker = storage.register_worker(identity(), 1e12)
    made = chain(2)
    hand = hold(storage, worker, made)
    for _ in range(MAX_LOSSES):
        hand.give(Claimed())
        storage.free_run(hand.stored.number, worker)
        (stored,) = claim(storage, worker)
        hand = Hand(storage, stored, made)
    hand.give(Claimed())
    assert storage.get_run(hand.stored.id).status is RunStatus.STALLED
    async with Client(storage.url) as client:
        assert await client.cancel(hand.stored.id, "enough")
        assert (await client.get_run(hand.stored.id)).status is RunStatus.CANCELLED


async def test_an_error_whose_details_are_not_json_fails_its_step(storage: SQLiteStorage) -> None:
    def breaks(value: Any, context: Any) -> Any:
        raise ComponentError("BROKEN", "always", {"a set": object()})

    run = await finish(storage, flow(Step(key="x", component="/test/breaks")), registry=registry(breaks=breaks))
    assert run.error is not None
    assert run.error["code"] == "BROKEN"
    assert "a set" in run.error["details"]["text"]


async def test_a_worker_that_stops_gives_its_runs_back_and_another_finishes_them(storage: SQLiteStorage) -> None:
    release = threading.Event()

    def waits(value: Any, context: Any) -> Any:
        while not context.cancelled.wait(0.005):
            if release.is_set():
                return "done"
        return "stopped"

    made = registry(waits=waits)
    run_id = start(storage, flow(echo("a"), Step(key="x", component="/test/waits", depends_on=("a",))))
    async with working(storage, registry=made):
        await until_event(storage, run_id, "step.started", "x")
    assert storage.get_run(run_id).status is RunStatus.QUEUED
    assert types_of(storage, run_id)[-2:] == ["step.released x", "run.released"]
    release.set()
    async with working(storage, registry=made):
        run = await until(storage, run_id)
    assert run.output == {"x": "done"}
    assert steps_of(storage, run_id)["x"].attempt == 1


async def test_two_workers_never_perform_the_same_step_at_once(open_storage: OpenStorage) -> None:
    one, two = open_storage(), open_storage()
    performing: set[str] = set()
    seen: list[str] = []

    async def alone(value: Any, context: Any) -> Any:
        assert context.idempotency_key not in performing
        performing.add(context.idempotency_key)
        await asyncio.sleep(0.001)
        performing.remove(context.idempotency_key)
        seen.append(context.idempotency_key)

    made = registry(alone=alone)
    wide = flow(*(Step(key=f"s{index}", component="/test/alone") for index in range(5)))
    ids = [start(one, wide) for _ in range(40)]
    async with working(one, registry=made, slots=7), working(two, registry=made, slots=7):
        for run_id in ids:
            assert (await until(one, run_id)).status is RunStatus.COMPLETED
    assert len(seen) == len(set(seen)) == 200


async def test_a_hung_worker_loses_its_runs_and_its_late_outcomes_are_refused(open_storage: OpenStorage) -> None:
    one, two = open_storage(), open_storage()
    goes_on = asyncio.Event()
    started = asyncio.Event()

    async def hangs(value: Any, context: Any) -> Any:
        if not started.is_set():
            started.set()
            await goes_on.wait()
            return "late"
        return "in time"

    made = registry(hangs=hangs)
    run_id = start(one, flow(Step(key="x", component="/test/hangs")))
    async with working(one, registry=made, lease=timedelta(hours=1)):
        await started.wait()
        # Its heart stops: as far as anybody can tell, its lease ran out long ago.
        number = stored(one, run_id).worker
        assert number is not None
        one.heartbeat(number, 0.0, None)
        async with working(two, registry=made):
            run = await until(two, run_id)
            goes_on.set()
            await asyncio.sleep(0.05)
    assert run.output == {"x": "in time"}
    assert "run.released" in types_of(two, run_id)


async def test_log_lines_of_a_step_come_before_its_end(storage: SQLiteStorage) -> None:
    run = await finish(storage, flow(shell("x", "echo one; echo two >&2")))
    events = storage.get_events(run.id, after_seq=0, before_seq=None, limit=100, newest=False)
    lines = [event.payload["message"] for event in events if event.event_type == "log"]
    assert sorted(lines) == ["one", "two"]
    assert events[-1].event_type == "run.completed"


async def test_trouble_with_the_disk_is_survived_and_nothing_is_performed_twice(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepflow.storages.sqlite.writer import Writer

    effects: list[str] = []
    full = threading.Event()
    attempt = Writer._try_group

    def try_group(self: Writer, waiting: Any) -> Any:
        if full.is_set():
            import sqlite3

            raise sqlite3.OperationalError("database or disk is full")
        return attempt(self, waiting)

    def effect(value: Any, context: Any) -> Any:
        effects.append(context.step_id)
        full.set()
        return value

    monkeypatch.setattr(Writer, "_try_group", try_group)
    said: list[str] = []
    two_steps = flow(Step(key="a", component="/test/effect"), echo("b", ref("a")))
    run_id = start(storage, two_steps)
    async with working(storage, registry=registry(effect=effect), say=said.append):
        async with asyncio.timeout(10):
            while not said:
                await asyncio.sleep(0.01)
        assert "is full" in said[0]
        assert storage.get_run(run_id).status is RunStatus.RUNNING
        full.clear()
        run = await until(storage, run_id)
    assert run.status is RunStatus.COMPLETED
    assert effects == ["a"]


async def test_trouble_that_comes_and_goes_is_told_once_and_so_is_its_end(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk, which takes heartbeats and no outcomes."""
    import sqlite3

    from stepflow.storages.sqlite.writer import Writer

    monkeypatch.setattr("stepflow.runtime.worker.TROUBLE_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("stepflow.runtime.trouble.QUIET_SECONDS", 1.0)
    full = threading.Event()
    refused: list[Any] = []
    beats: list[Any] = []
    attempt = Writer._try_group

    def try_group(self: Writer, waiting: Any) -> Any:
        if full.is_set() and not all(one.urgent for one in waiting):
            refused.append(waiting)
            raise sqlite3.OperationalError("database or disk is full")
        if full.is_set():
            beats.append(waiting)
        return attempt(self, waiting)

    def effect(value: Any, context: Any) -> Any:
        full.set()
        return value

    monkeypatch.setattr(Writer, "_try_group", try_group)
    said: list[str] = []
    run_id = start(storage, flow(Step(key="a", component="/test/effect")))
    lease = timedelta(seconds=0.6)
    async with working(storage, registry=registry(effect=effect), say=said.append, lease=lease), asyncio.timeout(20):
        while len(refused) < 5 or len(beats) < 3:
            await asyncio.sleep(0.01)
        assert ["is full" in one for one in said] == [True]
        full.clear()
        await until(storage, run_id)
        while len(said) < 2:
            await asyncio.sleep(0.01)
    assert said[1:] == ["the trouble is over"]


async def test_a_worker_whose_database_is_taken_away_ends_and_its_steps_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = SQLiteStorage(tmp_path / "x.db")
    begun, ended = asyncio.Event(), asyncio.Event()
    said: list[str] = []

    async def effect(value: Any, context: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    start(storage, flow(Step(key="a", component="/test/effect")))
    worker = make_worker(storage, registry(effect=effect), say=said.append)
    monkeypatch.setattr(runtime_worker, "ABANDON_SECONDS", 0.1)
    monkeypatch.setattr(runtime_worker, "LAST_COMMITS_SECONDS", 0.1)
    running = asyncio.create_task(worker.run())
    await begun.wait()
    (tmp_path / "x.db").unlink()
    with pytest.raises(DatabaseGoneError):
        await asyncio.wait_for(running, 30)
    storage.close()
    assert ended.is_set()
    assert "x.db was deleted or replaced" in said[0]
    assert [one for one in said if "again" in one] == []


async def test_a_default_is_used_when_a_step_fails(storage: SQLiteStorage) -> None:
    step = Step(
        key="x", component="/builtin/fail", input={"message": "no"}, on_error=OnError("continue", {"ok": False})
    )
    run = await finish(storage, flow(step, echo("y", ref("x", "ok"))))
    assert run.output == {"y": False}
    assert steps_of(storage, run.id)["x"].recovered


async def test_a_storage_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database, but it is long enough to be looked at" * 20)
    with pytest.raises(StorageError, match="is not a StepFlow database"):
        SQLiteStorage(tmp_path / "text.db")


def test_making_a_worker_outside_a_loop_is_a_mistake(storage: SQLiteStorage) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        make_worker(storage, builtin_registry())


async def test_what_does_not_stop_when_told_is_abandoned_and_its_result_refused(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow.runtime.perform.ABANDON_SECONDS", 0.1)
    goes_on = asyncio.Event()
    started = asyncio.Event()

    async def stubborn(value: Any, context: Any) -> Any:
        started.set()
        while not goes_on.is_set():
            try:
                await goes_on.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    run_id = start(storage, flow(Step(key="x", component="/test/stubborn")))
    async with working(storage, registry=registry(stubborn=stubborn)):
        await started.wait()
        storage.request_cancel(run_id, None, 1)
        run = await until(storage, run_id)
        goes_on.set()
        await asyncio.sleep(0)
    assert run.status is RunStatus.CANCELLED
    step = steps_of(storage, run_id)["x"]
    assert step.output is None
    assert step.reason == "abandoned: it did not stop in time"


async def test_a_run_taken_over_while_the_storage_is_in_trouble_is_not_forgotten(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles = [StorageError("the disk is gone"), StorageError("the disk is gone")]
    read = storage.template_version_by_id

    def sometimes(number: int) -> Any:
        if troubles:
            raise troubles.pop()
        return read(number)

    monkeypatch.setattr(storage, "template_version_by_id", sometimes)
    monkeypatch.setattr("stepflow.runtime.worker.TROUBLE_RETRY_SECONDS", 0.02)
    run = await finish(storage, chain(2))
    assert run.status is RunStatus.COMPLETED
    assert not troubles


@pytest.mark.parametrize("where", ["decide", "Held"])
async def test_a_run_that_cannot_be_decided_is_said_and_ends_no_worker(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    broken: list[str] = []
    known = getattr(runtime_worker, where)

    def breaks(*arguments: Any) -> Any:
        first = arguments[0]
        if first.id in broken:
            raise RecursionError("a defect")
        return known(*arguments)

    monkeypatch.setattr(runtime_worker, where, breaks)
    said: list[str] = []
    async with working(storage, say=said.append):
        await until(storage, start(storage, chain(2)))  # its template is at hand from here on
        broken.append(start(storage, chain(2)))
        whole = start(storage, chain(2))
        assert (await until(storage, whole)).status is RunStatus.COMPLETED
        async with asyncio.timeout(10):
            while not said:
                await asyncio.sleep(0.005)
        assert (await until(storage, start(storage, chain(2)))).status is RunStatus.COMPLETED
    assert said == [f"{broken[0]} cannot go on here: RecursionError('a defect')"]
    assert not storage.get_run(broken[0]).status.is_final


async def test_a_claim_that_breaks_is_tried_again(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    defects = [RecursionError("a defect")]
    commit_of = runtime_worker.WorkerLoop._commit_of

    def sometimes(self: Any, held: Any, decision: Any) -> Any:
        commit = commit_of(self, held, decision)
        if defects and held.run.state.started_at is None:
            raise defects.pop()
        return commit

    said: list[str] = []
    async with working(storage, say=said.append, lease=timedelta(seconds=0.6)):
        await until(storage, start(storage, chain(1)))
        monkeypatch.setattr(runtime_worker.WorkerLoop, "_commit_of", sometimes)
        assert (await until(storage, start(storage, chain(1)))).status is RunStatus.COMPLETED
    assert not defects
    assert "cannot be claimed: RecursionError" in said[0]


async def test_a_request_that_cannot_be_read_at_once_is_read_later(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The decision was refused as stale; what made it so is in a storage that is in trouble for a moment."""
    troubles = [StorageError("the disk is gone")]
    read = storage.requests

    def sometimes(worker: int) -> Any:
        if troubles and asking:
            raise troubles.pop()
        return read(worker)

    asking: list[bool] = []
    catch_up = runtime_worker.WorkerLoop._catch_up

    async def catching_up(self: Any, held: Any) -> None:
        asking.append(True)
        await catch_up(self, held)

    async def cancels(value: Any, context: Any) -> Any:
        storage.request_cancel(context.run_id, None, 1)

    monkeypatch.setattr(storage, "requests", sometimes)
    monkeypatch.setattr(runtime_worker.WorkerLoop, "_catch_up", catching_up)
    monkeypatch.setattr(runtime_worker.WorkerLoop, "_see_requests", _sees_nothing)
    monkeypatch.setattr("stepflow.runtime.worker.TROUBLE_RETRY_SECONDS", 0.02)
    run = await finish(storage, flow(Step(key="x", component="/test/cancels")), registry=registry(cancels=cancels))
    assert run.status is RunStatus.CANCELLED
    assert not troubles


async def _sees_nothing(self: Any) -> None:
    """As if the wake-up were late."""


def test_what_a_worker_says_is_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    worker_process._say("node app.mjs: \x1b]0;mine\x07 \u202eünter\r")
    assert capsys.readouterr().err == "worker: node app.mjs: \\x1b]0;mine\\x07 \\u202eünter\\r\n"


async def test_odd_text_from_a_component_does_not_stop_the_writer(storage: SQLiteStorage) -> None:
    def odd(value: Any, context: Any) -> Any:
        with pytest.raises(TypeError):
            context.log("x", thing=object())
        context.log("lone \ud800 surrogate \x1b[31m")
        raise SkipStep("because \ud800")

    run = await finish(storage, flow(Step(key="x", component="/test/odd")), registry=registry(odd=odd))
    assert run.status is RunStatus.COMPLETED


async def test_a_job_that_breaks_hurts_only_its_own_caller(storage: SQLiteStorage) -> None:
    def broken(group: Any) -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        storage._do(broken)
    assert (await finish(storage, chain(1))).status is RunStatus.COMPLETED


async def test_what_a_sensitive_step_gives_is_used_and_never_shown(storage: SQLiteStorage) -> None:
    made = registry(secret=lambda value, context: {"token": "s3cret"}, size=lambda value, context: len(value))
    secret = Step(key="secret", component="/test/secret", sensitive=True)
    uses = Step(key="uses", component="/test/size", input=ref("secret", "token"))
    run = await finish(
        storage, flow(secret, uses, Step(key="last", component="/test/secret", sensitive=True)), registry=made
    )
    assert steps_of(storage, run.id)["uses"].output == len("s3cret")
    events = storage.get_events(run.id, after_seq=0, before_seq=None, limit=100, newest=False)
    assert "s3cret" not in repr((run, storage.get_steps(run.id, bodies=True, attempts=True), events))


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        (ref("secret"), "[sensitive]"),
        ({"token": ref("secret", "token"), "n": ref("uses")}, {"token": "[sensitive]", "n": 6}),
        ([ref("uses"), {"$text": ["x", {"$expr": "$.steps.secret.output.token"}]}], "[sensitive]"),
        ({"n": ref("uses")}, {"n": 6}),
    ],
)
async def test_an_output_that_comes_from_a_sensitive_step_is_shown_no_more_than_that(
    storage: SQLiteStorage, output: Any, shown: Any
) -> None:
    made = registry(secret=lambda value, context: {"token": "s3cret"}, size=lambda value, context: len(value))
    secret = Step(key="secret", component="/test/secret", sensitive=True)
    uses = Step(key="uses", component="/test/size", input=ref("secret", "token"))
    run = await finish(storage, flow(secret, uses, output=output, has_output=True), registry=made)
    events = storage.get_events(run.id, after_seq=0, before_seq=None, limit=100, newest=False)
    assert run.output == shown
    assert "s3cret" not in repr((run, events))
