"""The search: executions, steps and log lines with the words, as they are found; stopped by a key."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepflow.client import Client
from stepflow.errors import StorageError
from stepflow.model.flow import Flow, Step
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import searching
from stepflow_tui.config import Config
from stepflow_tui.panes.found import Found
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.filters import parse_filter
from stepflow_tui.presentation.search import Reach, emphasised, found_line
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.run import RunView
from stepflow_tui.screens.search import SearchView
from stepflow_tui.searching import Hit, Search
from stepflow_tui.widgets.filter_field import FilterField
from stepflow_tui.widgets.tabs import Tabs
from tests.storages.test_search import say
from tests.support.engine import start, until, working
from tests.support.flows import chain, echo, flow
from tests.tui.test_dashboard import Screen, screen_on


def failing(message: str, name: str = "etl") -> Flow:
    load = Step(key="load", component="/builtin/fail", input={"message": message}, depends_on=("fetch",))
    return flow(echo("fetch"), load, name=name)


async def some(storage: SQLiteStorage) -> tuple[str, str]:
    """One that failed by `HTTP 503`, one that completed and said so."""
    bad, ok = start(storage, failing("HTTP 503 upstream")), start(storage, chain(2))
    say(storage, ok, ["got HTTP 503, trying again", "epoch 1", "epoch 2"])
    async with working(storage):
        await until(storage, bad)
        await until(storage, ok)
    return bad, ok


async def shown(screen: Screen) -> Found:
    await screen.press("6")
    await screen.until(lambda: isinstance(screen.app.screen, SearchView))
    await screen.until(lambda: screen.app.screen.focused is screen.app.screen.query_one(FilterField).field)
    return screen.app.screen.query_one(Found)


def search_of(screen: Screen) -> Search:
    view = screen.app.screen
    assert isinstance(view, SearchView)
    return view.search


async def look_for(screen: Screen, text: str) -> None:
    before = search_of(screen)
    await screen.press("slash")
    screen.app.screen.query_one(FilterField).set(text)
    await screen.press("enter")
    await screen.until(lambda: search_of(screen) is not before and search_of(screen).is_over)


@pytest.mark.parametrize(
    "size", [(40, 10), *(pytest.param(size, marks=pytest.mark.full) for size in ((80, 24), (200, 60)))]
)
async def test_words_are_found_in_executions_steps_and_log_lines(storage: SQLiteStorage, size: tuple[int, int]) -> None:
    bad, ok = await some(storage)
    async with screen_on(storage, size) as screen:
        found = await shown(screen)
        await look_for(screen, "http")
        tabs = screen.app.screen.query_one(Tabs)
        await screen.until(lambda: "[Executions 1]" in screen.text_of(tabs))
        assert str(found.border_subtitle).startswith("1 execution, 1 step, 1 log line in ")
        await screen.expect(short_id(bad), "HTTP")
        await screen.press("right_square_bracket")
        await screen.expect("[Steps 1]", "load")
        await screen.press("right_square_bracket")
        await screen.expect("[Log lines 1]", short_id(ok), "HTTP")
        await screen.press("enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        await screen.press("q")
        await screen.until(lambda: isinstance(screen.app.screen, SearchView))
        # What is shown is what was found: of a kind that there is.
        await screen.press("left_square_bracket", "left_square_bracket")
        await look_for(screen, "epoch")
        await screen.expect("[Log lines 2]")
        await look_for(screen, "nowhere")
        await screen.expect("Nothing was found")
        await screen.press("escape")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))


async def found_by(storage: SQLiteStorage, text: str) -> tuple[list[str], list[str], list[str]]:
    search = Search(parse_filter(text))
    async with Client(storage.url, durability="normal") as client:
        await search.look(client, lambda: None)
    return (
        [run.template for run in search.runs],
        [hit.event.step_key or "" for hit in search.steps],
        [hit.event.payload["message"] for hit in search.lines],
    )


async def test_a_log_line_is_opened_in_the_log_of_its_execution_however_far_up(storage: SQLiteStorage) -> None:
    run_id = start(storage, chain(2))
    say(storage, run_id, [f"line {number}" for number in range(1300)])
    async with screen_on(storage, (80, 24)) as screen:
        found = await shown(screen)
        for words in ("'line 1297'", "'line 20'"):
            await look_for(screen, words.replace("'", '"'))
            found.focus()
            while found.kind != 2:
                await screen.press("right_square_bracket")
            wanted = found.selected
            assert isinstance(wanted, Hit)
            await screen.press("enter")
            await screen.until(lambda: isinstance(screen.app.screen, RunView))
            view = screen.app.screen
            assert isinstance(view, RunView)
            await screen.until(lambda view=view: view.log_pane.selected is not None)  # type: ignore[misc]  # bound here
            await screen.until(
                lambda view=view, seq=wanted.event.seq: view.pane is view.log_pane and view.log_pane.selected.seq == seq  # type: ignore[misc]
            )
            await screen.until(lambda words=words: words.strip("'") in screen.text)  # type: ignore[misc]
            await screen.press("q")
            await screen.until(lambda: isinstance(screen.app.screen, SearchView))


async def test_what_is_said_of_executions_holds_for_what_is_found_inside_them(storage: SQLiteStorage) -> None:
    await some(storage)
    assert await found_by(storage, "status:failed -nowhere") == (["etl"], ["load", "fetch"], [])
    assert await found_by(storage, "template:flow epoch") == ([], [], ["epoch 2", "epoch 1"])
    assert await found_by(storage, "epoch -2") == ([], [], ["epoch 1"])
    assert await found_by(storage, "err~503 step:load*") == (["etl"], ["load"], [])
    assert await found_by(storage, "s1") == ([], ["s1"], [])
    assert await found_by(storage, "since:1h template:flow -nowhere") == (
        ["flow"],
        ["s1", "s0"],
        ["epoch 2", "epoch 1", "got HTTP 503, trying again"],
    )
    assert await found_by(storage, "-since:1h -nowhere") == ([], [], [])
    assert await found_by(storage, "since:2099-01-01 -nowhere") == ([], [], [])


async def test_a_filter_of_executions_alone_never_touches_the_log(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some(storage)

    def never(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("the log was looked at")

    monkeypatch.setattr(SQLiteStorage, "search_log", never)
    for text in ("status:failed", "dur:<1h template:etl", "-status:completed since:1h", "template:e*"):
        assert await found_by(storage, text) == (["etl"], [], [])
    async with screen_on(storage) as screen:
        found = await shown(screen)
        await look_for(screen, "status:failed")
        await screen.until(lambda: str(found.border_subtitle).startswith("1 execution in "))
        assert "a word, err~ or step: looks inside them" in str(found.border_subtitle)
        await screen.press("right_square_bracket")
        await screen.expect("[Steps]", "Only executions were looked for")


async def test_what_is_found_is_there_while_it_looks_on_and_it_says_how_far_it_came(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start(storage, chain(1))
    say(storage, run_id, [f"line {n}" for n in range(100)])
    monkeypatch.setattr(searching, "PIECE_SECONDS", 0.0)  # so that none grows
    monkeypatch.setattr(searching, "LEAST_EVENTS", 10)
    search = Search(parse_filter("line"))
    counts, reaches = [], []

    def seen() -> None:
        counts.append(len(search.lines))
        reaches.append(search.reach)

    async with Client(storage.url, durability="normal") as client:
        await search.look(client, seen)
        last = await client.last_seq()
    assert len(search.lines) == 100
    assert counts == sorted(counts)
    assert len(set(counts)) >= 10
    said = [one for one in reaches if one is not None and one.what == "event"]
    assert list(dict.fromkeys(one.count for one in said))[:3] == [10, 20, 30]
    assert all(one.back_to is not None and one.count <= last for one in said)
    assert search.reach is None


async def test_what_is_remembered_of_a_long_log_is_bounded(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "PIECE_SECONDS", 0.0)
    monkeypatch.setattr(searching, "LEAST_EVENTS", 3)
    monkeypatch.setattr(searching, "MOST_KNOWN", 2)
    for _ in range(12):
        say(storage, start(storage, chain(1)), ["line"])
    search = Search(parse_filter("line"))
    known = []
    async with Client(storage.url, durability="normal") as client:
        await search.look(client, lambda: known.append(len(search._known)))
    assert len(search.lines) == 12
    assert max(known) <= 5


def test_how_far_it_came_is_said_in_a_line() -> None:
    now = datetime(2025, 1, 20, 14, 0).astimezone()
    today, before = now.replace(hour=12, minute=3), now - timedelta(days=2)
    events, runs = Reach("event", 2_134_567, today), Reach("execution", 12_300, before)
    assert found_line((1, 0, 2000), 0.5, events, 2000, now, "looks") == (
        "searched back to 12:03, 2.1 M events; esc stops"
    )
    assert found_line((7,), 0.5, runs, 2000, now, "stopped") == (
        "searched back to Jan 18 14:00, 12,300 executions; stopped"
    )
    assert found_line((0,), 0.5, Reach("execution"), 2000, now, "looks") == "esc stops"
    assert found_line((1, 0, 2000), 0.5, None, 2000, now, "over") == ("1 execution, 0 steps, 2,000+ log lines in 0.5s")


def test_a_piece_is_as_large_as_there_is_time_for() -> None:
    pieces = searching.Pieces(100, 1000)
    pieces.took(0.0)
    assert pieces.size == 200
    for _ in range(9):
        pieces.took(0.001)
    assert pieces.size == 1000
    pieces.took(searching.PIECE_SECONDS * 2)
    assert pieces.size == 500
    pieces.took(10.0)
    assert pieces.size == 125
    pieces.took(10.0)
    assert pieces.size == 100


async def test_esc_stops_it_and_it_says_how_far_it_came(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some(storage)
    holds = asyncio.Event()
    search_log = Client.search_log

    async def one_piece(self: Client, needles: Any, before: int, look_at: int) -> Any:
        if before <= last:
            await holds.wait()
        return await search_log(self, needles, before, 1)

    last = storage.last_seq()
    monkeypatch.setattr(Client, "search_log", one_piece)
    async with screen_on(storage) as screen:
        found = await shown(screen)
        screen.app.screen.query_one(FilterField).set("http")
        await screen.press("enter")
        await screen.until(lambda: str(found.border_subtitle).endswith("; esc stops"))
        assert "searched back to " in str(found.border_subtitle)
        await screen.press("escape")
        await screen.until(lambda: str(found.border_subtitle).endswith(" 1 event; stopped"))
        assert not search_of(screen).is_over
        assert isinstance(screen.app.screen, SearchView)
        holds.set()


async def test_trouble_with_the_storage_is_said(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    await some(storage)

    def broken(*arguments: Any, **options: Any) -> Any:
        raise StorageError("the disk is gone")

    async with screen_on(storage) as screen:
        await shown(screen)
        monkeypatch.setattr(SQLiteStorage, "search_log", broken)
        screen.app.screen.query_one(FilterField).set("http")
        await screen.press("enter")
        await screen.expect("! the disk is gone")


async def test_a_search_is_kept_and_opened_as_a_filter_is(storage: SQLiteStorage) -> None:
    await some(storage)
    config = Config()
    config.set("bad", "status:failed", table="views")
    async with screen_on(storage, config=config) as screen:
        await shown(screen)
        await look_for(screen, "epoch")
        await screen.press("B")
        await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
        await screen.press("e", "enter")
        await screen.until(lambda: config.table("views").get("e") == "epoch")
        await screen.press("apostrophe")
        await screen.expect("status:failed")
        await screen.press("enter")
        await screen.expect("[Executions 1]")
        assert screen.app.screen.query_one(FilterField).field.value == "status:failed"


async def test_left_with_words_it_begins_with_them_and_in_what_was_found(storage: SQLiteStorage) -> None:
    await some(storage)
    async with screen_on(storage) as screen:
        await shown(screen)
        await look_for(screen, "http")
        kept = screen.app.screen.kept()  # type: ignore[attr-defined]  # a frame
        assert kept.filter == "http"
    async with screen_on(storage) as screen:
        await screen.dashboard.open_kept([kept])
        await screen.until(lambda: isinstance(screen.app.screen, SearchView) and search_of(screen).is_over)
        await screen.expect("[Executions 1]")
        assert screen.app.screen.focused is screen.app.screen.query_one(Found)
        assert screen.app.screen.query_one(FilterField).field.value == "http"
        before = search_of(screen)
        await screen.press("ctrl+r")
        await screen.until(lambda: search_of(screen) is not before and search_of(screen).is_over)


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=4), max_size=3), st.integers(1, 40))
def test_nothing_is_lost_by_standing_out(text: str, needles: list[str], room: int) -> None:
    line = emphasised(text, needles, room)
    shown = "".join(span for span, _ in line)
    assert shown == text or (shown.startswith("…") and text.endswith(shown[1:]))


def test_a_hit_far_to_the_right_is_seen() -> None:
    line = emphasised("x" * 200 + "needle and more", ["NEEDLE"], 30)
    shown = "".join(span for span, _ in line)
    assert "needle" in shown[:30]
    assert ("needle", "title-reverse") in line
