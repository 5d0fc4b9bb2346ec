"""Timelines driven by keys, on a real engine and a real SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from stepflow.components.registry import builtin_registry
from stepflow.contracts.component import Component
from stepflow.errors import StorageError
from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.panes.timeline import Timeline
from stepflow_tui.presentation.timeline_folding import ItemRow
from stepflow_tui.screens.run import RunView
from tests.runtime.test_children import FAILING, flow_of, one_step
from tests.support.engine import save, start, until, working
from tests.support.flows import chain, fan_out, flow
from tests.tui.test_dashboard import Screen, failing, screen_on
from tests.tui.test_run import ended, run_shown

ASKING: dict[str, Any] = {"steps": [{"id": "ask", "type": "approval", "input": {"name": "go"}}]}
NAPPING = flow_of(
    {
        "steps": [
            {"id": "nap", "type": "wait", "input": {"seconds": "$.input"}},
            {"id": "after", "type": "echo", "input": 1, "depends_on": ["nap"]},
            {"id": "beside", "type": "wait", "input": {"seconds": 0.01}},
        ]
    },
    "napping",
)


def mapped(items: list[Any], flow: dict[str, Any] = FAILING, **more: Any) -> Any:
    return one_step("map", {"workflow": flow, "items": items, **more})


def line_with(screen: Screen, timeline: Timeline, word: str) -> str:
    return next((line for line in screen.text_of(timeline).splitlines() if word in line), "")


# What is expected


async def test_what_is_left_is_drawn_where_earlier_executions_say(storage: SQLiteStorage) -> None:
    async with working(storage):
        await until(storage, start(storage, NAPPING, 0.01))
        second = start(storage, NAPPING, 3600)
        await until(storage, second, RunStatus.SLEEPING)
        async with screen_on(storage) as screen:
            timeline = screen.dashboard.timeline
            await screen.until(lambda: "╌" in line_with(screen, timeline, "nap"))
            assert "┆now" in screen.text_of(timeline)
            assert "~" in line_with(screen, timeline, "· after")
            assert "ETA 59m" in str(timeline.border_subtitle)
            assert "(p50 " in str(timeline.border_subtitle)
            assert timeline.ticks
            before = timeline.prediction
            timeline.tick()
            assert timeline.prediction is not before
            predictions = screen.dashboard.executions.predictions
            assert set(predictions) == {second}
            await screen.press("J", "G")  # to the other one
            await screen.until(lambda: not predictions)
        async with run_shown(storage, second) as (screen, view):
            await screen.expect("┆now", "ETA 59m")
            await screen.press("b")
            await screen.until(lambda: view.past is not None and view.run is not None)
            await screen.until(lambda: "╌" not in screen.text_of(view.timeline))
            assert view.timeline.prediction is None
            await screen.press("escape")
            await screen.expect("┆now")


async def test_the_graph_says_what_is_expected_as_the_timeline_does(storage: SQLiteStorage) -> None:
    async with working(storage):
        await until(storage, start(storage, NAPPING, 0.01))
        run_id = start(storage, NAPPING, 3600)
        await until(storage, run_id, RunStatus.SLEEPING)
        async with screen_on(storage, (200, 60), begin_on=run_id) as screen:
            graph = screen.dashboard.graph
            assert graph is not None
            await screen.until(lambda: "~" in screen.text_of(graph))
            assert "in 59m" in screen.text_of(graph)
            await screen.dashboard.show_above("run", run_id, None, "graph")
            view = screen.app.screen
            assert isinstance(view, RunView)
            await screen.until(lambda: "~" in screen.text_of(view.graph))
            view.tick()
            assert "~" in screen.text_of(view.graph)
            await screen.until(lambda: "usual ▃ p50 " in screen.text_of(view.detail))


async def test_of_one_that_is_scheduled_it_is_said_when_it_will_have_ended(storage: SQLiteStorage) -> None:
    async with working(storage):
        await until(storage, start(storage, NAPPING, 0.01))
        run_id = start(storage, NAPPING, 0.01, start_at=now_ms() + 3_600_000)
    async with screen_on(storage, begin_on=run_id) as screen:
        timeline = screen.dashboard.timeline
        await screen.until(
            lambda: "ETA 59m" in str(timeline.border_subtitle) or "ETA 1h" in str(timeline.border_subtitle)
        )
        assert "╌" in line_with(screen, timeline, "nap")
        assert "░" not in screen.text_of(timeline)
        assert timeline.ticks


async def test_of_what_never_ran_before_nothing_is_expected(storage: SQLiteStorage) -> None:
    async with working(storage):
        run_id = start(storage, NAPPING, 3600)
        await until(storage, run_id, RunStatus.SLEEPING)
        async with screen_on(storage) as screen:
            timeline = screen.dashboard.timeline
            await screen.expect("wakes in", "· after")
            await screen.until(
                lambda: timeline.run is not None and not timeline._session.step_histories.is_wanted(timeline.run)
            )
            assert "┆" not in screen.text_of(timeline)
            assert "~" not in line_with(screen, timeline, "after")
            assert "ETA" not in str(timeline.border_subtitle)


# Items


async def test_how_many_go_on_at_a_time_is_said_where_a_line_is_left(storage: SQLiteStorage) -> None:
    naps = flow(*(Step(key=f"nap{n}", component="/builtin/sleep", input={"seconds": 3600}) for n in range(3)))
    async with working(storage):
        run_id = start(storage, naps)
        await until(storage, run_id, RunStatus.SLEEPING)
        async with run_shown(storage, run_id, (80, 18)) as (screen, view):
            assert 5 <= view.timeline.size.height < 8
            await screen.expect("max 3")
            view.timeline.styles.height = 4
            await screen.until(lambda: "max 3" not in screen.text_of(view.timeline))


async def test_x_goes_through_the_items_and_enter_opens_one(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, mapped(list(range(30))))
    async with run_shown(storage, run_id) as (screen, view):
        timeline = view.timeline
        await screen.expect("s ×30 ▸", "15✓ 15✗")
        await screen.press("x")
        await screen.expect("s ×30 ▾", "15× ▸ odd", "more items  x unfolds")
        await screen.press("j", "enter")
        await screen.until(lambda: sum(isinstance(row, ItemRow) for row in timeline.shown) == 20)
        assert view.step_at_hand == "s"
        await screen.press("j")
        item = timeline.item_at_hand
        assert item is not None
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView) and screen.app.screen.run_id == item.run_id)
        await screen.expect("parent/s", "✗ failed", "odd")
        await screen.press("q")
        await screen.until(lambda: screen.app.screen is view)
        await screen.until(lambda: timeline.item_at_hand == item)
        await screen.press("x")
        await screen.expect("█ ok", "✗ failed · waiting")
        assert timeline.selected_key == "s"
        await screen.press("j", "j")  # beneath what the signs mean
        assert timeline.item_at_hand is not None
        assert timeline.item_at_hand.status is RunStatus.FAILED
        await screen.press("x")
        await screen.until(lambda: timeline.row_count == 1)


async def test_what_a_component_starts_while_it_runs_is_shown_below_its_step(storage: SQLiteStorage) -> None:
    save(storage, fan_out(1, name="job"))

    async def starts(value: Any, context: Any) -> Any:
        return [await context.start_child("job", n) for n in range(2)]

    registry = builtin_registry()
    registry.register(Component("/me/starts", starts, "async", "x"))
    run_id = start(storage, flow(Step(key="own", component="/me/starts")))
    async with screen_on(storage, begin_on=run_id) as screen, working(storage, registry):
        timeline = screen.dashboard.timeline
        await screen.until(lambda: "2✓" in line_with(screen, timeline, "own ×2 ▸"))
        screen.dashboard.set_focus(timeline)
        await screen.press("x", "j", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        await screen.expect("job v1")


async def test_items_are_followed_while_they_go_on(storage: SQLiteStorage) -> None:
    async with working(storage):
        run_id = start(storage, mapped([1, 2, 3, 4, 5], ASKING, max_concurrency=3))
        await until(storage, run_id, RunStatus.WAITING)
        async with screen_on(storage) as screen:
            timeline = screen.dashboard.timeline
            await screen.until(lambda: "3? 2·" in line_with(screen, timeline, "s ×5"))
            assert not timeline.ticks
            screen.dashboard.set_focus(timeline)
            await screen.press("x")
            for _ in range(5):
                asking, _ = storage.list_runs(9, None, (RunStatus.WAITING,), None, True, parent=run_id)
                storage.signal(asking[0].id, "go", "{}", 0)
                await until(storage, asking[0].id)
                at = timeline.selected
                await screen.until(lambda: timeline.items["s"].counts[RunStatus.COMPLETED] > 0)
                assert timeline.selected is not None
                assert at is not None
                assert timeline.selected.id == at.id
            await until(storage, run_id)
            await screen.until(lambda: "5✓" in line_with(screen, timeline, "s ×5"))


async def test_items_stand_as_they_did_then(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, mapped([1, 2], max_concurrency=1))
    async with run_shown(storage, run_id) as (screen, view):
        await screen.expect("s ×2 ▸", "1✓ 1✗")
        started = [
            event
            for event in storage.get_events(run_id, after_seq=0, before_seq=None, limit=100, newest=False)
            if event.event_type == "child.started"
        ]
        await view.travel_to(started[0])
        await screen.until(lambda: "✓" not in line_with(screen, view.timeline, "s ×2"))
        assert len(view.timeline.items["s"].items) == 1
        await screen.press("escape")
        await screen.expect("1✓ 1✗")


async def test_a_flow_that_a_step_runs_is_opened_too(storage: SQLiteStorage) -> None:
    body = {
        "steps": [{"id": "n", "type": "echo", "input": {"next": "${{ $.input + 1 }}"}}],
        "output": "$.steps.n.output",
    }
    steps = [
        {"id": "once", "type": "eval", "input": {"workflow": FAILING, "input": 1}},
        {"id": "again", "type": "iterate", "input": {"flow": body, "initial_input": 0, "max_iterations": 4}},
    ]
    run_id = await ended(storage, flow_of({"steps": steps}))
    async with run_shown(storage, run_id) as (screen, view):
        await screen.expect("once ▸", "again ×4 ▸", "4✓")
        await screen.press("g", "x")
        await screen.expect("once ▾", "✗ [0]")
        await screen.press("j", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView) and screen.app.screen is not view)
        await screen.expect("parent/once", "odd")
        await screen.press("q", "x")
        await screen.until(lambda: view.timeline.row_count == 2)
        assert view.step_at_hand == "once"


async def test_items_that_cannot_be_read_hide_nothing_else(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await ended(storage, mapped([1, 2]))
    read: Callable[..., Any] = SQLiteStorage.list_runs
    tried = []

    def broken(self: SQLiteStorage, *arguments: Any, **options: Any) -> Any:
        if options.get("parent") is not None:
            tried.append(1)
            raise StorageError("the disk is gone")
        return read(self, *arguments, **options)

    monkeypatch.setattr(SQLiteStorage, "list_runs", broken)
    async with run_shown(storage, run_id) as (screen, view):
        await screen.until(lambda: bool(tried))
        await screen.expect("✓ s")
        await screen.press("x", "plus", "enter")
        assert not view.timeline.items


async def test_of_very_many_items_the_oldest_are_read_and_the_others_said(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.children.PAGE", 5)
    monkeypatch.setattr("stepflow_tui.children.MOST", 20)
    run_id = await ended(storage, mapped(list(range(30))))
    async with run_shown(storage, run_id) as (screen, view):
        await screen.expect("s ×30 ▸", "10✓ 10✗ 10 not read")
        assert len(view.timeline.items["s"].items) == 20


@pytest.mark.full
async def test_ten_thousand_items_are_followed_and_looked_through(storage: SQLiteStorage) -> None:
    run_id = start(storage, mapped(list(range(10_000)), {"steps": [{"id": "a", "type": "echo", "input": "$.input"}]}))
    async with screen_on(storage, begin_on=run_id) as screen, working(storage):
        await until(storage, run_id)
        timeline = screen.dashboard.timeline
        await screen.until(lambda: "s" in timeline.items and timeline.items["s"].counts[RunStatus.COMPLETED] == 10_000)
        screen.dashboard.set_focus(timeline)
        await screen.press("x", "G", "x", "G")
        await screen.expect("[9999]")
        assert timeline.row_count == 10_002
        await screen.press("x", "g")
        await screen.expect("2 items a cell")


async def test_what_was_done_before_a_worker_went_is_drawn_as_work(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.panes.timeline.LEAST_LOST_SECONDS", 0.0)
    begun = asyncio.Event()

    async def works(value: Any, context: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    registry = builtin_registry()
    registry.register(Component("/me/works", works, "async", "x"))
    run_id = start(storage, flow(Step(key="own", component="/me/works")))
    for _ in range(2):
        begun.clear()
        async with working(storage, registry):
            await begun.wait()
    async with screen_on(storage, begin_on=run_id) as screen:
        timeline = screen.dashboard.timeline
        await screen.until(lambda: bool(timeline.rows) and len(timeline.rows[0].attempts) == 3)
        assert "┊" in line_with(screen, timeline, "own")


# Folding


async def test_x_unfolds_the_rest_and_what_did_not_run(storage: SQLiteStorage) -> None:
    steps = [{"id": f"s{i}", "type": "echo", "input": i} for i in range(60)]
    steps += [
        {"id": "bad", "type": "fail", "input": {"message": "no"}},
        {"id": "end", "type": "echo", "input": "$.steps.bad.output"},
    ]
    run_id = await ended(storage, flow_of({"steps": steps}))
    async with run_shown(storage, run_id, (80, 24)) as (screen, view):
        timeline = view.timeline
        await screen.until(lambda: view.step_at_hand == "bad")
        await screen.expect("1 not run because of it: end", "more steps  x unfolds")
        await screen.press("j", "x")
        await screen.until(lambda: any(row.id == ("step", "end") for row in timeline.shown))
        await screen.press("G", "x")
        await screen.expect("x folds them")
        assert timeline.row_count == 64
        await screen.press("x")
        await screen.until(lambda: timeline.row_count < 64)
        timeline.select("s30")
        await screen.until(lambda: view.step_at_hand == "s30")
        assert timeline.selected_key == "s30"


async def test_a_step_that_another_tab_went_to_is_unfolded(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, fan_out(100))
    async with run_shown(storage, run_id) as (screen, view):
        folded = next(
            f"s{i}" for i in range(100) if not any(row.id == ("step", f"s{i}") for row in view.timeline.shown)
        )
        await screen.press("right_square_bracket")
        view.graph.select(folded)
        await screen.until(lambda: view.step_at_hand == folded)
        await screen.press("left_square_bracket")
        await screen.until(lambda: view.timeline.selected_key == folded)
        assert view.timeline.selected is not None
        assert view.timeline.selected.id == ("step", folded)


# Time


async def test_keys_show_a_part_of_the_time(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, NAPPING, 0.05)
    async with run_shown(storage, run_id) as (screen, view):
        timeline = view.timeline
        whole = timeline.axis()
        await screen.press("right")
        await screen.expect("All of the time is seen; + shows a smaller part of it")
        await screen.press("plus", "equals_sign")
        assert timeline.axis().seconds == pytest.approx(whole.seconds / 4, rel=0.01)
        assert "×4" in str(timeline.border_title)
        offset = timeline.axis().offset
        await screen.press("right")
        assert timeline.axis().offset > offset
        await screen.press(*["left"] * 9)
        await screen.expect("Nothing is before it")
        assert timeline.axis().offset == 0
        await screen.press("underscore")
        assert timeline.axis().seconds == pytest.approx(whole.seconds / 2, rel=0.01)
        await screen.press("0")
        assert timeline.zoom is None
        await screen.press("underscore")
        await screen.expect("All of the time is seen")


async def test_capital_p_leaves_the_critical_path_alone(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, NAPPING, 0.05)
    async with run_shown(storage, run_id) as (screen, view):
        await screen.expect("nap ★", "after ★")
        await screen.press("P")
        await screen.until(lambda: view.timeline.row_count == 2)
        assert "critical path" in str(view.timeline.border_title)
        await screen.press("P")
        await screen.until(lambda: view.timeline.row_count == 3)
    run_id = await ended(storage, chain(2))
    async with run_shown(storage, run_id) as (screen, view):
        await screen.press("P")
        await screen.expect("Every step that began is on the critical path")


async def test_its_keys_say_where_they_work(storage: SQLiteStorage) -> None:
    await ended(storage, failing())
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await screen.press("plus")
        await screen.expect("That is for the timeline: go to it with tab")
        await screen.press("x")
        await screen.expect("That is for the steps")
        screen.dashboard.set_focus(screen.dashboard.timeline)
        await screen.press("x")
        await screen.expect("Nothing is folded here")
        await screen.press("plus", "P")
        await screen.expect("Every step that began")


@pytest.mark.parametrize(
    "size", [(40, 10), *(pytest.param(size, marks=pytest.mark.full) for size in ((20, 5), (80, 24), (200, 60)))]
)
async def test_all_of_it_works_at_every_size(storage: SQLiteStorage, size: tuple[int, int]) -> None:
    run_id = await ended(storage, mapped(list(range(30))))
    async with run_shown(storage, run_id, size) as (screen, view):
        await screen.until(lambda: "s" in view.timeline.items)
        for _ in range(3):
            await screen.press("x", "G", "plus", "right", "P", "_", "0", "g")
        await screen.press("x", "x")
        await screen.pilot.resize_terminal(100, 30)
        await screen.until(lambda: "█ ok" in screen.text)
        assert screen.app.screen is view
