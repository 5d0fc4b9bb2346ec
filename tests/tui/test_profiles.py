"""Several storages under names: chosen on the command line or from within, each with nothing of the others."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stepflow.client import Client
from stepflow.errors import WorkflowEngineError
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.config import Config, ConfigError
from stepflow_tui.profiles import find_profile, read_profiles
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.settings import SettingsView
from tests.conftest import OpenStorage
from tests.support.engine import start, until, working
from tests.support.flows import echo, flow
from tests.tui.test_dashboard import Screen, screen_on

PATIENCE_SECONDS = 20.0


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Config]:
    def write(text: str) -> Config:
        (tmp_path / "ui.toml").write_text(text)
        return Config(tmp_path / "ui.toml")

    return write


@pytest.fixture
def other(open_storage: OpenStorage) -> SQLiteStorage:
    storage = open_storage("other.db")
    start(storage, flow(echo("a"), name="theirs"))
    return storage


async def choose(screen: Screen, name: str) -> None:
    await screen.press("colon")
    await screen.until(lambda: bool(screen.app.screen.query("#palette Input")))
    await screen.press(*f"profile {name}")
    await screen.expect(f"Profile: {name}")
    await screen.press("enter")


async def test_another_storage_is_shown_in_place_of_this_one_and_then_this_one_again(
    storage: SQLiteStorage, other: SQLiteStorage, config: Callable[[str], Config]
) -> None:
    ours = start(storage, flow(echo("a"), name="ours"))
    own = config(f'[profiles.prod]\ndb = "{other.url}"\n')
    async with screen_on(storage, config=own) as screen:
        await screen.expect("ours")
        first, dashboard = screen.app.client, screen.dashboard
        await screen.press("2")
        await screen.until(lambda: len(screen.app.screen_stack) == 2)
        await choose(screen, "prod")
        await screen.expect("prod: other.db", "theirs")
        assert "ours" not in screen.text
        assert (screen.app.screen_stack, screen.dashboard is dashboard) == ([screen.dashboard], False)
        with pytest.raises(WorkflowEngineError, match="not open"):
            await first.count_runs()
        run_id = start(other, flow(echo("a"), name="later"))
        async with working(other):
            await until(other, run_id)
        await screen.expect("later", "✓")
        async with working(storage):
            await until(storage, ours)
        await choose(screen, "prod")
        await screen.expect("it is shown")
        await choose(screen, "none")
        await screen.expect("ours", "✓")
        assert "prod" not in screen.text.splitlines()[0]
        await screen.press("q")
    await screen.app.client.close()


@pytest.mark.full
async def test_a_profile_that_only_reads_changes_nothing(
    storage: SQLiteStorage, other: SQLiteStorage, config: Callable[[str], Config]
) -> None:
    own = config(f'[profiles.prod]\ndb = "{other.url}"\nread_only = true\n')
    async with screen_on(storage, config=own) as screen:
        await choose(screen, "prod")
        await screen.expect("prod: other.db read-only", "theirs")
        await screen.press("c")
        await screen.expect("Off: this screen only reads")
        assert not screen.app.session.starts_worker
    await screen.app.client.close()


@pytest.mark.full
async def test_what_only_reads_goes_on_only_reading_elsewhere(
    storage: SQLiteStorage, other: SQLiteStorage, config: Callable[[str], Config]
) -> None:
    own = config(f'[profiles.prod]\ndb = "{other.url}"\n')
    async with screen_on(storage, config=own, read_only=True) as screen:
        await choose(screen, "prod")
        await screen.expect("prod: other.db read-only")
    await screen.app.client.close()


@pytest.mark.full
async def test_where_another_cannot_be_opened_this_one_stays(
    storage: SQLiteStorage, config: Callable[[str], Config], tmp_path: Path
) -> None:
    start(storage, flow(echo("a"), name="ours"))
    (tmp_path / "text.db").write_text("this is a text that is long enough to be read as one")
    own = config(f'[profiles]\ngone = {{db = "{tmp_path}/no.db"}}\ntext = {{db = "{tmp_path}/text.db"}}\nbad = 3\n')
    async with screen_on(storage, (200, 40), config=own) as screen:
        await screen.expect("profiles.bad: it is no table")
        await choose(screen, "gone")
        await screen.expect("profiles.gone: there is no database", "mend the profile")
        await choose(screen, "text")
        await screen.expect("is not a StepFlow database")
        await choose(screen, "bad")
        await screen.expect("Profile: bad: it is no table")
        start(storage, flow(echo("a"), name="later"))
        await screen.expect("ours", "later")
        assert isinstance(screen.app.screen, Dashboard)
        await screen.press("8")
        await screen.until(lambda: isinstance(screen.app.screen, SettingsView))
        await screen.expect("Profiles", "gone", f"{tmp_path}/no.db", "it is shown")
    assert not (tmp_path / "no.db").exists()


async def test_a_workspace_brings_its_own_database_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shop", "here"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "stepflow.toml").write_text('db = "own.db"\n')
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("STEPFLOW_DB", str(tmp_path / "environment.db"))
    shop, alone = read_profiles({"shop": {"workspace": f"{tmp_path}/shop"}, "alone": {"db": f"{tmp_path}/alone.db"}})
    async with shop.client() as client:
        assert (client.workspace, client.url) == (tmp_path / "shop", str(tmp_path / "shop" / "own.db"))
    SQLiteStorage(tmp_path / "alone.db").close()
    async with alone.client() as client:
        assert client.workspace is None, "the folder where the user stands is none of its"
    assert not (tmp_path / "environment.db").exists()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("x.db", 'it is no table; under [profiles.p] write db = "/path/to/file.db"'),
        ({}, "it names nothing; write db ="),
        ({"db": "x.db"}, "db is 'x.db'; write the whole path, or one that begins with ~/"),
        ({"db": 3}, "db is no path"),
        ({"workspace": " "}, "workspace is no path"),
        ({"dbb": "/x.db"}, "'dbb' is unknown; did you mean 'db'?"),
        ({"colour": "red"}, "'colour' is unknown; it takes db, workspace, read_only"),
        ({"db": "/x.db", "read_only": "yes"}, "read_only is true or false"),
        ({"workspace": "/nowhere/at/all"}, "The workspace /nowhere/at/all is not a folder"),
        ({"db": "/nowhere/at/all.db"}, "there is no database /nowhere/at/all.db; mend the profile"),
    ],
)
def test_what_is_wrong_with_a_profile_is_said_with_the_way_out(value: object, says: str) -> None:
    with pytest.raises(ConfigError) as raised:
        find_profile("p", read_profiles({"p": value})).client()
    assert raised.value.message.startswith("ui.toml: profiles.p: ")
    assert says in raised.value.message


def test_an_unknown_profile_gets_a_hint() -> None:
    for table, says in (
        ({"production": {}}, "There is no profile 'prodcution'; did you mean 'production'?"),
        ({"a": {}, "b": {}}, "There is no profile 'prodcution'; use a, b"),
        ({}, "There is no profile 'prodcution', nor any other; ui.toml has them: [profiles.prodcution]"),
    ):
        with pytest.raises(ConfigError) as raised:
            find_profile("prodcution", read_profiles(table))
        assert raised.value.message == says


def test_a_setting_that_is_changed_leaves_the_profiles_as_they_stand(config: Callable[[str], Config]) -> None:
    text = '# mine\n[profiles.prod] # the real one\ndb = "/x.db"\nread_only = true\n\n[profiles.test]\ndb = "/y.db"\n'
    own = config(text)
    own.set("clock", "slow")
    own.set("run", "R", table="keys")
    assert own.file is not None
    written = own.file.read_text()
    assert text.partition("\n")[2] in written
    assert [one.name for one in read_profiles(Config(own.file).table("profiles"))] == ["prod", "test"]


def _screen(folder: Path, *arguments: str, until_said: str) -> str:
    """What the command draws in a terminal until it has said so, or ended."""
    master, slave = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STEPFLOW")}
    process = subprocess.Popen(
        [sys.executable, "-m", "stepflow.cli.main", *arguments], cwd=folder, stdin=slave, stdout=slave, stderr=slave,
        env={**kept, "TERM": "xterm-256color", "XDG_CONFIG_HOME": str(folder), "NO_COLOR": "1", "COLUMNS": "160"},
    )  # fmt: skip
    os.close(slave)
    drawn, end = "", time.monotonic() + PATIENCE_SECONDS
    while until_said not in drawn and time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            try:
                drawn += os.read(master, 65536).decode(errors="replace")
            except OSError:
                break
    process.kill()
    process.wait()
    os.close(master)
    return drawn


@pytest.mark.full
def test_the_command_line_names_one(tmp_path: Path, other: SQLiteStorage) -> None:
    folder = tmp_path / "stepflow"
    folder.mkdir()
    (folder / "ui.toml").write_text(f'[profiles.prod]\ndb = "{other.url}"\nread_only = true\n')
    for words in (["ui", "--profile", "prod"], ["--profile", "prod"], ["open", "--profile", "prod"]):
        assert "prod: other.db read-only" in _screen(tmp_path, *words, until_said="prod: other.db read-only")
    assert "did you mean 'prod'?" in _screen(tmp_path, "ui", "--profile", "prdo", until_said="mean")
    said = _screen(tmp_path, "--db", "x.db", "ui", "--profile", "prod", until_said="one of them")
    assert "--profile and --db say the same; give one of them" in said
    (folder / "ui.toml").write_text("[profiles\n")
    assert "ui.toml is not read: " in _screen(tmp_path, "ui", "--profile", "prod", until_said="is not read: ")


async def test_a_client_may_be_closed_twice(storage: SQLiteStorage) -> None:
    async with Client(storage.url) as client:
        await client.close()
    with pytest.raises(WorkflowEngineError, match="not open"):
        await client.count_runs()
