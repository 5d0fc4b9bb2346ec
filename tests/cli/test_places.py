"""Databases, workspaces and home folders that cannot be what they are named as: each is said in a line."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner

from stepflow.cli.main import group
from stepflow.location import find_workspace, look_for_database, whole_path, why_only_read
from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call
from tests.support.engine import start
from tests.support.flows import chain

LONG = "n" * 300
MORE_VERBS = ("--plain", "--plain --read-only", "get anything", "doctor")
NOBODY = 65534
processes = multiprocessing.get_context("forkserver")


@pytest.fixture
def places(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling.db").symlink_to(folder / "nowhere" / "x.db")
    for name in ("of-folder", "latin"):
        (folder / name).mkdir()
    (folder / "of-folder" / "stepflow.toml").mkdir()
    (folder / "latin" / "stepflow.toml").write_bytes(b"db = '\xe9'")
    return folder


@pytest.mark.parametrize(
    "verb", [["list"], *(pytest.param(verb.split(), marks=pytest.mark.full) for verb in MORE_VERBS)], ids=" ".join
)
@pytest.mark.parametrize(
    ("place", "says"),
    [
        (["--db", "pipe"], "no regular file"),
        (["--db", "/dev/null"], "no regular file"),
        (["--db", LONG], "File name too long"),
        (["--db", "~nobody-of-that-name/x.db"], "There is no home folder for '~nobody-of-that-name'"),
        (["--workspace", LONG], "cannot be looked into: File name too long"),
        (["--workspace", "~nobody-of-that-name"], "There is no home folder for '~nobody-of-that-name'"),
        (["--workspace", "loop"], "loop is not a folder"),
        (["--workspace", "of-folder"], "stepflow.toml is no regular file"),
        (["--workspace", "latin"], "stepflow.toml is not UTF-8 text (byte 6)"),
    ],
)
def test_a_place_that_cannot_be_is_said(
    call: Call, places: Path, monkeypatch: pytest.MonkeyPatch, place: list[str], verb: list[str], says: str
) -> None:
    if place[0] == "--workspace":
        monkeypatch.delenv("STEPFLOW_DB")
    before = sorted(places.iterdir())
    done = call(*place, *verb)
    assert done.exit_code == 1
    assert says in done.stdout + done.stderr
    assert sorted(places.iterdir()) == before
    assert not Path("/dev/null.lock").exists()


def test_a_link_that_leads_nowhere_is_no_database_yet(call: Call, places: Path) -> None:
    assert "There is no database dangling.db yet" in call("--db", "dangling.db", "list").stderr
    done = call("--db", "dangling.db", "--plain")
    assert (done.exit_code, "dangling.db cannot be opened: No such file or directory" in done.stderr) == (1, True)


def test_where_there_is_no_home_another_place_is_asked_for(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name in ("STEPFLOW_DB", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    assert look_for_database(None, None).value.startswith(str(folder))
    monkeypatch.setenv("STEPFLOW_DB", "")
    assert look_for_database(None, None).source == "default", "empty is not set"


def test_from_a_folder_that_was_deleted_a_whole_path_leads_on(call: Call, folder: Path) -> None:
    (folder / "gone").mkdir()
    os.chdir(folder / "gone")
    (folder / "gone").rmdir()
    assert find_workspace() is None
    assert call("--db", str(folder / "x.db"), "list").exit_code == 0
    assert "The folder where this was started is gone" in call("--db", "x.db", "list").stderr
    assert whole_path(str(folder)) == folder


def as_a_stranger(options: list[str], verb: list[str], environment: dict[str, str], results: Any) -> None:
    """As a user who has less rights; `os.access` asks for the real user, so root becomes another."""
    if os.geteuid() == 0:
        with TemporaryDirectory() as folder:  # first as root, who may have all that is imported in a folder of its own
            CliRunner().invoke(group, ["--db", f"{folder}/x.db", *verb])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    os.environ.update(environment)
    ours, theirs = os.pipe()
    os.write(theirs, b"run flow\n")
    os.close(theirs)
    os.dup2(ours, 0)
    done = CliRunner().invoke(group, [*options, *verb])
    results.put((done.exit_code, done.stdout + done.stderr, repr(done.exception)))


def strangers(options: list[str], verb: list[str], **environment: str) -> tuple[int, str]:
    here = Path(__file__).resolve()
    if os.geteuid() == 0 and any(path.stat().st_mode & 0o005 != 0o005 for path in here.parents):
        pytest.skip("this checkout is in a private folder: another user could not run it")
    results = processes.Queue()
    process = processes.Process(target=as_a_stranger, args=(options, verb, environment, results))
    process.start()
    code, said, error = results.get(timeout=30)
    process.join()
    assert error.startswith(("None", "SystemExit")), error
    return code, said


def open_to_strangers(tmp_path: Path) -> None:
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and path.stat().st_mode & 0o005 != 0o005 and os.geteuid() == 0:
            path.chmod(0o755)  # pytest's folders are private


@pytest.mark.parametrize(
    "verb", [["list"], *(pytest.param([verb], marks=pytest.mark.full) for verb in ("--plain", "doctor"))], ids=" ".join
)
def test_a_workspace_and_a_database_that_may_not_be_looked_into_are_said(tmp_path: Path, verb: list[str]) -> None:
    open_to_strangers(tmp_path)
    (tmp_path / "closed").mkdir(mode=0o000)
    code, said = strangers(["--workspace", str(tmp_path / "closed")], verb)
    assert (code, "closed cannot be looked into: Permission denied" in said) == (1, True)
    code, said = strangers(["--db", str(tmp_path / "closed" / "x.db")], verb)
    assert (code, "Permission denied" in said) == (1, True)


def test_a_database_that_may_only_be_read_is_only_read_and_says_why_once(tmp_path: Path) -> None:
    open_to_strangers(tmp_path)
    storage = SQLiteStorage(tmp_path / "theirs" / "x.db")
    start(storage, chain(1))
    storage.close()
    assert why_only_read(tmp_path / "theirs" / "x.db") is None or os.geteuid() != 0
    (tmp_path / "theirs" / "x.db").chmod(0o444)
    (tmp_path / "theirs").chmod(0o555)
    (tmp_path / "stepflow").mkdir(mode=0o755)
    (tmp_path / "stepflow" / "ui.toml").write_text(f'[profiles.own]\ndb = "{tmp_path}/theirs/x.db"\n')
    by_name = strangers(["--profile", "own"], ["--plain"], XDG_CONFIG_HOME=str(tmp_path))
    code, said = strangers(["--db", str(tmp_path / "theirs" / "x.db")], ["--plain"])
    (tmp_path / "theirs").chmod(0o755)
    assert (by_name[0], "x.db, read only." in by_name[1]) == (0, True)
    assert code == 0
    assert "⚠ Nothing can be changed: x.db may not be written by you" in said
    assert said.count("Nothing can be changed") == 1
    assert "x.db, read only." in said
    assert "run is off: x.db may not be written by you" in said


def test_a_terminal_that_shows_no_screen_gets_lines(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepflow.cli.main.has_terminal", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    done = call()
    assert (done.exit_code, "TERM=dumb shows no screen" in done.stderr) == (0, True)
    assert "help lists the words" in done.stdout
