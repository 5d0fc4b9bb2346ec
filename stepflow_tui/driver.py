"""Keys are heard by the event loop, and a frame is written in one piece.

Textual asks for keys ten times a second in a thread, which is half of what an idle screen takes of the processor; each
key waits until that thread runs, and each frame wakes the one that writes three times.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from contextlib import suppress

from textual import constants
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

MOST_READ = 4096
"""Bytes at a time."""


class LoopDriver(LinuxDriver):
    """Where the loop cannot hear what there is to read, as with a file in place of a terminal, it does as Textual's."""

    _hears = False
    _parser: XTermParser
    _decode: Callable[[bytes], str]
    _later: asyncio.TimerHandle | None = None
    """When an escape that nothing follows is a key."""
    _unwritten: list[str] | None = None
    """What is written with what comes soon after; None: at once."""

    # Keys

    def start_application_mode(self) -> None:
        self._parser = XTermParser(self._debug)
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode
        try:
            self._loop.add_reader(self.fileno, self._read)
            self._hears, self._unwritten = True, self._unwritten or []
        except OSError:
            self._hears, self._unwritten = False, None
        super().start_application_mode()  # type: ignore[no-untyped-call]  # so it is in Textual

    def disable_input(self) -> None:
        if self._hears:
            with suppress(OSError):
                if select.select([self.fileno], [], [], 0)[0]:
                    self._read(is_last=True)  # what was typed before is not meant for who comes next
            self._hears = False
            self._loop.remove_reader(self.fileno)
            if self._later is not None:
                self._later.cancel()
        super().disable_input()

    def run_input_thread(self) -> None:
        if self._hears:
            self.exit_event.wait()  # there is nothing to do for it; whoever began it ends it
        else:
            super().run_input_thread()

    def _read(self, *, is_last: bool = False) -> None:
        try:
            data = os.read(self.fileno, MOST_READ)
        except BlockingIOError:
            return  # somebody else has read it
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self.fileno)  # which would call for ever
            if self.input_tty and not is_last:
                signal.raise_signal(signal.SIGHUP)  # as for those to whom the system says that their terminal is gone
            return
        if text := self._decode(data):  # to the parser, nothing means that nothing comes any more
            self._take(self._parser.feed(text))
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._parser._timeout_time is not None:
            self._later = self._loop.call_later(constants.ESCAPE_DELAY, self._tick)

    def _tick(self) -> None:
        self._later = None
        self._take(self._parser.tick())

    def _take(self, messages: Iterable[Message]) -> None:
        try:
            for message in messages:
                self.process_message(message)
        except Exception as error:  # noqa: BLE001 - a defect of ours, to be told as all are
            self._app._handle_exception(error)

    def send_message(self, message: Message) -> None:
        if self._hears:
            self._app.post_message(message)
        else:
            super().send_message(message)

    # Frames

    def write(self, data: str) -> None:
        if self._unwritten is None:
            super().write(data)
            return
        if not self._unwritten:
            self._loop.call_soon(self.flush)
        self._unwritten.append(data)

    def flush(self) -> None:
        if self._unwritten:
            unwritten, self._unwritten = self._unwritten, []
            super().write("".join(unwritten))

    def close(self) -> None:
        self.flush()
        super().close()
