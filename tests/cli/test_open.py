"""`stepflow open`: the terminal UI on an execution."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call
from tests.support.engine import start
from tests.support.flows import chain


@pytest.mark.parametrize(
    ("arguments", "see"), [([], "stepflow executions"), (["exec_abc123"], "stepflow execution exec_abc123")]
)
def test_without_a_terminal_it_says_so(call: Call, folder: Path, arguments: list[str], see: str) -> None:
    done = call("open", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"✗ The terminal UI needs a terminal; without one see `{see}`\n"
    assert list(folder.iterdir()) == []


def test_an_unknown_execution_is_said_before_the_screen_opens(
    storage: SQLiteStorage, environment: dict[str, str]
) -> None:
    start(storage, chain(1))
    master, slave = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "stepflow.cli.main", "open", "exec_none"],
        env={**environment, "TERM": "xterm", "NO_COLOR": "1"}, stdin=slave, stdout=slave, stderr=slave, check=False,
    )  # fmt: skip
    os.close(slave)
    said = os.read(master, 10_000).decode()
    os.close(master)
    assert (done.returncode, said) == (1, "✗ Execution 'exec_none' not found\r\n")
