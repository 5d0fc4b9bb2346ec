"""A program in a pseudo-terminal that answers as terminals do: the bytes it writes, the processor time it takes, its
memory, what is seen, and how long after a key it is seen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from rich.cells import cell_len

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
COLUMNS, ROWS = 120, 40
PATIENCE_SECONDS = 20.0
FRAME_BEGINS, FRAME_ENDS = b"\x1b[?2026h", b"\x1b[?2026l"
ASKS_FOR_FRAMES, HAS_FRAMES = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
"""What is between two marks is shown at once: whether a terminal can do so is asked, and answered by it when it has
taken all that came before."""

_OF_OTHER_TERMINALS = ("COLUMNS", "LINES", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "TERM_PROGRAM")
_UNFINISHED = re.compile(rb"\x1b[^@-Z\\^-~]*$")
_PIECE = re.compile(r"\x1b\[([0-?]*)[ -/]*([@-~])|\x1b[\]P_^].*?(?:\x07|\x1b\\)|\x1b.|([^\x1b\r\n]+)|\r|\n", re.DOTALL)


class Picture:
    """What is seen: a character and a background in each cell. It knows what Textual writes and no more."""

    def __init__(self, columns: int = COLUMNS, rows: int = ROWS) -> None:
        self._columns, self._rows = columns, rows
        self._cells = [[" "] * columns for _ in range(rows)]
        self._behind = [[""] * columns for _ in range(rows)]
        self._x = self._y = 0
        self._background = ""

    def draw(self, written: str) -> None:
        for piece in _PIECE.finditer(written):
            if piece[3]:
                self._put(piece[3])
            elif piece[0] == "\r":
                self._x = 0
            elif piece[0] == "\n":
                self._y = min(self._y + 1, self._rows - 1)
            elif piece[2] == "m":
                self._set_style(piece[1])
            elif piece[2] == "H":
                y, _, x = piece[1].partition(";")
                self._y, self._x = min(int(y or 1), self._rows) - 1, int(x or 1) - 1

    def _put(self, text: str) -> None:
        cells, behind = self._cells[self._y], self._behind[self._y]
        for character in text:
            width = cell_len(character)
            if 0 < width <= self._columns - self._x:
                cells[self._x : self._x + width] = [character] + [""] * (width - 1)
                behind[self._x : self._x + width] = [self._background] * width
                self._x += width

    def _set_style(self, numbers: str) -> None:
        """Only the background, which is how the row under a cursor differs."""
        codes = numbers.split(";")
        at = 0
        while at < len(codes):
            code = codes[at] or "0"
            size = (5 if codes[at + 1] == "2" else 3) if code in ("38", "48") else 1
            if code in ("0", "49"):
                self._background = ""
            elif code == "48":
                self._background = ";".join(codes[at : at + size])
            at += size

    @property
    def lines(self) -> list[str]:
        return ["".join(row) for row in self._cells]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def column_of(self, pane: str) -> int:
        """Where the pane of that title begins; 0: none has it."""
        titled = next((line for line in self.lines if pane in line), "")
        return max(0, titled.rfind("╭", 0, max(0, titled.find(pane))))

    def under_cursor(self, column: int) -> str:
        """The text, from `column` on, of the row whose background is another there than that of most rows; empty:
        there is none."""
        here = [row[column] for row in self._behind]
        usual = max(set(here), key=here.count)
        return next((line[column:] for line, behind in zip(self.lines, here, strict=True) if behind != usual), "")


class Terminal:
    """Killed where its block ends. `bytes_a_second`: as slow as a link that carries no more."""

    def __init__(
        self, command: list[str], *, environment: Mapping[str, str] | None = None, bytes_a_second: int | None = None
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._rate = bytes_a_second
        self._may_read = 0.0
        self.picture = Picture()
        self._undrawn = self._unanswered = b""
        self.written = 0
        kept = {name: value for name, value in (environment or os.environ).items() if name not in _OF_OTHER_TERMINALS}
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**kept, "TERM": "xterm-256color"},
        )  # fmt: skip
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._master)

    # What it writes

    def _read(self, seconds: float) -> bytes:
        """What came within `seconds`, at least a piece of it; the question about frames is answered."""
        if self._rate is not None and (pause := self._may_read - time.perf_counter()) > 0:
            time.sleep(min(pause, seconds))
            return b""
        if not select.select([self._master], [], [], seconds)[0]:
            return b""
        try:
            piece = os.read(self._master, 65536 if self._rate is None else 1024)
        except OSError:
            self._draw()
            raise EOFError(f"it has ended; it shows\n{self.picture.text}") from None
        if self._rate is not None:
            self._may_read = max(self._may_read, time.perf_counter() - 0.05) + len(piece) / self._rate
        self.written += len(piece)
        self._undrawn += piece
        self._unanswered += piece
        for _ in range(self._unanswered.count(ASKS_FOR_FRAMES)):
            os.write(self._master, HAS_FRAMES)
        self._unanswered = self._unanswered[1 - len(ASKS_FOR_FRAMES) :]
        return piece

    def pass_time(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(left)
        self._draw()

    def _draw(self) -> None:
        """All but what is unfinished: a frame, or an escape sequence outside of one."""
        end = self._undrawn.rfind(FRAME_BEGINS)
        if end < 0 or FRAME_ENDS in self._undrawn[end:]:
            unfinished = _UNFINISHED.search(self._undrawn)
            end = len(self._undrawn) if unfinished is None else unfinished.start()
        self.picture.draw(self._undrawn[:end].decode(errors="replace"))
        self._undrawn = self._undrawn[end:]

    def until(self, holds: Callable[[Picture], bool], seconds: float = PATIENCE_SECONDS) -> float:
        """When the frame was whole that shows it, as `time.perf_counter` counts."""
        moment = time.perf_counter()
        end = moment + seconds
        while moment < end:
            self._draw()
            if holds(self.picture):
                return moment
            self._read(end - moment)
            moment = time.perf_counter()
        raise TimeoutError(f"waited in vain; it shows\n{self.picture.text}")

    def expect(self, *words: str) -> float:
        return self.until(lambda picture: all(word in picture.text for word in words))

    def settle(self, quiet_seconds: float = 0.5) -> None:
        """Until it wrote nothing for so long."""
        end = time.perf_counter() + PATIENCE_SECONDS
        while self._read(quiet_seconds) and time.perf_counter() < end:
            pass
        self._draw()

    # What is typed

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def seconds_until_seen(self, keys: str, what: Callable[[Picture], object]) -> float:
        """From the keys to the end of the frame in which `what` is another."""
        self._draw()
        before = what(self.picture)
        began = time.perf_counter()
        self.press(keys)
        return self.until(lambda picture: what(picture) != before) - began

    # What it takes

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def most_megabytes(self) -> float:
        """Of memory that it had so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    def cost(self, seconds: float) -> tuple[float, float]:
        """Percent of a processor, and bytes a second, while time passes."""
        cpu, written, began = self.cpu_seconds(), self.written, time.perf_counter()
        self.pass_time(seconds)
        passed = time.perf_counter() - began
        return (self.cpu_seconds() - cpu) / passed * 100, (self.written - written) / passed
