"""The keys of a log in the dashboard, where it has the focus."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepflow.client import Client
from stepflow.model.flow import Flow, Step
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.panes import log as log_module
from stepflow_tui.panes.log import Log
from stepflow_tui.presentation.executions import short_id
from tests.support.engine import start, working
from tests.support.flows import chain, flow
from tests.tui.test_dashboard import Screen, screen_on
from tests.tui.test_run import ended

LONG = "word " * 60


def says(key: str, message: str, level: str) -> Step:
    return Step(key=key, component="/builtin/log", input={"message": message, "level": level})


def speaking() -> Flow:
    return flow(
        says("murmur", "of no weight", "debug"),
        says("tell", LONG + "the end", "info"),
        says("warn", "rather warm", "warn"),
        name="speaking",
    )


async def on_log(screen: Screen) -> Log:
    log = screen.dashboard.log_pane
    screen.dashboard.set_focus(log)
    await screen.until(lambda: any(event.event_type == "run.completed" for event in log.events))
    return log


def title(log: Log) -> str:
    return str(log.border_title)


async def test_only_graver_lines_are_shown_and_come(storage: SQLiteStorage) -> None:
    await ended(storage, speaking())
    async with screen_on(storage) as screen:
        log = await on_log(screen)
        assert "≥" not in title(log)
        await screen.press("L", "L")
        await screen.until(lambda: {event.level for event in log.events} == {"warn"})
        assert "≥WARN" in title(log)
        assert "of no weight" not in screen.text_of(log)
        assert "rather warm" in screen.text_of(log)
        async with working(storage):
            start(storage, chain(2))
            start(storage, speaking())
            await screen.until(lambda: len(log.events) == 2)
        assert [event.step_key for event in log.events] == ["warn", "warn"]
        await screen.press("L", "L")
        await screen.until(lambda: "≥" not in title(log) and len(log.events) > 10)


async def test_lines_are_wrapped_and_lose_their_times_and_are_marked(storage: SQLiteStorage) -> None:
    await ended(storage, speaking())
    async with screen_on(storage, (80, 24)) as screen:
        log = await on_log(screen)
        rows = log.row_count
        told = next(event for event in log.events if event.step_key == "tell" and event.event_type == "log")
        await screen.press("w")
        assert log.row_count > rows
        assert "wrapped" in title(log)
        assert log.follows
        await screen.press("w")
        assert log.row_count == rows
        log.move_to(log.events.index(told))
        before = screen.text_of(log)
        assert ":" in before.splitlines()[0][:9]
        await screen.press("number_sign")
        assert ":" not in screen.text_of(log).splitlines()[0][:9]
        await screen.press("m")
        assert log.marked == {told.seq}
        await screen.press("g", "n")
        assert log.selected == told


async def test_x_unfolds_a_line_of_the_log_and_steps_elsewhere(storage: SQLiteStorage) -> None:
    await ended(storage, speaking())
    async with screen_on(storage) as screen:
        log = await on_log(screen)
        await screen.press("g")
        rows = log.row_count
        await screen.press("x")
        await screen.until(lambda: log.row_count > rows)
        assert '"template.saved"' in screen.text_of(log)
        await screen.press("x")
        await screen.until(lambda: log.row_count == rows)


async def test_one_step_is_shown_alone_where_the_log_is_of_one_execution(storage: SQLiteStorage) -> None:
    other = await ended(storage, chain(2))
    run_id = await ended(storage, speaking())
    async with screen_on(storage) as screen:
        log = await on_log(screen)
        await screen.press("S")
        await screen.expect("l shows that of one execution, S then of one step")
        await screen.press("l")
        await screen.until(lambda: log.run_id == run_id)
        log.move_to(next(place for place, event in enumerate(log.events) if event.step_key == "warn"))
        await screen.press("S")
        await screen.until(lambda: {event.step_key for event in log.events} == {"warn"})
        assert "warn only" in title(log)
        screen.dashboard.executions.select(other)
        await screen.until(lambda: {event.run_id for event in log.events} == {other})
        assert title(log) == f"Log  {short_id(other)}"


async def test_a_line_without_a_step_takes_the_step_at_hand(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, speaking())
    async with screen_on(storage) as screen:
        log = await on_log(screen)
        await screen.press("l")
        await screen.until(lambda: log.run_id == run_id and len(log.events) > 5)
        await screen.until(lambda: screen.dashboard.step_at_hand is not None)
        at_hand = screen.dashboard.step_at_hand
        await screen.press("G", "S")
        await screen.until(lambda: {event.step_key for event in log.events} == {at_hand})
        assert f"{at_hand} only" in title(log)


@pytest.mark.parametrize("key", ["w", "L", "number_sign", "S", "m"])
async def test_elsewhere_they_say_where_the_log_is(storage: SQLiteStorage, key: str) -> None:
    await ended(storage, chain(1))
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await screen.press(key)
        await screen.expect("That is for the log: tab goes there")


async def test_where_there_is_no_room_for_the_log_they_say_so(storage: SQLiteStorage) -> None:
    await ended(storage, chain(1))
    async with screen_on(storage, (80, 10)) as screen:
        await screen.until(lambda: screen.dashboard.executions.selected is not None)
        await screen.press("L")
        await screen.expect("No room for the log: enter, then l")


async def test_of_what_is_dropped_nothing_is_kept(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "KEEP", 20)
    await ended(storage, chain(2))
    async with screen_on(storage) as screen:
        log = await on_log(screen)
        await screen.press("x", "w")
        unfolded = log.events[-1]
        await screen.until(lambda: log.is_unfolded(unfolded))
        await screen.press("G")
        last = await ended(storage, chain(12))
        await screen.until(lambda: (log.events[-1].run_id, log.events[-1].event_type) == (last, "run.completed"))
        assert len(log.events) == 20
        assert log.follows
        assert not log.is_unfolded(unfolded)
        assert set(log._heights) == {event.seq for event in log.events}


async def test_older_lines_that_come_late_are_not_put_above_those_of_another_level(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "PAGE", 4)
    for _ in range(3):
        await ended(storage, speaking())
    async with screen_on(storage) as screen:
        log = await on_log(screen)
        get_events, asked, answers = Client.get_events, asyncio.Event(), asyncio.Event()

        async def slow(self: Client, *arguments: Any, **options: Any) -> Any:
            if options.get("before_seq") is not None:
                asked.set()
                await answers.wait()
            return await get_events(self, *arguments, **options)

        monkeypatch.setattr(Client, "get_events", slow)
        reading = asyncio.create_task(log.read_above(screen.dashboard.client))
        await asked.wait()
        await screen.press("L", "L")
        await screen.until(lambda: {event.level for event in log.events} == {"warn"})
        answers.set()
        await reading
        assert {event.level for event in log.events} == {"warn"}
        assert [event.seq for event in log.events] == sorted(event.seq for event in log.events)
