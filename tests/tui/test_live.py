"""How soon what happens is drawn: few events at once, floods no faster than they can be seen and taken."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.messages import TerminalSupportsSynchronizedOutput

from stepflow.client import Client, Page
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import live
from stepflow_tui.app import ASK_WHETHER_TAKEN
from stepflow_tui.live import FEW, Pace, follow_log
from stepflow_tui.messages import EventsArrived
from stepflow_tui.session import never_said
from tests.support.engine import start, until, working
from tests.support.flows import echo, fan_out, flow
from tests.tui.test_dashboard import screen_on


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_twenty_events_a_second_are_drawn_one_by_one_and_more_are_a_flood() -> None:
    clock = Clock()
    pace = Pace(never_said, clock)
    for _ in range(100):
        clock.now += 0.05
        assert not pace.is_flood(1)
    assert pace.is_flood(FEW)
    clock.now += 0.9
    assert pace.is_flood(1)
    clock.now += 1.1
    assert not pace.is_flood(1)


async def test_few_events_wait_for_nothing() -> None:
    asked: list[bool] = []

    async def taken() -> bool:
        asked.append(True)
        return True

    await Pace(taken).rest(1)
    assert asked == []


async def test_a_flood_waits_until_the_terminal_has_taken_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MERGE_SECONDS", 0)
    taken = asyncio.Event()

    async def until_taken() -> bool:
        return await taken.wait()

    resting = asyncio.ensure_future(Pace(until_taken).rest(1000))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not resting.done()
    taken.set()
    await resting


async def test_what_is_followed_comes_in_order_without_results_and_in_few_pieces(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MERGE_SECONDS", 0)
    run_id = start(storage, flow(echo("big", "x" * 1000), *fan_out(1500).steps[:1500]))
    async with working(storage):
        await until(storage, run_id)
    last = storage.last_seq()
    batches: list[EventsArrived] = []
    all_there = asyncio.Event()

    def post(message: object) -> None:
        assert isinstance(message, EventsArrived)
        batches.append(message)
        if message.events[-1].seq == last:
            all_there.set()

    async def taken() -> bool:
        return True

    async with Client(storage.url, durability="normal") as client:
        following = asyncio.ensure_future(follow_log(client, 0, post, taken))
        await all_there.wait()
        following.cancel()
    events = [event for batch in batches for event in batch.events]
    assert [event.seq for event in events] == list(range(1, last + 1))
    assert len(batches) == 1
    assert {event.payload.get("result") for event in events if event.event_type == "step.completed"} == {None}


async def test_the_terminal_is_asked_and_its_answer_is_waited_for(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        app, driver = screen.app, screen.app._driver
        assert driver is not None
        written: list[str] = []
        driver.write = written.append  # type: ignore[method-assign] - what the terminal would get
        assert await app.taken()  # nothing to ask: there is no terminal
        assert written == []
        app.post_message(TerminalSupportsSynchronizedOutput())
        await screen.until(lambda: app._answers)
        asked = asyncio.ensure_future(app.taken())
        await screen.until(lambda: ASK_WHETHER_TAKEN in written)
        assert not asked.done()
        app.post_message(TerminalSupportsSynchronizedOutput())
        assert await asked


async def test_a_flood_is_counted_once_and_does_not_hold_up_the_list(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        reads: list[int] = []
        list_runs = screen.app.client.list_runs

        async def counted(limit: int = 50, *arguments: Any, **options: Any) -> Page:
            reads.append(limit)
            return await list_runs(limit, *arguments, **options)

        screen.app.client.list_runs = counted  # type: ignore[method-assign] - the same, and heard of
        ids = [start(storage, flow(echo("a"), name="many")) for _ in range(200)]
        await screen.until(lambda: {run.id for run in screen.dashboard.executions.runs} == set(ids))
        assert len(reads) < 50
