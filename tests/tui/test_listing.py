"""Executions as a list reads them: a page at a time, judged, and read again where something changed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from stepflow.client import Client
from stepflow.core.facts import Claimed
from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.listing import Listing
from stepflow_tui.presentation.filters import parse_filter
from stepflow_tui.screens.executions import ExecutionsView
from stepflow_tui.screens.run import RunView
from tests.conftest import OpenStorage
from tests.runtime.test_children import FAILING, one_step
from tests.support.engine import start, until, working
from tests.support.flows import chain, echo, flow
from tests.support.hand import hold, identity
from tests.tui.test_dashboard import screen_on

PAGE = 20


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepflow_tui.listing.PAGE", PAGE)
    monkeypatch.setattr("stepflow_tui.listing.ENOUGH", 5)


@pytest.fixture
async def client(storage: SQLiteStorage) -> AsyncIterator[Client]:
    async with Client(storage.url, durability="normal") as client:
        yield client


def named(storage: SQLiteStorage, name: str, count: int) -> list[str]:
    """The newest first."""
    return [start(storage, flow(echo("a"), name=name)) for _ in range(count)][::-1]


def ids(listing: Listing) -> list[str]:
    return [run.id for run in listing.runs]


async def read_all(listing: Listing) -> None:
    await listing.refresh()
    while listing.has_more:
        await listing.more()


async def test_without_a_filter_a_page_is_read_and_then_another(storage: SQLiteStorage, client: Client) -> None:
    made = named(storage, "a", PAGE + 10)
    listing = Listing(client)
    await listing.refresh()
    assert ids(listing) == made[:PAGE]
    assert (listing.total, listing.matching, listing.has_more) == (PAGE + 10, PAGE + 10, True)
    await listing.more()
    assert ids(listing) == made
    assert not listing.has_more
    new = named(storage, "a", 3)
    await listing.refresh()
    assert ids(listing) == [*new, *made]
    assert listing.total == PAGE + 13


async def test_one_that_is_kept_stays_when_new_ones_push_it_off_the_page(
    storage: SQLiteStorage, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = named(storage, "a", PAGE + 10)
    listing = Listing(client)
    await listing.refresh()
    new = named(storage, "a", 2)
    await listing.refresh(keep=made[PAGE - 1])
    assert ids(listing) == [*new, *made[:PAGE]]
    while listing.has_more:
        await listing.more()
    assert ids(listing) == [*new, *made]
    # While nobody looks at them those below do not gather.
    monkeypatch.setattr("stepflow_tui.listing.MOST_KEPT", PAGE)
    await listing.refresh(keep=made[PAGE - 1])
    assert ids(listing) == [*new, *made]
    await listing.refresh(keep=new[0])
    assert ids(listing) == [*new, *made][:PAGE]


async def test_what_the_storage_cannot_tell_is_judged_a_bounded_number_at_a_time(
    storage: SQLiteStorage, client: Client
) -> None:
    rare = named(storage, "rare", 2)
    named(storage, "common", 6 * PAGE)
    listing = Listing(client)
    listing.choose(filter=parse_filter("template:ra*"))
    await listing.refresh()
    assert (ids(listing), listing.looked_at, listing.matching) == ([], 5 * PAGE, None)
    await listing.refresh()
    assert listing.looked_at == 5 * PAGE
    named(storage, "common", 1)
    await listing.refresh()
    assert listing.looked_at == 5 * PAGE + 1
    await listing.more()
    assert (ids(listing), listing.matching) == (rare, 2)


async def test_what_the_storage_knows_is_found_at_once_however_far_down(storage: SQLiteStorage, client: Client) -> None:
    rare = named(storage, "rare", 2)
    named(storage, "common", 3 * PAGE)
    listing = Listing(client)
    listing.choose(filter=parse_filter("template:rare"))
    await listing.refresh()
    assert (ids(listing), listing.matching, listing.total) == (rare, 2, 3 * PAGE + 2)
    listing.choose(filter=parse_filter("status:queued -status:queued"))
    await listing.refresh()
    assert (ids(listing), listing.matching) == ([], 0)


async def test_what_changed_below_the_newest_page_is_read_again_and_leaves_or_comes(
    storage: SQLiteStorage, client: Client
) -> None:
    old = start(storage, flow(Step(key="x", component="/builtin/fail", input={"message": "no"}), name="old"))
    other = named(storage, "other", 1)[0]
    storage.pause(old, now_ms())
    named(storage, "a", PAGE + 50)
    queued, failed = Listing(client), Listing(client)
    queued.choose(filter=parse_filter("status:queued,paused -template:b"))
    failed.choose(filter=parse_filter("status:failed,queued -template:b"))
    for listing in (queued, failed):
        await read_all(listing)
    assert ids(queued)[-2:] == [other, old]
    assert ids(failed)[-1] == other
    storage.resume(old, now_ms())
    for listing in (queued, failed):
        listing.note([old])
        await listing.refresh()
        assert [run.status for run in listing.runs[-2:]] == [RunStatus.QUEUED, RunStatus.QUEUED]
        assert ids(listing)[-1] == old
    storage.request_cancel(old, None, now_ms())
    async with working(storage):
        await until(storage, old)
        for listing in (queued, failed):
            listing.note([old])
            await listing.refresh()
            assert old not in ids(listing)


async def test_more_new_ones_than_a_page_begin_the_list_anew(storage: SQLiteStorage, client: Client) -> None:
    made = named(storage, "a", PAGE + 50)
    listing = Listing(client)
    await read_all(listing)
    assert ids(listing) == made
    new = named(storage, "a", PAGE + 5)
    await listing.refresh()
    assert ids(listing) == new[:PAGE]
    while listing.has_more:
        await listing.more()
    assert ids(listing) == [*new, *made]


@pytest.mark.parametrize("reverse", [False, True])
async def test_a_sorted_list_is_read_again_as_far_as_it_was(
    storage: SQLiteStorage, client: Client, reverse: bool
) -> None:
    made = named(storage, "a", PAGE + 20)
    listing = Listing(client)
    listing.choose(sort="created" if reverse else "finished", reverse=reverse)
    await listing.refresh()
    await listing.more()
    assert sorted(ids(listing)) == sorted(made)
    if reverse:
        assert ids(listing) == made[::-1]
    await listing.refresh()
    assert len(ids(listing)) == len(set(ids(listing))) == PAGE + 20
    async with working(storage):
        done = start(storage, chain(1))
        await until(storage, done)
    await listing.refresh()
    if not reverse:
        assert all(run.finished_at is not None for run in listing.runs[:2])


async def test_another_choice_while_it_reads_wins(storage: SQLiteStorage, client: Client) -> None:
    named(storage, "a", 5)
    wanted = named(storage, "b", 5)
    listing = Listing(client)
    reading = asyncio.create_task(listing.refresh())
    await asyncio.sleep(0)
    listing.choose(filter=parse_filter("template:b"))
    again = asyncio.create_task(listing.refresh())
    await reading
    await again
    assert ids(listing) == wanted


# On the screen


async def test_the_row_of_an_execution_whose_worker_dies_says_so(
    storage: SQLiteStorage, open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.screens.following.WATCH_SECONDS", 0.2)
    victim = open_storage()
    here = msgspec.structs.replace(identity(), host=socket.gethostname())
    hold(victim, victim.register_worker(here, 1e12), chain(3)).give(Claimed())
    async with screen_on(storage, (130, 40), read_only=True) as screen:
        await screen.expect("1 worker", "run 0%")
        victim.close()  # as its death does, this lets go of its lock and leaves all else
        await screen.expect("no worker", "its worker died; start one: stepflow worker")
        await screen.press("d")
        await screen.expect("w_1, dead")


@pytest.mark.full
@pytest.mark.parametrize("keys", [("2",), ("enter", "enter")])
async def test_every_screen_of_executions_hears_of_a_workers_death(
    storage: SQLiteStorage, open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    monkeypatch.setattr("stepflow_tui.screens.following.WATCH_SECONDS", 0.2)
    victim = open_storage()
    here = msgspec.structs.replace(identity(), host=socket.gethostname())
    hold(victim, victim.register_worker(here, 1e12), chain(3)).give(Claimed())
    async with screen_on(storage, (130, 40), read_only=True) as screen:
        await screen.expect("1 worker", "run 0%")
        await screen.press(*keys)
        await screen.until(lambda: isinstance(screen.app.screen, RunView if "enter" in keys else ExecutionsView))
        await screen.expect("▶")
        victim.close()
        await screen.expect("its worker died")


async def test_the_header_counts_what_the_lists_show_and_rows_say_what_is_waited_for(storage: SQLiteStorage) -> None:
    asked = Step(key="ops", component="/builtin/wait_event", input={"message": "Deploy 2.3.1?", "timeout": "2d"})
    mapped = start(storage, one_step("map", {"workflow": FAILING, "items": [1, 2, 3]}))
    waiting = start(storage, flow(asked, name="release"))
    async with working(storage):
        await until(storage, mapped)
        await until(storage, waiting, RunStatus.WAITING)
        async with screen_on(storage, (130, 40)) as screen:
            await screen.expect("stepflow  ?1 ✓1 │", " ops: Deploy 2.3.1?  times out")
            assert "A answer" in str(screen.dashboard.timeline.border_subtitle)
