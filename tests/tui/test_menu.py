"""The menu of the pane that has the keys, and the command lines that do what keys do."""

from __future__ import annotations

import shlex
from datetime import timedelta
from pathlib import Path

import click
import msgspec
import pytest

from stepflow.cli.main import VERBS, group
from stepflow.client import Client
from stepflow.model.run import Awaited
from stepflow.model.statuses import RunStatus
from stepflow.runtime.processes import boot_id
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import clipboard
from stepflow_tui.keymap import KEYS, MENUS
from stepflow_tui.panes.menu import Menu
from stepflow_tui.panes.palette import CommandLine, CommandList, Palette
from stepflow_tui.presentation.commands import AtHand, all_words_of, command_line, command_lines, words_of
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.screens.run import RunView
from stepflow_tui.screens.templates import TemplatesView
from stepflow_tui.screens.workers import WorkersView
from stepflow_tui.session import Session
from tests.support.engine import start, until, working
from tests.support.flows import chain
from tests.support.hand import claim, identity
from tests.tui.records import run
from tests.tui.test_dashboard import Screen, failing, screen_on, sleeping
from tests.tui.test_run import ended, run_shown, tab


async def opened(screen: Screen) -> CommandList:
    await screen.press("semicolon")
    await screen.until(lambda: bool(screen.app.screen.query(Menu)) and bool(screen.app.screen.query(CommandList)))
    entries = screen.app.screen.query_one(CommandList)
    await screen.until(lambda: entries.row_count > 0)
    return entries


def reads(entries: CommandList) -> dict[str, str | None]:
    return {one.command.keys: one.command.why_not for one in entries.found}


async def closed(screen: Screen) -> None:
    await screen.until(lambda: not screen.app.screen.query("#palette"))


@pytest.mark.parametrize("size", [(40, 10), pytest.param((120, 40), marks=pytest.mark.full)])
async def test_it_lists_what_can_be_done_and_why_the_rest_cannot(storage: SQLiteStorage, size: tuple[int, int]) -> None:
    run_id = await ended(storage, chain(1))
    async with screen_on(storage, size) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        entries = await opened(screen)
        told = reads(entries)
        assert told["d"] is None
        assert told["c y"] == f"{short_id(run_id)} is completed; there is nothing to cancel"
        assert told["t y"] is not None
        cannot = [one.command.why_not is not None for one in entries.found]
        assert cannot == sorted(cannot), "what can be done stands first"
        await screen.press("escape")
        await closed(screen)
        assert screen.app.screen.focused is screen.dashboard.executions


async def test_a_key_of_it_does_it_and_so_does_enter(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, failing())
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await opened(screen)
        await screen.press("t", "y")
        await screen.expect("Retried as")
        assert storage.count_runs(None, None) == 2
        entries = await opened(screen)
        row = next(row for row, one in enumerate(entries.found) if "with its last input" in one.command.text)
        for _ in range(row):
            await screen.press("j")
        await screen.press("enter")
        await screen.until(lambda: storage.count_runs(None, None) == 3)
        await screen.expect("Started", "failing")
        screen.dashboard.executions.select(run_id)
        await opened(screen)
        await screen.press("c")
        await screen.expect("there is nothing to cancel")
        await opened(screen)
        await screen.press("Z")
        await closed(screen)
        assert storage.count_runs(None, None) == 3


@pytest.mark.full
async def test_each_pane_has_its_own(storage: SQLiteStorage) -> None:
    run_id = await ended(storage, chain(3))
    async with run_shown(storage, run_id) as (screen, view):
        for name, has, has_not in (("log", "w", "⏎"), ("timeline", "d", "L"), ("values", "i", "w")):
            await tab(screen, view, name)
            told = reads(await opened(screen))
            assert has in told
            assert has_not not in told
            assert "y" in told
            await screen.press("escape")
            await closed(screen)


@pytest.mark.full
async def test_it_is_there_for_workers_and_templates_too(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await screen.press("5")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
        assert reads(await opened(screen))["b y"] == "There is no living worker to stop"
        await screen.press("escape")
        await closed(screen)
        await screen.press("3")
        await screen.until(lambda: isinstance(screen.app.screen, TemplatesView))
        assert reads(await opened(screen))["V"] == "There is no template to check"
        await screen.press("escape", "8")
        await screen.press("semicolon")
        await screen.expect("Nothing is to be done here but to look")


async def test_f2_copies_the_command_line_as_in_the_palette(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    monkeypatch.setattr(clipboard, "copy", lambda app, text, way: copied.append(text) or "tmux")
    run_id = start(storage, sleeping())
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        entries = await opened(screen)
        row = next(row for row, one in enumerate(entries.found) if one.command.keys == "c y")
        for _ in range(row):
            await screen.press("j")
        line = f"stepflow --db {storage.url} cancel {run_id}"
        assert f"cancel {run_id}  f2 copies it" in screen.text_of(screen.app.screen.query_one(CommandLine))
        await screen.press("f2")
        await screen.until(lambda: copied == [line])
        await screen.press("colon")
        await screen.until(lambda: bool(screen.app.screen.query(Palette)))
        await screen.press(*"cancelsel")
        await screen.until(lambda: f"cancel {run_id}" in screen.text_of(screen.app.screen.query_one(CommandLine)))
        await screen.press("escape")
        await closed(screen)
        await screen.press("y", "c")
        await screen.until(lambda: copied[1:] == [f"stepflow --db {storage.url} execution {run_id}"])


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.PAUSED, RunStatus.RUNNING, RunStatus.COMPLETED])
def test_every_command_line_is_one_that_the_command_line_takes(status: RunStatus) -> None:
    one = msgspec.structs.replace(run(status), input={"it": 1}, awaits=(Awaited("b's", "paid", "Was it paid?"),))
    at = AtHand(one, "order-flow", 3, "b's", '{"it": "is"}', (), "exec_a", "w_1", {"host": "db 1", "count": 3})
    assert command_line(words_of("run", at) or (), ()).endswith("--var 'host=db 1' --var count=3 --version 3")
    lines = {key.id: words for key in KEYS if (words := words_of(key.id, at)) is not None}
    known = {"run", "cancel", "retry", "retry_from", "pause", "history", "simulate", "answer", "diff_runs", "drain"}
    assert known <= set(lines)
    for words in lines.values():
        line = command_line(words, (("--workspace", "my folder"),))
        pasted = shlex.split(line)
        assert pasted[:3] == ["stepflow", "--workspace", "my folder"]
        assert pasted[3] in VERBS
        command = group.get_command(click.Context(group), pasted[3])
        assert command is not None
        command.make_context(pasted[3], pasted[4:])


def test_nothing_at_hand_has_no_command_line() -> None:
    assert all(words_of(key.id, AtHand()) is None for key in KEYS)
    assert command_lines([], ()) is None


def test_for_marked_ones_there_is_one_line_that_does_one_after_the_other() -> None:
    statuses = (RunStatus.FAILED, RunStatus.RUNNING, RunStatus.QUEUED)
    runs = tuple(msgspec.structs.replace(run(one), id=f"exec_{one.value}") for one in statuses)
    at = AtHand(runs[0], marked=runs)
    line = command_lines(all_words_of("cancel", at), (("--db", "/a b.db"),))
    assert line == "stepflow --db '/a b.db' cancel exec_running && stepflow --db '/a b.db' cancel exec_queued"
    assert all_words_of("retry", at) == [["retry", "exec_failed"]]
    assert all_words_of("pause", at) == [["pause", "exec_running"], ["pause", "exec_queued"]]
    assert all_words_of("describe", at) == [["execution", "exec_failed"]]
    assert all_words_of("diff_marked", at) == []
    assert all_words_of("diff_marked", AtHand(runs[0], marked=runs[:2])) == [["diff", "exec_failed", "exec_running"]]
    assert all_words_of("yank", AtHand(runs[0], marked=runs * 2)) == []


async def test_command_lines_lead_to_the_database_from_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STEPFLOW_DB", raising=False)
    folder, other = tmp_path / "shop", tmp_path / "other.db"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    for url, options in ((None, ("--db",)), ("own.db", ("--db",))):
        async with Client(url) as client:
            place = Session(client, Glyphs()).place
            assert tuple(option for option, _ in place) == options
            assert place[0][1] == str(client.database_file)
            assert Path(place[0][1]).is_absolute()
    (folder / "stepflow.toml").write_text("")
    async with Client() as client:
        assert Session(client, Glyphs()).place == (("--workspace", str(folder)),)
    async with Client(str(other)) as client:
        assert Session(client, Glyphs()).place == (("--db", str(other)), ("--workspace", str(folder)))


def test_menus_name_keys_that_there_are() -> None:
    assert {name for names in MENUS.values() for name in names} <= {key.id for key in KEYS}


async def test_capital_x_asks_for_the_id_and_sees_to_the_end(storage: SQLiteStorage) -> None:
    run_id = start(storage, sleeping())
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        for typed, says in (("nope", "That is not"), ("", "That is not")):
            await screen.press("X")
            await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
            await screen.press(*typed, "enter")
            await screen.expect(says)
        assert storage.get_run(run_id).status is RunStatus.QUEUED
        async with working(storage):
            await until(storage, run_id, RunStatus.SLEEPING)
            await screen.press("X")
            await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
            await screen.press(*short_id(run_id), "enter")
            await screen.expect(f"{short_id(run_id)} is cancelled")
        assert storage.get_run(run_id).status is RunStatus.CANCELLED
        await screen.until(lambda: (one := screen.dashboard.run_at_hand) is not None and one.status.is_final)
        await screen.press("X")
        await screen.expect("there is nothing to end")


@pytest.mark.parametrize("is_hung", [False, True])
async def test_capital_x_ends_it_past_a_worker_that_is_hung_and_says_so_where_one_lives(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch, is_hung: bool
) -> None:
    monkeypatch.setattr("stepflow_tui.ending.PATIENCE", timedelta(seconds=0))
    run_id = start(storage, chain(1))
    deaf = storage.register_worker(msgspec.structs.replace(identity(), boot_id=boot_id()), 1e12)
    (held,) = claim(storage, deaf)
    assert held.id == run_id
    if is_hung:
        storage.heartbeat(deaf, 0.0, None)
    async with screen_on(storage) as screen:
        await screen.until(lambda: screen.dashboard.timeline.run is not None)
        await screen.press("X")
        await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
        await screen.press(*short_id(run_id), "enter")
        if is_hung:
            await screen.expect(f"{short_id(run_id)} is cancelled")
        else:
            await screen.expect("lives and has not ended it after", "s; 5 stops it")
    assert storage.get_run(run_id).status.is_final == is_hung


async def test_capital_x_on_marked_ones_asks_for_their_number(storage: SQLiteStorage) -> None:
    ids = [start(storage, sleeping()) for _ in range(2)]
    async with screen_on(storage) as screen:
        await screen.press("2")
        await screen.until(lambda: len(getattr(screen.app.screen, "executions", screen.dashboard.executions).runs) == 2)
        await screen.press("a", "X")
        await screen.until(lambda: bool(screen.app.screen.query("#ask Input")))
        await screen.press("2", "enter")
        await screen.expect("2 cancelled")
        assert {storage.get_run(one).status for one in ids} == {RunStatus.CANCELLED}
        assert not isinstance(screen.app.screen, RunView)
