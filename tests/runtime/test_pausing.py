"""Pausing and going on: nothing starts in between, nothing is lost, and the log says it in its order."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest

from stepflow.components.registry import Registry, builtin_registry
from stepflow.contracts.clock import SystemClock
from stepflow.contracts.component import Component
from stepflow.core.decide import MAX_LOSSES
from stepflow.core.facts import Claimed
from stepflow.errors import WorkflowEngineError
from stepflow.model.flow import OnError, Step
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage
from tests.conftest import OpenStorage
from tests.runtime.test_children import one_step
from tests.support.engine import (
    PATIENCE_SECONDS,
    finish,
    start,
    steps_of,
    stored,
    types_of,
    until,
    until_event,
    working,
)
from tests.support.flows import chain, echo, flow, quick_retry
from tests.support.hand import Hand, claim, hold, identity

HOUR_MS = 3_600_000


class Gate:
    """`/test/gate` runs until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.registry: Registry = builtin_registry()
        self.registry.register(Component("/test/gate", self._pass, "async", "gate"))

    async def _pass(self, value: Any, context: Any) -> Any:
        await self.opened.wait()
        return value


class Later(SystemClock):
    """The clock, `later_ms` ahead."""

    later_ms = 0

    def now(self) -> int:
        return super().now() + self.later_ms


def gated(key: str = "gate", **options: Any) -> Step:
    return Step(key=key, component="/test/gate", input=None, **options)


def pause(storage: SQLiteStorage, run_id: str) -> bool:
    return storage.pause(run_id, now_ms())


def resume(storage: SQLiteStorage, run_id: str) -> bool:
    return storage.resume(run_id, now_ms())


async def test_a_running_step_finishes_and_nothing_follows_until_the_run_goes_on(storage: SQLiteStorage) -> None:
    gate = Gate()
    run_id = start(storage, flow(gated(), echo("next", 1, depends_on=("gate",))))
    async with working(storage, gate.registry):
        await until_event(storage, run_id, "step.started", "gate")
        assert pause(storage, run_id)
        assert storage.get_run(run_id).status is RunStatus.PAUSED
        assert not pause(storage, run_id), "it is paused already"
        gate.opened.set()
        await until_event(storage, run_id, "step.completed", "gate")
        while stored(storage, run_id).worker is not None:
            await asyncio.sleep(0.005)
        assert steps_of(storage, run_id)["next"].status is StepStatus.PENDING
        assert resume(storage, run_id)
        assert (await until(storage, run_id)).status is RunStatus.COMPLETED
    assert not storage.unfinished_runs()
    assert types_of(storage, run_id)[-6:] == [
        "step.completed gate",
        "run.queued",
        "run.resumed",
        "step.started next",
        "step.completed next",
        "run.completed",
    ]


async def test_a_run_whose_last_step_ends_while_it_is_paused_stays_so(storage: SQLiteStorage) -> None:
    gate = Gate()
    run_id = start(storage, flow(gated()))
    async with working(storage, gate.registry):
        await until_event(storage, run_id, "step.started", "gate")
        pause(storage, run_id)
        gate.opened.set()
        await until_event(storage, run_id, "step.completed", "gate")
        while stored(storage, run_id).worker is not None:
            await asyncio.sleep(0.005)
        assert storage.get_run(run_id).status is RunStatus.PAUSED
        resume(storage, run_id)
        assert (await until(storage, run_id)).output == {"gate": None}


async def test_going_on_while_a_step_still_runs_needs_no_other_claim(storage: SQLiteStorage) -> None:
    gate = Gate()
    run_id = start(storage, flow(gated(), echo("beside", 1), echo("next", 1, depends_on=("gate",))))
    async with working(storage, gate.registry):
        await until_event(storage, run_id, "step.started", "gate")
        pause(storage, run_id)
        resume(storage, run_id)
        await until_event(storage, run_id, "run.resumed")
        assert stored(storage, run_id).fence == 1
        gate.opened.set()
        await until(storage, run_id)


async def test_a_queued_run_is_not_claimed_while_it_is_paused(storage: SQLiteStorage) -> None:
    run_id = start(storage, chain(1))
    pause(storage, run_id)
    async with working(storage):
        await until(storage, start(storage, chain(1)))
        assert stored(storage, run_id).fence == 0
        resume(storage, run_id)
        await until(storage, run_id)
    assert types_of(storage, run_id)[:4] == ["run.created", "run.paused", "run.queued", "run.started"]


async def test_a_delayed_run_is_scheduled_again_for_the_same_time(storage: SQLiteStorage) -> None:
    at = now_ms() + HOUR_MS
    run_id = start(storage, chain(1), start_at=at)
    pause(storage, run_id)
    assert storage.get_run(run_id).wake_at is None
    resume(storage, run_id)
    run = storage.get_run(run_id)
    assert run.status is RunStatus.SCHEDULED
    assert run.wake_at is not None
    assert round(run.wake_at.timestamp() * 1000) == at
    pause(storage, run_id)
    assert storage.resume(run_id, at + 1), "its time came while it was paused"
    async with working(storage):
        await until(storage, run_id)


async def test_a_sleep_that_ends_while_it_is_paused_is_over_when_it_goes_on(storage: SQLiteStorage) -> None:
    sleep = Step(key="sleep", component="/builtin/sleep", input={"duration_ms": HOUR_MS})
    run_id, other = (start(storage, flow(sleep, echo("next", 1, depends_on=("sleep",)))) for _ in range(2))
    clock = Later()
    async with working(storage, clock=clock):
        for one in (run_id, other):
            await until(storage, one, RunStatus.SLEEPING)
        pause(storage, run_id)
        clock.later_ms = HOUR_MS
        start(storage, chain(1))  # which makes the worker look at its clock
        await until(storage, other)
        assert storage.get_run(run_id).status is RunStatus.PAUSED
        assert stored(storage, run_id).fence == 1, "nobody claims it"
        resume(storage, run_id)
        await until(storage, run_id)
    assert "run.queued" in types_of(storage, run_id)


async def test_a_signal_that_comes_meanwhile_is_heard_when_it_goes_on(storage: SQLiteStorage) -> None:
    run_id = start(storage, one_step("wait_event", {"name": "go"}))
    async with working(storage):
        await until(storage, run_id, RunStatus.WAITING)
        pause(storage, run_id)
        storage.signal(run_id, "go", "1", now_ms())
        await until(storage, start(storage, chain(1)))
        assert storage.get_run(run_id).status is RunStatus.PAUSED
        resume(storage, run_id)
        assert (await until(storage, run_id)).output == {"received": True, "timeout": False, "data": 1}


async def test_its_timeout_goes_on(storage: SQLiteStorage) -> None:
    gate = Gate()
    sleep = Step(key="sleep", component="/builtin/sleep", input={"duration_ms": HOUR_MS})
    asleep = start(storage, flow(sleep, timeout_ms=1500))
    running = start(storage, flow(gated(), timeout_ms=1500, name="gated"))
    async with working(storage, gate.registry):
        await until(storage, asleep, RunStatus.SLEEPING)
        await until_event(storage, running, "step.started", "gate")
        for run_id in (asleep, running):
            pause(storage, run_id)
        for run_id in (asleep, running):
            assert (await until(storage, run_id)).status is RunStatus.TIMED_OUT


async def test_a_paused_run_that_fails_fast_fails_at_once(storage: SQLiteStorage) -> None:
    gate = Gate()
    slow = Step(key="slow", component="/builtin/sleep", input={"duration_ms": HOUR_MS})
    run_id = start(storage, flow(gated(output_schema={"type": "string"}), slow, fail_fast=True))
    async with working(storage, gate.registry):
        await until_event(storage, run_id, "step.started", "gate")
        pause(storage, run_id)
        gate.opened.set()
        assert (await until(storage, run_id)).status is RunStatus.FAILED


@pytest.mark.parametrize("held", [True, False])
async def test_a_paused_run_is_cancelled_like_any_other(storage: SQLiteStorage, held: bool) -> None:
    gate = Gate()
    run_id = start(storage, flow(gated(), echo("next", 1, depends_on=("gate",))))
    async with working(storage, gate.registry):
        if held:
            await until_event(storage, run_id, "step.started", "gate")
        pause(storage, run_id)
        storage.request_cancel(run_id, "enough", now_ms())
        run = await until(storage, run_id)
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "enough")


async def test_a_delayed_run_that_is_to_end_does_not_wait_for_its_time(storage: SQLiteStorage) -> None:
    run_id = start(storage, chain(1), start_at=now_ms() + HOUR_MS)
    pause(storage, run_id)
    storage.request_cancel(run_id, "enough", now_ms())  # and its client died before it ended the run
    resume(storage, run_id)
    async with working(storage):
        assert (await until(storage, run_id)).status is RunStatus.CANCELLED


async def test_its_children_pause_and_go_on_with_it(storage: SQLiteStorage) -> None:
    wait = {"steps": [{"id": "w", "type": "wait_event", "input": {"name": "go"}}], "output": "$.steps.w.output.data"}
    run_id = start(storage, one_step("map", {"workflow": wait, "items": [1, 2, 3], "max_concurrency": 2}))
    async with working(storage):
        children: list[str] = []
        while len(children) < 2 or any(storage.get_run(c).status is not RunStatus.WAITING for c in children):
            children = storage.open_children(run_id)
            await asyncio.sleep(0.005)
        pause(storage, run_id)
        assert {storage.get_run(child).status for child in children} == {RunStatus.PAUSED}
        for child in children:
            storage.signal(child, "go", '"heard"', now_ms())
        # One of them ends all the same; the next is there at once, and paused from its birth.
        storage.request_cancel(children[0], None, now_ms())
        await until(storage, children[0])
        (third,) = set(storage.open_children(run_id)) - set(children)
        assert types_of(storage, third) == ["run.created", "run.paused"]
        resume(storage, run_id)
        await until_event(storage, third, "step.waiting")
        storage.signal(third, "go", '"heard"', now_ms())
        run = await until(storage, run_id)
    assert (run.output["successful"], run.output["failed"]) == (2, 1)


async def test_a_paused_parent_hears_of_its_childrens_end_when_it_goes_on(storage: SQLiteStorage) -> None:
    wait = {"steps": [{"id": "w", "type": "wait_event", "input": {"name": "go"}}], "output": "$.steps.w.output.data"}
    run_id = start(storage, one_step("eval", {"workflow": wait}))
    async with working(storage):
        await until_event(storage, run_id, "child.started")
        (child,) = storage.open_children(run_id)
        await until(storage, child, RunStatus.WAITING)
        pause(storage, run_id)
        storage.request_cancel(child, None, now_ms())
        await until(storage, child)
        await until(storage, start(storage, chain(1)))
        assert storage.get_run(run_id).status is RunStatus.PAUSED
        resume(storage, run_id)
        assert (await until(storage, run_id)).output["result"]["outcome"] == "failed"


async def test_what_a_dead_worker_left_running_is_taken_back_and_does_not_start(open_storage: OpenStorage) -> None:
    storage = open_storage()
    worker = storage.register_worker(identity(), 0.0)
    hand = hold(storage, worker, flow(echo("a", 1), echo("b", 2, depends_on=("a",))))
    hand.give(Claimed())
    pause(storage, hand.stored.id)
    assert storage.free_dead_workers(1.0, identity().boot_id) == 1
    async with working(storage):
        while steps_of(storage, hand.stored.id)["a"].status is not StepStatus.PENDING:
            await asyncio.sleep(0.005)
        while stored(storage, hand.stored.id).worker is not None:
            await asyncio.sleep(0.005)
        assert storage.get_run(hand.stored.id).status is RunStatus.PAUSED
        resume(storage, hand.stored.id)
        run = await until(storage, hand.stored.id)
    assert run.status is RunStatus.COMPLETED


async def test_a_stalled_run_goes_on_when_its_cause_is_mended(storage: SQLiteStorage) -> None:
    run_id = start(storage, chain(2))
    for loss in range(MAX_LOSSES + 1):
        worker = storage.register_worker(identity(loss), 0.0)
        (taken,) = claim(storage, worker)
        Hand(storage, taken, chain(2)).give(Claimed())
        storage.free_dead_workers(1.0, identity().boot_id)
    run = storage.get_run(run_id)
    assert run.status is RunStatus.STALLED
    assert run.reason is not None
    with pytest.raises(WorkflowEngineError, match="stalled and cannot be paused"):
        pause(storage, run_id)
    assert resume(storage, run_id)
    state = stored(storage, run_id).state
    assert (state.reason, state.losses) == (None, 0)
    async with working(storage):
        assert (await until(storage, run_id)).status is RunStatus.COMPLETED


async def test_what_has_ended_is_neither_paused_nor_let_go_on(storage: SQLiteStorage) -> None:
    run = await finish(storage, chain(1))
    with pytest.raises(WorkflowEngineError, match="is completed and cannot be paused"):
        pause(storage, run.id)
    with pytest.raises(WorkflowEngineError, match="is completed; retry it instead"):
        resume(storage, run.id)
    living = start(storage, chain(1))
    assert not resume(storage, living)
    storage.request_cancel(living, None, now_ms())
    with pytest.raises(WorkflowEngineError, match="is being cancelled"):
        pause(storage, living)


async def test_whatever_the_moment_every_run_ends_as_if_it_had_not_been_paused(storage: SQLiteStorage) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    dice = random.Random(seed)
    shape = flow(
        *(echo(f"s{i}", i, depends_on=(f"s{i - 1}",) if i % 3 else ()) for i in range(12)),
        Step(key="nap", component="/builtin/sleep", input={"duration_ms": 3}, depends_on=("s2",)),
        Step(
            key="bad",
            component="/builtin/fail",
            input={"message": "no"},
            retry=quick_retry(3),
            on_error=OnError(action="continue", default_output="mended"),
        ),
        echo("last", 1, depends_on=("nap", "bad", "s11")),
    )
    runs = [start(storage, shape) for _ in range(25)]
    async with working(storage), working(storage):
        begun = time.monotonic()
        while any(not storage.get_run(run_id).status.is_final for run_id in runs):
            assert time.monotonic() - begun < PATIENCE_SECONDS, [
                (types_of(storage, run_id)[-12:], storage.get_run(run_id).status, stored(storage, run_id).fence)
                for run_id in runs
                if not storage.get_run(run_id).status.is_final
            ]
            run_id = dice.choice(runs)
            if storage.get_run(run_id).status.is_final:
                continue
            try:
                pause(storage, run_id)
                if dice.random() < 0.7:
                    await asyncio.sleep(dice.random() / 100)
                assert resume(storage, run_id)
                if dice.random() < 0.2:
                    pause(storage, run_id)
                    resume(storage, run_id)
                await asyncio.sleep(dice.random() / 50)
            except WorkflowEngineError as error:
                assert "cannot be paused" in error.message  # noqa: PT017 - it ended in between
    assert {storage.get_run(run_id).output["last"] for run_id in runs} == {1}
    assert {types_of(storage, run_id).count("run.paused") > 0 for run_id in runs} >= {True}


async def test_what_is_asked_while_a_decision_writes_nothing_is_heard_when_it_is_made(storage: SQLiteStorage) -> None:
    gate = Gate()
    run_id = start(storage, flow(gated(), echo("next", 1, depends_on=("gate",))))
    async with working(storage, gate.registry) as worker:
        await until_event(storage, run_id, "step.started", "gate")
        (held,) = worker._held.values()
        held.is_busy = True
        pause(storage, run_id)
        while not held.is_asked:
            await asyncio.sleep(0.005)
        worker._decide(held)
        while held.run.state.status is not RunStatus.PAUSED:
            await asyncio.sleep(0.005)
        gate.opened.set()
        resume(storage, run_id)
        assert (await until(storage, run_id)).status is RunStatus.COMPLETED


@pytest.mark.parametrize("delay_ms", [None, HOUR_MS])
async def test_a_worker_that_finds_a_cancelled_run_which_never_started_does_not_start_it(
    storage: SQLiteStorage, delay_ms: int | None
) -> None:
    at = None if delay_ms is None else now_ms() + delay_ms
    run_id = start(storage, chain(1), start_at=at)
    storage.request_cancel(run_id, "enough", now_ms())
    async with working(storage):
        run = await until(storage, run_id)
    assert (run.status, run.reason, run.started_at) == (RunStatus.CANCELLED, "enough", None)
    assert types_of(storage, run_id)[-2:] == ["run.cancel_requested", "run.cancelled"]
