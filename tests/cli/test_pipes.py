"""Every command where something is missing: no terminal, no stdin, no stdout, a reader that goes away, no colours."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepflow.cli.main import VERBS
from tests.cli.conftest import Run

FLOW = "name: order-flow\nsteps:\n  - {id: charge, type: echo, input: {x: 1}}\ntests:\n  - {name: charges}\n"
SAYS = "  - {id: say, type: log, input: {message: good night}}\n"
WAITS = f"steps:\n{SAYS}  - {{id: nap, type: wait, input: {{seconds: 60}}}}\n"

ARGUMENTS: dict[str, list[str]] = {
    "create": ["new-flow", "--dsl", "order.yaml"],
    "update": ["order-flow", "--dsl", "order.yaml"],
    "delete": ["gone-flow"],
    "get": ["order-flow"],
    "history": ["order-flow"],
    "diff": ["order-flow"],
    "run": ["order-flow", "--async", "--no-worker"],
    "execution": ["RUN"],
    "steps": ["RUN"],
    "stream": ["RUN"],
    "logs": ["RUN"],
    "signal": ["RUN", "go"],
    "cancel": ["QUEUED"],
    "pause": ["QUEUED"],
    "resume": ["QUEUED"],
    "retry": ["RUN", "--no-worker"],
    "fork": ["RUN", "--no-worker"],
    "validate": ["order.yaml"],
    "lint": ["order.yaml"],
    "simulate": ["order.yaml"],
    "test": ["order.yaml"],
    "init": ["made"],
    "completion": ["bash"],
    "export": ["RUN"],
    "import": ["nothing.jsonl"],
    "prune": ["--older-than", "30d", "--dry-run"],
    "open": ["RUN"],
}
"""What a command needs, to do something that is soon over."""

STAYS = {"worker", "demo", "dev"}
"""Commands whose end somebody else says."""


class World:
    """A folder with a database, and words for what is in it. Nobody works on it."""

    def __init__(self, folder: Path, completed: str, queued: str) -> None:
        self.folder = folder
        self.completed = completed
        self.queued = queued

    def words(self, verb: str) -> list[str]:
        names = {"RUN": self.completed, "QUEUED": self.queued}
        return [verb, *(names.get(word, word) for word in ARGUMENTS.get(verb, []))]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")

    def do(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "stepflow.cli.main", *words], cwd=folder, env=_environment(folder),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    (folder / "order.yaml").write_text(FLOW)
    for name in ("order-flow", "gone-flow"):
        do("create", name, "--dsl", "order.yaml")
    (folder / "order.yaml").write_text(FLOW.replace("x: 1", "x: 2"))
    do("update", "order-flow", "--dsl", "order.yaml")
    completed = json.loads(do("run", "order-flow", "--json"))["id"]
    for worker in map(json.loads, do("workers", "--json").splitlines()):
        os.kill(worker["pid"], signal.SIGTERM)
    while do("workers", "--json"):
        pass
    return World(folder, completed, json.loads(do("run", "order-flow", "--json", "--async", "--no-worker"))["id"])


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STEPFLOW", "NO_COLOR"))}
    return {**kept, "STEPFLOW_DB": str(folder / "x.db"), "STEPFLOW_DURABILITY": "normal"}


@pytest.fixture
def world(made: World, tmp_path: Path) -> World:
    shutil.copytree(made.folder, tmp_path, dirs_exist_ok=True)
    return World(tmp_path, made.completed, made.queued)


Begin = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def begin(environment: dict[str, str], tmp_path: Path) -> Iterator[Begin]:
    started: list[subprocess.Popen[bytes]] = []

    def do(words: list[str], **options: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "stepflow.cli.main", *words]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, **options)  # type: ignore[call-overload]
        started.append(process)
        return process

    yield do
    for process in started:
        process.kill()
        process.wait()


SHORT = [verb for verb in VERBS if verb not in STAYS]
SAMPLE = ("list", "run", "executions", "diff", "doctor", "get", "import", "cancel", "config", "prune")
"""Of every kind one; the others are tried with the long suites."""


def sampled(verbs: list[str]) -> list[Any]:
    return [verb if verb in SAMPLE else pytest.param(verb, marks=pytest.mark.full) for verb in verbs]


@pytest.mark.parametrize("verb", sampled(SHORT))
def test_with_stdin_and_stdout_closed_a_command_ends_without_a_traceback(world: World, verb: str) -> None:
    done = subprocess.run(
        ["bash", "-c", 'exec "$@" <&- >&-', "-", sys.executable, "-m", "stepflow.cli.main", *world.words(verb)],
        cwd=world.folder, env=_environment(world.folder), stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode in (0, 1, 2)


@pytest.mark.parametrize("verb", ["list", "run", "create"])
def test_no_database_takes_the_place_of_a_closed_stderr(world: World, run: Run, verb: str) -> None:
    done = subprocess.run(
        ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "-", sys.executable, "-m", "stepflow.cli.main", *world.words(verb)],
        cwd=world.folder, env=_environment(world.folder), timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert run("execution", world.completed).returncode == 0


@pytest.mark.parametrize("verb", SHORT)
def test_a_reader_that_goes_away_is_no_error(world: World, begin: Begin, verb: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = begin(world.words(verb), stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    _, said = process.communicate(timeout=60)
    assert b"Traceback" not in said
    assert b"Broken pipe" not in said
    assert b"Exception ignored" not in said
    assert process.returncode in (0, 1, 2)


@pytest.mark.parametrize("verb", sampled([verb for verb in SHORT if verb not in ("open", "ui")]))
def test_who_wants_no_colours_gets_none_on_a_terminal(
    world: World, begin: Begin, environment: dict[str, str], verb: str
) -> None:
    environment |= {"TERM": "xterm-256color", "NO_COLOR": "1"} if len(verb) % 2 else {"TERM": "dumb"}
    terminal, inside = pty.openpty()
    process = begin(world.words(verb), stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    shown = b"".join(_shown(terminal))
    os.close(terminal)
    process.wait(timeout=60)
    assert b"\x1b" not in shown
    assert b"Traceback" not in shown


def _shown(terminal: int) -> Iterator[bytes]:
    """Until nobody writes to it any more."""
    while True:
        try:
            read = os.read(terminal, 10_000)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return
        if not read:
            return
        yield read


def _until(terminal: int, text: str) -> str:
    shown, until = "", time.monotonic() + 30
    while text not in shown:
        assert select.select([terminal], [], [], max(0, until - time.monotonic()))[0], shown
        shown += os.read(terminal, 10_000).decode()
    return shown


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (b"y\n", 0, "Template 'order-flow' deleted"),
        (b"what\nYES\n", 0, "Template 'order-flow' deleted"),
        (b"n\n", 1, "Not deleted"),
        (b"\n", 1, "Not deleted"),
        (b"\x04", 1, "Not deleted"),
        (b"\x03", 130, ""),
    ],
)
def test_a_question_takes_an_answer_the_end_of_the_input_and_an_interrupt(
    world: World, run: Run, begin: Begin, answer: bytes, code: int, says: str
) -> None:
    terminal, inside = pty.openpty()
    process = begin(
        ["delete", "order-flow"],
        stdin=inside, stdout=inside, stderr=inside, start_new_session=True, preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(inside)
    _until(terminal, "Template 'order-flow' has a live execution. Delete it? [y/N]: ")
    os.write(terminal, answer)
    shown = b"".join(_shown(terminal)).decode()
    os.close(terminal)
    assert process.wait(timeout=30) == code
    assert says in shown
    assert "Traceback" not in shown
    assert (run("get", "order-flow").returncode == 0) is (code != 0)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_without_a_terminal_to_ask_on_the_option_has_to_say_it(world: World, run: Run) -> None:
    done = run("delete", "order-flow")
    assert done.returncode == 1
    assert done.stderr == ("✗ Template 'order-flow' has a live execution. Delete it? Say so with --force\n")
    assert run("delete", "order-flow", "--force").returncode == 0


@pytest.mark.parametrize("words", [["run", "slow.yaml"], ["stream", "WAITING"], ["logs", "WAITING", "--follow"]])
def test_an_interrupt_ends_what_waits_with_130_and_no_traceback(
    world: World, run: Run, begin: Begin, words: list[str]
) -> None:
    (world.folder / "slow.yaml").write_text(WAITS)
    run_id = json.loads(run("run", "slow.yaml", "--async", "--json").stdout)["id"]
    process = begin(
        [run_id if word == "WAITING" else word for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 30)[0]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert run("cancel", run_id).returncode == 0
    for line in run("executions", "--json").stdout.splitlines():
        if re.search(r'"status": "(sleeping|running)"', line):
            run("cancel", json.loads(line)["id"])


def test_the_words_are_those_of_commands() -> None:
    assert not (set(ARGUMENTS) | STAYS) - set(VERBS)
