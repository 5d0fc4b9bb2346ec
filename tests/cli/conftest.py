"""Commands run in this process, or in processes of their own, in a folder of their own without a database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stepflow.cli.main import group
from stepflow.client import Client
from stepflow.storages.sqlite import SQLiteStorage

Call = Callable[..., Result]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user stands; `STEPFLOW_DB` names a file in it that is not there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STEPFLOW_DB", str(tmp_path / "x.db"))
    monkeypatch.setenv("STEPFLOW_DURABILITY", "normal")
    return tmp_path


@pytest.fixture
def call(folder: Path) -> Call:
    """Calls `stepflow …`. What is no exit is a defect, and raised."""

    def do(*arguments: str, **options: object) -> Result:
        done = CliRunner().invoke(group, arguments, **options)  # type: ignore[arg-type]  # click's own options
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return do


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STEPFLOW", "NO_COLOR"))}
    return {**kept, "STEPFLOW_DB": str(tmp_path / "x.db"), "TZ": "UTC", "STEPFLOW_DURABILITY": "normal"}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Iterator[Run]:
    """Runs `stepflow …` in a folder of its own; the background worker it may start is ended after the test."""

    def do(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stepflow.cli.main", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
            stdin=None if "input" in options else subprocess.DEVNULL, **options,  # type: ignore[call-overload]  # str
        )  # fmt: skip

    yield do
    if (tmp_path / "x.db").is_file():
        workers = CliRunner().invoke(group, ["workers", "--json"], env={"STEPFLOW_DB": str(tmp_path / "x.db")})
        for line in workers.stdout.splitlines():
            try:
                os.kill(json.loads(line)["pid"], signal.SIGTERM)
            except (ProcessLookupError, ValueError):
                pass


@pytest.fixture
def storage(folder: Path) -> Iterator[SQLiteStorage]:
    """The file of `STEPFLOW_DB`."""
    storage = SQLiteStorage(folder / "x.db", durability="normal")
    yield storage
    storage.close()


@pytest.fixture
async def client(storage: SQLiteStorage) -> AsyncIterator[Client]:
    async with Client(storage.url, durability="normal") as client:
        yield client
