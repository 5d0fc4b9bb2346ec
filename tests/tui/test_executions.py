"""The executions at full width: columns, order, marks, and what is done with all marked at once."""

from __future__ import annotations

import pytest

from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.panes.executions import Executions
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.diff import DiffView
from stepflow_tui.screens.executions import ExecutionsView
from stepflow_tui.screens.run import RunView
from stepflow_tui.widgets.lines import LineView
from tests.support.engine import start, until, working
from tests.support.flows import chain, flow
from tests.tui.test_dashboard import Screen, failing, screen_on, sleeping


def napping(seconds: float) -> str:
    return f"nap{seconds:g}".replace(".", "-")


async def shown(screen: Screen) -> Executions:
    await screen.press("2")
    await screen.until(lambda: isinstance(screen.app.screen, ExecutionsView))
    pane = screen.app.screen.query_one(Executions)
    await screen.until(lambda: pane.freshness.read_at is not None)
    return pane


def said(pane: Executions) -> str:
    return str(pane.border_subtitle)


async def ended(storage: SQLiteStorage, *ids: str) -> None:
    async with working(storage):
        for run_id in ids:
            await until(storage, run_id)


@pytest.mark.parametrize(
    "size",
    [
        (40, 10),
        (80, 24),
        pytest.param((120, 40), marks=pytest.mark.full),
        pytest.param((200, 60), marks=pytest.mark.full),
    ],
)
async def test_two_shows_all_executions_at_every_size(storage: SQLiteStorage, size: tuple[int, int]) -> None:
    bad, ok = start(storage, failing()), start(storage, chain(1))
    await ended(storage, bad, ok)
    async with screen_on(storage, size) as screen:
        pane = await shown(screen)
        await screen.expect("status", short_id(bad), short_id(ok))
        await screen.press("J")
        await screen.until(lambda: pane.selected is not None and pane.selected.id == bad)
        await screen.press("J")
        await screen.expect("No other execution failed")
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        await screen.press("q")
        await screen.until(lambda: isinstance(screen.app.screen, ExecutionsView))
        assert pane.selected is not None
        assert pane.selected.id == bad
        await screen.press("escape")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))


async def test_executions_come_and_end_while_it_is_seen_and_while_another_screen_is(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await shown(screen)
        await screen.expect("Nothing has run yet")
        async with working(storage):
            start(storage, chain(1))
            await screen.expect("flow", "ok")
            await screen.press("question_mark")
            bad = start(storage, failing())
            await until(storage, bad)
            await screen.press("x")
            await screen.expect(short_id(bad), "no such column")


async def test_o_sorts_and_capital_o_turns_it_round(storage: SQLiteStorage) -> None:
    ids = [
        start(storage, flow(Step(key="nap", component="/builtin/sleep", input={"seconds": one}), name=napping(one)))
        for one in (0.05, 0.4, 0.2)
    ]
    await ended(storage, *ids)
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.press("o")
        await screen.expect("Sort by", "duration")
        await screen.press("d")
        await screen.until(lambda: [run.template for run in pane.runs] == [napping(one) for one in (0.4, 0.2, 0.05)])
        assert "▾ duration" in said(pane)
        await screen.expect("took▾")
        await screen.press("O")
        await screen.until(lambda: [run.template for run in pane.runs] == [napping(one) for one in (0.05, 0.2, 0.4)])
        await screen.press("o", "c", "O")
        await screen.until(lambda: [run.id for run in pane.runs] == ids[::-1])


@pytest.mark.full
async def test_a_filter_that_must_be_judged_says_how_far_it_has_looked(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.listing.PAGE", 10)
    rare = start(storage, sleeping())
    for _ in range(70):
        start(storage, chain(1))
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.press("slash")
        await screen.press(*"sleep", "enter")
        await screen.expect("None of the 50 looked at matches: G looks further")
        assert said(pane) == "0 in 50 looked at, more below · ● live"
        await screen.press("G")
        await screen.expect(short_id(rare))
        assert said(pane) == "1 of 71 · ● live"


async def test_few_marked_ones_are_cancelled_by_a_key_after_a_question(storage: SQLiteStorage) -> None:
    ids = [start(storage, sleeping()) for _ in range(4)]
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.press("space", "space")
        assert list(pane.marks) == [ids[3], ids[2]]
        assert said(pane).startswith("2 marked")
        await screen.press("space", "k", "space")
        assert list(pane.marks) == [ids[3], ids[2]]
        await screen.press("c")
        await screen.expect("Cancel 2 executions?")
        await screen.press("n")
        assert storage.count_runs([RunStatus.CANCELLED], None) == 0
        await screen.press("c", "y")
        await screen.expect("2 cancelled")
        assert {run_id for run_id in ids if storage.get_run(run_id).status is RunStatus.CANCELLED} == set(ids[2:])
        await screen.until(lambda: all(run.status.is_final for run in pane.marks.values()))
        await screen.press("c")
        await screen.expect("None of the 2 can be cancelled")
        await screen.press("escape")
        await screen.until(lambda: not pane.marks)
        assert isinstance(screen.app.screen, ExecutionsView)


async def test_for_many_their_number_is_typed(storage: SQLiteStorage) -> None:
    ids = [start(storage, failing()) for _ in range(7)]
    ok = start(storage, chain(1))
    await ended(storage, *ids, ok)
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.press("space", "G", "v")
        assert len(pane.marks) == 8
        await screen.press("a")
        await screen.until(lambda: not pane.marks)
        await screen.press("a")
        await screen.expect("Marked 8")
        await screen.press("t")
        await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
        assert "Retry 7 of 8 executions? Type 7:" in str(screen.app.screen.query_one("#ask Static").render())
        await screen.press("6", "enter")
        await screen.expect("Nothing was retried")
        assert storage.count_runs(None, None) == 8
        await screen.press("t")
        await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
        await screen.press("7", "enter")
        await screen.expect("7 retried")
        assert storage.count_runs(None, None) == 15
        # Each is retried once with all others; again only by itself.
        await screen.press("t")
        await screen.expect("None of the 8 can be retried")


async def test_marked_ones_are_paused_and_go_on(storage: SQLiteStorage) -> None:
    ids = [start(storage, sleeping()) for _ in range(2)]
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.press("a", "p")
        await screen.expect("Pause 2 executions?")
        await screen.press("y")
        await screen.until(lambda: {storage.get_run(one).status for one in ids} == {RunStatus.PAUSED})
        await screen.until(lambda: {run.status for run in pane.marks.values()} == {RunStatus.PAUSED})
        await screen.press("p")
        await screen.expect("Let go on 2 executions?")
        await screen.press("y")
        await screen.until(lambda: {storage.get_run(one).status for one in ids} == {RunStatus.QUEUED})


async def test_two_marked_ones_are_compared(storage: SQLiteStorage) -> None:
    ids = [start(storage, chain(2)) for _ in range(3)]
    await ended(storage, *ids)
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.press("a")
        await screen.until(lambda: len(pane.marks) == 3)
        await screen.press("D")
        await screen.expect("3 are marked; two can be compared")
        await screen.press("r")
        await screen.until(lambda: bool(screen.app.screen.query("#ask .title")))
        assert "Run flow (not the 3 marked) with" in str(screen.app.screen.query_one("#ask .title").render())
        await screen.press("escape")
        await screen.until(lambda: not screen.app.screen.query("#ask, #form"))
        await screen.press("space", "D")
        await screen.until(lambda: isinstance(screen.app.screen, DiffView))
        await screen.expect("Nothing differs here")
        titles = [str(view.border_title) for view in screen.app.screen.query(LineView)]
        assert any(short_id(ids[0]) in title and short_id(ids[1]) in title for title in titles)
        await screen.press("q")
        await screen.until(lambda: isinstance(screen.app.screen, ExecutionsView))


async def test_all_that_match_are_marked_also_those_that_were_not_read_yet(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.listing.PAGE", 10)
    for _ in range(85):
        start(storage, chain(1))
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.press("a")
        await screen.until(lambda: len(pane.marks) == 85)
        await screen.expect("Marked 85")


async def test_filter_marks_and_cursor_are_there_again_after_another_screen(storage: SQLiteStorage) -> None:
    ids = [start(storage, sleeping()) for _ in range(3)]
    start(storage, chain(1))
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.until(lambda: len(pane.runs) == 4)
        await screen.press("slash", *"template:sleeper", "enter")
        await screen.until(lambda: len(pane.runs) == 3)
        await screen.press("space", "space")
        await screen.press("1")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))
        pane = await shown(screen)
        await screen.until(lambda: [run.id for run in pane.runs] == ids[::-1])
        assert set(pane.marks) == set(ids[1:])
        assert pane.selected is not None
        assert pane.selected.id == ids[0]
        assert pane.listing.filter.text == "template:sleeper"


async def test_marks_that_are_not_shown_are_named_before_they_are_acted_on(storage: SQLiteStorage) -> None:
    ids = [start(storage, sleeping()) for _ in range(3)]
    ids.append(start(storage, chain(1)))
    async with screen_on(storage) as screen:
        pane = await shown(screen)
        await screen.until(lambda: len(pane.runs) == 4)
        await screen.press("a", "slash", *"template:flow", "enter")
        await screen.until(lambda: len(pane.runs) == 1)
        await screen.press("c")
        await screen.expect("3 not shown: Cancel 4 executions?")
        await screen.press("n", "W")
        await screen.expect("4 executions are watched")
        assert set(screen.app.session.watched) == set(ids)
        await screen.press("W")
        await screen.expect("4 executions are not watched any more")
        assert not screen.app.session.watched


async def test_the_list_of_the_dashboard_is_sorted_and_marked_too(storage: SQLiteStorage) -> None:
    ids = [start(storage, sleeping()) for _ in range(3)]
    async with screen_on(storage) as screen:
        pane = screen.dashboard.executions
        await screen.until(lambda: len(pane.runs) == 3)
        await screen.press("O")
        await screen.until(lambda: [run.id for run in pane.runs] == ids)
        await screen.press("g", "space", "space")
        assert list(pane.marks) == ids[:2]
        await screen.press("tab", "space")
        await screen.expect("That is for the executions: esc goes there")
        await screen.press("c")
        await screen.expect("Cancel 2 executions?")
        await screen.press("y")
        await screen.expect("2 cancelled")
        assert [storage.get_run(one).status for one in ids].count(RunStatus.CANCELLED) == 2
        screen.dashboard.executions.focus()
        await screen.press("escape")
        await screen.until(lambda: not pane.marks)
        await screen.press("u")
        await screen.until(lambda: len(pane.marks) == 2)
