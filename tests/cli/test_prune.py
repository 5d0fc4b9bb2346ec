"""`stepflow prune`, as users type it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.performing import perform


@pytest.fixture
def database(folder: Path, call: Call) -> Path:
    """With three executions that have ended."""
    (folder / "orders.yaml").write_text("name: orders\nsteps: [{id: a, type: echo, input: 1}]\n")
    call("create", "orders", "--dsl", "orders.yaml")
    asyncio.run(perform(folder / "x.db", "orders", 1, 2, 3))
    return folder / "x.db"


def count(call: Call) -> int:
    return len(call("executions", "--json").stdout.splitlines())


def test_what_would_go_is_said_and_nothing_goes(database: Path, call: Call) -> None:
    said = call("prune", "--older-than", "0s", "--dry-run")
    assert (said.exit_code, said.stdout) == (0, "")
    assert "orders                   2" in said.stderr
    assert "2 executions that ended" in said.stderr
    assert count(call) == 3
    assert call("prune", "--older-than", "30d", "--yes").stdout.startswith("No execution that may go ended more than")
    assert count(call) == 3


def test_without_a_terminal_it_has_to_be_told_not_to_ask(database: Path, call: Call) -> None:
    refused = call("prune", "--keep", "1")
    assert (refused.exit_code, "Delete 2 executions? Say so with --yes" in refused.stderr) == (1, True)
    assert count(call) == 3
    done = call("prune", "--keep", "2", "--yes")
    assert (done.exit_code, done.stdout) == (0, "✓ 1 execution deleted\n")
    assert "--vacuum" not in done.stderr, "there is nothing to give back"
    assert count(call) == 2
    last = call("prune", "--older-than", "0s", "--yes", "--vacuum")
    assert last.stdout.splitlines()[0] == "✓ 1 execution deleted"
    assert "given back to the disk" in last.stdout
    assert count(call) == 1


def test_room_that_is_left_in_the_file_is_said_with_the_way_to_give_it_back(database: Path, call: Call) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("INSERT INTO signals (run, name, data, at) VALUES (1, 'a', ?, 0)", ("x" * 300_000,))
    with connection:
        connection.execute("DELETE FROM signals")
    connection.close()
    said = call("prune", "--older-than", "30d", "--yes").stderr
    assert re.search(r"  \d\d\d KB in the file are free; --vacuum gives them back to the disk\n", said)


def test_what_is_asked_wrongly_is_said(database: Path, call: Call) -> None:
    for arguments, code, message in (
        ((), 2, "Say what is to go"),
        (("--dry-run", "--vacuum"), 2, "Say what is to go"),
        (("--older-than", "30"), 2, "a duration needs a unit"),
        (("--older-than", "1d", "--keep", "0"), 2, "0 is not in the range"),
        (("--older-than", "1d", "--status", "running"), 1, "only what has ended can be pruned"),
        (("--older-than", "1d", "--status", "completed,gone"), 2, "no status 'gone'"),
        (("--older-than", "1d", "--template", "order"), 1, "Template 'order' not found; did you mean 'orders'"),
    ):
        said = call("prune", *arguments)
        assert (said.exit_code, message in said.stderr) == (code, True), (arguments, said.stderr)
    assert count(call) == 3


def test_where_there_is_no_database_none_is_made(folder: Path, call: Call) -> None:
    said = call("prune", "--older-than", "1d", "--yes")
    assert (said.exit_code, "There is no database" in said.stderr) == (0, True)
    assert not (folder / "x.db").exists()
