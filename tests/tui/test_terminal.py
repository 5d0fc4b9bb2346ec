"""The real command in a real terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
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

    def close(self) -> None:
        self._tmux("kill-server")


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
    terminal.expect("sleeper")
    terminal.resize(80, 24)
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


def test_without_a_terminal_it_says_how_it_is_used(tmp_path: Path) -> None:
    done = subprocess.run(stepflow().split(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 2
    assert "Usage" in done.stderr
