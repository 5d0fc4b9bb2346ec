"""Asking programs which components they offer, before there is an event loop: start, hello, ready, end.

All of them are started at once, so that together they take as long as the slowest.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO, Any

import msgspec

from stepflow import process_groups
from stepflow.components import _stdio_protocol as protocol
from stepflow.components._stdio_program import (
    EOF_SECONDS,
    KILL_SECONDS,
    TERM_SECONDS,
    Program,
    group_ended,
    group_started,
    how_it_ended,
)

READ_BYTES = 64 * 1024
STDERR_BYTES = 500
"""Of its end, told when it did not get ready."""


class Introduction(msgspec.Struct, frozen=True):
    """What a program said of itself."""

    offers: tuple[dict[str, Any], ...] = ()
    trouble: str | None = None
    """Why it offers nothing."""


def introductions(programs: Sequence[Program]) -> list[Introduction]:
    """In the order of `programs`."""
    calls = [_Call(program) for program in programs]
    try:
        _listen(calls)
        return [call.introduction for call in calls if call.introduction is not None]
    finally:
        for call in calls:
            call.hang_up()
        for call in calls:
            call.end()


def _listen(calls: list[_Call]) -> None:
    """Until each has an introduction."""
    with selectors.DefaultSelector() as selector:
        for call in calls:
            if call.introduction is None:
                selector.register(call.output, selectors.EVENT_READ, call)
        while waiting := [key.data for key in selector.get_map().values()]:
            left = min(call.deadline for call in waiting) - time.monotonic()
            for key, _ in selector.select(max(0.0, left)):
                key.data.read()
            for call in waiting:
                if call.introduction is None and time.monotonic() >= call.deadline:
                    call.give_up()
                if call.introduction is not None:
                    selector.unregister(call.output)


class _Call:
    """One program, from its start to its end."""

    introduction: Introduction | None = None

    def __init__(self, program: Program) -> None:
        self._program = program
        self.deadline = time.monotonic() + program.start_seconds
        self._lines = protocol.Lines(protocol.MAX_MESSAGE_BYTES)
        self._unread = ""
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = subprocess.Popen(  # noqa: S603 - running what the workspace names is what this is for
                program.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                cwd=program.cwd,
                env=program.environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            self.introduction = Introduction(trouble=f"cannot be started: {error}")
            return
        group_started(self._process.pid)
        self._greet(self._process)

    def _greet(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(protocol.hello())
            process.stdin.flush()
        except OSError:
            pass  # it has closed its stdin or ended; reading finds out

    @property
    def output(self) -> IO[bytes]:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout

    def read(self) -> None:
        """What there is of its output."""
        data = os.read(self.output.fileno(), READ_BYTES)
        for line in self._lines.feed(data) if data else self._lines.rest():
            try:
                message = protocol.read_message(line.data)
            except protocol.MessageError as error:
                self._unread = f"; it wrote {error}"
                continue
            if isinstance(message, protocol.Ready) and self.introduction is None:
                self.introduction = Introduction(offers=tuple(message.components))
        if not data and self.introduction is None:
            self._fail(f"{self._end_of_output()} before it was ready")

    def give_up(self) -> None:
        self._fail(f"did not say that it is ready within {self._program.start_seconds:g} s")

    def _fail(self, what: str) -> None:
        self.introduction = Introduction(trouble=f"{what}{self._unread}{self._said()}")

    def _end_of_output(self) -> str:
        assert self._process is not None
        try:
            return how_it_ended(self._process.wait(EOF_SECONDS))
        except subprocess.TimeoutExpired:
            return how_it_ended(None)

    def _said(self) -> str:
        self._stderr.seek(0, 2)
        self._stderr.seek(max(0, self._stderr.tell() - STDERR_BYTES))
        text = " ".join(self._stderr.read().decode("utf-8", "replace").split())
        return f"; the end of its stderr: {text}" if text else ""

    def hang_up(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:
                pass  # what could not be written to it

    def end(self) -> None:
        self._stderr.close()
        if self._process is None:
            return
        group = self._process.pid
        for number, patience in ((None, EOF_SECONDS), (signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
            if number is not None:
                process_groups.send_signal(group, number)
            try:
                self._process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                continue
        group_ended(group)
        self.output.close()
