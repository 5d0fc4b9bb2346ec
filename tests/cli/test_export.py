"""`stepflow export` and `stepflow import`, as users type them."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.cli.performing import perform

TEMPLATE = """\
name: orders
steps:
  - {id: a, type: echo, input: {order: $.input.order}}
  - {id: b, type: echo, input: $.steps.a.output, sensitive: true}
  - {id: every, type: map, input: {items: [1, 2], workflow: {steps: [{id: one, type: echo, input: $.input}]}}}
"""


@pytest.fixture
def database(folder: Path, call: Call) -> Path:
    """With two executions that have ended, each with two children."""
    (folder / "orders.yaml").write_text(TEMPLATE)
    assert call("create", "orders", "--dsl", "orders.yaml").exit_code == 0
    asyncio.run(perform(folder / "x.db", "orders", {"order": "A"}, {"order": "B"}))
    return folder / "x.db"


def stepflow(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "stepflow.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, **options)  # type: ignore[call-overload]  # its own


def test_everything_goes_out_and_in_again(database: Path, call: Call) -> None:
    out = call("export", "--output", "all.jsonl.gz")
    assert (out.exit_code, out.stdout) == (0, "")
    assert "6 executions (children count too) exported to all.jsonl.gz" in out.stderr
    types = [json.loads(line)["type"] for line in gzip.decompress(Path("all.jsonl.gz").read_bytes()).splitlines()]
    assert (types[0], types[-1], types.count("run")) == ("export", "end", 6)
    assert stat.S_IMODE(Path("all.jsonl.gz").stat().st_mode) == 0o600

    taken = call("--db", "other.db", "import", "all.jsonl.gz")
    assert (taken.exit_code, taken.stdout) == (0, "✓ 2 executions imported, with 4 children\n")
    assert call("--db", "other.db", "executions").stdout == call("executions").stdout
    assert call("--db", "other.db", "get", "orders").stdout == call("get", "orders").stdout
    again = call("--db", "other.db", "import", "all.jsonl.gz")
    assert again.stdout == "✓ 0 executions imported\n"
    assert "2 are stored already, and stayed as they are" in again.stderr


def test_one_execution_goes_through_a_pipe(database: Path, call: Call) -> None:
    run_id = json.loads(call("executions", "--json").stdout.splitlines()[0])["id"]
    text = stepflow("export", run_id[-6:]).stdout
    assert text.count(b'\n{"type":"run"') == 3
    taken = stepflow("--db", "other.db", "import", "-", input=text)
    assert (taken.returncode, taken.stdout.decode()) == (0, "✓ 1 execution imported, with 2 children\n")
    shown = call("--db", "other.db", "execution", run_id)
    assert "orders" in shown.stdout


def test_what_is_asked_wrongly_is_said(database: Path, call: Call) -> None:
    assert "not found" in call("export", "nope1234").stderr
    close = call("export", "--template", "order")
    assert (close.exit_code, "did you mean 'orders'" in close.stderr) == (1, True)
    both = call("export", "abcd", "--template", "orders")
    assert (both.exit_code, "not both" in both.stderr) == (2, True)
    Path("a-file.jsonl").touch()
    assert call("import", "afile.jsonl").stderr == "✗ File 'afile.jsonl' not found; did you mean 'a-file.jsonl'?\n"
    folder = call("import", ".")
    assert (folder.exit_code, "Is a directory" in folder.stderr) == (1, True)


def test_an_output_that_cannot_be_written_leaves_what_was_there(database: Path, call: Call) -> None:
    Path("there.jsonl").write_text("old")
    refused = call("export", "nope1234", "--output", "there.jsonl")
    assert refused.exit_code == 1
    assert Path("there.jsonl").read_text() == "old"
    assert [path.name for path in Path().iterdir() if path.name.startswith(".there")] == []
    no_folder = call("export", "--output", "none/x.jsonl")
    assert (no_folder.exit_code, no_folder.stderr) == (
        1,
        "✗ 'none/x.jsonl' cannot be written: No such file or directory\n",
    )
    assert call("export", "--output", "there.jsonl").exit_code == 0
    assert Path("there.jsonl").read_text().startswith('{"type":"export"')


def test_a_cut_file_says_where_and_keeps_what_came_before(database: Path, call: Call) -> None:
    whole = stepflow("export").stdout.splitlines(keepends=True)
    second = [n for n, line in enumerate(whole) if b'"type":"run"' in line and b"parent_run_id" not in line][1]
    Path("cut.jsonl").write_bytes(b"".join(whole[: second + 2]))
    cut = call("--db", "other.db", "import", "cut.jsonl")
    assert (cut.exit_code, cut.stdout) == (1, "✓ 1 execution imported, with 2 children\n")
    assert f"Line {second + 3}: the file ends before its last line; export it again" in cut.stderr
    Path("cut.gz").write_bytes(gzip.compress(b"".join(whole))[:200])
    damaged = call("--db", "more.db", "import", "cut.gz")
    assert (damaged.exit_code, "'cut.gz' is damaged" in damaged.stderr) == (1, True)
    hostile = stepflow("--db", "more.db", "import", "-", input=b'{"type":"\\u001b[31m"}\n')
    assert (hostile.returncode, b"\x1b[31m" in hostile.stderr) == (1, False)


def test_a_reader_that_leaves_is_no_error(database: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "stepflow.cli.main", "export"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.wait(30), process.stderr.read()) == (0, b"")
    process.stderr.close()


def test_a_terminal_gets_no_export(database: Path) -> None:
    master, slave = os.openpty()
    try:
        asked = subprocess.run(
            [sys.executable, "-m", "stepflow.cli.main", "export"], stdout=slave, stderr=subprocess.PIPE, timeout=30
        )
    finally:
        os.close(master)
        os.close(slave)
    assert (asked.returncode, b"give --output FILE" in asked.stderr) == (2, True)


def test_no_database_is_an_empty_one_and_is_not_made(folder: Path, call: Call) -> None:
    empty = call("export")
    assert [json.loads(line)["type"] for line in empty.stdout.splitlines()] == ["export", "end"]
    assert not (folder / "x.db").exists()
    (folder / "empty.jsonl").write_text(empty.stdout)
    assert call("import", "empty.jsonl").stdout == "✓ 0 executions imported\n"


def test_what_had_not_ended_is_paused_or_goes_on_as_it_is_told(folder: Path, call: Call) -> None:
    (folder / "nap.yaml").write_text("name: nap\nsteps: [{id: nap, type: wait_event, input: {name: go}}]\n")
    call("create", "nap", "--dsl", "nap.yaml")
    run_id = call("run", "nap", "--async", "--no-worker").stdout.split("Run ID: ")[1].split()[0]
    call("export", "--output", "nap.jsonl")
    paused = call("--db", "paused.db", "import", "nap.jsonl")
    assert "1 had not ended and is paused: stepflow resume" in paused.stderr
    assert json.loads(call("--db", "paused.db", "execution", run_id, "--json").stdout)["status"] == "paused"
    assert stepflow("--db", "resumed.db", "import", "nap.jsonl", "--resume").returncode == 0
    assert stepflow("--db", "resumed.db", "signal", run_id, "go").returncode == 0
    assert b"run_completed" in stepflow("--db", "resumed.db", "stream", run_id).stdout
    assert stepflow("--db", "resumed.db", "workers", "stop", "--all").returncode == 0
