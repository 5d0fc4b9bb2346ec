"""`stepflow dev` as people run it: a process with a worker beside it, and files that are saved under it."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call

PATIENCE_SECONDS = 40.0
SLOW = """\
import time
from stepflow import component

@component("/user/slow")
def slow(input):
    time.sleep(input["seconds"])
    return "{says}"
"""


def flow_text(step: str, name: str = "") -> str:
    return f"{f'name: {name}' if name else ''}\nsteps:\n  - {{id: {step}, type: noop}}\n"


class Dev:
    """A running `stepflow dev`. What it says is waited for, line by line."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stepflow.cli.main", "dev", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "STEPFLOW_DURABILITY": "normal", "STEPFLOW_DB": str(folder / ".stepflow" / "x.db")},
        )
        self.said: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as out:
            for line in out:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def line(self) -> str:
        found = self._lines.get(timeout=PATIENCE_SECONDS)
        assert found is not None, "it has ended:\n" + "\n".join(self.said)
        self.said.append(found)
        return found

    def until(self, *parts: str) -> str:
        """The next line that holds all of `parts`."""
        while True:
            found = self.line()
            if all(part in found for part in parts):
                return found

    def works(self) -> int:
        """Wait for the first look and for the worker, in whichever order; the worker's process."""
        while not (any("template" in line and " ms)" in line for line in self.said) and self._worker()):
            self.line()
        return pid_in(self._worker())

    def _worker(self) -> str:
        return next((line for line in self.said if "works on" in line), "")

    def end(self, number: int = signal.SIGINT) -> tuple[int, list[str]]:
        """The exit code, and what it said at last."""
        self.process.send_signal(number)
        return self.until_it_ends()

    def until_it_ends(self) -> tuple[int, list[str]]:
        """The exit code, and what it said at last."""
        rest = []
        while (line := self._lines.get(timeout=PATIENCE_SECONDS)) is not None:
            rest.append(line)
        return self.process.wait(PATIENCE_SECONDS), rest


Start = Callable[..., Dev]


@pytest.fixture
def workspace(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "stepflow.toml").touch()
    (folder / "components").mkdir()
    (folder / ".stepflow").mkdir()
    monkeypatch.setenv("STEPFLOW_DB", str(folder / ".stepflow" / "x.db"))
    return folder


@pytest.fixture
def dev(workspace: Path) -> Iterator[Start]:
    started: list[Dev] = []

    def start(*arguments: str) -> Dev:
        started.append(Dev(workspace, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.send_signal(signal.SIGTERM)
            one.process.wait(PATIENCE_SECONDS)


def save(file: Path, text: str) -> None:
    beside = file.with_name(f"{file.name}.tmp~")
    beside.write_text(text)
    beside.replace(file)


def pid_in(line: str) -> int:
    found = re.search(r"worker (\d+)", line)
    assert found is not None
    return int(found[1])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def without_times(lines: list[str]) -> list[str]:
    lines = [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines]
    return [re.sub(r"\(\d+ ms\)", "(N ms)", line) for line in lines]


def test_each_thing_that_happens_is_a_line(dev: Start, workspace: Path) -> None:
    (workspace / "x.yaml").write_text(flow_text("a"))
    running = dev("--no-worker")
    running.until("1 template ")
    save(workspace / "x.yaml", "steps:\n  - {id: a, type: nop}\n")
    running.until("did you mean")
    save(workspace / "x.yaml", flow_text("b"))
    running.until("version 1")
    (workspace / "x.yaml").rename(workspace / "y.yaml")
    running.until("was x.yaml")
    save(workspace / "z.yaml", flow_text("c", "x"))
    running.until("z.yaml:1:7")
    (workspace / "z.yaml").unlink()
    running.until("z.yaml: gone")
    (workspace / "y.yaml").unlink()
    running.until("file gone")
    assert running.end() == (130, [])
    assert without_times(running.said) == [
        f"ℹ Watching {workspace}; Ctrl-C ends it",
        "✓ x.yaml: x version 1 (N ms)",
        "✓ 1 template (N ms)",
        "✗ x.yaml: not saved",
        "  • Unknown component '/builtin/nop'",
        "      x.yaml:2:19: did you mean '/builtin/noop'?",
        "✓ x.yaml: mended",
        "✓ x.yaml: x version 1 (N ms)",
        "✓ y.yaml: was x.yaml; x version 1 stays",
        "✗ z.yaml: not saved",
        "  • y.yaml makes the template 'x' already",
        "      z.yaml:1:7: give one of them another `name:`, or delete it",
        "✓ z.yaml: gone",
        "⚠ y.yaml: file gone; template 'x' stays",
    ]


@pytest.mark.full
def test_many_files_are_one_line(dev: Start, workspace: Path) -> None:
    for n in range(1000):
        (workspace / f"t{n}.yaml").write_text(flow_text("a"))
    running = dev("--no-worker")
    running.until("1,000 templates")
    assert without_times(running.said)[1:] == ["✓ 1,000 files saved (N ms)", "✓ 1,000 templates (N ms)"]
    assert running.end()[0] == 130
    again = dev("--no-worker")
    again.until("1,000 templates")
    assert without_times(again.said)[1:] == ["✓ 1,000 templates (N ms)"]


def test_of_many_problems_the_first_are_shown_and_the_others_counted(dev: Start, workspace: Path) -> None:
    for n in range(200):
        (workspace / f"t{n:03}.yaml").write_text("steps: [{id: a, type: nop}]\n")
    running = dev("--no-worker")
    running.until("0 templates, 200 problems")
    said = without_times(running.said)
    assert said.count("  • Unknown component '/builtin/nop'") == 10
    assert said[-2:] == [
        "✗ 190 more files not saved; `stepflow validate FILE` says why (N ms)",
        "✗ 0 templates, 200 problems (N ms)",
    ]


def test_a_database_that_is_taken_away_is_told_of_and_ends_it(dev: Start, workspace: Path) -> None:
    running = dev()
    running.works()
    shutil.rmtree(workspace / ".stepflow")
    code, rest = running.until_it_ends()
    assert code == 1
    assert "x.db was deleted or replaced while it was open here" in rest[-1]
    assert not (workspace / ".stepflow").exists()


def test_json_is_an_object_a_line(dev: Start, workspace: Path) -> None:
    (workspace / "x.yaml").write_text(flow_text("a"))
    running = dev("--json")
    found = [json.loads(running.line())]
    while not {"components", "watching", "worker"} <= {one["what"] for one in found}:
        found.append(json.loads(running.line()))
    save(workspace / "x.yaml", "steps: 5\n")
    while found[-1]["what"] != "problem":
        found.append(json.loads(running.line()))
    assert found[-1]["diagnostics"][0]["line"] == 1
    told = {one["what"]: one for one in found}
    assert told.keys() == {"components", "saved", "watching", "worker", "problem"}, found
    assert (told["saved"]["template"], told["saved"]["version"], told["watching"]["templates"]) == ("x", 1, 1)
    assert all("at" in one for one in found)


@pytest.mark.full
def test_a_step_of_two_seconds_survives_changed_python(dev: Start, workspace: Path, call: Call) -> None:
    (workspace / "components" / "own.py").write_text(SLOW.replace("{says}", "old"))
    (workspace / "x.yaml").write_text(
        "steps:\n"
        "  - {id: long, component: /user/slow, input: {seconds: 2}}\n"
        "  - {id: next, component: /user/slow, input: {seconds: 0}, depends_on: [long]}\n"
    )
    running = dev()
    old = running.works()
    started = json.loads(call("run", "x", "--async", "--json").stdout)["id"]
    storage = SQLiteStorage(workspace / ".stepflow" / "x.db", durability="normal")
    try:
        wait_until(lambda: storage.get_steps(started, bodies=False, attempts=False)[0].status == "running")
        save(workspace / "components" / "own.py", SLOW.replace("{says}", "new"))
        new = pid_in(running.until("takes the place of"))
        assert new != old
        assert storage.get_steps(started, bodies=False, attempts=False)[0].status == "running"
        wait_until(lambda: storage.get_run(started).status.is_final)
        assert storage.get_run(started).output == {"next": "new"}
        long, following = storage.get_steps(started, bodies=True, attempts=True)
        assert (long.output, long.attempt, following.attempt) == ("old", 1, 1)
    finally:
        storage.close()
    wait_until(lambda: not is_alive(old))
    assert running.end()[0] == 130
    assert not is_alive(new)


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_python_that_does_not_import_leaves_the_worker(dev: Start, workspace: Path) -> None:
    own = workspace / "components" / "own.py"
    own.write_text(SLOW)
    running = dev()
    pid = pid_in(running.until("works on"))
    save(own, SLOW + "\ndef (\n")
    running.until("cannot be had; the worker keeps what it has")
    assert "SyntaxError" in running.until("not available")
    assert "own.py:9:" in running.until("correct it and save it")
    assert is_alive(pid)
    save(own, SLOW)
    running.until("Python looked at: mended, 1 component")
    assert f"takes the place of {pid}" in running.until("takes the place of")


@pytest.mark.full
def test_a_worker_that_dies_is_started_again(dev: Start) -> None:
    running = dev()
    first = pid_in(running.until("works on"))
    os.kill(first, signal.SIGKILL)
    assert "another one starts in 0.5 s" in running.until(f"worker {first} died of signal 9")
    second = pid_in(running.until("works on"))
    os.kill(second, signal.SIGKILL)
    running.until(f"worker {second} died", "starts in 1 s")
    third = pid_in(running.until("works on"))
    code, rest = running.end(signal.SIGTERM)
    assert code == 130
    assert "stopping: giving executions back" in rest[-1]
    assert not is_alive(third)


def test_a_second_interrupt_ends_at_once(dev: Start, workspace: Path, call: Call) -> None:
    (workspace / "x.yaml").write_text("steps:\n  - {id: a, type: shell.run, input: {command: [sleep, '60']}}\n")
    running = dev()
    pid = running.works()
    started = json.loads(call("run", "x", "--async", "--json").stdout)["id"]
    storage = SQLiteStorage(workspace / ".stepflow" / "x.db", durability="normal")
    try:
        wait_until(lambda: storage.get_steps(started, bodies=False, attempts=False)[0].status == "running")
        running.process.send_signal(signal.SIGINT)
        running.until("Waiting for the steps that run; Ctrl-C ends them at once")
        assert running.end()[0] == 130
        assert not is_alive(pid)
    finally:
        storage.close()
    assert call("cancel", started).exit_code == 0


def test_a_worker_does_not_outlive_its_owner(dev: Start) -> None:
    running = dev()
    pid = pid_in(running.until("works on"))
    running.process.kill()
    wait_until(lambda: not is_alive(pid))
    assert running.process.wait() == -signal.SIGKILL


def test_another_worker_is_told_of(dev: Start) -> None:
    first = dev()
    pid = pid_in(first.until("works on"))
    assert f"({pid})" in dev().until("Another worker works on this database")


def test_without_a_workspace_the_way_out_is_said(call: Call, folder: Path) -> None:
    done = call("dev")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.endswith(
        "  Make a workspace here with `stepflow init`, or name a folder: `stepflow dev FOLDER`\n"
    )
    assert call("dev", "nowhere").exit_code == 1
    assert call("--workspace", ".", "dev", ".").exit_code == 2
    assert list(folder.iterdir()) == []


def test_in_a_folder_that_was_deleted_the_way_out_is_said_too(call: Call, folder: Path) -> None:
    folder.rmdir()
    done = call("dev")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "this folder, which was deleted, or above it" in done.stderr
    assert "name a folder: `stepflow dev FOLDER`" in done.stderr


def test_a_folder_is_a_workspace_where_there_is_none(dev: Start, workspace: Path) -> None:
    (workspace / "stepflow.toml").unlink()
    (workspace / "flows").mkdir()
    (workspace / "flows" / "x.yaml").write_text(flow_text("a"))
    (workspace / "y.yaml").write_text(flow_text("a"))
    running = dev("flows", "--no-worker")
    assert f"Watching {workspace}/flows;" in running.line()
    running.until("1 template ")
    (workspace / "stepflow.toml").touch()
    inside = dev("flows", "--no-worker")
    assert f"Watching {workspace};" in inside.line()
    inside.until("2 templates")


@pytest.mark.parametrize("verb", ["list", "get"])
def test_a_file_that_is_gone_is_shown(dev: Start, workspace: Path, call: Call, verb: str) -> None:
    arguments = {"list": ("list",), "get": ("get", "x")}[verb]
    (workspace / "x.yaml").write_text(flow_text("a"))
    running = dev("--no-worker")
    running.until("1 template ")

    def shown() -> tuple[str, Any]:
        return call(*arguments).stdout.lower(), json.loads(call(*arguments, "--json").stdout)

    text, found = shown()
    assert ("gone" in text, found["file"], found["file_gone"]) == (False, str(workspace / "x.yaml"), False)
    (workspace / "x.yaml").unlink()
    running.until("file gone")
    text, found = shown()
    assert ("file gone" in text, found["file_gone"]) == (True, True)
    save(workspace / "x.yaml", flow_text("a"))
    running.until("is back")
    assert "gone" not in shown()[0]


def test_update_and_delete_know_of_the_file(dev: Start, workspace: Path, call: Call) -> None:
    (workspace / "x.yaml").write_text(flow_text("a"))
    other = workspace / "other.txt"
    other.write_text(flow_text("b"))
    running = dev("--no-worker")
    running.until("1 template ")
    refused = call("update", "x", "--dsl", "other.txt")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert str(workspace / "x.yaml") in refused.stderr
    assert "--force" in refused.stderr
    assert call("update", "x", "--dsl", "x.yaml").exit_code == 0
    assert "✓ Template 'x' updated" in call("update", "x", "--dsl", "other.txt", "--force").stdout
    deleted = call("delete", "x")
    assert str(workspace / "x.yaml") in deleted.stderr
    save(workspace / "x.yaml", flow_text("c"))
    running.until("version")
    assert call("get", "x").exit_code == 0
