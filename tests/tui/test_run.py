"""One execution alone, driven by keys, on a real engine and a real SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from stepflow.client import Client
from stepflow.model import jsontext
from stepflow.model.flow import Flow, OnError, Step
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import clipboard
from stepflow_tui.panes.run_timeline import RunTimeline
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.json_text import JsonText
from stepflow_tui.presentation.places import line_of_step
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.presentation.wrapping import wrap_line, wrap_text
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.diff import DiffView, Pairs
from stepflow_tui.screens.run import TABS, RunView
from stepflow_tui.step_histories import StepHistories, Version
from stepflow_tui.widgets.find import Find
from tests.runtime.test_children import one_step
from tests.support.engine import start, until, working
from tests.support.flows import chain, echo, fan_out, flow, quick_retry, ref
from tests.tui.test_dashboard import Screen, failing, screen_on, sleeping

NAPPING = flow(Step(key="nap", component="/builtin/sleep", input={"seconds": {"$from": {"workflow": "input"}}}))


def work(**options: Any) -> Flow:
    """`a` speaks and gives much, `b` fails once and is mended, `bad` fails for good, `end` never runs."""
    return flow(
        Step(key="a", component="/shell/run", input={"command": ["printf", "one\\ntwo\\n"]}),
        Step(
            key="b",
            component="/builtin/fail",
            input={"message": "not yet", "code": "SOON"},
            retry=quick_retry(2),
            on_error=OnError(action="continue", default_output=7),
        ),
        Step(key="bad", component="/builtin/fail", input={"message": "no such column"}, depends_on=("a", "b")),
        echo("end", ref("bad")),
        name="work",
        **options,
    )


@asynccontextmanager
async def run_shown(
    storage: SQLiteStorage, run_id: str, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[Screen, RunView]]:
    async with screen_on(storage, size, begin_on=run_id) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await screen.dashboard.show_above("run", run_id)
        view = screen.app.screen
        assert isinstance(view, RunView)
        await screen.until(lambda: view.run is not None and view.run.id == run_id)
        yield screen, view


async def ended(storage: SQLiteStorage, shape: Flow, input: Any = None) -> str:  # noqa: A002 - the word of the language
    run_id = start(storage, shape, input)
    async with working(storage):
        await until(storage, run_id)
    return run_id


async def tab(screen: Screen, view: RunView, name: str) -> None:
    while TABS[view._tab] != name:
        await screen.press("right_square_bracket")
    assert view.pane.display


async def test_enter_opens_it_and_escape_leads_back(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, work())
    async with screen_on(storage) as screen:
        await screen.expect("no such column")
        await screen.press("enter", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        await screen.expect(short_id(run_id), "failed", "4 steps ✓2 ✗1 1 not run", "no such column")
        await screen.press("escape")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))


WAITS = flow(
    echo("a", 1),
    Step(key="ask", component="/builtin/wait_event", input={"name": "go"}, depends_on=("a",)),
    name="asking",
)


async def test_it_begins_on_what_waits_for_somebody(storage: SQLiteStorage) -> None:
    async with working(storage):
        run_id = start(storage, WAITS)
        await until(storage, run_id, RunStatus.WAITING)
        async with screen_on(storage) as screen:
            await screen.until(lambda: screen.dashboard.timeline.selected_key == "ask")
            await screen.press("enter", "enter")
            await screen.until(lambda: isinstance(screen.app.screen, RunView))
            await screen.expect("/builtin/wait_event  after a", "A answer go")


async def test_one_that_failed_after_it_was_first_seen_is_opened_on_its_failure(storage: SQLiteStorage) -> None:
    """Also where only its steps of before are known at first."""
    run_id = start(storage, work())
    async with screen_on(storage, begin_on=run_id) as screen:
        timeline = screen.dashboard.timeline
        await screen.until(lambda: timeline.selected_key == "a")
        known = screen.app.session.steps_read
        async with working(storage):
            await until(storage, run_id)
        await screen.until(lambda: timeline.selected_key == "bad")
        screen.app.session.steps_read = known
        await screen.dashboard.show_above("run", run_id)
        view = screen.app.screen
        assert isinstance(view, RunView)
        await screen.until(lambda: view.step_at_hand == "bad" and view.timeline.selected_key == "bad")
        await screen.expect("/builtin/fail  after a, b")
        await screen.press("k")
        await screen.until(lambda: view.step_at_hand == "b")
        view.reload_all()
        await screen.until(lambda: not view._reading)
        assert view.timeline.selected_key == "b"


ON_TAB = {
    "timeline": ("k", "enter", "ctrl+d", "escape", "H", "b", "full_stop", "escape"),
    "graph": ("G", "left", "right", "enter", "escape"),
    "log": ("w", "L", "S", "S", "number_sign"),
    "events": ("g", "enter", "G", "escape"),
    "values": ("x", "right", "left"),
    "attempts": ("g", "tab", "tab"),
}


@pytest.mark.parametrize(
    "size",
    [(40, 10), *(pytest.param(size, marks=pytest.mark.full) for size in ((80, 24), (200, 60), (20, 5)))],
)
async def test_every_tab_works_at_every_size(storage: SQLiteStorage, size: tuple[int, int]) -> None:
    run_id = await ended(storage, work())
    async with run_shown(storage, run_id, size) as (screen, view):
        if size[0] == 40:
            assert not view.detail.display
        for name in TABS:
            await tab(screen, view, name)
            await screen.press(*ON_TAB[name], "z", "z")
            assert screen.app.screen is view
            assert view.past is None
        await screen.pilot.resize_terminal(100, 30)
        await tab(screen, view, "timeline")
        await screen.expect("no such column")


async def test_the_step_under_the_cursor_is_told_in_full(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, work())
    async with run_shown(storage, run_id) as (screen, view):
        await screen.until(lambda: view.step_at_hand == "bad")
        await screen.expect("t y retry  T from here", "after a, b", "no such column")
        await screen.press("g")
        await screen.expect("/shell/run", "INFO  a one", "T again from here")
        await screen.press("j")
        await screen.expect("SOON  not yet", "✗ #1", "✓ #2")
        await screen.press("J")
        await screen.until(lambda: view.step_at_hand == "bad")
        await screen.press("J")
        await screen.expect("No step below failed")


async def test_the_step_at_hand_is_the_same_on_every_tab(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, work())
    async with run_shown(storage, run_id) as (screen, view):
        await screen.press("g")
        await tab(screen, view, "graph")
        assert view.graph.selected_key == "a"
        await screen.press("right")
        assert view.step_at_hand == "bad"
        await screen.press("left", "j")
        assert view.step_at_hand == "b"
        await tab(screen, view, "attempts")
        assert view.attempts.selected_key == "b"
        await screen.expect("✓ b      #2")
        await tab(screen, view, "timeline")
        assert view.timeline.selected_key == "b"


async def test_the_graph_has_boxes_where_there_is_room_and_lines_where_not(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, work())
    async with run_shown(storage, run_id) as (screen, view):
        await tab(screen, view, "graph")
        await screen.expect("╭", "▶", "┃✗ bad")
        await screen.pilot.resize_terminal(80, 24)
        await screen.expect("✗ bad", "also", "no such column")
        await screen.until(lambda: view.graph.cursor == [line.key for line in view.graph._branches].index("bad"))
        await screen.pilot.resize_terminal(120, 40)
        await screen.expect("┃✗ bad")


async def test_a_wide_graph_scrolls_to_the_step_that_is_selected(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, chain(30))
    async with run_shown(storage, run_id) as (screen, view):
        await tab(screen, view, "graph")
        await screen.expect("✓ s0")
        assert "s29" not in screen.text_of(view.graph)
        await screen.press("G")
        await screen.expect("✓ s29")
        assert "✓ s0 " not in screen.text_of(view.graph)
        assert view.graph.scroll_offset.x > 0


async def test_the_log_is_of_a_step_from_a_level_on_and_wraps(storage: SQLiteStorage) -> None:
    long = Step(key="long", component="/shell/run", input={"command": ["printf", "x" * 300]})
    run_id = await ended(storage, msgspec_with(work(), long))
    async with run_shown(storage, run_id) as (screen, view):
        await screen.press("l")
        pane = view.log_pane
        await screen.expect("INFO  a one", "run.failed")
        await screen.press("w")
        assert pane.row_count > len(pane.events)
        await screen.press("G")
        assert pane.follows
        await screen.press("w", "g")
        assert pane.row_count == len(pane.events)
        await screen.press("number_sign")
        assert not screen.text_of(pane)[0].isdigit()
        only = pane.selected
        assert only is not None
        await screen.press("S")
        await screen.until(lambda: {event.step_key for event in pane.events} == {only.step_key})
        assert "only" in str(pane.border_title)
        await screen.press("S", "L", "L", "L")
        await screen.until(lambda: [event.event_type for event in pane.events] == ["run.failed"])
        await screen.press("L")
        await screen.until(lambda: len(pane.events) > 3)
        await screen.press("g", "enter")
        assert TABS[view._tab] == "timeline"
        assert view.step_at_hand == only.step_key


def msgspec_with(shape: Flow, step: Step) -> Flow:
    return flow(*shape.steps, step, name=shape.name)


async def test_an_event_is_told_with_all_it_says(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, work())
    async with run_shown(storage, run_id) as (screen, view):
        await tab(screen, view, "events")
        await screen.expect('"type": "run.failed"', '"message": "no such column"')
        at = next(place for place, one in enumerate(view.event_pane.events) if one.event_type == "step.completed")
        view.event_pane.move_to(at)
        await screen.expect('"type": "step.completed"', '"result"')
        await screen.press("enter")
        assert view.focused is view.detail


async def test_values_that_are_not_seen_are_put_away_and_come_back_as_they_stood(storage: SQLiteStorage) -> None:
    value = {"deep": [{"x": 1}, {"long": "one\ntwo"}], "large": "x" * 50_000}
    shape = flow(echo("a", {"$from": {"workflow": "input"}}), name="values")
    run_id = await ended(storage, shape, value)
    async with run_shown(storage, run_id) as (screen, view):
        await tab(screen, view, "values")
        await screen.expect('"deep": [2]')
        kept = view.values.document.value
        assert kept["steps"]["a"]["input"] is kept["steps"]["a"]["output"] is kept["output"]["a"] is kept["input"]
        assert isinstance(kept["input"], JsonText)
        long = ("steps", "a", "output", "deep", 1, "long")
        view.values.document.unfold(long)
        view.values.set_rows(view.values.document.row_count, view.values.document.row_of(long))
        await tab(screen, view, "graph")
        assert view.values.document.value == {}
        await tab(screen, view, "values")
        await screen.until(lambda: view.values.document.value == kept)
        at = view.values.selected
        assert at is not None
        assert at.is_open
        assert at.path == long


async def test_values_fold_are_searched_and_copied(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(clipboard, "copy", lambda app, text, *way: copied.append(text) or "tmux")
    shape = flow(echo("a", {"deep": [{"x": 1}, {"y": "needle"}]}), name="values")
    run_id = await ended(storage, shape, {"n": 1})
    async with run_shown(storage, run_id) as (screen, view):
        await screen.press("i")
        await screen.expect('"n": 1', '"y": "needle"')
        await screen.press("i")
        await screen.expect("n: 1", "y: needle")
        await screen.press("slash")
        await screen.until(lambda: bool(view.query(Find)))
        await screen.press(*"needle", "enter")
        await screen.until(lambda: "/needle  1 of 3" in str(view.values.border_subtitle))
        await screen.press("n", "n")
        assert view.values.selected is not None
        assert view.values.selected.path == ("steps", "a", "output", "deep", 1, "y")
        for key in "pv":
            await screen.press("y")
            await screen.until(lambda: bool(view.query("#question")))
            await screen.press(key)
            await screen.until(lambda: not view.query("#question"))
        assert copied == ["$.steps.a.output.deep[1].y", "needle"]
        rows = view.values.row_count
        await screen.press("left", "x")
        assert view.values.row_count == rows - 1
        await screen.press("enter")
        assert view.values.row_count == rows
        await screen.press("slash")
        await screen.until(lambda: bool(view.query(Find)))
        await screen.press(*"nowhere", "enter")
        await screen.expect("Nothing has 'nowhere'")
        await screen.press("n")
        await screen.expect("Nothing was found")
        await screen.press("slash")
        await screen.until(lambda: bool(view.query(Find)))
        await screen.press("escape")
        await screen.until(lambda: not view.query(Find))
        assert screen.app.screen is view


@pytest.mark.full
async def test_megabytes_of_output_are_shown(storage: SQLiteStorage) -> None:
    rows = [{"id": number, "name": f"customer {number}"} for number in range(30_000)]
    run_id = await ended(storage, flow(echo("a", rows)))
    async with run_shown(storage, run_id) as (screen, view):
        await screen.press("i")
        await screen.expect('"a": [30,000]')
        await screen.press("slash")
        await screen.until(lambda: bool(view.query(Find)))
        await screen.press(*"r 29999", "enter")
        await screen.expect('"name": "customer 29999"')


async def test_it_is_followed_while_it_runs(storage: SQLiteStorage) -> None:
    run_id = start(storage, one_step("approval", {"name": "ship"}))
    async with run_shown(storage, run_id) as (screen, view):
        await screen.expect("queued")
        async with working(storage):
            await screen.expect("waiting", "answer ship")
            await screen.press("l", "A")
            await screen.until(lambda: bool(view.query("#input")))
            await screen.press("enter")
            await screen.expect("✓ completed", "run.completed")
            await screen.until(lambda: view.event_count == len(storage_events(storage, run_id)))


def storage_events(storage: SQLiteStorage, run_id: str) -> list[Any]:
    return storage.get_events(run_id, after_seq=0, before_seq=None, limit=10_000, newest=False)


async def test_what_earlier_executions_took_says_when_it_will_end(storage: SQLiteStorage) -> None:
    async with working(storage):
        first = start(storage, NAPPING, 0.01)
        await until(storage, first)
        second = start(storage, NAPPING, 3600)
        await until(storage, second, RunStatus.SLEEPING)
        async with run_shown(storage, second) as (screen, _):
            await screen.expect("sleeping", "ETA 59m")


async def test_what_another_screen_is_reading_of_earlier_executions_is_told_to_this_one_too(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read = asyncio.Event()
    read = StepHistories._read

    async def read_later(histories: StepHistories, version: Version, run: RunRecord) -> None:
        await may_read.wait()
        await read(histories, version, run)

    monkeypatch.setattr(StepHistories, "_read", read_later)
    async with working(storage):
        await until(storage, start(storage, NAPPING, 0.01))
        run_id = start(storage, NAPPING, 3600)
        await until(storage, run_id, RunStatus.SLEEPING)
        async with run_shown(storage, run_id) as (screen, view):
            await screen.until(lambda: view._clock is not None)
            assert "ETA" not in screen.text
            may_read.set()
            await screen.expect("sleeping", "ETA 59m")


async def test_what_another_screen_has_read_before_this_one_could_ask_is_told_to_it_too(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_read = asyncio.Event()
    read, learn = StepHistories._read, RunTimeline._learn

    async def read_later(histories: StepHistories, version: Version, run: RunRecord) -> None:
        await may_read.wait()
        await read(histories, version, run)

    asking: list[RunTimeline] = []
    monkeypatch.setattr(StepHistories, "_read", read_later)
    monkeypatch.setattr(RunTimeline, "_learn", lambda timeline: asking.append(timeline))
    async with working(storage):
        await until(storage, start(storage, NAPPING, 0.01))
        run_id = start(storage, NAPPING, 3600)
        await until(storage, run_id, RunStatus.SLEEPING)
        async with run_shown(storage, run_id) as (screen, view):
            await screen.until(lambda: bool(asking))
            may_read.set()
            await screen.until(lambda: screen.dashboard.timeline.prediction is not None)
            assert view.timeline.prediction is None
            learn(view.timeline)
            await screen.expect("sleeping", "ETA 59m")


async def test_what_happened_behind_another_screen_is_seen_when_it_is_left(storage: SQLiteStorage) -> None:
    run_id = start(storage, chain(2))
    async with run_shown(storage, run_id) as (screen, view):
        await screen.press("l")
        await screen.press("question_mark")
        await screen.until(lambda: screen.app.screen is not view)
        async with working(storage):
            await until(storage, run_id)
        await screen.press("x")
        await screen.until(lambda: screen.app.screen is view)
        await screen.expect("✓ completed", "run.completed")


async def test_a_digit_leads_from_it_to_another_screen_and_one_to_the_dashboard(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, chain(1))
    async with run_shown(storage, run_id) as (screen, _):
        await screen.press("5")
        await screen.until(lambda: type(screen.app.screen).__name__ == "WorkersView")
        await screen.press("1")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))
        assert len(screen.app.screen_stack) == 1


async def test_retried_from_here_the_new_execution_is_shown(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, failing())
    async with run_shown(storage, run_id) as (screen, view), working(storage):
        await screen.press("t", "y")
        await screen.until(lambda: view.run is not None and view.run.id != run_id and view.run.status.is_final)
        await screen.expect("Retried as")
        assert view.run_at_hand is not None
        assert view.run_at_hand.retry_of == run_id


@pytest.mark.full
async def test_texts_of_executions_are_only_text(storage: SQLiteStorage) -> None:
    evil = flow(Step(key="x[/]", component="/builtin/fail", input={"message": "[bold]\x1b[2J"}), name="evil[red]")
    run_id = await ended(storage, evil)
    async with run_shown(storage, run_id) as (screen, view):
        for name in TABS:
            await tab(screen, view, name)
            await screen.press("S", "S")
            assert "\x1b" not in screen.text
        await tab(screen, view, "timeline")
        await screen.expect("[bold]·[2J", "evil[red]", "x[/]")


@pytest.mark.full
async def test_thousands_of_steps_are_followed_while_they_run(storage: SQLiteStorage) -> None:
    run_id = start(storage, fan_out(2000))
    async with run_shown(storage, run_id) as (screen, view), working(storage):
        await until(storage, run_id)
        await screen.until(lambda: view.run is not None and view.run.status is RunStatus.COMPLETED)
        assert all(step.status is StepStatus.COMPLETED for step in view._steps)


@pytest.mark.full
async def test_ten_thousand_steps_are_shown_and_keys_still_answer(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, fan_out(10_000))
    async with run_shown(storage, run_id) as (screen, view):
        for name in ("graph", "events", "attempts"):
            await tab(screen, view, name)
            await screen.press("g", "G")
        await screen.until(lambda: view.step_at_hand == "s9999")
        assert len(view.event_pane.events) <= 1000
        await screen.press("b")
        await screen.until(lambda: view.run is not None and view.run.status is RunStatus.RUNNING)


# Time travel


async def test_it_goes_back_event_by_event_and_step_by_step(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, work())
    events = storage_events(storage, run_id)
    async with run_shown(storage, run_id) as (screen, view):
        await screen.press("b")
        await screen.until(lambda: view.past is not None and view.past.seq == events[-2].seq)
        await screen.expect("running", f"#{events[-2].run_seq} of {len(events)}", "4 steps ✓2 ✗1 1 not run")
        await screen.press("less_than_sign", "less_than_sign")
        await screen.until(lambda: view.run is not None and view.run.steps_done == 2)
        assert view.past is not None
        assert view.past.event_type == "step.started"
        await screen.expect("▶ bad", "· end")
        await tab(screen, view, "log")
        await screen.until(lambda: [event.event_type for event in view.log_pane.events] == ["log", "log"])
        await screen.press("less_than_sign")
        await tab(screen, view, "events")
        await screen.until(lambda: view.event_pane.selected is not None and view.event_pane.selected == view.past)
        await tab(screen, view, "attempts")
        await screen.press(*("b" for _ in events))
        await screen.expect("Nothing came before it", "queued", "#1 of")
        assert view.attempts.row_count == 0
        await screen.press("greater_than_sign")
        await screen.until(lambda: view.run is not None and view.run.status is RunStatus.RUNNING)
        await screen.press("escape")
        await screen.expect("✗ failed")
        assert view.past is None
        await screen.press("full_stop")
        await screen.expect("Nothing came after it; esc is the present")


async def test_an_output_is_there_from_the_moment_it_was_given(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, flow(echo("a", "given")))
    async with run_shown(storage, run_id) as (screen, view):
        await screen.press("i")
        await screen.expect('"a": "given"', '"output": "given"')
        await screen.press("b")
        await screen.until(lambda: view.run is not None and view.run.status is RunStatus.RUNNING)
        await screen.until(lambda: view.values.document.value["output"] is None)
        assert view.values.document.value["steps"]["a"]["output"] == "given"
        await screen.press("less_than_sign")
        await screen.until(lambda: view.values.document.value["steps"]["a"]["output"] is None)
        assert view.values.document.value["steps"]["a"]["input"] == "given"


@pytest.mark.full
async def test_it_is_played_faster_and_held(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, work())
    async with run_shown(storage, run_id) as (screen, view):
        await screen.press("H", "w", "w")
        await screen.expect("×60")
        await screen.press("R")
        await screen.expect("▶ ", "#1 of")
        await screen.press("R")
        await screen.expect("⏸")
        held = view.past
        await screen.press("R")
        await screen.until(
            lambda: view.past is not None and view.past.run_seq == view.event_count and "⏸" in screen.text
        )
        assert held is not None
        assert held.run_seq < view.event_count
        await screen.press("w", "escape")
        assert view.past is None


async def test_what_runs_on_does_not_disturb_who_looks_at_the_past(storage: SQLiteStorage) -> None:
    run_id = start(storage, sleeping())
    async with working(storage):
        await until(storage, run_id, RunStatus.SLEEPING)
        async with run_shown(storage, run_id) as (screen, view):
            await screen.press("b")
            await screen.until(lambda: view.past is not None)
            past = view.past
            await screen.press("c", "y")
            await until(storage, run_id)
            await screen.until(lambda: view.event_count == len(storage_events(storage, run_id)))
            assert view.past is past
            await screen.press("H")
            await screen.expect("⊘ cancelled")


# Side by side


async def test_capital_d_compares_it_with_the_last_that_completed(storage: SQLiteStorage) -> None:
    good = flow(echo("a", ref_input("n")), echo("gone", 1), name="pair")
    bad = flow(
        echo("a", ref_input("n")), Step(key="new", component="/builtin/fail", input={"message": "no"}), name="pair"
    )
    await ended(storage, good, {"n": 1})
    second = await ended(storage, bad, {"n": 2})
    async with run_shown(storage, second) as (screen, _):
        await screen.press("D")
        await screen.until(lambda: isinstance(screen.app.screen, DiffView))
        pane = screen.app.screen.query_one(Pairs)
        await screen.expect("completed → failed", "input $.n  1 → 2", "pair v1 → pair v2", "only in the second")
        assert str(pane.border_subtitle) == "4 of 4 differ"
        await screen.press("J")
        await screen.expect("output $  1 → 2")
        await screen.press("J", "J")
        assert pane.selected is not None
        assert pane.selected.key in ("gone", "new")
        await screen.press("tab", "escape", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        await screen.press("q", "q")
        await screen.until(lambda: isinstance(screen.app.screen, RunView) and screen.app.screen.run_id == second)


def ref_input(name: str) -> dict[str, Any]:
    return {"$from": {"workflow": "input"}, "path": name}


async def test_where_nothing_else_completed_there_is_nothing_to_compare(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, failing())
    async with run_shown(storage, run_id, (40, 10)) as (screen, view):
        await screen.press("D")
        await screen.expect("No other execution of failing has")
        assert screen.app.screen is view


async def test_what_is_the_same_is_said_to_be(storage: SQLiteStorage) -> None:
    first = await ended(storage, chain(2))
    second = await ended(storage, chain(2))
    async with screen_on(storage, (80, 24)) as screen:
        await screen.dashboard.show_above("diff", first, second)
        await screen.until(lambda: isinstance(screen.app.screen, DiffView))
        await screen.expect("s1", "=", "Nothing differs here but the time it took")
        await screen.press("J")
        await screen.expect("Nothing below differs")


# The template


TEXT = """\
name: told
steps:
  - {id: a, type: echo}

  - id: b
    type: echo
"""


async def test_e_opens_the_template_where_the_step_stands(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Client(storage.url, durability="normal") as client:
        version = await client.create_template("told", TEXT)
        assert [line_of_step(version, key) for key in ("a", "b", "gone", None)] == [3, 5, 1, 1]
        run_id = await client.start_run("told")
    async with run_shown(storage, run_id) as (screen, _):
        monkeypatch.setenv("EDITOR", "true")
        await screen.press("e")
        await screen.expect("An editor needs the terminal")


@given(st.lists(st.text(max_size=12), max_size=4), st.integers(4, 20))
def test_wrapped_lines_lose_nothing_and_fit(texts: list[str], width: int) -> None:
    line: Line = [(safe(text), "") for text in texts]
    wrapped = wrap_line(line, width)
    assert all(sum(cell_len(text) for text, _ in part) <= width for part in wrapped)
    joined = "".join("".join(text for text, _ in part)[2 if place else 0 :] for place, part in enumerate(wrapped))
    assert joined == "".join(text for text, _ in line)
    told = wrap_text(" ".join(texts), width, "")
    assert all(sum(cell_len(text) for text, _ in part) <= width for part in told)


async def test_a_large_output_is_read_only_where_all_of_it_is_asked_for(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(storage, flow(echo("big", "needle " * 20_000), name="large"), {"n": 1})
    decoded: list[int] = []
    decode = jsontext.decode

    def counted(text: str) -> Any:
        decoded.append(len(text))
        return decode(text)

    monkeypatch.setattr(jsontext, "decode", counted)
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await screen.press("enter", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        view = screen.app.screen
        assert isinstance(view, RunView)
        await screen.expect("✓ big", '"output": 140,002 characters; i shows them')
        await tab(screen, view, "events")
        await screen.expect("$omitted")
        assert max(decoded) < 1000
        await screen.press("i")
        await screen.expect('"n": 1', '"big": "needle')
        assert max(decoded) < 20_000
        await screen.press("j", "j", "j", "x")
        await screen.expect('"big": 140,000 characters')
        assert max(decoded) > 140_000


async def test_the_values_of_the_past_are_those_of_then(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, flow(echo("a", "given"), name="then"), {"n": 1})
    async with run_shown(storage, run_id) as (screen, _):
        await screen.press("i")
        await screen.expect('"output": {1}')
        await screen.press("H", *["less_than_sign"] * 3)
        await screen.expect('"n": 1', '"output": null')


async def test_one_whose_steps_were_seen_is_there_before_they_are_read_again(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await ended(storage, chain(3))
    async with screen_on(storage, begin_on=run_id) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        may_read = asyncio.Event()
        get_run = screen.app.client.get_run

        async def read_later(*what: Any, **how: Any) -> RunRecord:
            await may_read.wait()
            return await get_run(*what, **how)

        monkeypatch.setattr(screen.app.client, "get_run", read_later)
        await screen.press("enter", "enter")
        await screen.expect("✓ completed", "✓ s2")
        assert isinstance(screen.app.screen, RunView)
        may_read.set()
        await screen.expect("/builtin/echo")


async def test_what_is_drawn_while_another_execution_is_read_does_no_harm(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await ended(storage, work()), await ended(storage, chain(1))
    may_read = asyncio.Event()
    get_run = Client.get_run

    async def late(self: Client, run: str, **options: Any) -> RunRecord:
        await may_read.wait()
        return await get_run(self, run, **options)

    async with run_shown(storage, first) as (screen, view):
        monkeypatch.setattr(Client, "get_run", late)
        coming = asyncio.create_task(view.show_run(second))
        await screen.until(lambda: view.run is None)
        await screen.pilot.resize_terminal(80, 24)
        may_read.set()
        await coming
        await screen.until(lambda: view.run is not None and view.run.id == second)
