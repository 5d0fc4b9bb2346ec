"""`stepflow workers stop` and `worker --print-systemd`: real workers, told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from stepflow.cli.systemd import unit
from stepflow.cli.verbs import cancel, workers
from stepflow.contracts.storage import WorkerIdentity
from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from stepflow.runtime.processes import boot_id
from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call
from tests.support.engine import start, until
from tests.support.flows import flow

PATIENCE_SECONDS = 30.0
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def work(folder: Path, storage: SQLiteStorage) -> Iterator[Start]:
    """Starts workers, each a process, and waits until they work."""
    started: list[subprocess.Popen[str]] = []

    def do(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "stepflow.cli.main", "worker", *options],
            cwd=folder, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stderr is not None
        assert " works on " in process.stderr.readline()
        return process

    yield do
    for process in started:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def id_of(call: Call, process: subprocess.Popen[str]) -> str:
    listed = map(json.loads, call("workers", "--json").stdout.splitlines())
    return next(str(one["id"]) for one in listed if one["pid"] == process.pid)


def test_a_worker_is_stopped_by_the_beginning_of_its_id(call: Call, work: Start) -> None:
    process = work()
    worker_id = id_of(call, process)
    done = call("workers", "stop", worker_id.removeprefix("w_")[:12])
    assert (done.exit_code, done.stdout) == (0, f"✓ Worker {worker_id} stopped, it held no execution\n")
    assert process.wait(PATIENCE_SECONDS) == 0
    assert call("workers", "--json").stdout == ""


@pytest.mark.parametrize("option", [[], ["--now"]])
def test_it_says_how_many_executions_were_given_back(
    call: Call, work: Start, storage: SQLiteStorage, option: list[str]
) -> None:
    process = work("--grace", "100ms")
    step = Step(key="a", component="/shell/run", input={"command": ["sleep", "60"]})
    run_id = start(storage, flow(step, name="slow"))
    asyncio.run(until(storage, run_id, "running"))
    done = call("workers", "stop", "--all", *option)
    assert done.stdout.endswith(" stopped, 1 execution given back\n")
    assert process.wait(PATIENCE_SECONDS) == (-9 if option else 0)
    stored = storage.load_run(run_id)
    assert stored.worker is None
    assert storage.get_run(run_id).status in (RunStatus.QUEUED, RunStatus.RUNNING)  # whoever comes next claims both
    call("cancel", run_id)


def test_what_a_worker_still_does_is_said_with_the_way_to_kill_it(
    call: Call, work: Start, storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SILENT_SECONDS", 0.1)
    worker_id = id_of(call, work("--grace", "1s"))
    step = Step(key="a", component="/shell/run", input={"command": ["sleep", "60"]})
    run_id = start(storage, flow(step, name="slow"))
    asyncio.run(until(storage, run_id, "running"))
    done = call("workers", "stop", "--all")
    kill = f"stepflow workers stop {worker_id} --now"
    assert done.stderr == f"ℹ Worker {worker_id} lets the steps that it performs end; to kill it: {kill}\n"
    assert done.exit_code == 0
    call("cancel", run_id)


def test_a_hung_worker_is_said_to_be_and_cancelling_needs_it_no_more(
    call: Call, work: Start, storage: SQLiteStorage
) -> None:
    process = work("--lease", "1s")
    step = Step(key="a", component="/shell/run", input={"command": ["sleep", "60"]})
    run_id = start(storage, flow(step, name="slow"))
    asyncio.run(until(storage, run_id, "running"))
    process.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "hung" not in (listed := call("workers").stdout):
        assert time.monotonic() < deadline, listed
    assert "in trouble: hung, silent for longer than its lease" in listed
    done = call("cancel", run_id)
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "✓ Execution cancelled")


@pytest.mark.full
def test_an_execution_whose_worker_hangs_while_it_is_cancelled_is_cancelled_all_the_same(
    call: Call, work: Start, storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancel, "PATIENCE", timedelta(seconds=2))
    process = work("--lease", "1s")
    step = Step(key="a", component="/shell/run", input={"command": ["sleep", "60"]})
    run_id = start(storage, flow(step, name="slow"))
    asyncio.run(until(storage, run_id, "running"))
    process.send_signal(signal.SIGSTOP)
    done = call("cancel", run_id)
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "✓ Execution cancelled")


def test_all_stops_each_of_them(call: Call, work: Start) -> None:
    processes = [work(), work()]
    done = call("workers", "stop", "--all")
    assert done.stdout.count("✓ Worker w_") == 2
    assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0, 0]


def test_where_no_worker_is_running_there_is_nothing_to_stop(call: Call, storage: SQLiteStorage) -> None:
    done = call("workers", "stop", "--all")
    assert (done.exit_code, "No worker is running" in done.stderr) == (0, True)


def test_a_worker_that_is_not_known_is_said_with_what_was_meant(call: Call, work: Start) -> None:
    worker_id = id_of(call, work())
    done = call("workers", "stop", worker_id[:-1] + "!")
    assert (done.exit_code, f"did you mean '{worker_id}'?" in done.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [[], ["w_1", "--all"]])
def test_it_has_to_be_said_which(call: Call, arguments: list[str]) -> None:
    assert call("workers", "stop", *arguments).exit_code == 2


def register(storage: SQLiteStorage, host: str, pid: int) -> int:
    identity = WorkerIdentity(
        id="w_elsewhere", pid=pid, host=host, boot_id=boot_id(), started_at=now_ms(), slots=1, background=False,
        offers=(),
    )  # fmt: skip
    return storage.register_worker(identity, time.monotonic() + 60)


def test_a_worker_of_another_host_is_left_alone(call: Call, storage: SQLiteStorage) -> None:
    register(storage, "other", 1)
    done = call("workers", "stop", "w_else")
    assert done.exit_code == 1
    assert "is on other; stop it there: kill 1" in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only /proc tells what a process has open")
def test_a_process_that_is_not_the_worker_is_left_alone(call: Call, storage: SQLiteStorage) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    register(storage, socket.gethostname(), stranger.pid)  # alive: this process holds its lock
    done = call("workers", "stop", "w_else")
    assert (done.exit_code, f"Process {stranger.pid} is not worker w_elsewhere" in done.stderr) == (1, True)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_dead_worker_needs_no_stopping(call: Call, storage: SQLiteStorage, folder: Path) -> None:
    register(storage, socket.gethostname(), os.getpid())
    (folder / "x.db.workers" / "w_elsewhere.lock").unlink()
    done = call("workers", "stop", "w_else")
    assert (done.exit_code, "had died already" in done.stdout) == (0, True)


# systemd


def test_the_unit_starts_the_same_worker(call: Call, folder: Path) -> None:
    done = call("worker", "--concurrency", "7", "--grace", "30s", "--print-systemd")
    lines = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    command = shlex.split(lines["ExecStart"])
    assert command == [
        sys.executable, "-P", "-m", "stepflow.cli.main", "--db", str(folder / "x.db"), "worker",
        "--concurrency", "7", "--grace", "30000ms", "--lease", "15000ms",
    ]  # fmt: skip
    assert lines["WorkingDirectory"] == f"-{folder}"
    assert (lines["KillMode"], lines["TimeoutStopSec"]) == ("mixed", "50")
    assert "systemctl --user" in done.stderr
    assert not (folder / "x.db").exists()


def test_the_unit_names_the_workspace_and_how_durable_its_url_wants_it(call: Call, folder: Path) -> None:
    (folder / "stepflow.toml").touch()
    done = call("--db", "sqlite:///y.db?durability=normal", "worker", "--print-systemd")
    assert f"--db sqlite:///{folder}/y.db?durability=normal --workspace {folder} worker" in done.stdout


def test_a_unit_quotes_what_systemd_would_take_apart_or_expand() -> None:
    text = unit(["/a b/python", "100%", "$HOME", 'say "x"'], "/50% off", {"PATH": "/a b:$c"}, 1)
    assert 'ExecStart="/a b/python" 100%% $$HOME "say \\"x\\""\n' in text
    assert "WorkingDirectory=-/50%% off\n" in text
    assert 'Environment="PATH=/a b:$c"\n' in text


def test_a_unit_is_not_for_a_background_worker(call: Call) -> None:
    assert call("worker", "--background", "--print-systemd").exit_code == 2
