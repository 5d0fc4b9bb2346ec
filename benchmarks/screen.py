"""The screen, through a real pseudo-terminal: first paint, and what it costs when nothing happens."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from benchmarks.engine import chain, fill
from benchmarks.report import Figure
from stepflow.contracts.storage import CreateRun
from stepflow.model.ids import new_run_id
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
MARK = b"Executions"
"""Part of the first frame."""


class Terminal:
    """A program in a pseudo-terminal of 120x40."""

    def __init__(self, command: list[str]) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": ""},
        )  # fmt: skip
        os.close(slave)

    def read(self, seconds: float, until: bytes | None = None) -> bytes:
        """What it writes in `seconds`, or until `until` came."""
        end = time.perf_counter() + seconds
        output = b""
        while (left := end - time.perf_counter()) > 0:
            ready, _, _ = select.select([self.master], [], [], left)
            if ready:
                try:
                    output += os.read(self.master, 65536)
                except OSError:
                    break
                if until is not None and until in output:
                    break
        return output

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def close(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self.master)


def stepflow(database: Path) -> list[str]:
    return [str(Path(sys.executable).with_name("stepflow")), "--db", str(database)]


def first_paint_seconds(database: Path) -> float:
    terminal = Terminal(stepflow(database))
    output = terminal.read(10, MARK)
    seconds = time.perf_counter() - terminal.began
    terminal.close()
    assert MARK in output, output[-500:]
    return seconds


def idle(database: Path, seconds: float = 20.0) -> tuple[float, int]:
    """Processor time in percent and bytes written, once it has settled."""
    terminal = Terminal(stepflow(database))
    terminal.read(10, MARK)
    terminal.read(4)
    before = terminal.cpu_seconds()
    output = terminal.read(seconds)
    used = terminal.cpu_seconds() - before
    terminal.close()
    return used / seconds * 100, len(output)


def visible_ms(database: Path, count: int = 20) -> float:
    """From the commit of another process's new run to its row on the screen: the median, in ms."""
    storage = SQLiteStorage(database)
    fill(storage, chain(1), 0)
    version = storage.get_template_version("chain1").id
    terminal = Terminal(stepflow(database))
    terminal.read(10, MARK)
    terminal.read(3)
    times = []
    for _ in range(count):
        run_id = new_run_id()
        storage.perform(CreateRun(run_id, version, "{}", now_ms(), 1))
        began = time.perf_counter()
        output = terminal.read(5, run_id[-4:].encode())
        times.append(time.perf_counter() - began)
        assert run_id[-4:].encode() in output
        terminal.read(0.5)
    terminal.close()
    storage.close()
    return statistics.median(times) * 1000


def figures(folder: Path) -> list[Figure]:
    database = folder / "screen.db"
    SQLiteStorage(database).close()
    paint = statistics.median(first_paint_seconds(database) for _ in range(5))
    cpu, written = idle(database)
    visible = visible_ms(folder / "visible.db")
    return [
        Figure("Screen: first paint after the command starts", paint, "s", "at most 0.4", paint <= 0.4),
        Figure("Screen: another process's new run is visible", visible, "ms", "at most 100", visible <= 100),
        Figure("Screen: idle", cpu, "% CPU", "at most 0.3", cpu <= 0.3),
        Figure("Screen: bytes written in 20 idle seconds", written, "bytes", "0", written == 0),
    ]
