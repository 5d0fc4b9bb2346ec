"""On the dashboard a template has the sign of its newest execution."""

from __future__ import annotations

from typing import Any

import pytest

from stepflow.client import Client
from stepflow.errors import StorageError
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.presentation.glyphs import Glyphs
from tests.support.engine import save, start, until, working
from tests.support.flows import echo, flow
from tests.tui.test_dashboard import Screen, screen_on
from tests.tui.test_failures import failing


def sign(screen: Screen, name: str) -> str:
    lines = screen.text_of(screen.dashboard.templates).splitlines()
    return next((line.strip()[0] for line in lines if f"{name} " in line), "")


def of(status: RunStatus) -> str:
    return Glyphs().run(status)[0]


@pytest.mark.parametrize("wanted", ["", "status:completed"])
async def test_also_where_that_is_long_ago_and_the_list_shows_others(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setattr("stepflow_tui.listing.PAGE", 5)
    monkeypatch.setattr("stepflow_tui.screens.following.NEWEST", 5)
    async with working(storage):
        await until(storage, start(storage, failing("no", name="old")))
        for _ in range(8):
            last = start(storage, flow(echo("a"), name="busy"))
        await until(storage, last)
    save(storage, flow(echo("a"), name="spare"))
    async with screen_on(storage) as screen:
        if wanted:
            await screen.press("slash", *wanted, "enter")
            await screen.until(lambda: screen.dashboard.executions.listing.filter.text == wanted)
        await screen.until(lambda: sign(screen, "old") == of(RunStatus.FAILED))
        await screen.until(lambda: sign(screen, "busy") == of(RunStatus.COMPLETED))
        assert sign(screen, "spare") == "s"
        start(storage, failing("no", name="old"))
        await screen.until(lambda: sign(screen, "old") == of(RunStatus.QUEUED))


async def test_also_where_it_could_not_be_read_once(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Client(storage.url, durability="normal") as client, screen_on(storage) as screen:
        start(storage, flow(echo("a"), name="old"))
        pane = screen.dashboard.templates
        await screen.until(lambda: sign(screen, "old") == of(RunStatus.QUEUED))
        list_runs = Client.list_runs

        async def broken(*_: Any, **__: Any) -> Any:
            raise StorageError("the disk is gone")

        monkeypatch.setattr(Client, "list_runs", broken)
        with pytest.raises(StorageError):
            await pane.note_runs((), client)
        monkeypatch.setattr(Client, "list_runs", list_runs)
        await pane.note_runs((), client)
        assert sign(screen, "old") == of(RunStatus.QUEUED)


async def test_also_of_those_that_are_scrolled_to(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepflow_tui.listing.PAGE", 5)
    names = [f"t{number:02}" for number in range(30)]
    for name in names:
        start(storage, flow(echo("a"), name=name))
    async with screen_on(storage) as screen:
        await screen.until(lambda: sign(screen, "t00") == of(RunStatus.QUEUED))
        assert sign(screen, "t15") == ""
        screen.dashboard.templates.focus()
        await screen.press("G")
        await screen.until(lambda: sign(screen, "t22") == of(RunStatus.QUEUED))
