"""Being there: refreshed, reconnected, only reading, copied from, left, and fallen over."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from textual import events

from stepflow.client import Client, connection
from stepflow.errors import StorageError
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import clipboard
from stepflow_tui.app import StepFlowApp
from stepflow_tui.config import Config
from stepflow_tui.crash import report_text, write_report
from stepflow_tui.keymap import KEYS, keys_of
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.help import Help
from stepflow_tui.screens.workers import WorkersView
from stepflow_tui.terminal import shows_only_ascii
from tests.conftest import OpenStorage
from tests.support.engine import start, until, working
from tests.support.flows import chain
from tests.tui.test_dashboard import screen_on, sleeping
from tests.tui.test_run import run_shown


async def test_refresh_reads_the_settings_too(storage: SQLiteStorage, tmp_path: Path) -> None:
    async with screen_on(storage, config=Config(tmp_path / "ui.toml")) as screen:
        (tmp_path / "ui.toml").write_text("theme = 'moss'\n")
        await screen.press("ctrl+r")
        await screen.expect("All was read again")
        assert screen.app.theme == "moss"
        await screen.press("5", "ctrl+r")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
        await screen.expect("All was read again")


async def test_another_file_in_the_place_of_the_database_is_read(
    storage: SQLiteStorage, open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.screens.following.WATCH_SECONDS", 0.05)
    old = start(storage, sleeping())
    other = open_storage("other.db")
    new = start(other, chain(1))
    other.close()
    async with screen_on(storage) as screen:
        await screen.expect(short_id(old))
        for suffix in ("-wal", "-shm"):
            os.remove(storage.url + suffix)
        os.replace(other.url, storage.url)
        await screen.expect(short_id(new))
        await screen.until(lambda: short_id(old) not in screen.text, "the log is read anew, too")
        # And its log is followed from there.
        async with Client(storage.url, durability="normal") as client:
            later = await client.start_run("flow", {})
        await screen.expect(short_id(later), "run.created")


async def test_what_a_terminal_lost_that_was_smaller_for_a_moment_is_drawn_again(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with screen_on(storage) as screen:
        await screen.expect("no worker")
        drawn: list[dict[str, bool]] = []
        monkeypatch.setattr(screen.app, "refresh", lambda **options: drawn.append(options))
        screen.app.post_message(events.Resize.from_dimensions(screen.app.size, None))
        await screen.until(lambda: {"repaint": True, "layout": True} in drawn, "all of it is drawn")


async def test_a_database_that_went_away_comes_back(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepflow_tui.screens.following.WATCH_SECONDS", 0.05)
    start(storage, sleeping())
    async with screen_on(storage) as screen:
        await screen.expect("queued")
        os.rename(storage.url, storage.url + ".away")
        await screen.expect("! stepflow.db is gone; when it is back it is read by itself")
        await screen.press("ctrl+r")
        os.rename(storage.url + ".away", storage.url)
        await screen.until(lambda: "is gone" not in screen.text)
        second = start(storage, chain(1))
        await screen.expect(short_id(second))


async def test_what_cannot_be_done_without_the_database_is_said_as_the_screen_sees_it(storage: SQLiteStorage) -> None:
    start(storage, sleeping())
    async with screen_on(storage) as screen:
        await screen.expect("queued")
        os.rename(storage.url, storage.url + ".away")
        await screen.press("c", "y")
        said = "stepflow.db is gone; when it is back it is read by itself"
        await screen.until(lambda: screen.text.count(said) == 2, "above, and where it was asked for")
        assert "anew" not in screen.text
        os.rename(storage.url + ".away", storage.url)


async def test_workers_are_counted_again_with_the_rest(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepflow_tui.screens.following.WATCH_SECONDS", 600.0)
    start(storage, sleeping())
    async with screen_on(storage) as screen:
        await screen.expect("no worker")
        async with working(storage):
            await screen.press("ctrl+r")
            await screen.expect("1 worker")


async def test_the_fleet_says_of_workers_what_the_header_says(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow_tui.screens.counting.LEAST_REST_SECONDS", 0.05)
    async with screen_on(storage) as screen:
        await screen.expect("no worker", "nothing ran")
        async with working(storage):
            await screen.dashboard.look_at_workers()  # as when it has started one
            await screen.expect("1 worker", "1 alive")


async def test_reopening_what_cannot_be_opened_leaves_all_as_it_was(storage: SQLiteStorage) -> None:
    run_id = start(storage, chain(1))
    async with Client(storage.url, durability="normal") as client:
        await client.reopen()
        assert (await client.get_run(run_id)).id == run_id
        client.url += "/nowhere"
        with pytest.raises(StorageError):
            await client.reopen()
        assert (await client.get_run(run_id)).id == run_id


async def test_reopening_that_is_given_up_leaves_nothing_open(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[SQLiteStorage] = []
    closed: list[SQLiteStorage] = []
    open_, close = connection.open_storage, SQLiteStorage.close

    def note_opened(*about: Any, **options: Any) -> Any:
        opened.append(open_(*about, **options))
        return opened[-1]

    def note_closed(self: SQLiteStorage) -> None:
        closed.append(self)
        close(self)

    monkeypatch.setattr(connection, "open_storage", note_opened)
    monkeypatch.setattr(SQLiteStorage, "close", note_closed)
    async with Client(storage.url, durability="normal") as client:
        for seconds in (0, 0.005, 0.05):
            for reopening in [asyncio.create_task(client.reopen()) for _ in range(3)]:
                await asyncio.sleep(seconds)
                reopening.cancel()
        assert await client.last_seq() >= 0
    assert len(opened) > 1
    assert sorted(map(id, closed)) == sorted(map(id, opened))


def test_a_client_that_was_reopened_can_be_used_again_by_another_loop(tmp_path: Path) -> None:
    client = Client(str(tmp_path / "x.db"))

    async def use() -> int:
        async with client:
            await client.reopen()
            return await client.last_seq()

    assert [asyncio.run(use()) for _ in range(2)] == [0, 0]


async def test_a_screen_that_only_reads_says_so_and_changes_nothing(storage: SQLiteStorage) -> None:
    run_id = start(storage, sleeping())
    async with screen_on(storage, read_only=True) as screen:
        await screen.expect("queued", "read-only")
        assert not screen.app.session.starts_worker
        for key in keys_of("dashboard"):
            if key.changes:
                screen.dashboard.note("")
                await screen.press(key.keys.split(",")[0])
                await screen.expect("Off: this screen only reads")
                assert not screen.app.screen.query("#question, #ask")
        async with working(storage):
            await until(storage, run_id, RunStatus.SLEEPING)
            await screen.expect("sleeping")
        await screen.press("colon")
        await screen.press(*"cancel")
        await screen.expect("Off: this screen only reads")
    assert {"run", "cancel", "retry", "pause", "answer"} <= {key.id for key in KEYS if key.changes}


async def test_ctrl_c_asks_whether_to_quit_from_any_screen(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await screen.press("5")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
        await screen.press("ctrl+c")
        await screen.expect("Quit?")
        await screen.press("n")
        await screen.until(lambda: not screen.app.screen.query("#question"))
        assert screen.app.return_code is None
        await screen.press("ctrl+c", "ctrl+c")
        await screen.until(lambda: screen.app.return_code == 0)


async def test_ctrl_c_copies_what_is_selected(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(clipboard, "copy", lambda app, text, way: copied.append(text) or "tmux")
    run_id = start(storage, sleeping())
    async with screen_on(storage) as screen:
        await screen.expect(short_id(run_id))
        executions = screen.dashboard.executions
        await screen.until(
            lambda: executions.region.x == screen.dashboard.templates.region.right > 0,
            "its place is that of a wide screen",
        )
        await screen.pilot.mouse_down(executions, offset=(3, 1))
        await screen.pilot.hover(executions, offset=(7, 1))
        await screen.pilot.mouse_up(executions, offset=(7, 1))
        await screen.until(lambda: bool(screen.app.screen.get_selected_text()))
        await screen.press("ctrl+c")
        await screen.expect("Copied what was selected by tmux")
    assert copied == [short_id(run_id)]


async def test_redraw_and_suspend_do_no_harm_without_a_terminal(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await screen.press("ctrl+l", "ctrl+z")
        await screen.expect("Nothing has run yet")
        assert screen.app.return_code is None


async def press_once(app: StepFlowApp, key: str) -> None:
    async with app.run_test() as pilot:
        await pilot.press(key)
        await pilot.pause()


async def test_a_defect_is_written_down_without_values_and_secrets(
    storage: SQLiteStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_API_TOKEN", "hush-hush")

    async def broken(self: Dashboard) -> None:
        password = "a-local-value"  # noqa: F841 - which must not be printed
        raise ZeroDivisionError("while hush-hush was used")

    monkeypatch.setattr(Dashboard, "action_redraw", broken)
    async with Client(storage.url, durability="normal") as client:
        app = StepFlowApp(client, start_worker=False, reports=tmp_path / "reports")
        with pytest.raises(ZeroDivisionError):
            await press_once(app, "ctrl+l")
    (report,) = (tmp_path / "reports").iterdir()
    text = report.read_text()
    assert report.stat().st_mode & 0o777 == 0o600
    assert "ZeroDivisionError: while *** was used" in text
    assert "textual: 8" in text
    assert "size: 80x24" in text
    said = capsys.readouterr().err
    assert f"A report is in {report}".replace("\n", "") in said.replace("\n", "")
    assert "Executions are not touched by it" in said
    for hidden in ("hush-hush", "a-local-value"):
        assert hidden not in text
        assert hidden not in said
    assert app.return_code == 1


def test_a_report_says_what_is_needed_and_hides_what_the_environment_hides(tmp_path: Path) -> None:
    error = ValueError("pa55word and \ud800 and plain")
    environment = {"TERM": "xterm", "DB_PASSWORD": "pa55word", "KEY": "a", "HOME": "plain"}
    text = report_text(error, {"size": "80x24"}, environment)
    assert text.splitlines()[-1] == "ValueError: *** and ? and plain"
    assert "terminal: xterm" in text
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_report(error, {}, tmp_path / "file")


async def test_time_does_not_move_while_the_database_is_gone_and_does_when_it_is_back(
    storage: SQLiteStorage,
) -> None:
    run_id = start(storage, chain(3))
    async with working(storage):
        await until(storage, run_id)
    async with run_shown(storage, run_id) as (screen, view):
        await screen.press("H", "b")
        await screen.until(lambda: view.past is not None)
        os.rename(storage.url, storage.url + ".away")
        for key in ("b", "less_than_sign", "R", "escape", "H"):
            await screen.press(key)
        await screen.expect("is gone")
        os.rename(storage.url + ".away", storage.url)
        await screen.press("ctrl+r")
        await screen.until(lambda: "is gone" not in screen.text)
        await screen.press("H", "b")
        await screen.until(lambda: view.past is not None)


async def test_help_is_left_once_however_many_keys_leave_it(storage: SQLiteStorage) -> None:
    async with screen_on(storage) as screen:
        await screen.press("question_mark")
        await screen.until(lambda: isinstance(screen.app.screen, Help))
        screen.burst("escape", "escape", "x", "x")
        await screen.until(lambda: screen.app.screen is screen.dashboard)
        await screen.expect("Nothing has run yet")


@pytest.mark.parametrize(
    ("environment", "only_ascii"),
    [
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "POSIX"}, True),
        ({"LC_ALL": "", "LC_CTYPE": "C.UTF-8", "LANG": "C"}, False),
        ({"LC_CTYPE": "UTF-8"}, False),
        ({"LC_CTYPE": "en_US.ISO-8859-1", "LANG": "en_US.UTF-8"}, True),
        ({"LANG": "de_DE"}, True),
        ({"LANG": "de_DE.utf8"}, False),
        ({}, False),
        ({"TMUX": "/tmp/tmux-0/default,1,0"}, True),
        ({"STY": "1.pts-0"}, True),
        ({"TMUX": "/tmp/tmux-0/default,1,0", "LANG": "C.UTF-8"}, False),
        ({"LANG": "C.UTF-8", "TERM": "linux"}, True),
        ({"LANG": "C.UTF-8", "TERM": "vt220"}, True),
        ({"LANG": "C.UTF-8", "TERM": "vte-256color"}, False),
    ],
)
def test_only_ascii_is_shown_where_the_terminal_shows_no_more(environment: dict[str, str], only_ascii: bool) -> None:
    assert shows_only_ascii(environment) is only_ascii


@pytest.mark.parametrize(("locale", "only_ascii"), [({"LANG": "C"}, True), ({"LC_ALL": "C"}, True), ({}, False)])
def test_what_python_makes_of_the_locale_does_not_count(locale: dict[str, str], only_ascii: bool) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "TMUX", "STY"))}
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", "from stepflow_tui.app import wants_ascii; print(wants_ascii('auto'))"],
        env={**kept, "TERM": "xterm", **locale}, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert done.stdout.strip() == str(only_ascii)
