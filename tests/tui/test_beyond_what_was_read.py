"""`J` and `K` beyond what a list has read: all that failed is come to, bounded, by the list's filter, and back."""

from __future__ import annotations

import pytest

from stepflow.model.flow import Flow, Step
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.panes.executions import Executions
from stepflow_tui.presentation.filters import parse_filter
from tests.support.engine import start, until, working
from tests.support.flows import chain, echo, flow
from tests.tui.test_dashboard import failing, screen_on, sleeping


@pytest.fixture(autouse=True)
def reads_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five executions, and no more by itself."""
    for name, value in (("PAGE", 5), ("ENOUGH", 3)):
        monkeypatch.setattr(f"stepflow_tui.listing.{name}", value)
    monkeypatch.setattr("stepflow_tui.panes.executions.MORE_WITHIN", -1000)


async def ended(storage: SQLiteStorage, flows: list[Flow]) -> list[str]:
    ids = [start(storage, one) for one in flows]
    async with working(storage):
        for run_id in ids:
            await until(storage, run_id)
    return ids


def failing_in(template: str) -> Flow:
    return flow(Step(key="bad", component="/builtin/fail", input={"message": "no"}), name=template)


def at(pane: Executions) -> str:
    assert pane.selected is not None
    return pane.selected.id


async def test_each_that_failed_is_come_to_once_and_on_the_way_back_too(storage: SQLiteStorage) -> None:
    bad = (await ended(storage, [failing()] * 40 + [chain(1)] * 12))[:40]
    async with screen_on(storage) as screen:
        pane = screen.dashboard.executions
        await screen.until(lambda: len(pane.runs) == 5)
        down, up = [], []
        while await pane.next_problem(1) == "":
            down.append(at(pane))
        assert down == bad[::-1]
        assert len(pane.listing.runs) == 5
        while await pane.next_problem(-1) == "":
            up.append(at(pane))
        assert up == bad[1:]


async def test_the_storage_is_asked_with_the_filter_of_the_list(storage: SQLiteStorage) -> None:
    others = [failing()] * 60
    ids = await ended(storage, [failing_in("rare"), *others, *[flow(echo("a"), name="rare")] * 12])
    async with screen_on(storage) as screen:
        pane = screen.dashboard.executions
        pane.choose(filter=parse_filter("template:rare"))
        await pane.load()
        assert await pane.next_problem(1) == ""
        assert at(pane) == ids[0]


async def test_where_what_it_looks_at_is_bounded_it_says_so_and_goes_on(storage: SQLiteStorage) -> None:
    others = [failing()] * 40
    ids = await ended(storage, [failing_in("odd"), *others, *[flow(echo("a"), name="odd")] * 12])
    async with screen_on(storage) as screen:
        pane = screen.dashboard.executions
        pane.choose(filter=parse_filter("template:od*"))
        await pane.load()
        begun = at(pane)
        await screen.press("J")
        await screen.expect("None of 25 more that were looked at matches; the same key looks further")
        assert at(pane) == begun
        await screen.press("J")
        await screen.until(lambda: at(pane) == ids[0])


async def test_what_is_said_holds_where_one_above_failed(storage: SQLiteStorage) -> None:
    await ended(storage, [chain(1), failing()])
    async with screen_on(storage) as screen:
        pane = screen.dashboard.executions
        await screen.until(lambda: len(pane.runs) == 2)
        await screen.press("j", "J")
        await screen.expect("No execution below failed, and no other waits or runs")


async def test_in_another_order_only_what_was_read_is_looked_at_and_that_is_said(storage: SQLiteStorage) -> None:
    await ended(storage, [failing(), *[chain(1)] * 20])
    start(storage, sleeping())
    async with screen_on(storage) as screen:
        pane = screen.dashboard.executions
        pane.choose(sort="finished")
        await pane.load()
        assert len(pane.runs) == 5
        await screen.press("J")
        await screen.expect("No other execution of the 5 that were read failed, waits or runs")
