"""On what a key acts: on the execution as it is now while its past is seen; at which line the editor opens."""

from __future__ import annotations

import pytest

from stepflow.client import Client
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.run import Journey, scrubber
from tests.support.engine import start, until, working
from tests.tui.records import NOW
from tests.tui.test_dashboard import Screen, screen_on, sleeping
from tests.tui.test_run import run_shown

BROKEN = """\
name: broken
steps:
  - id: first
    type: echo
  - id: cause
    type: fail
    input: {message: no such column}
    depends_on: [first]
  - id: after
    type: echo
    depends_on: [cause]
"""


def footer(screen: Screen) -> str:
    return screen.text_of(screen.app.screen.query_one("#footer"))  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_speed_is_among_the_hints_of_the_scrubber(width: int) -> None:
    line = scrubber(Journey(3, 9, NOW, 1, is_playing=False), width, Glyphs())
    assert " w " in line[-1][0]
    assert sum(len(text) for text, _ in line) <= width


async def test_in_the_past_the_footer_offers_nothing_that_acts_on_now(storage: SQLiteStorage) -> None:
    async with working(storage):
        run_id = start(storage, sleeping())
        await until(storage, run_id, RunStatus.SLEEPING)
    async with run_shown(storage, run_id, (200, 40)) as (screen, view):
        assert all(word in footer(screen) for word in ("Cancel", "Retry", "Pause", "Answer"))
        await screen.press("b")
        await screen.until(lambda: view.past is not None)
        assert not any(word in footer(screen) for word in ("Cancel", "Retry", "Pause", "Answer"))
        assert "Help" in footer(screen)
        await screen.press("c")
        await screen.expect(f"Cancel {short_id(run_id)} sleeper as it is now?")
        await screen.press("n", "p")
        await screen.expect(f"Pause {short_id(run_id)} sleeper as it is now?")
        await screen.press("n", "escape")
        await screen.until(lambda: view.past is None)
        assert "Cancel" in footer(screen)
        await screen.press("c")
        await screen.expect(f"Cancel {short_id(run_id)} sleeper?")


async def broken(storage: SQLiteStorage) -> str:
    async with Client(storage.url, durability="normal") as client:
        await client.create_template("broken", BROKEN)
        run_id = await client.start_run("broken", 1)
        async with working(storage):
            await until(storage, run_id, RunStatus.FAILED)
        return run_id


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """At which the editor was opened."""
    opened: list[int] = []
    monkeypatch.setattr("stepflow_tui.editing.edit", lambda app, file, line: opened.append(line))
    return opened


async def test_on_the_dashboard_the_editor_opens_at_the_step_that_failed(
    storage: SQLiteStorage, lines: list[int]
) -> None:
    await broken(storage)
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.selected_key == "cause")
        await screen.press("e")
        await screen.until(lambda: len(lines) == 1)
        screen.dashboard.set_focus(screen.dashboard.timeline)
        await screen.press("g", "e")
        await screen.until(lambda: len(lines) == 2)
        screen.dashboard.set_focus(screen.dashboard.templates)
        await screen.press("e")
        await screen.until(lambda: len(lines) == 3)
        assert lines == [5, 3, 1]


@pytest.mark.parametrize("view", ["2", "7"])
async def test_in_a_list_of_executions_it_does_too(storage: SQLiteStorage, lines: list[int], view: str) -> None:
    await broken(storage)
    async with screen_on(storage) as screen:
        await screen.press(view)
        await screen.expect("no such column")
        await screen.press("e")
        await screen.until(lambda: bool(lines))
        assert lines == [5]


async def test_of_one_that_did_not_fail_it_is_the_first_line(storage: SQLiteStorage, lines: list[int]) -> None:
    async with Client(storage.url, durability="normal") as client:
        await client.create_template("fine", "name: fine\nsteps:\n  - id: a\n    type: echo\n")
        run_id = await client.start_run("fine", 1)
        async with working(storage):
            await until(storage, run_id)
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.executions.selected is not None)
        await screen.press("e")
        await screen.until(lambda: bool(lines))
        assert lines == [1]
