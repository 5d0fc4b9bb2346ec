"""Keys and frames through a real pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

PATIENCE_SECONDS = 20.0
PROGRAM = """
import asyncio, sys, time
from textual.app import App
from textual.widgets import Static
from stepflow_tui.driver import LoopDriver

class Keys(App):
    def compose(self):
        yield Static("begins")

    typed = ""

    def on_key(self, event):
        if event.key == "S":
            time.sleep(0.5)
            with self.suspend():
                print("suspended", flush=True)
            self.typed = "typed "
        elif self.typed:
            self.typed += event.character
            self.query_one(Static).update(self.typed)
            return
        self.query_one(Static).update(f"<{event.character if event.is_printable else event.key}>")

    def on_paste(self, event):
        self.query_one(Static).update(f"<pasted {event.text}>")

app = Keys(driver_class=LoopDriver)
app.run()
print("left" if app.return_code == 0 else "ended", flush=True)
"""


class Keyboard:
    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.master = master
        self.process = process
        self.seen = b""

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def expect(self, words: bytes) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while words not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536)
        self.seen = self.seen.partition(words)[2]


@contextmanager
def keyboard(given: str | None = None) -> Iterator[Keyboard]:
    """`given`: a file in place of the terminal from which keys come."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    stdin = slave if given is None else os.open(given, os.O_RDONLY)
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=stdin, stdout=slave, stderr=slave, start_new_session=True) as process:
        for file in {slave, stdin}:
            os.close(file)
        try:
            yield Keyboard(master, process)
        finally:
            process.kill()
            with suppress(OSError):
                os.close(master)


def test_keys_are_heard_however_they_are_cut() -> None:
    with keyboard() as keys:
        keys.expect(b"begins")
        keys.type(b"a")
        keys.expect(b"<a>")
        keys.type(b"\x1b[")
        keys.type(b"B")
        keys.expect(b"<down>")
        keys.type(b"\x1b")
        keys.expect(b"<escape>")
        accented = "é".encode()
        keys.type(accented[:1])
        time.sleep(0.05)
        keys.type(accented[1:])
        keys.expect("<é>".encode())
        keys.type(b"\xff\xfeb")
        keys.expect(b"<b>")
        keys.type(b"\x1b[200~" + b"word " * 2000)
        time.sleep(0.2)
        keys.type(b"end\x1b[201~")
        keys.expect(b"<pasted word word")
        keys.type(b"\x11")
        keys.expect(b"left")
        assert keys.process.wait(PATIENCE_SECONDS) == 0


def test_what_is_typed_before_it_is_suspended_is_not_lost() -> None:
    with keyboard() as keys:
        keys.expect(b"begins")
        keys.type(b"S")
        time.sleep(0.1)
        keys.type(b"abc")
        keys.expect(b"suspended")
        keys.type(b"d")
        keys.expect(b"typed abcd")


def test_a_frame_is_written_in_one_piece() -> None:
    with keyboard() as keys:
        keys.expect(b"begins")
        keys.type(b"\x1b[?2026;2$yz")
        keys.expect(b"<z>")
        keys.expect(b"\x1b[?2026l")
        for letter in b"abcdef":
            time.sleep(0.1)
            while select.select([keys.master], [], [], 0)[0]:
                os.read(keys.master, 65536)
            keys.type(bytes([letter]))
            assert select.select([keys.master], [], [], PATIENCE_SECONDS)[0]
            frame = os.read(keys.master, 65536)
            assert frame.startswith(b"\x1b[?2026h")
            assert frame.endswith(b"\x1b[?2026l")


def test_a_terminal_that_is_gone_ends_it() -> None:
    with keyboard() as keys:
        keys.expect(b"begins")
        os.close(keys.master)
        assert keys.process.wait(PATIENCE_SECONDS) == -signal.SIGHUP


@pytest.mark.parametrize("given", ["/dev/null", __file__])
def test_what_is_no_terminal_is_read_as_textual_reads_it(given: str) -> None:
    with keyboard(given) as keys:
        keys.expect(b"begins")
        assert keys.process.poll() is None
