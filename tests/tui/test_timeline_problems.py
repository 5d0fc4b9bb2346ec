"""What J and K come to on a timeline: as pure functions, and driven by keys."""

from __future__ import annotations

from typing import Any

from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.presentation.timeline_folding import GroupRow, ItemRow, rows_of
from stepflow_tui.presentation.timeline_problems import Kind, kind_of, next_stop, stops
from tests.runtime.test_children import FAILING, flow_of
from tests.support.engine import start, until, working
from tests.support.flows import flow
from tests.tui.records import step
from tests.tui.test_run import ended, run_shown, tab
from tests.tui.test_timeline import mapped

ASKS: dict[str, Any] = {"awaits": "event go"}


def ways(direction: int) -> list[str]:
    """All that is come to, from the top or the bottom, of steps of all kinds in no order."""
    steps = [
        step("runs", StepStatus.RUNNING, 0),
        step("asks", StepStatus.WAITING, 1, **ASKS),
        step("bad", StepStatus.FAILED, 2),
        step("done", StepStatus.COMPLETED, 3),
        step("late", StepStatus.RUNNING, 4),
        step("again", StepStatus.AWAITING_RETRY, 5),
        step("works", StepStatus.WAITING, 6, awaits="children"),
        step("cause", StepStatus.FAILED, 7, error={"code": "UPSTREAM_FAILED"}),
    ]
    found = stops(rows_of(steps), {"late"}, ())
    at = (Kind.FAILED, -1) if direction > 0 else (Kind.RUNS, 99)
    names = []
    while (stop := next_stop(found, at, direction)) is not None:
        at = next(place for place, row in found if row.id == stop.row.id)
        names.append(stop.row.id[1])
    return names


def test_what_failed_comes_first_then_what_waits_then_what_is_late_then_what_runs() -> None:
    assert ways(1) == ["bad", "again", "asks", "late", "runs", "works"]
    assert ways(-1) == ways(1)[::-1]


def test_a_step_that_sleeps_or_waits_its_turn_is_no_problem() -> None:
    for status in (StepStatus.SLEEPING, StepStatus.PENDING, StepStatus.COMPLETED, StepStatus.SKIPPED):
        assert kind_of(step("x", status), ()) is None


async def test_j_reaches_items_that_failed_within_a_fold(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, mapped(list(range(30))))
    async with run_shown(storage, run_id) as (screen, view):
        timeline = view.timeline
        await screen.expect("s ×30 ▸", "15✓ 15✗")
        await screen.press("J")
        item = timeline.item_at_hand
        assert item is not None
        assert item.status is RunStatus.FAILED
        assert isinstance(timeline.selected, ItemRow)
        group = timeline.shown[timeline.cursor - 1]
        assert isinstance(group, GroupRow)
        assert len(group.group.items) == 15
        await screen.press("j", "J")
        await screen.expect("No step below failed")
        await screen.press("K")
        assert timeline.item_at_hand == item
        await screen.press("enter")
        await screen.until(lambda: screen.app.screen is not view)


async def test_on_another_tab_the_step_stands_for_its_items(storage: SQLiteStorage) -> None:
    shape = flow_of(
        {
            "steps": [
                {"id": "a", "type": "echo", "input": 1},
                {"id": "s", "type": "map", "input": {"workflow": FAILING, "items": [1, 2]}, "depends_on": ["a"]},
                {"id": "b", "type": "echo", "input": 1, "depends_on": ["s"]},
            ]
        }
    )
    run_id = await ended(storage, shape)
    async with run_shown(storage, run_id) as (screen, view):
        await screen.until(lambda: "s" in view.timeline.items)
        await tab(screen, view, "graph")
        await screen.press("g")
        await screen.until(lambda: view.step_at_hand == "a")
        await screen.press("J")
        await screen.until(lambda: view.step_at_hand == "s")
        assert view.graph.selected_key == "s"


async def test_the_note_says_to_what_it_came(storage: SQLiteStorage) -> None:
    shape = flow(
        Step(key="nap", component="/shell/run", input={"command": ["sleep", "60"]}),
        Step(key="ask", component="/builtin/wait_event", input={"name": "go"}),
        Step(key="bad", component="/builtin/fail", input={"message": "no"}),
        name="mixed",
    )
    async with working(storage):
        run_id = start(storage, shape)
        await until(storage, run_id, RunStatus.RUNNING)
        async with run_shown(storage, run_id) as (screen, view):
            await screen.until(
                lambda: (
                    {row.step.status for row in view.timeline.rows}
                    == {StepStatus.RUNNING, StepStatus.WAITING, StepStatus.FAILED}
                )
            )
            await screen.press("g", "J")
            assert view.timeline.selected_key == "bad"
            await screen.press("J")
            await screen.expect("No step below failed; this one waits")
            assert view.timeline.selected_key == "ask"
            await screen.press("J")
            await screen.expect("This one runs")
            assert view.timeline.selected_key == "nap"
            await screen.press("J")
            await screen.expect("No step below failed, waits or runs")
            await screen.press("K", "K")
            assert view.timeline.selected_key == "bad"
            await screen.press("X", *run_id[-4:], "enter")
