"""The real command in a real terminal."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.tmux,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux"),
]

PATIENCE_SECONDS = 20.0
FLOW = "name: sleeper\nsteps:\n  - {id: nap, type: wait, input: {seconds: 600}}\n"


class Terminal:
    """A tmux of its own, with a shell in it."""

    def __init__(self, folder: Path) -> None:
        self._socket = f"stepflow-{uuid.uuid4().hex[:8]}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("STEPFLOW", "TMUX"))}
        self._environment = {**kept, "STEPFLOW_DB": str(folder / "x.db"), "LC_ALL": "C.UTF-8"}
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "-c", str(folder), "sh")

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, *arguments]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True).stdout

    def type(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    @property
    def text(self) -> str:
        return self._tmux("capture-pane", "-p")

    @property
    def state(self) -> str:
        """`alternate screen, cursor`"""
        return self._tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}").strip()

    def expect(self, *words: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not all(word in self.text for word in words):
            assert time.monotonic() < end, f"{words} not in\n{self.text}"
            time.sleep(0.05)

    def expect_gone(self, words: str) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while words in self.text:
            assert time.monotonic() < end, f"{words} still in\n{self.text}"
            time.sleep(0.05)

    def scribble(self, text: str) -> None:
        """As another program would that writes to the same terminal."""
        with open(self._tmux("display-message", "-p", "#{pane_tty}").strip(), "w") as tty:
            tty.write(f"\x1b[5;5H{text}")

    def process(self) -> int:
        """What the shell has started."""
        return int(said("pgrep", "-P", self._tmux("display-message", "-p", "#{pane_pid}").strip()))

    def close(self) -> None:
        """Where it was not closed yet."""
        with suppress(subprocess.CalledProcessError):
            self._tmux("kill-server")


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    (tmp_path / "sleeper.yaml").write_text(FLOW)
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


def stepflow(*arguments: str) -> str:
    return f"{sys.executable} -m stepflow.cli.main {' '.join(arguments)}"


def test_a_run_started_elsewhere_is_seen_cancelled_and_left(terminal: Terminal, tmp_path: Path) -> None:
    terminal.type(stepflow(), "Enter")
    terminal.expect("Templates", "Executions", "Steps", "Log", "q Quit")
    assert terminal.state == "1 0"
    environment = {**os.environ, "STEPFLOW_DB": str(tmp_path / "x.db")}
    subprocess.run(stepflow("run", "sleeper.yaml", "--async").split(), cwd=tmp_path, env=environment, check=True)
    terminal.expect("sleeper", "sleeping", "1 worker", "step.sleeping")
    terminal.resize(120, 40)
    terminal.expect("sleeper", "run.sleeping")
    terminal.resize(40, 10)
    terminal.expect_gone("s Simulate")  # there is no room for it
    terminal.resize(80, 24)
    terminal.expect("s Simulate")
    terminal.type("c")
    terminal.expect("Cancel", "cancel it")
    terminal.type("y")
    terminal.expect("⊘", "cancelled")
    terminal.type("?")
    terminal.expect("Retry it from the steps")
    terminal.type("x")
    terminal.expect("Executions")
    terminal.type("q")
    terminal.expect("stepflow.cli.main")  # what was typed: the screen has given the terminal back
    assert terminal.state == "0 1"
    assert "Traceback" not in terminal.text


def test_it_is_suspended_and_comes_back_and_what_others_wrote_over_it_is_redrawn(
    terminal: Terminal, tmp_path: Path
) -> None:
    terminal.type(f"XDG_CONFIG_HOME={tmp_path}/config {stepflow()}", "Enter")
    terminal.expect("Executions", "q Quit")
    terminal.type("C-z")
    terminal.expect("stepflow.cli.main")
    assert terminal.state == "0 1"
    terminal.type("fg", "Enter")
    terminal.expect("Executions", "q Quit")
    assert terminal.state == "1 0"
    end = time.monotonic() + PATIENCE_SECONDS
    while "somebody else" not in terminal.text:  # what is drawn on coming back may go over it
        assert time.monotonic() < end
        terminal.scribble("somebody else")
        time.sleep(0.3)
    terminal.type("C-l")
    terminal.expect("Executions")
    terminal.expect_gone("somebody else")
    terminal.type(",")
    terminal.expect("stepflow-dark", "completed")
    terminal.type("Left", "Right", "Right")
    terminal.expect("stepflow-light")
    assert (tmp_path / "config" / "stepflow" / "ui.toml").read_text() == 'theme = "stepflow-light"\n'
    terminal.type(":workers", "Enter")
    terminal.expect("Workers", "b y Drain")
    terminal.type("1")
    terminal.expect("Executions")
    terminal.type("C-c", "C-c")
    terminal.expect("stepflow.cli.main")
    assert terminal.state == "0 1"
    assert "defect" not in terminal.text


def test_an_answer_may_be_typed_before_it_is_asked_for(terminal: Terminal, tmp_path: Path) -> None:
    environment = {**os.environ, "STEPFLOW_DB": str(tmp_path / "x.db")}
    subprocess.run(stepflow("run", "sleeper.yaml", "--async").split(), cwd=tmp_path, env=environment, check=True)
    terminal.type(stepflow(), "Enter")
    terminal.expect("sleeper", "sleeping", "q Quit")
    terminal.type("cy")
    terminal.expect("⊘", "cancelled  ")  # in its row, not in its log
    terminal.type("c")
    terminal.expect("there is nothing to cancel")
    terminal.type("q")
    terminal.expect("stepflow.cli.main")
    assert "defect" not in terminal.text


def test_without_a_terminal_it_says_how_it_is_used(tmp_path: Path) -> None:
    done = subprocess.run(stepflow().split(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 2
    assert "Usage" in done.stderr


def test_who_ends_it_and_who_loses_the_connection_finds_it_as_it_was(terminal: Terminal, tmp_path: Path) -> None:
    state = tmp_path / "state"
    started = f"XDG_STATE_HOME={state} {stepflow()}; echo code $?"
    terminal.type(started, "Enter")
    terminal.expect("Executions", "q Quit")
    terminal.type("7")
    terminal.expect("7 Failures")
    os.kill(terminal.process(), signal.SIGTERM)
    terminal.expect("code 143")
    assert terminal.state == "0 1"
    assert "Traceback" not in terminal.text

    terminal.type(started, "Enter")
    terminal.expect("7 Failures")
    terminal.type("5")
    terminal.expect("5 Workers")
    screen = terminal.process()
    terminal.type("z")  # it is at work when the line is cut
    terminal.close()
    end = time.monotonic() + PATIENCE_SECONDS
    while said("ps", "-o", "stat=", "-p", str(screen)).strip("Z\n"):
        assert time.monotonic() < end, "it lives on where nobody sees it"
        time.sleep(0.05)
    assert '"view":"workers"' in (state / "stepflow" / "screens.json").read_text()
