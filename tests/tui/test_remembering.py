"""The screens begin where they were left, on this database; whatever is in the file."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from stepflow.client import Client
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.app import StepFlowApp
from stepflow_tui.config import Config
from stepflow_tui.panes.executions import Executions
from stepflow_tui.remembering import MOST, Kept, Memory
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.executions import ExecutionsView
from stepflow_tui.screens.run import TABS, RunView
from stepflow_tui.screens.templates import TemplatesView
from tests.support.engine import save, start
from tests.support.flows import chain, echo, flow
from tests.tui.test_dashboard import Screen, failing, sleeping
from tests.tui.test_run import ended, tab
from tests.tui.test_undoing import filtered


@asynccontextmanager
async def opened(
    storage: SQLiteStorage, memory: Memory, run: str | None = None, config: Config | None = None
) -> AsyncIterator[Screen]:
    async with Client(storage.url, durability="normal", read_only=True) as client:
        begin = None if run is None else await client.get_run(run)
        app = StepFlowApp(client, start_worker=False, read_only=True, memory=memory, run=begin, config=config)
        async with app.run_test(size=(120, 40)) as pilot:
            screen = Screen(app, pilot)
            await screen.until(lambda: bool(app.screen_stack) and bool(screen.text.strip()))
            yield screen


async def left(screen: Screen) -> None:
    await screen.press("ctrl+c", "y")
    await screen.until(lambda: screen.app.return_value == 0)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "state" / "screens.json")


def selected(screen: Screen) -> str | None:
    run = screen.app.screen.query_one(Executions).selected
    return None if run is None else run.id


async def test_filter_cursor_and_zoom_of_the_dashboard_come_back(storage: SQLiteStorage, memory: Memory) -> None:
    ids = [start(storage, sleeping()) for _ in range(3)]
    start(storage, chain(1))
    async with opened(storage, memory) as screen:
        await filtered(screen, "sleeper")
        await screen.until(lambda: len(screen.dashboard.executions.runs) == 3)
        await screen.press("j", "tab", "z")
        await screen.until(lambda: selected(screen) == ids[1])
        zoomed = screen.app.screen.focused
        assert zoomed is not None
        await left(screen)
    async with opened(storage, memory) as screen:
        await screen.until(lambda: len(screen.dashboard.executions.runs) == 3)
        assert screen.dashboard.executions.listing.filter.text == "sleeper"
        assert selected(screen) == ids[1]
        await screen.until(lambda: getattr(screen.app.screen.focused, "id", None) == zoomed.id)
        assert screen.dashboard.has_class("-zoomed")
    async with opened(storage, memory, run=ids[0]) as screen:
        await screen.until(lambda: selected(screen) == ids[0])
        assert not screen.dashboard.executions.listing.filter.terms
        assert not screen.dashboard.has_class("-zoomed")


@pytest.mark.full
async def test_screens_that_lay_above_come_back_with_what_they_were_of(storage: SQLiteStorage, memory: Memory) -> None:
    bad = await ended(storage, failing())
    await ended(storage, chain(2))
    async with opened(storage, memory) as screen:
        await screen.press("2")
        await screen.until(lambda: isinstance(screen.app.screen, ExecutionsView))
        await screen.press("O", "g")
        await screen.until(lambda: selected(screen) == bad)
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        opened_run = screen.app.screen
        assert isinstance(opened_run, RunView)
        await screen.until(lambda: opened_run.step_key == "bad")
        await tab(screen, opened_run, "events")
        await left(screen)
    async with opened(storage, memory) as screen:
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        again = screen.app.screen
        assert isinstance(again, RunView)
        assert (again.run_id, again.step_key, TABS[again._tab]) == (bad, "bad", "events")
        await screen.press("q")
        await screen.until(lambda: isinstance(screen.app.screen, ExecutionsView))
        await screen.until(lambda: selected(screen) == bad)
        assert screen.app.screen.query_one(Executions).listing.reverse
        await left(screen)
    async with opened(storage, memory) as screen:
        await screen.until(lambda: isinstance(screen.app.screen, ExecutionsView))


async def test_the_template_that_was_looked_at_comes_back(storage: SQLiteStorage, memory: Memory) -> None:
    for name in ("alpha", "beta", "gamma"):
        save(storage, flow(echo("a", 1), name=name))
    async with opened(storage, memory) as screen:
        await screen.press("3")
        await screen.until(
            lambda: isinstance(screen.app.screen, TemplatesView) and len(screen.app.screen.entries.entries) == 3
        )
        await screen.press("j", "z")
        await screen.until(lambda: screen.app.session.template_at_hand == "beta")
        await left(screen)
    async with opened(storage, memory) as screen:
        await screen.until(
            lambda: isinstance(screen.app.screen, TemplatesView) and len(screen.app.screen.entries.entries) == 3
        )
        view = screen.app.screen
        assert isinstance(view, TemplatesView)
        await screen.until(lambda: view.template_at_hand == "beta")
        assert view.has_class("-single")


async def test_where_it_is_off_nothing_is_kept_and_nothing_comes_back(
    storage: SQLiteStorage, memory: Memory, tmp_path: Path
) -> None:
    start(storage, chain(1))
    file = tmp_path / "ui.toml"
    file.write_text('restore = "off"\n')
    memory.keep(storage.url, [Kept("dashboard"), Kept("workers")])
    async with opened(storage, memory, config=Config(file)) as screen:
        await screen.until(lambda: bool(screen.dashboard.executions.runs))
        await screen.press("3")
        await screen.until(lambda: isinstance(screen.app.screen, TemplatesView))
        await left(screen)
    assert [kept.view for kept in memory.recall(storage.url)] == ["dashboard", "workers"]


@pytest.mark.parametrize(
    "above",
    [
        [Kept("run", ("exec_gone000000000000", None, None))],
        *(
            pytest.param(above, marks=pytest.mark.full)
            for above in (
                [Kept("run", ())],
                [Kept("diff", ("exec_gone000000000000",))],
                [Kept("wibble")],
                [Kept("dashboard")],
            )
        ),
    ],
)
async def test_what_is_gone_by_now_is_left_out(storage: SQLiteStorage, memory: Memory, above: list[Kept]) -> None:
    run_id = start(storage, chain(1))
    memory.keep(storage.url, [Kept("dashboard", filter="wibble:x", cursor="exec_gone000000000000"), *above])
    async with opened(storage, memory) as screen:
        await screen.until(lambda: selected(screen) == run_id)
        await screen.press("j")
        assert isinstance(screen.app.screen, Dashboard)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        *(
            pytest.param(text, marks=pytest.mark.full)
            for text in (
                "",
                "[]",
                '{"x": 1}',
                '{"URL": [{"view": 7}]}',
                '{"URL": [{"sort": "wibble", "view": "x"}]}',
                "\x00\xff",
            )
        ),
    ],
)
async def test_a_file_that_is_not_ours_counts_as_none_and_is_written_anew(
    storage: SQLiteStorage, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "screens.json"
    file.write_bytes(text.replace("URL", storage.url).encode("latin-1"))
    run_id = start(storage, chain(1))
    async with opened(storage, Memory(file)) as screen:
        await screen.until(lambda: selected(screen) == run_id)
        await left(screen)
    assert [kept.cursor for kept in Memory(file).recall(storage.url)] == [run_id]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if "screens" in one.name] == ["screens.json"]


def test_only_the_databases_that_were_left_last_are_known(memory: Memory) -> None:
    for number in range(MOST + 3):
        memory.keep(f"{number}.db", [Kept("dashboard")])
    memory.keep("3.db", [Kept("dashboard", filter="x")])
    assert memory.recall("0.db") == []
    assert memory.recall("3.db") == [Kept("dashboard", filter="x")]
    memory.keep("new.db", [])
    assert memory.recall("3.db") != []
    assert memory.recall("4.db") == []


def test_leaving_fails_for_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    memory = Memory(blocked / "state" / "screens.json")
    memory.keep("x.db", [Kept("dashboard")])
    assert memory.recall("x.db") == []
