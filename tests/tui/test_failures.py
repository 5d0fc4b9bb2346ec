"""The failures' screen: groups of what is the same, unfolded, retried all at once after their number was typed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepflow.errors import StorageError
from stepflow.model.flow import Flow, Step
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.histories import Histories
from stepflow_tui.keymap import KEYS
from stepflow_tui.panes.failures import Failures
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.fingerprints import group_row, groups_of
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.failures import FailuresView
from stepflow_tui.screens.run import RunView
from stepflow_tui.widgets.text import Text
from tests.support.engine import start, until, working
from tests.support.flows import chain, echo, flow
from tests.tui.records import NOW, ago, run
from tests.tui.test_dashboard import Screen, screen_on


def failing(message: str, name: str = "etl") -> Flow:
    return flow(Step(key="load", component="/builtin/fail", input={"message": message}), name=name)


async def shown(screen: Screen) -> Failures:
    await screen.press("7")
    await screen.until(lambda: isinstance(screen.app.screen, FailuresView))
    pane = screen.app.screen.query_one(Failures)
    await screen.until(lambda: pane.was_read)
    return pane


async def failed(storage: SQLiteStorage, *flows: Flow) -> list[str]:
    ids = [start(storage, one) for one in flows]
    async with working(storage):
        for run_id in ids:
            await until(storage, run_id)
    return ids


@pytest.mark.parametrize(
    "size", [(40, 10), *(pytest.param(size, marks=pytest.mark.full) for size in ((80, 24), (200, 60)))]
)
async def test_failures_are_grouped_unfolded_and_opened(storage: SQLiteStorage, size: tuple[int, int]) -> None:
    ids = await failed(storage, failing("HTTP 503 for 1"), failing("no file"), failing("HTTP 503 for 22"), chain(1))
    async with screen_on(storage, size) as screen:
        pane = await shown(screen)
        await screen.expect("2×", "1×")
        assert str(pane.border_subtitle) == "3 in 2 groups · ● live"
        await screen.press("enter")
        await screen.expect("▾", short_id(ids[0]), short_id(ids[2]))
        await screen.press("j", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        await screen.press("q")
        await screen.until(lambda: isinstance(screen.app.screen, FailuresView))
        assert pane.cursor == 1
        await screen.press("J")
        assert pane.rows[pane.cursor] is pane.groups[1]
        await screen.press("J")
        await screen.expect("No other group below")
        await screen.press("K", "enter")
        await screen.until(lambda: len(pane.rows) == 2)
        for key in ("right_square_bracket", "right_square_bracket", "left_square_bracket", "question_mark", "x"):
            await screen.press(key)
        await screen.press("escape")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))


@pytest.mark.full
async def test_all_of_a_group_are_retried_after_their_number_was_typed_and_not_twice(storage: SQLiteStorage) -> None:
    await failed(storage, failing("row 1"), failing("row 2"), failing("other"))
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.press("t")
        await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
        await screen.press("3", "enter")
        await screen.expect("Nothing was retried")
        await screen.press("t")
        await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
        await screen.press("2", "enter")
        await screen.expect("2 retried", "↻2")
        assert storage.count_runs([RunStatus.QUEUED], None) == 2
        await screen.press("t")
        await screen.expect("All of the 2 were retried already")
        # One alone by y, as on every screen.
        await screen.press("J", "enter", "j", "t", "y")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        assert storage.count_runs([RunStatus.QUEUED], None) == 3
        assert len(pane.groups) == 2


async def test_failures_appear_as_they_happen_and_nothing_is_said_to_be_nothing(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen, working(storage):
        pane = await shown(screen)
        await screen.expect("Nothing failed")
        for key in ("enter", "t", "c", "p", "r", "y", "A", "J", "K"):
            await screen.press(key)
        start(storage, failing("boom"))
        await screen.expect("1×", "boom")
        await screen.press("enter")
        start(storage, failing("boom"))
        await screen.expect("2×")
        assert pane.rows[pane.cursor] is pane.groups[0]
        assert len(pane.rows) == 3


async def test_stalled_ones_are_failures_too_and_go_on_by_p(storage: SQLiteStorage) -> None:
    needs = flow(Step(key="x", component="/nobody/has"), name="lost")
    run_id = start(storage, needs)
    storage.stall_unoffered([], now_ms() + 1000, now_ms())
    assert storage.get_run(run_id).status is RunStatus.STALLED
    async with screen_on(storage) as screen:
        await shown(screen)
        await screen.expect("lost")
        await screen.press("t")
        await screen.expect("None of the 1 can be retried")
        await screen.press("p")
        await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
        await screen.press("1", "enter")
        await screen.expect("1 resumed")
        await screen.expect("Nothing failed")


async def test_only_the_newest_are_read_and_that_is_said(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.screens.failures.MOST", 3)
    await failed(storage, *[failing(f"row {number}") for number in range(5)])
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.expect("3×")
        assert str(pane.border_subtitle) == "the newest 3, more are older · ● live"


async def test_where_there_is_room_the_newest_of_the_group_is_described_below(storage: SQLiteStorage) -> None:
    ids = await failed(storage, chain(1), failing("HTTP 503 for 1"), failing("no file"), failing("HTTP 503 for 22"))
    async with screen_on(storage) as screen:
        await shown(screen)
        beside = screen.app.screen.query_one("#beside", Text)
        await screen.until(lambda: short_id(ids[3]) in str(beside.border_title))
        assert "HTTP 503 for 22" in screen.text_of(beside)
        await screen.press("J")
        await screen.until(lambda: "no file" in screen.text_of(beside))
        await screen.press("D")
        await screen.expect("No other execution of etl has completed")
        await screen.press("k")
        seen = screen.app.screen
        assert isinstance(seen, FailuresView)
        line = seen.command_line(next(key for key in KEYS if key.id == "retry"))
        place = f"stepflow --db {storage.url} retry"
        assert line == f"{place} {ids[3]} && {place} {ids[1]}"
        await screen.pilot.resize_terminal(120, 24)
        await screen.until(lambda: not beside.display)


async def test_what_could_not_be_read_is_read_when_the_storage_is_back(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await failed(storage, failing("boom"))
    async with screen_on(storage) as screen:

        def broken(*arguments: Any, **options: Any) -> Any:
            raise StorageError("the disk is gone")

        with monkeypatch.context() as gone:
            gone.setattr(SQLiteStorage, "list_runs", broken)
            await screen.press("7")
            await screen.until(lambda: isinstance(screen.app.screen, FailuresView))
            pane = screen.app.screen.query_one(Failures)
            await screen.expect("! the disk is gone")
            await screen.press("r")
            await screen.until(lambda: screen.text.count("the disk is gone") == 2, "it is why there is nothing to run")
            assert not pane.was_read
        screen.app.session.note_trouble(None)
        await screen.until(lambda: pane.was_read and len(pane.groups) == 1)
        assert "the disk is gone" not in screen.text.splitlines()[0]


def test_when_they_failed_is_shown_from_80_columns_on() -> None:
    group = groups_of([run(RunStatus.FAILED, error={"code": "FAILED", "message": "boom"})])[0]
    for width, shows in ((78, True), (70, False)):
        line = "".join(text for text, _ in group_row(group, width, ago(3600), NOW, 0, Glyphs(), is_open=False))
        assert ("█" in line) == shows
        assert "boom" in line


async def test_what_is_told_beside_a_failure_waits_for_what_it_is_compared_with(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (completed,) = await failed(storage, flow(echo("load", 1), name="etl"))
    await failed(storage, failing("HTTP 503"))
    read = Histories._read

    async def read_later(histories: Histories, name: str) -> bool:
        await asyncio.sleep(0.5)
        return await read(histories, name)

    monkeypatch.setattr(Histories, "_read", read_later)
    async with screen_on(storage, (120, 40)) as screen:
        await shown(screen)
        await screen.expect("vs last ok", f"than {short_id(completed)}")
