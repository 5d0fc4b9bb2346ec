"""`stepflow components`: the list, one of them, as JSON, and broken ones of a workspace."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from stepflow.cli.text import json_lines
from tests.cli.conftest import Call


def test_the_list_is_a_table(call: Call) -> None:
    lines = call("components").stdout.splitlines()
    assert lines[:2] == ["COMPONENT                   DESCRIPTION", "─" * 72]
    assert "/builtin/echo               Returns its input" in lines
    assert [line for line in lines[2:] if not line.startswith("/")] == []


def test_a_terminal_is_not_written_over_its_edge(folder: Path) -> None:
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "stepflow.cli.main", "components"], env=environment, stdout=slave, stderr=slave
    )
    os.close(slave)
    text = b""
    try:
        while piece := os.read(master, 10_000):
            text += piece
    except OSError:
        pass  # the terminal is gone when its last writer is
    os.close(master)
    assert process.wait() == 0
    lines = text.decode().splitlines()
    assert max(map(len, lines)) <= 80
    start = lines.index("/builtin/iterate            Runs a flow again and again, each time with the")
    assert lines[start + 1] == "                            {next: …} it gave, until it gives {result: …}"


def test_one_is_shown_with_its_schemas_and_an_example(call: Call) -> None:
    for name in ("/http/get", "http.get"):
        shown = call("components", name).stdout
        assert shown.startswith("/http/get  Sends a GET request and gives its answer\n\nInput:\n  {\n")
        assert '      "url": {"type": "string", "minLength": 1},\n' in shown
        assert shown.endswith(
            "\nExample:\n"
            "  - id: example\n"
            "    component: /http/get\n"
            "    input:\n"
            "      url: https://api.example.com/orders\n"
            '  # gives {"status": 200, "headers": {"content-type": "application/json"}, "body": {"id": 7}, '
            '"elapsed_ms": 120}\n'
        )


def test_json_is_one_object_a_component(call: Call) -> None:
    listed = [json.loads(line) for line in call("components", "--json").stdout.splitlines()]
    assert {"/builtin/map", "/shell/run"} < {one["path"] for one in listed}
    assert json.loads(call("components", "shell.run", "--json").stdout) in listed
    assert set(listed[0]) == {"path", "description", "input_schema", "output_schema", "example"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("htp.get", "✗ Unknown component 'htp.get'; did you mean '/http/get'?\n"),
        ("noup", "✗ Unknown component 'noup'; did you mean 'noop'?\n"),
        (
            "http",
            "✗ Several components are of 'http': /http/delete, /http/get, /http/patch, /http/post, /http/put, "
            "/http/request\n",
        ),
        ("\x1b[31m", "✗ Unknown component '\\x1b[31m'\n"),
    ],
)
def test_an_unknown_one_is_said(call: Call, name: str, says: str) -> None:
    done = call("components", name)
    assert (done.stdout, done.stderr, done.exit_code) == ("", says, 1)


def test_a_word_that_one_path_alone_has_names_it(call: Call) -> None:
    assert call("components", "query").stdout.startswith("/data/query  ")


def test_those_of_the_workspace_are_listed_and_broken_files_told(call: Call, folder: Path) -> None:
    (folder / "stepflow.toml").write_text("")
    (folder / "components").mkdir()
    (folder / "components/mine.py").write_text(
        "from stepflow import component\n\n\n@component('/user/mine', description='Mine \\x1b[31m')\n"
        "def mine(n: int = 3):\n    return n\n"
    )
    (folder / "components/broken.py").write_text("import nothing_like_this\n")
    done = call("components")
    assert "/user/mine                  Mine \\x1b[31m\n" in done.stdout
    assert "components of broken.py are not available: ModuleNotFoundError" in done.stderr
    assert done.exit_code == 0
    assert call("components", "/user/mine").stdout.startswith("/user/mine  Mine \\x1b[31m\n\nInput:\n")


def test_no_database_is_needed_not_even_a_good_one(call: Call, folder: Path) -> None:
    (folder / "x.db").write_text("no database")
    (folder / "a.yaml").write_text("description: a\nsteps: [{id: a, type: noop}]\noutput: $.steps.a.output\n")
    for arguments in (["components"], ["validate", "a.yaml"], ["lint", "a.yaml"]):
        assert call(*arguments).exit_code == 0
    assert "is not a StepFlow database" in call("simulate", "a.yaml").stderr


@pytest.mark.parametrize("value", [[], {}, 1, "x", [1, 2], {"a": {"b": ["x" * 70, {}]}, "c": [["y" * 80]]}])
def test_json_for_reading_is_json_and_as_wide_as_it_may_be(value: object) -> None:
    lines = json_lines(value, 60)
    assert json.loads("\n".join(lines)) == value
    assert all(len(line) <= 60 or line.count('"') == 2 for line in lines)
