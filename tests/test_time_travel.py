"""A run as of an event: what was read at that moment is read again later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from stepflow.client import Client
from stepflow.errors import RunNotFoundError
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.engine import until, until_event, working

FLOW = {
    "steps": [
        {"id": "a", "type": "echo", "input": "$.input.n"},
        {
            "id": "flaky",
            "type": "fail",
            "depends_on": ["a"],
            "input": {"message": "not yet", "code": "X"},
            "retry": {"max_attempts": 2, "delay": "1ms"},
            "on_error": {"action": "continue", "default_output": 7},
        },
        {"id": "never", "type": "echo", "when": "false"},
        {"id": "nap", "type": "sleep", "input": {"duration_ms": 1}, "depends_on": ["flaky"]},
        {"id": "may", "type": "approval", "depends_on": ["nap"]},
        {"id": "b", "type": "echo", "input": "$.steps.may.output.data"},
    ]
}
Seen = tuple[RunRecord, list[StepRecord], list[StepRecord]]


@pytest.fixture
async def client(storage: SQLiteStorage) -> AsyncIterator[Client]:
    async with Client(storage.url, durability="normal") as client:
        yield client


async def see(client: Client, run_id: str, at_seq: int | None = None) -> Seen:
    run = await client.get_run(run_id, at_seq)
    # Who holds it, why nobody does, and what its steps wait for, is of the present.
    reason = None if run.status is RunStatus.QUEUED else run.reason
    run = msgspec.structs.replace(run, worker=None, reason=reason, awaits=(), lacks_worker=False)
    return (
        run,
        await client.get_steps(run_id, at_seq=at_seq),
        await client.get_steps(run_id, attempts=True, at_seq=at_seq),
    )


async def test_what_was_seen_is_seen_again(client: Client, storage: SQLiteStorage) -> None:
    await client.create_template("x", FLOW)
    seen: list[Seen] = []
    run_id = await client.start_run("x", {"n": 5}, delay=timedelta(hours=1))
    seen.append(await see(client, run_id))
    await client.pause(run_id)
    seen.append(await see(client, run_id))
    await client.cancel(run_id, "another day")
    seen.append(await see(client, run_id))
    seen_of = [(run_id, seen)]

    run_id, seen = await client.start_run("x", {"n": 5}), []
    seen_of.append((run_id, seen))
    seen.append(await see(client, run_id))
    async with working(storage):
        await until(storage, run_id, RunStatus.WAITING)
        seen.append(await see(client, run_id))
        await client.pause(run_id)
        seen.append(await see(client, run_id))
        await client.resume(run_id)
        await client.signal(run_id, "may", {"by": "ada"})
        await until(storage, run_id)
        seen.append(await see(client, run_id))
    assert [run.status for _, runs in seen_of for run, *_ in runs] == [
        RunStatus.SCHEDULED, RunStatus.PAUSED, RunStatus.CANCELLED,
        RunStatus.QUEUED, RunStatus.WAITING, RunStatus.PAUSED, RunStatus.COMPLETED,
    ]  # fmt: skip
    for run_id, runs in seen_of:
        for then in runs:
            again = await see(client, run_id, then[0].last_seq)
            assert again == then
        beyond = await see(client, run_id, 10**9)
        assert beyond == runs[-1]


async def test_an_output_is_not_known_before_its_step_completed(client: Client, storage: SQLiteStorage) -> None:
    await client.create_template("x", FLOW)
    run_id = await client.start_run("x", {"n": 5})
    await client.signal(run_id, "may", {"by": "ada"})
    async with working(storage):
        await until(storage, run_id)
    completed: dict[str, Any] = {}
    for event in await client.get_events(run_id):
        if event.event_type == "step.completed":
            completed[event.step_key or ""] = event.payload["result"]
        steps = await client.get_steps(run_id, at_seq=event.seq)
        assert [step.key for step in steps] == [step["id"] for step in FLOW["steps"]]
        assert {step.key: step.output for step in steps if step.status is StepStatus.COMPLETED} == completed
        assert all(step.output is None for step in steps if step.status is not StepStatus.COMPLETED)
        run = await client.get_run(run_id, at_seq=event.seq)
        assert run.steps_done == sum(step.status.is_final for step in steps)
        assert (run.output is None) is (event.event_type != "run.completed")
    assert completed["flaky"] == 7


async def test_the_steps_that_a_retry_took_over_were_there_from_its_beginning(
    client: Client, storage: SQLiteStorage
) -> None:
    await client.create_template("x", FLOW)
    first = await client.start_run("x", {"n": 5})
    async with working(storage):
        await until(storage, first, RunStatus.WAITING)
    run_id = await client.fork(first)
    begin = (await client.get_events(run_id))[0].seq
    assert await see(client, run_id, begin) == await see(client, run_id)
    assert [step.output for step in await client.get_steps(run_id, at_seq=begin) if step.reused] == [5]


async def test_before_it_was_made_it_is_not_found(client: Client, storage: SQLiteStorage) -> None:
    await client.create_template("x", FLOW)
    run_id = await client.start_run("x", {"n": 5})
    begin = (await client.get_events(run_id))[0].seq
    with pytest.raises(RunNotFoundError, match=f"it was made after event {begin - 1}"):
        await client.get_run(run_id, at_seq=begin - 1)
    async with working(storage):
        await until_event(storage, run_id, "run.started")
    assert (await client.get_run(run_id, at_seq=begin)).status is RunStatus.QUEUED
