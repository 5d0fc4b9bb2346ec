"""Asking programs which components they offer, before there is an event loop: start, hello, ready, end.

All of them are started at once, so that together they take as long as the slowest.
"""

from __future__ import annotations

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
    started = [_start(program) for program in programs]
    try:
        return [one if isinstance(one, Introduction) else one.listen() for one in started]
    finally:
        calls = [one for one in started if isinstance(one, _Call)]
        for call in calls:
            call.hang_up()
        for call in calls:
            call.end()


def _start(program: Program) -> _Call | Introduction:
    try:
        return _Call(program)
    except (OSError, ValueError) as error:
        return Introduction(trouble=f"cannot be started: {error}")


class _Call:
    def __init__(self, program: Program) -> None:
        self._deadline = time.monotonic() + program.start_seconds
        self._program = program
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        try:
            self._process = subprocess.Popen(  # noqa: S603 - running what the workspace names is what this is for
                program.arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                cwd=program.cwd,
                env=program.environment,
                start_new_session=True,
            )
        except BaseException:
            self._stderr.close()
            raise
        group_started(self._process.pid)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(protocol.hello())
            self._process.stdin.flush()
        except OSError:
            pass  # it has closed its stdin or ended; reading finds out

    def listen(self) -> Introduction:
        assert self._process.stdout is not None
        lines = protocol.Lines(protocol.MAX_MESSAGE_BYTES)
        unread = ""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while (left := self._deadline - time.monotonic()) > 0:
                if not selector.select(left):
                    continue
                data = self._process.stdout.read1(READ_BYTES)  # type: ignore[attr-defined] # a pipe's reader has it
                for line in lines.feed(data) if data else lines.rest():
                    try:
                        message = protocol.read_message(line.data)
                    except protocol.MessageError as error:
                        unread = f"; it wrote {error}"
                        continue
                    if isinstance(message, protocol.Ready):
                        return Introduction(offers=tuple(message.components))
                if not data:
                    return Introduction(trouble=f"{self._end_of_output()} before it was ready{unread}{self._said()}")
        return Introduction(
            trouble=f"did not say that it is ready within {self._program.start_seconds:g} s{unread}{self._said()}"
        )

    def _end_of_output(self) -> str:
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
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except OSError:
            pass  # what could not be written to it

    def end(self) -> None:
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
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._stderr.close()
