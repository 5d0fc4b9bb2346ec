"""Each list says how fresh it is: live, or as of when it was read."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from textual._context import NoActiveAppError
from textual.widget import Widget

from stepflow.client import Client
from stepflow.errors import StorageError
from stepflow.model.event import EventType
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import freshness, histories
from stepflow_tui.freshness import Freshness
from stepflow_tui.histories import Histories
from stepflow_tui.panes.executions import Executions
from stepflow_tui.panes.failures import Failures
from stepflow_tui.panes.template_list import TemplateList
from stepflow_tui.presentation.freshness import border_words, fresh_words
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.screens.commanding import Commanding
from stepflow_tui.screens.failures import FailuresView
from stepflow_tui.screens.run import RunView
from stepflow_tui.screens.search import SearchView
from stepflow_tui.screens.templates import TemplatesView
from stepflow_tui.screens.workers import WorkerList, WorkersView
from stepflow_tui.widgets.fresh_list import FreshList
from tests.support.engine import start, until, working
from tests.support.flows import chain
from tests.tui.test_dashboard import screen_on, sleeping
from tests.tui.test_run import run_shown
from tests.tui.test_search import look_for, some
from tests.tui.test_search import shown as search_shown

UNICODE, ASCII = Glyphs(), Glyphs(ascii_only=True)


def below(widget: Widget) -> str:
    return str(widget.border_subtitle)


def test_a_list_is_live_or_was_read_at_a_time() -> None:
    read_at = datetime(2026, 1, 20, 12, 41, 7, tzinfo=UTC)
    assert fresh_words(None, UNICODE, is_live=False) == ""
    assert fresh_words(read_at, UNICODE, is_live=True) == "● live"
    assert fresh_words(read_at, ASCII, is_live=True) == "* live"
    assert fresh_words(read_at, UNICODE, is_live=False) == f"as of {read_at.astimezone():%H:%M:%S}"


@pytest.mark.parametrize(
    ("said", "fresh", "width", "is_live", "words"),
    [
        ("9 of 214", "● live", 40, True, "9 of 214 · ● live"),
        ("9 of 214", "● live", 23, True, "9 of 214 · ● live"),
        ("9 of 214", "● live", 22, True, "9 of 214"),
        ("9 of 214", "as of 12:41:07", 30, False, "as of 12:41:07"),
        ("", "● live", 9, True, "● live"),
        ("9 of 214", "", 40, False, "9 of 214"),
    ],
)
def test_where_there_is_no_room_for_both_what_matters_more_stays(
    said: str, fresh: str, width: int, is_live: bool, words: str
) -> None:
    assert border_words(said, fresh, width, UNICODE, is_live=is_live) == words


async def test_what_is_missed_for_long_is_told_and_what_is_read_soon_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness, "BEHIND_SECONDS", 0.05)
    fell = asyncio.Event()
    fresh = Freshness(fell.set)
    assert not fresh.is_live
    fresh.begin()
    fresh.end()
    assert fresh.is_live
    fresh.miss()
    fresh.begin()
    fresh.end()
    await asyncio.sleep(0.1)  # longer than it may be missed
    assert fresh.is_live
    assert not fell.is_set()
    fresh.begin()
    fresh.miss()  # it came too late to be read
    fresh.end()
    assert fresh.is_live
    await asyncio.wait_for(fell.wait(), 5)
    assert not fresh.is_live
    fresh.begin()
    fresh.end()
    assert fresh.is_live
    fresh.begin_anew()
    assert not fresh.is_live


async def test_each_list_says_so(storage: SQLiteStorage) -> None:
    await some(storage)
    async with screen_on(storage, (160, 50)) as screen:

        async def all_are_live(*kinds: type[FreshList]) -> None:
            for kind in kinds:
                await screen.until(lambda kind=kind: below(screen.app.screen.query_one(kind)).endswith("● live"))

        await screen.until(lambda: below(screen.dashboard.templates).endswith("● live"))
        await all_are_live(Executions, Failures)
        for key, kind in (("2", Executions), ("3", TemplateList), ("5", WorkerList), ("7", Failures)):
            await screen.press(key)
            await screen.until(lambda kind=kind: bool(screen.app.screen.query(kind)))
            await all_are_live(kind)
            assert screen.app.screen.query_one(kind).freshness.is_live


async def test_while_the_storage_cannot_be_read_lists_say_of_when_they_are(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start(storage, sleeping())
    async with working(storage), screen_on(storage, (160, 50)) as screen:
        await screen.until(lambda: screen.dashboard.executions.runs[0].status.value == "sleeping")
        await screen.expect("nap")
        lists = (screen.dashboard.executions, screen.dashboard.templates, screen.dashboard.timeline)
        await screen.until(lambda: below(lists[0]).endswith("1 · ● live"))

        def broken(*_: Any, **__: Any) -> Any:
            raise StorageError("the disk is gone")

        with monkeypatch.context() as gone:
            gone.setattr(SQLiteStorage, "get_events", broken)
            gone.setattr(SQLiteStorage, "list_runs", broken)
            gone.setattr(SQLiteStorage, "get_run", broken)
            await screen.press("ctrl+r")
            await screen.expect("! the disk is gone")
            for one in lists:
                await screen.until(lambda one=one: "as of " in below(one))
            await screen.expect(run_id[-4:])
        await screen.press("ctrl+r")
        await screen.until(lambda: all("as of" not in below(one) for one in lists))
        assert below(lists[0]).endswith("1 · ● live")


async def test_a_query_that_takes_long_shows_what_it_had_and_says_of_when(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until_ended(storage)
    async with screen_on(storage) as screen:
        await screen.press("2")
        await screen.until(lambda: bool(screen.app.screen.query(Executions)))
        pane = screen.app.screen.query_one(Executions)
        await screen.until(lambda: below(pane) == "1 · ● live")
        list_runs, answers = Client.list_runs, asyncio.Event()

        async def slow(self: Client, *arguments: Any, **options: Any) -> Any:
            await answers.wait()
            return await list_runs(self, *arguments, **options)

        monkeypatch.setattr(freshness, "BEHIND_SECONDS", 0.1)
        monkeypatch.setattr(Client, "list_runs", slow)
        start(storage, chain(1))
        await screen.until(lambda: below(pane).startswith("1 · as of "))
        assert len(pane.runs) == 1
        answers.set()
        await screen.until(lambda: below(pane) == "2 · ● live")


async def test_what_was_found_is_not_looked_for_again_and_says_of_when_it_is(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some(storage)
    monkeypatch.setattr(freshness, "BEHIND_SECONDS", 0.1)
    async with screen_on(storage) as screen:
        found = await search_shown(screen)
        await look_for(screen, "http")
        await screen.until(lambda: below(found).endswith("● live"))
        start(storage, chain(1))
        await screen.until(lambda: "as of " in below(found))
        assert found.freshness.read_at is not None
        await screen.press("ctrl+r")
        await screen.until(lambda: below(found).endswith("● live"))
        # Nor did it hear of anything while an execution was looked at.
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        await screen.press("q")
        await screen.until(lambda: "as of " in below(found))


async def test_changing_a_tab_reads_nothing_and_makes_nothing_newer(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start(storage, sleeping())
    async with working(storage), run_shown(storage, run_id) as (screen, view):
        await screen.until(lambda: view.timeline.freshness.is_live and "nap" in screen.text)
        view.session.note_trouble("the disk is gone")
        await screen.until(lambda: "as of " in below(view.timeline))
        await screen.until(lambda: all(one.is_finished for one in view.workers if one.node is view))
        read_at = view.timeline.freshness.read_at
        await screen.press("right_square_bracket", "left_square_bracket")
        await screen.until(lambda: "as of " in below(view.timeline))
        assert view.timeline.freshness.read_at == read_at


async def test_a_history_that_could_not_be_read_is_read_again(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until_ended(storage)
    async with Client(storage.url, durability="normal") as client:
        monkeypatch.setattr(histories, "AGAIN_SECONDS", 0.0)
        known = Histories(client)
        await known.read(["flow"])
        await until_ended(storage)
        known.note([event for event in await client.get_events() if event.event_type == EventType.RUN_COMPLETED])

        async def broken(*_: Any, **__: Any) -> Any:
            raise StorageError("the disk is gone")

        with monkeypatch.context() as gone:
            gone.setattr(Client, "list_runs", broken)
            with pytest.raises(StorageError):
                await known.read(["flow"])
        assert await known.read(["flow"])
        history = known.of("flow")
        assert history is not None
        assert len(history.ended) == 2


@pytest.mark.parametrize("view", [TemplatesView, FailuresView, SearchView, WorkersView])
async def test_what_arrives_while_a_screen_is_made_or_left_harms_nothing(
    storage: SQLiteStorage, view: type[Commanding]
) -> None:
    run_id = start(storage, chain(1))
    async with screen_on(storage) as screen:
        seen = view(screen.app.session)  # its panes are not there yet
        happened = await screen.app.client.get_events(run_id)
        saved = msgspec.structs.replace(happened[0], event_type=EventType.TEMPLATE_SAVED, payload={"name": "flow"})
        failed = msgspec.structs.replace(happened[0], event_type=EventType.RUN_FAILED)
        seen.miss()
        assert not seen.query(FreshList)
        with suppress(NoActiveAppError):  # it would read, which needs one
            seen.events_arrived([saved, failed])


async def until_ended(storage: SQLiteStorage) -> None:
    run_id = start(storage, chain(1))
    async with working(storage):
        await until(storage, run_id)
