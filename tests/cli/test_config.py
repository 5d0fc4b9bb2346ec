"""`stepflow config`, and that what stepflow.toml says has its effect."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from stepflow.client import Client
from stepflow.components.registry import Registry
from stepflow.errors import WorkflowEngineError
from stepflow.location import look_for_durability
from stepflow.worker import run_worker
from tests.cli.conftest import Call

SHELL = "steps:\n  - {id: a, type: shell.run, input: {command: [ls]}}\n"


def settings(call: Call, *options: str) -> dict[str, tuple[Any, str]]:
    lines = call(*options, "config", "--json").stdout.splitlines()
    return {one["name"]: (one["value"], one["source"]) for one in map(json.loads, lines)}


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Where the environment says nothing."""
    for name in ("STEPFLOW_DB", "STEPFLOW_DURABILITY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    return folder


def test_without_anything_there_are_the_defaults(call: Call, bare: Path) -> None:
    found = settings(call)
    assert found["workspace"] == (None, "default")
    assert found["durability"] == ("full", "default")
    assert found["database"][1] == "default"


def test_each_value_says_where_it_comes_from(call: Call, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = bare / "stepflow.toml"
    file.write_text('db = "own.db"\ndurability = "normal"\nshell = false\n[[components]]\ncommand = ["true"]\n')
    assert settings(call) == {
        "database": (str(bare / "own.db"), str(file)),
        "workspace": (str(bare), str(file)),
        "durability": ("normal", str(file)),
        "shell": (False, str(file)),
        "python": (True, "default"),
        "components": (1, str(file)),
    }
    monkeypatch.setenv("STEPFLOW_DURABILITY", "full")
    monkeypatch.setenv("STEPFLOW_DB", "env.db")
    assert settings(call)["database"] == (str(bare / "env.db"), "STEPFLOW_DB")
    assert settings(call)["durability"] == ("full", "STEPFLOW_DURABILITY")
    found = settings(call, "--db", "sqlite:///given.db?durability=normal")
    assert found["database"] == (str(bare / "given.db"), "--db")
    assert found["durability"] == ("normal", "the database's URL")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("memory:", "'memory:' storages are not available in this release"),
        (":memory:", "':memory:' storages are not available"),
        ("sqlite:///:memory:", "':memory:' storages are not available"),
        ("postgresql://me@host/db", "'postgresql://' storages are not available"),
        ("sqlite://own.db", "names a host; write sqlite:///relative.db"),
    ],
)
def test_a_storage_that_there_is_not_is_refused_wherever_it_is_named(
    call: Call, bare: Path, monkeypatch: pytest.MonkeyPatch, url: str, says: str
) -> None:
    assert says in call("--db", url, "list").stderr
    (bare / "stepflow.toml").write_text(f'db = "{url}"\n')
    for command in ("list", "config"):
        done = call(command)
        assert (done.exit_code, done.stdout) == (1, "")
        assert says in done.stderr
    monkeypatch.setenv("STEPFLOW_DB", url)
    assert says in call("executions").stderr
    assert [file.name for file in bare.iterdir()] == ["stepflow.toml"]


def test_the_file_may_name_the_database_by_url(call: Call, bare: Path) -> None:
    (bare / "stepflow.toml").write_text('db = "sqlite:///data/own.db?durability=normal"\n')
    found = settings(call)
    assert found["database"] == (str(bare / "data" / "own.db"), str(bare / "stepflow.toml"))
    assert found["durability"] == ("normal", "the database's URL")


def test_the_table_shows_words_and_no_database_is_made(call: Call, bare: Path) -> None:
    done = call("config")
    assert done.stdout.splitlines()[0].split() == ["SETTING", "VALUE", "FROM"]
    assert "shell         on" in done.stdout
    assert list(bare.iterdir()) == []


def test_variables_are_hidden_but_for_what_only_says_where_a_secret_is(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPFLOW_VAR_PASSWORD", "hunter2")
    monkeypatch.setenv("STEPFLOW_VAR_TOKEN", "env:TOKEN")
    for done in (call("config"), call("config", "--json")):
        assert "hunter2" not in done.output
        assert "env:TOKEN" in done.output
        assert "STEPFLOW_VAR_PASSWORD" in done.output


def test_words_that_mean_nothing_are_said_with_what_was_meant(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPFLOW_DURABILTY", "full")
    (folder / "stepflow.toml").write_text("shel = false\nzzz = 1\n[[webhooks]]\nurl = 'https://host/'\n")
    said = call("config").stderr
    assert "'shel' is unknown; did you mean 'shell'?" in said
    assert "'zzz' is unknown; it takes db, durability, shell, python, components" in said
    assert "this release sends no webhooks; a program can follow the events of `stepflow stream --json`" in said
    assert "STEPFLOW_DURABILTY in the environment means nothing; did you mean 'STEPFLOW_DURABILITY'?" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("db = 3", "'db' must be a path"),
        ('db = ""', "'db' must be a path"),
        ("shell = 'no'", "'shell' must be true or false"),
        ("python = 0", "'python' must be true or false"),
        ("durability = 'fast'", "'durability' must be full"),
        ("durability = 1", "'durability' must be full"),
        ("db = ", "Invalid value"),
    ],
)
def test_a_value_that_cannot_be_is_an_error_with_the_way_out(call: Call, folder: Path, text: str, said: str) -> None:
    (folder / "stepflow.toml").write_text(text)
    done = call("config")
    assert done.exit_code == 1
    assert f"{folder / 'stepflow.toml'}: {said}" in done.stderr


def test_a_stepflow_toml_that_is_no_text_is_an_error(call: Call, folder: Path) -> None:
    (folder / "stepflow.toml").write_bytes(b"\xff\xfe")
    assert call("config").exit_code == 1


# Their effect


def test_the_workspaces_durability_is_that_of_its_storage(bare: Path) -> None:
    (bare / "stepflow.toml").write_text('durability = "normal"\n')

    async def synchronous() -> int:
        async with Client(workspace=bare) as client:
            storage: Any = client._open_storage
            return int(storage.fetch("PRAGMA synchronous")[0][0])

    assert asyncio.run(synchronous()) == 1
    assert look_for_durability("full", "normal", bare).value == "full"
    assert look_for_durability(None, "off", bare) == ("off", "url")


@pytest.mark.parametrize(("key", "gone"), [("shell", "/shell/run"), ("python", "/python/call")])
def test_what_is_turned_off_is_not_offered(tmp_path: Path, key: str, gone: str) -> None:
    whole = Registry.for_workspace(tmp_path, warn=print).paths
    (tmp_path / "stepflow.toml").write_text(f"{key} = false\n")
    assert set(whole) - set(Registry.for_workspace(tmp_path, warn=print).paths) == {gone}


def test_validate_lint_and_create_say_what_is_turned_off(call: Call, folder: Path) -> None:
    (folder / "a.yaml").write_text(SHELL)
    assert call("validate", "a.yaml").exit_code == 0
    (folder / "stepflow.toml").write_text("shell = false\n")
    for command in (("validate", "a.yaml"), ("lint", "a.yaml"), ("create", "a", "--dsl", "a.yaml")):
        done = call(*command)
        assert done.exit_code == 1
        assert "Component '/shell/run' is turned off in this workspace" in done.output
        assert "stepflow.toml says shell = false" in done.output


def test_a_worker_does_not_start_on_settings_that_cannot_be_read(folder: Path) -> None:
    (folder / "stepflow.toml").write_text("shell = \n")
    with pytest.raises(WorkflowEngineError, match=r"stepflow\.toml"):
        run_worker(str(folder / "x.db"), folder)
    assert not (folder / "x.db").exists()
