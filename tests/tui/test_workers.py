"""The workers' screen: who is alive, who died, and stopping one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from stepflow.core.facts import Claimed
from stepflow.model.run import WorkerRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.runtime.processes import boot_id
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui import clipboard
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.workers import Held, describe_worker, row_line, rows_of, worker_row
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.run import RunView
from stepflow_tui.screens.workers import WorkerList, WorkersView
from tests.support.flows import chain
from tests.support.hand import hold, identity
from tests.tui.records import run, step
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


def said_of(workers: list[WorkerRecord], held: dict[str, list[Held]], width: int) -> str:
    glyphs = Glyphs()
    lines = [row_line(row, width, NOW, glyphs) for row in rows_of(workers, held, width, NOW, glyphs)]
    return "\n".join("".join(text for text, _ in line) for line in lines)


def worker(**more: object) -> WorkerRecord:
    known: dict[str, object] = {"id": "w_1", "pid": 7, "host": "here", "alive": True, "slots": 10}
    return WorkerRecord(started_at=NOW - timedelta(hours=2), **{**known, **more})  # type: ignore[arg-type]


def test_where_it_is_gets_a_line_of_its_own_where_it_has_no_room_beside() -> None:
    one = worker(id="w_mwx26hq5bed8ubih12345", pid=123456, host="a-host-with-a-long-name.example")
    assert len(said_of([one], {}, 200).splitlines()) == 1
    assert said_of([one], {}, 80).splitlines()[1].strip() == "pid 123456 on a-host-with-a-long-name.example"


def test_what_it_runs_stands_below_it_and_what_a_dead_one_held_with_the_way_out() -> None:
    held = Held(run(RunStatus.RUNNING, worker="w_1"), (step("load", StepStatus.RUNNING),))
    lines = said_of([worker(held_runs=3)], {"w_1": [held]}, 80).splitlines()
    assert "▶ 1234 order-flow" in lines[1]
    assert lines[1].endswith("load")
    assert lines[2].strip() == "and 2 more"
    dead = worker(alive=False, held_runs=1)
    assert "held 1; start one: stepflow worker" in said_of([dead], {"w_1": [held]}, 80)
    assert "another takes them over" in said_of([dead, worker(id="w_2")], {"w_1": [held]}, 80)
    words = "\n".join("".join(t for t, _ in line) for line in describe_worker(dead, [held], NOW, 60, Glyphs()))
    assert all(one in words for one in ("dead", "7 on here", "1 of 10 at once", "load", "start one: stepflow worker"))


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
        assert all(word in said_of([record], {}, width) for word in words)
    assert worker_row(record, 80, NOW, Glyphs(ascii_only=True))[0][0].isascii()


async def test_five_shows_the_workers_and_b_then_y_stops_one(
    storage: SQLiteStorage, process: subprocess.Popen[bytes]
) -> None:
    async with screen_on(storage) as screen:
        await screen.press("5")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
        await screen.expect("●", f"pid {process.pid}")
        await screen.until(lambda: said(screen) == "1 alive · ● live")
        await screen.press("b", "n")
        assert process.poll() is None
        await screen.press("b", "y")
        await screen.expect("was stopped")
        await screen.until(lambda: said(screen) == "none: stepflow worker starts one · ● live")
        assert process.wait(10) == 0
        await screen.press("b")
        await screen.expect("There is no living worker to stop")
        await screen.press("q")
        await screen.until(lambda: isinstance(screen.app.screen, Dashboard))


@pytest.mark.full
async def test_one_that_dies_is_seen_to_be_dead(storage: SQLiteStorage, process: subprocess.Popen[bytes]) -> None:
    async with screen_on(storage, (40, 10)) as screen:
        await screen.press("5")
        await screen.until(lambda: said(screen) == "1 alive · ● live")
        os.kill(process.pid, signal.SIGKILL)
        await screen.expect("✗")
        await screen.until(lambda: said(screen) == "0 alive · ● live")
        for key in ("1", "5", "escape", "5", "question_mark", "x"):
            await screen.press(key)
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))


async def test_what_a_worker_runs_is_seen_and_opened_and_all_of_it_can_be_copied(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    monkeypatch.setattr(clipboard, "copy", lambda app, text, way: copied.append(text) or "tmux")
    own = identity()
    number = storage.register_worker(msgspec.structs.replace(own, boot_id=boot_id()), 1e12)
    hand = hold(storage, number, chain(1))
    hand.give(Claimed())
    run_id = hand.stored.id
    async with screen_on(storage, (80, 24)) as screen:
        await screen.press("5")
        await screen.expect(short_id(run_id), "flow", "Queues come with many workers")
        await screen.press("d")
        await screen.expect("1 of", "b y stop it: it gives its executions back")
        await screen.press("escape")
        await screen.until(lambda: not screen.app.screen.query("#overlay"))
        line = f"stepflow --db {storage.url} workers stop {own.id}"
        for key, text in (("i", own.id), ("p", str(own.pid)), ("c", line)):
            await screen.press("y", key)
            await screen.until(lambda text=text: copied[-1:] == [text])  # type: ignore[misc]  # bound here
        await screen.press("semicolon")
        await screen.expect("Open an execution that it holds", "Stop it: it gives its executions back")
        await screen.press("escape", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        await screen.press("q")
        await screen.until(lambda: isinstance(screen.app.screen, WorkersView))
        await screen.press("j", "enter")
        await screen.until(lambda: isinstance(screen.app.screen, RunView))
        assert screen.app.screen.place[1][0] == run_id  # type: ignore[attr-defined]  # a frame
