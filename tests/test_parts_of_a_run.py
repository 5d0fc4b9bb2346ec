"""One step of a run, and the part of its log that is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stepflow.client import Client
from stepflow.model.flow import Step
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.engine import start, until, working
from tests.support.flows import echo, flow, quick_retry

FLOW = flow(
    echo("a", {"n": 1}),
    Step(key="bad", component="/builtin/fail", input={"message": "no"}, retry=quick_retry(2), depends_on=("a",)),
)


@pytest.fixture
async def client(storage: SQLiteStorage) -> AsyncIterator[Client]:
    async with Client(storage.url, durability="normal") as client:
        yield client


@pytest.fixture
async def run_id(storage: SQLiteStorage) -> str:
    run_id = start(storage, FLOW)
    async with working(storage):
        await until(storage, run_id)
    return run_id


async def test_one_step_is_read_alone_with_all_its_attempts(client: Client, run_id: str) -> None:
    everything = await client.get_steps(run_id, attempts=True)
    for key in ("a", "bad"):
        assert await client.get_steps(run_id, step=key, attempts=True) == [one for one in everything if one.key == key]
    assert [one.attempt for one in await client.get_steps(run_id, step="bad")] == [2]
    (bodyless,) = await client.get_steps(run_id, step="a", bodies=False)
    assert bodyless.output is None
    assert await client.get_steps(run_id, step="nobody") == []


async def test_the_log_is_read_of_one_step_and_from_a_level_on(client: Client, run_id: str) -> None:
    everything = await client.get_events(run_id)
    of_step = [event for event in everything if event.step_key == "bad"]
    assert await client.get_events(run_id, step="bad") == of_step
    assert await client.get_events(run_id, step="bad", limit=1, newest=True) == of_step[-1:]
    assert await client.get_events(run_id, step="nobody") == []
    grave = await client.get_events(run_id, level="warn")
    assert grave == [event for event in everything if event.level in ("warn", "error")]
    assert {event.level for event in grave} == {"warn", "error"}
    assert await client.get_events(level="error") == [event for event in grave if event.level == "error"]


async def test_without_bodies_the_log_has_no_results_and_all_else(client: Client, run_id: str) -> None:
    whole, light = await client.get_events(run_id), await client.get_events(run_id, bodies=False)
    assert [event.seq for event in whole] == [event.seq for event in light]
    results = {event.step_key: event.payload["result"] for event in whole if event.event_type == "step.completed"}
    assert results == {"a": {"n": 1}}
    assert [event.payload["result"] for event in light if event.event_type == "step.completed"] == [None]
    errors = [event.payload["error"] for event in light if event.event_type == "step.failed"]
    assert errors == [event.payload["error"] for event in whole if event.event_type == "step.failed"]


async def test_a_run_and_its_steps_are_read_of_one_moment(client: Client, run_id: str) -> None:
    for event in await client.get_events(run_id):
        run, steps = await client.look_back(run_id, event.seq)
        assert run == await client.get_run(run_id, event.seq, bodies=False)
        assert steps == await client.get_steps(run_id, at_seq=event.seq, attempts=True, bodies=False)
        only = await client.get_steps(run_id, at_seq=event.seq, step="bad", bodies=False)
        assert [one.key for one in only] == ["bad"]
