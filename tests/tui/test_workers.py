"""The workers' screen: who is alive, who died, and stopping one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from stepflow.model.run import WorkerRecord
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.workers import worker_row
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.workers import WorkerList, WorkersView
from tests.tui.test_dashboard import Screen, screen_on

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def process(storage: SQLiteStorage) -> Iterator[subprocess.Popen[bytes]]:
    """A real worker on the storage."""
    process = subprocess.Popen([sys.executable, "-m", "stepflow.cli.main", "--db", storage.url, "worker"])
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()


def said(screen: Screen) -> str:
    return str(screen.app.screen.query_one(WorkerList).border_subtitle)


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ({"alive": True, "held_runs": 3}, ["●", "███▋", "3/10"]),
        ({"alive": True, "held_runs": 0}, ["░" * 12, "0/10"]),
        ({"alive": False}, ["✗", "dead"]),
        ({"alive": True, "trouble": "disk\x1b full"}, ["!", "disk· full"]),
        ({"alive": True, "background": True}, ["background"]),
    ],
)
def test_a_worker_is_a_line(worker: dict[str, object], words: list[str]) -> None:
    record = WorkerRecord(id="w_1", pid=7, host="here", started_at=NOW - timedelta(hours=2), slots=10, **worker)  # type: ignore[arg-type]
    for width in (20, 80, 200):
        line = "".join(text for text, _ in worker_row(record, width, NOW, Glyphs()))
        assert all(word in line for word in words)
    assert worker_row(record, 80, NOW, Glyphs(ascii_only=True))[0][0].isascii()


async def test_five_shows_the_workers_and_b_then_y_stops_one(
    storage: SQLiteStorage, process: subprocess.Popen[bytes]
) -> None:
    async with screen_on(storage) as screen:
        await screen.press("5")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
        await screen.expect("●", f"pid {process.pid}")
        await screen.until(lambda: said(screen) == "1 alive")
        await screen.press("b", "n")
        assert process.poll() is None
        await screen.press("b", "y")
        await screen.expect("was stopped")
        await screen.until(lambda: said(screen) == "none: stepflow worker starts one")
        assert process.wait(10) == 0
        await screen.press("b")
        await screen.expect("There is no living worker to stop")
        await screen.press("q")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))


async def test_one_that_dies_is_seen_to_be_dead(storage: SQLiteStorage, process: subprocess.Popen[bytes]) -> None:
    async with screen_on(storage, (40, 10)) as screen:
        await screen.press("5")
        await screen.until(lambda: said(screen) == "1 alive")
        os.kill(process.pid, signal.SIGKILL)
        await screen.expect("✗")
        await screen.until(lambda: said(screen) == "0 alive")
        for key in ("1", "5", "escape", "5", "question_mark", "x"):
            await screen.press(key)
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
