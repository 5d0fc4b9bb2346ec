"""`stepflow doctor`: what it says, how it ends, and that it needs nothing to be well."""

from __future__ import annotations

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stepflow.client import Client
from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call
from tests.support.engine import start
from tests.support.flows import chain

BAD = "def f(:\n"


def findings(call: Call, *options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in call("doctor", "--json", *options).stdout.splitlines()]


def messages(found: list[dict[str, Any]], check: str) -> list[tuple[str, str]]:
    return [(finding["level"], finding["message"]) for finding in found if finding["check"] == check]


def test_where_there_is_nothing_all_is_well_and_nothing_is_made(call: Call, folder: Path) -> None:
    done = call("doctor")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "Database"
    assert done.stdout.splitlines()[-1] == "✓ All is well"
    assert list(folder.iterdir()) == []


def test_a_warning_ends_with_0_and_what_is_wrong_with_1(call: Call, folder: Path) -> None:
    SQLiteStorage(folder / "x.db", durability="normal").close()
    (folder / "x.db").chmod(0o644)
    done = call("doctor")
    assert done.exit_code == 0
    assert f"                  $ chmod 600 {folder / 'x.db'}" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1].startswith("⚠ 1 warning; ")
    (folder / "x.db").write_bytes(b"nothing of the kind" * 100)
    done = call("doctor")
    assert done.exit_code == 1
    assert "✗ opening" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("✗ 1 wrong, 1 warning; ")


def test_what_is_not_well_is_repeated_where_a_small_terminal_still_shows_it(call: Call, folder: Path) -> None:
    SQLiteStorage(folder / "x.db", durability="normal").close()
    (folder / "x.db").chmod(0o644)
    *_, empty, line, _ = call("doctor").stdout.splitlines()
    assert (empty, line) == ("", "⚠ Database, permissions: others may open the database (0644)")


def test_one_broken_stepflow_toml_is_one_thing_that_is_wrong(call: Call, folder: Path) -> None:
    (folder / "stepflow.toml").write_text("durability =\n")
    assert call("doctor").stdout.splitlines()[-1].startswith("✗ 1 wrong; ")


def test_json_is_an_object_a_line_for_each_finding(call: Call) -> None:
    found = findings(call, "--full")
    assert {tuple(one) for one in found} == {("section", "check", "level", "message", "advice", "command", "details")}
    assert {one["section"] for one in found} >= {"Database", "Workspace", "This machine", "Terminal"}


def test_a_newer_database_is_wrong_and_nobody_has_to_open_it(call: Call, folder: Path) -> None:
    SQLiteStorage(folder / "x.db", durability="normal").close()
    connection = sqlite3.connect(folder / "x.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    done = call("doctor")
    assert done.exit_code == 1
    assert "version 99 is of a newer StepFlow" in done.stdout


def test_a_command_to_paste_is_about_the_database_that_was_named(call: Call, folder: Path) -> None:
    storage = SQLiteStorage(folder / "my own.db", durability="normal")
    start(storage, chain(1))
    storage.close()
    done = call("--db", "my own.db", "doctor")
    assert "$ stepflow --db 'my own.db' worker" in done.stdout


def test_a_reader_that_has_gone_is_no_error(folder: Path) -> None:
    command = f"{sys.executable} -m stepflow.cli.main"
    for verb in ("doctor", "config", "stats"):
        script = f"set -o pipefail; {command} {verb} | true"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), (verb, done.stderr)


# The workspace


def test_of_the_workspace_it_says_what_is_unknown_broken_and_no_template(call: Call, folder: Path) -> None:
    (folder / "stepflow.toml").write_text('durabilty = "full"\n')
    (folder / "components").mkdir()
    (folder / "components" / "bad.py").write_text(BAD)
    (folder / "flows").mkdir()
    (folder / "flows" / "good.yaml").write_text("steps: [{id: a, type: noop}]")
    (folder / "flows" / "wrong.yaml").write_text("steps: [{id: a, type: nop}]")
    (folder / "flows" / "other.yaml").write_text("no: template")
    found = findings(call)
    assert ("warning", "the key 'durabilty' is unknown; did you mean 'durability'?") in messages(found, "stepflow.toml")
    (broken, _) = messages(found, "components")
    assert broken[0] == "wrong"
    assert "bad.py" in broken[1]
    assert messages(found, "templates") == [("warning", "1 of 2 files do not validate")]
    (templates,) = [one for one in found if one["check"] == "templates"]
    assert templates["command"].endswith("wrong.yaml")


@pytest.mark.parametrize("text", ["shell = 3\n", "db = \n", "durability = 'fast'\n"])
def test_a_stepflow_toml_that_cannot_be_is_wrong_and_the_rest_is_looked_at(call: Call, folder: Path, text: str) -> None:
    (folder / "stepflow.toml").write_text(text)
    found = findings(call)
    wrong = [one for one in found if one["level"] == "wrong"]
    assert {one["section"] for one in wrong} == {"Workspace"}
    assert all("stepflow.toml" in one["message"] for one in wrong)
    assert messages(found, "versions")


def test_a_workspace_that_is_not_there_is_wrong(call: Call, folder: Path) -> None:
    done = call("--workspace", "gone", "doctor")
    assert done.exit_code == 1
    assert "is not a folder" in done.stdout


# The terminal


@pytest.mark.parametrize(
    ("variables", "level", "said"),
    [
        ({"COLORTERM": "truecolor"}, "ok", "16 million"),
        ({"TERM": "xterm-256color"}, "info", "256, as TERM says"),
        ({"TERM": "xterm"}, "info", "16, as TERM says"),
        ({"NO_COLOR": "1", "COLORTERM": "truecolor"}, "ok", "none, as NO_COLOR asks"),
    ],
)
def test_in_a_terminal_it_says_how_many_colours_there_are(
    folder: Path, variables: dict[str, str], level: str, said: str
) -> None:
    lines = in_a_terminal(folder, variables)
    (line,) = [line for line in lines if " colours " in line]
    sign = {"ok": "✓", "info": "ℹ"}[level]
    assert line.split() == [sign, "colours", *said.split()]


def test_at_40_columns_nothing_is_written_over_the_edge(folder: Path) -> None:
    lines = in_a_terminal(folder, {"COLORTERM": "truecolor", "COLUMNS": "40", "NO_COLOR": "1"})
    shown = [line for line in lines if not line.lstrip().startswith("$") and str(folder)[:10] not in line]
    assert max(map(len, shown)) <= 40


def in_a_terminal(folder: Path, variables: dict[str, str]) -> list[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLORTERM", "TMUX", "STY")}
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "stepflow.cli.main", "doctor"],
        cwd=folder, env={**kept, "TERM": "xterm", **variables}, stdout=slave, stderr=slave, stdin=slave,
    )  # fmt: skip
    os.close(slave)
    text = b""
    try:
        while piece := os.read(master, 10_000):
            text += piece
    except OSError:
        pass  # the terminal is gone when its last writer is
    os.close(master)
    assert process.wait() == 0
    return re.sub(r"\x1b\[[0-9;]*m|\r", "", text.decode()).splitlines()


# The client


async def test_a_client_gives_the_same_findings(folder: Path) -> None:
    async with Client() as client:
        found = await client.health()
    assert {one.section for one in found} >= {"Database", "Workspace", "This machine"}
    assert not [one for one in found if one.level == "wrong"]
