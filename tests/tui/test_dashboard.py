"""The first screen, driven by keys, on a real engine and a real SQLite file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, get_args

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Input

from stepflow.client import Client
from stepflow.errors import StorageError
from stepflow.model.flow import Flow, Step
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.app import StepFlowApp
from stepflow_tui.config import Config
from stepflow_tui.keymap import KEYS, View, keys_of
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.diff import DiffView
from stepflow_tui.screens.executions import ExecutionsView
from stepflow_tui.screens.failures import FailuresView
from stepflow_tui.screens.frame import Frame
from stepflow_tui.screens.help import Help, help_lines
from stepflow_tui.screens.run import RunView
from stepflow_tui.screens.search import SearchView
from stepflow_tui.screens.settings import SettingsView
from stepflow_tui.screens.templates import TemplatesView
from stepflow_tui.screens.workers import WorkersView
from stepflow_tui.widgets.lines import LineView
from tests.support.engine import save, start, until, working
from tests.support.flows import chain, echo, fan_out, flow

PATIENCE_SECONDS = 15.0


class Screen:
    """What a person sees and does."""

    def __init__(self, app: StepFlowApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def dashboard(self) -> Dashboard:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, Dashboard)
        return screen

    def text_of(self, widget: LineView) -> str:
        region = widget.size
        return "\n".join("".join(segment.text for segment in widget.render_line(y)) for y in range(region.height))

    @property
    def text(self) -> str:
        widgets = self.app.screen.query(LineView)
        return "\n".join(self.text_of(widget) for widget in widgets if widget.display)

    async def expect(self, *words: str) -> None:
        await self.until(lambda: all(word in self.text for word in words), f"it holds {words}")

    async def until(self, holds: Callable[[], bool], what: str = "it holds") -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not holds():
                    await self.pilot.pause(0.01)
        except TimeoutError:
            pytest.fail(f"waited in vain until {what}; the screen shows\n{self.text}")

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    def burst(self, *keys: str) -> None:
        """All at once, as they come down a slow line; single letters as they are, others by their names."""
        for key in keys:
            name, letter = (_character_to_key(key), key) if len(key) == 1 else (key, None)
            self.app.post_message(events.Key(name, {"slash": "/", "colon": ":"}.get(key, letter)))


@asynccontextmanager
async def screen_on(
    storage: SQLiteStorage,
    size: tuple[int, int] = (120, 40),
    begin_on: str | None = None,
    *,
    read_only: bool = False,
    config: Config | None = None,
) -> AsyncIterator[Screen]:
    async with Client(storage.url, durability="normal", read_only=read_only) as client:
        run = None if begin_on is None else await client.get_run(begin_on)
        app = StepFlowApp(client, start_worker=False, run=run, read_only=read_only, config=config)
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.until(lambda: bool(app.screen_stack) and "stepflow" in screen.text)
            yield screen


def failing() -> Flow:
    return flow(Step(key="bad", component="/builtin/fail", input={"message": "no such column"}), name="failing")


def sleeping() -> Flow:
    return flow(Step(key="nap", component="/builtin/sleep", input={"seconds": 3600}), name="sleeper")


async def test_an_empty_storage_says_what_to_do(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await screen.expect("Nothing has run yet")
        for key in ("c", "t", "r", "l", "J", "enter"):
            await screen.press(key)
        await screen.expect("No other execution failed")


async def test_rows_go_on_with_time_though_the_selected_execution_has_ended(storage: SQLiteStorage) -> None:
    async with working(storage):
        asleep = start(storage, sleeping())
        await until(storage, asleep, RunStatus.SLEEPING)
        ended = start(storage, chain(1))
        await until(storage, ended)
        async with screen_on(storage) as screen:
            await screen.expect("ok", short_id(asleep))
            assert screen.dashboard.executions.selected is not None
            assert screen.dashboard.executions.selected.id == ended

            def row() -> str:
                lines = screen.text_of(screen.dashboard.executions).splitlines()
                return next(line for line in lines if short_id(asleep) in line)

            before = row()
            await screen.until(lambda: row() != before)


@pytest.mark.parametrize(
    "size",
    [(40, 10), (80, 24), (200, 60), *(pytest.param(size, marks=pytest.mark.full) for size in ((120, 40), (20, 5)))],
)
async def test_it_works_at_every_size(storage: SQLiteStorage, size: tuple[int, int]) -> None:
    run_id = start(storage, failing())
    async with working(storage):
        await until(storage, run_id)
    async with screen_on(storage, size) as screen:
        await screen.until(lambda: bool(screen.dashboard.executions.runs))
        if size != (20, 5):
            await screen.expect("✗", short_id(run_id))
        for key in ("tab", "z", "escape", "j", "k", "G", "g", "question_mark", "x"):
            await screen.press(key)
        await screen.pilot.resize_terminal(100, 30)
        await screen.expect("no such column")


async def test_a_run_of_another_process_appears_by_itself_with_its_failure(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen, working(storage):
        start(storage, chain(2))
        await screen.expect("flow", "ok", "step.completed")
        start(storage, failing())
        await screen.expect("failing", "bad: no such column")
        await screen.press("g")
        said = "t y retry · ✗ bad: no such column"
        await screen.until(lambda: said in str(screen.dashboard.timeline.border_subtitle))


async def test_r_asks_for_the_input_and_runs(storage: SQLiteStorage) -> None:
    schema = {"type": "object", "required": ["n"], "additionalProperties": {"type": "integer"}, "default": {"n": 3}}
    save(storage, flow(echo("a", {"$from": {"workflow": "input"}}), name="ask", input_schema=schema))
    async with screen_on(storage) as screen, working(storage):
        await screen.expect("ask")
        await screen.press("r")
        await screen.until(lambda: bool(screen.app.screen.query(Input)))
        field = screen.app.screen.query_one(Input)
        assert field.value == '{"n": 3}'
        field.value = "{broken"
        await screen.press("enter")
        await screen.until(lambda: "Not JSON" in str(screen.app.screen.query_one("#ask Static").render()))
        field.value = '{"n": "one"}'
        await screen.press("enter")
        await screen.expect("is not of type")
        assert storage.count_runs(None, None) == 0
        field.value = '{"n": 5}'
        await screen.press("enter")
        await screen.expect("Started")
        await screen.until(lambda: storage.count_runs([RunStatus.COMPLETED], None) == 1)
        assert not screen.app.screen.query(Input)
        await screen.press("r")
        await screen.until(lambda: bool(screen.app.screen.query(Input)))
        assert screen.app.screen.query_one(Input).value == '{"n": 5}'
        await screen.press("escape")
        await screen.until(lambda: not screen.app.screen.query(Input))


async def test_c_then_y_cancels_and_any_other_key_does_not(storage: SQLiteStorage) -> None:
    run_id = start(storage, sleeping())
    async with screen_on(storage) as screen, working(storage):
        await screen.expect("sleeping")
        await screen.press("c")
        await screen.expect(f"Cancel {short_id(run_id)}")
        await screen.press("n")
        await screen.until(lambda: not screen.app.screen.query("#question"))
        assert storage.get_run(run_id).status is RunStatus.SLEEPING
        await screen.press("c", "y")
        executions = screen.dashboard.executions
        await screen.until(lambda: executions.selected is not None and executions.selected.status.is_final)
        assert storage.get_run(run_id).status is RunStatus.CANCELLED
        await screen.press("c")
        await screen.expect("there is nothing to cancel")


async def test_t_retries_what_failed_and_says_why_not_otherwise(storage: SQLiteStorage) -> None:
    start(storage, failing())
    async with screen_on(storage) as screen, working(storage):
        await screen.expect("bad: no such column")
        await screen.press("t", "y")
        await screen.until(lambda: storage.count_runs([RunStatus.FAILED], None) == 2)
        await screen.expect("Retried as")
        ok = start(storage, chain(1))
        await until(storage, ok)
        executions = screen.dashboard.executions

        def ok_is_selected() -> bool:
            executions.select(ok)  # it is in the log before it is in the list
            selected = executions.selected
            return selected is not None and selected.id == ok and selected.status.is_final

        await screen.until(ok_is_selected)
        await screen.press("t")
        await screen.expect("is completed: run it again with r")


async def test_the_cursor_stays_on_its_execution_while_others_come(storage: SQLiteStorage) -> None:
    ids = [start(storage, chain(1)) for _ in range(5)]
    async with screen_on(storage) as screen:
        await screen.expect(short_id(ids[0]))
        await screen.press("j", "j")
        executions = screen.dashboard.executions
        assert executions.selected is not None
        selected = executions.selected.id
        more = [start(storage, chain(1)) for _ in range(30)]
        await screen.until(lambda: executions.runs[0].id == more[-1])
        assert executions.selected.id == selected
        await screen.expect(short_id(selected))


async def test_pages_are_read_as_they_are_scrolled_to(storage: SQLiteStorage) -> None:
    ids = [start(storage, chain(1)) for _ in range(450)]
    async with screen_on(storage) as screen:
        executions = screen.dashboard.executions
        await screen.until(lambda: len(executions.runs) == 200)
        await screen.press("G")
        await screen.until(lambda: len(executions.runs) == 400)
        await screen.press("G")
        await screen.until(lambda: len(executions.runs) == 450)
        await screen.press("G")
        await screen.expect(short_id(ids[0]))


async def test_j_and_k_go_from_problem_to_problem(storage: SQLiteStorage) -> None:
    bad = [start(storage, failing()) for _ in range(2)]
    good = [start(storage, chain(1)) for _ in range(3)]
    async with working(storage):
        for run_id in (*bad, *good):
            await until(storage, run_id)
    async with screen_on(storage) as screen:
        executions = screen.dashboard.executions
        await screen.until(lambda: len(executions.runs) == 5)
        await screen.press("J")
        assert executions.selected is not None
        assert executions.selected.id == bad[1]
        await screen.press("J")
        assert executions.selected.id == bad[0]
        await screen.press("J")
        await screen.expect("No execution below failed, and no other waits or runs")
        await screen.press("K")
        assert executions.selected.id == bad[1]
        await screen.until(
            lambda: screen.dashboard.timeline.run is not None and screen.dashboard.timeline.run.id == bad[1]
        )


async def test_the_log_follows_until_it_is_scrolled_back(storage: SQLiteStorage) -> None:
    start(storage, fan_out(30))
    async with screen_on(storage) as screen, working(storage):
        await screen.expect("run.completed")
        log = screen.dashboard.log_pane
        assert log.follows
        screen.dashboard.set_focus(log)
        await screen.press("g")
        assert not log.follows
        start(storage, chain(1))
        await screen.until(lambda: log.events[-1].event_type == "run.completed" and log.events[-1].kind == "flow")
        assert log.cursor == 0
        await screen.press("G")
        assert log.follows


async def test_l_shows_the_log_of_the_selected_execution_alone(storage: SQLiteStorage) -> None:
    first = start(storage, chain(1))
    second = start(storage, failing())
    async with screen_on(storage) as screen, working(storage):
        await screen.expect("bad: no such column")
        screen.dashboard.executions.select(first)
        await screen.press("l")
        log = screen.dashboard.log_pane
        await screen.until(lambda: log.run_id == first and {event.run_id for event in log.events} == {first})
        screen.dashboard.executions.select(second)
        await screen.until(lambda: {event.run_id for event in log.events} == {second})
        await screen.press("l")
        await screen.until(lambda: log.run_id is None)


@pytest.mark.full
async def test_ten_thousand_steps_are_shown_and_keys_still_answer(storage: SQLiteStorage) -> None:
    run_id = start(storage, fan_out(10_000))
    async with working(storage):
        await until(storage, run_id)
    async with screen_on(storage) as screen:
        timeline = screen.dashboard.timeline
        await screen.until(lambda: len(timeline.rows) == 10_000)
        screen.dashboard.set_focus(timeline)
        await screen.expect("more steps  x unfolds")
        await screen.press("G", "x", "G")
        await screen.expect("s9998", "x folds them")
        assert timeline.row_count == 10_001


async def test_zoom_gives_a_pane_the_whole_screen_and_takes_it_back(storage: SQLiteStorage) -> None:
    start(storage, chain(1))
    async with screen_on(storage) as screen:
        for pane in (screen.dashboard.executions, screen.dashboard.templates, screen.dashboard.timeline):
            screen.dashboard.set_focus(pane)
            await screen.press("z")
            await screen.until(lambda pane=pane: pane.size.height > 30)  # type: ignore[misc]  # bound at once
            await screen.press("escape")
            await screen.until(lambda pane=pane: pane.size.height < 30)  # type: ignore[misc]  # bound at once
            assert not screen.dashboard.has_class("-zoomed")


async def test_markup_and_control_characters_from_runs_are_only_text(storage: SQLiteStorage) -> None:
    evil = flow(
        Step(key="x[/]", component="/builtin/fail", input={"message": "[bold]\x1b[2J[/nope]"}), name="evil[red]"
    )
    start(storage, evil)
    async with screen_on(storage) as screen, working(storage):
        await screen.expect("evil[red]", "[bold]·[2J[/nope]", "x[/]")


async def test_trouble_with_the_storage_is_shown_and_passes(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(storage, chain(1))
    async with screen_on(storage) as screen:
        await screen.expect("queued")
        client = screen.dashboard.client
        get_events = SQLiteStorage.get_events
        gone = True

        def broken(self: SQLiteStorage, *arguments: Any, **options: Any) -> Any:
            if gone:
                raise StorageError("the disk is gone")
            return get_events(self, *arguments, **options)

        monkeypatch.setattr("stepflow_tui.live.RETRY_SECONDS", 0.05)
        monkeypatch.setattr(SQLiteStorage, "get_events", broken)
        start(storage, chain(1))
        await screen.expect("! the disk is gone")
        gone = False
        await screen.until(lambda: "the disk is gone" not in screen.text)
        assert len(await client.get_events()) > 0
        await screen.until(lambda: len(screen.dashboard.executions.runs) == 2)


async def test_q_asks_only_when_a_worker_of_ours_has_live_runs(storage: SQLiteStorage) -> None:
    class OwnWorker:
        pid, stopped = 1, False

        def is_alive(self) -> bool:
            return not self.stopped

        def stop(self) -> None:
            self.stopped = True

    run_id = start(storage, sleeping())
    async with screen_on(storage) as screen, working(storage):
        await screen.expect("sleeping")
        own: Any = OwnWorker()
        screen.app.session.worker_process = own
        await screen.press("q")
        await screen.expect("1 execution is live", "leave its worker in the background")
        await screen.press("x")
        await screen.until(lambda: not screen.app.screen.query("#question"))
        await screen.press("q", "s")
        await screen.until(lambda: own.stopped)
        assert storage.get_run(run_id).status is RunStatus.SLEEPING
        assert screen.app.return_code == 0


async def test_help_lists_every_key_and_every_key_does_something(storage: SQLiteStorage) -> None:
    classes: dict[View, type[Frame]] = {
        "dashboard": Dashboard,
        "executions": ExecutionsView,
        "templates": TemplatesView,
        "workers": WorkersView,
        "search": SearchView,
        "failures": FailuresView,
        "settings": SettingsView,
        "run": RunView,
        "diff": DiffView,
    }
    assert set(get_args(View)) == set(classes)
    for view, screen_class in classes.items():
        said = "\n".join("".join(text for text, _ in line) for line in help_lines(view))
        for key in keys_of(view):
            assert key.shown in said
            assert key.help in said
            assert hasattr(screen_class, f"action_{key.action.partition('(')[0]}")
    assert len({key.id for key in KEYS}) == len(KEYS)
    async with screen_on(storage) as screen:
        await screen.press("question_mark")
        await screen.until(lambda: isinstance(screen.app.screen, Help))
        await screen.press("x")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))


@pytest.mark.full
async def test_thousands_of_steps_are_followed_while_they_run(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen, working(storage):
        run_id = start(storage, fan_out(3000))
        timeline = screen.dashboard.timeline
        await until(storage, run_id)
        await screen.until(lambda: timeline.run is not None and timeline.run.status is RunStatus.COMPLETED)
        assert all(row.step.status == "completed" for row in timeline.rows)


@pytest.mark.parametrize("place", [200, *(pytest.param(place, marks=pytest.mark.full) for place in (0, 150, 199, 430))])
async def test_it_begins_on_the_execution_that_was_named_on_whichever_page(storage: SQLiteStorage, place: int) -> None:
    ids = [start(storage, chain(1)) for _ in range(431)][::-1]
    async with screen_on(storage, begin_on=ids[place]) as screen:
        executions = screen.dashboard.executions

        def selected() -> str | None:
            return None if executions.selected is None else executions.selected.id

        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await screen.expect(short_id(ids[place]))
        assert selected() == ids[place]
        assert screen.dashboard.timeline.run is not None
        assert screen.dashboard.timeline.run.id == ids[place]
        new = start(storage, chain(1))
        await screen.until(lambda: executions.runs[0].id == new)
        assert selected() == ids[place]
        # Scrolled through, each is there once.
        while len(executions.runs) < 432:
            before = len(executions.runs)
            await screen.press("g", "G")
            await screen.until(lambda before=before: len(executions.runs) > before, "another page")  # type: ignore[misc]  # bound here
        assert [run.id for run in executions.runs] == [new, *ids]


async def test_it_begins_on_a_child_and_follows_it(storage: SQLiteStorage) -> None:
    parent = start(storage, chain(1))
    child = start(storage, chain(2), parent_run_id=parent)
    for _ in range(3):
        start(storage, chain(1))
    async with screen_on(storage, begin_on=child) as screen:
        executions = screen.dashboard.executions
        await screen.until(lambda: bool(executions.runs))
        assert [run.id for run in executions.runs].count(child) == 1
        async with working(storage):
            await screen.until(lambda: all(run.status.is_final for run in executions.runs))
        assert executions.selected is not None
        assert executions.selected.id == child


async def test_nothing_ticks_beneath_another_screen(storage: SQLiteStorage) -> None:
    run_id = start(storage, sleeping())
    async with working(storage), screen_on(storage) as screen:
        await until(storage, run_id, RunStatus.SLEEPING)
        await screen.until(lambda: screen.dashboard._clock is not None)
        await screen.press("5")
        await screen.until(lambda: screen.dashboard._clock is None)
        await screen.press("q")
        await screen.until(lambda: screen.dashboard._clock is not None)
        assert screen.app.screen is screen.dashboard
