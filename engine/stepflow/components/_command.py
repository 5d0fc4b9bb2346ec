"""One command in a process group of its own, from its gate to the end of its last process.

The group is written down before it does anything: what is started first is a shell that waits for a line at its stdin
and then becomes the command. If the worker dies before it writes that line, the shell reads the end of the pipe and
exits. Nothing of the group outlives `perform`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from stepflow import process_groups
from stepflow.components._failure import invalid_input
from stepflow.contracts.component import PROCESS_GROUP_VARIABLE, ComponentContext
from stepflow.errors import StorageError

KEPT_BYTES = 1024 * 1024
"""Of each of stdout and stderr, the last ones."""
LINE_BYTES = 16 * 1024
"""A longer line is logged in pieces."""
READ_BYTES = 8 * 1024
"""At once: a few thousand lines at most, so that a command that prints without end does not stop the worker's loop."""
TERM_SECONDS = 0.7
"""From TERM to KILL: a cancelled step and its children are gone within a second."""
KILL_SECONDS = 5.0
DRAIN_SECONDS = 0.3
"""When the command has ended: how long its outputs may stay open without a word, before nobody waits for them."""
MAX_DRAIN_SECONDS = 3.0
"""The same, when somebody keeps writing."""
POLL_SECONDS = 0.01

# `read` takes single bytes from a pipe, so what follows the gate's line is still there for the command.
_GATE = f"read -r _ || exit 125; {PROCESS_GROUP_VARIABLE}=$$; export {PROCESS_GROUP_VARIABLE}; "
_WITH_STDIN = _GATE + 'exec "$@"'
_WITHOUT_STDIN = _GATE + 'exec "$@" </dev/null'

T = TypeVar("T")


class Command(msgspec.Struct, frozen=True):
    arguments: list[str]
    cwd: Path | None
    environment: dict[str, str]
    stdin: bytes | None


class Ended(msgspec.Struct, frozen=True):
    exit_code: int
    """128 + n where signal n ended it, as shells have it."""
    signal: int | None
    stdout: str
    stderr: str


async def perform(command: Command, context: ComponentContext) -> Ended:
    """Run it to its end; when cancelled, end all its processes first."""
    process = _start(command)
    streams = _Streams(process, context)
    try:
        await context.process_group_started(process.pid)
        await streams.open(b"\n" + (command.stdin or b""))
        await _leader_ended(process)
        await streams.drained()
    finally:
        await _to_its_end(_clean_up(process, streams, context))
    number = -process.returncode if process.returncode < 0 else None
    return Ended(
        exit_code=process.returncode if number is None else 128 + number,
        signal=number,
        stdout=streams.stdout.text(),
        stderr=streams.stderr.text(),
    )


def _start(command: Command) -> subprocess.Popen[bytes]:
    gate = _WITHOUT_STDIN if command.stdin is None else _WITH_STDIN
    try:
        return subprocess.Popen(  # noqa: S603 - running the author's command is what this is for
            ["/bin/sh", "-c", gate, "sh", *command.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=command.cwd,
            env=command.environment,
            start_new_session=True,
        )
    except (ValueError, OSError) as error:
        # A NUL in an argument, or more arguments than the system takes.
        raise invalid_input(f"The command cannot be started: {error}") from None


async def _clean_up(process: subprocess.Popen[bytes], streams: _Streams, context: ComponentContext) -> None:
    """End what is left of the group, then let go of everything."""
    group = process.pid
    left = process_groups.members(group)
    gone = await _end_group(group) if left else True
    if gone:
        # Reaped only now: until here the number could not be given to somebody else.
        process.wait()
    if left and group not in left:
        context.log(f"{_processes(len(left))} that the command left behind ended with it", level="warn")
    if not gone:
        context.log(f"process group {group} does not die, not even of KILL", level="error")
    await streams.drained()
    streams.close()
    if gone:
        try:
            await context.process_group_ended(group)
        except StorageError:
            pass  # it stays written down; whoever looks for it finds nothing that lives


def _processes(count: int) -> str:
    return "a process" if count == 1 else f"{count} processes"


async def _end_group(group: int) -> bool:
    """TERM, then KILL; whether all are gone."""
    loop = asyncio.get_running_loop()
    for number, patience in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        deadline = loop.time() + patience
        process_groups.send_signal(group, number)
        process_groups.send_signal(group, signal.SIGCONT)  # one that is stopped hears TERM only when it goes on
        while process_groups.members(group):
            if loop.time() >= deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
            if number is signal.SIGKILL:
                process_groups.send_signal(group, number)  # also to those that were born since
        else:
            return True
    return False


async def _leader_ended(process: subprocess.Popen[bytes]) -> None:
    """Without reaping it where the platform can: then its number stays taken."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ended.done():
            ended.set_result(None)

    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or forbidden
        threading.Thread(target=_wait_in_thread, args=(process, loop, tell), daemon=True).start()
        await ended
        return
    try:
        loop.add_reader(descriptor, tell)
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _wait_in_thread(
    process: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop, tell: Callable[[], None]
) -> None:
    if hasattr(os, "waitid"):
        try:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            pass  # reaped already
    else:
        process.wait()
    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:
        pass  # the loop is closed: nobody waits any more


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """`await work`, also through cancellations, which are raised afterwards."""
    task = asyncio.ensure_future(work)
    interrupted = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            interrupted = True
    result = task.result()
    if interrupted:
        raise asyncio.CancelledError
    return result


class _Streams:
    """The three pipes of a command."""

    def __init__(self, process: subprocess.Popen[bytes], context: ComponentContext) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._stdin = process.stdin
        self._transports: list[asyncio.BaseTransport] = []
        self._unopened: list[IO[bytes]] = [process.stdin, process.stdout, process.stderr]
        self._feeding: _Feeding | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self.stdout = _Stream(process.stdout, "stdout", "info", context)
        self.stderr = _Stream(process.stderr, "stderr", "warn", context)

    async def open(self, first: bytes) -> None:
        """Read both outputs from now on, and write `first` to the command's stdin: that opens the gate."""
        loop = asyncio.get_running_loop()
        for stream in (self.stdout, self.stderr):
            reader = asyncio.StreamReader(limit=READ_BYTES)
            transport, _ = await loop.connect_read_pipe(
                lambda reader=reader: asyncio.StreamReaderProtocol(reader),  # type: ignore[misc] # binds the loop's value
                stream.pipe,
            )
            self._opened(transport, stream.pipe)
            self._pumps.append(loop.create_task(stream.pump(reader)))
        writer, self._feeding = await loop.connect_write_pipe(_Feeding, self._stdin)
        self._opened(writer, self._stdin)
        writer.write(first)
        writer.close()  # when all is written; the command may also close its end before

    def _opened(self, transport: asyncio.BaseTransport, pipe: IO[bytes]) -> None:
        self._transports.append(transport)
        self._unopened.remove(pipe)

    async def drained(self) -> None:
        """Wait for the end of both outputs, but not for ever: somebody the command left behind may hold them."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + MAX_DRAIN_SECONDS
        pending, seen = set(self._pumps), -1
        while pending and loop.time() < deadline and seen != self._received():
            seen = self._received()
            _, pending = await asyncio.wait(pending, timeout=DRAIN_SECONDS)

    def _received(self) -> int:
        return self.stdout.received + self.stderr.received

    def close(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        for transport in self._transports:
            if not isinstance(transport, asyncio.WriteTransport):
                transport.close()
            elif self._feeding is not None and not self._feeding.is_over:
                transport.abort()  # nobody reads the rest
        for pipe in self._unopened:
            pipe.close()
        self.stdout.end()
        self.stderr.end()


class _Feeding(asyncio.BaseProtocol):
    """Whether the stdin of a command was written to its end, or closed by the command."""

    is_over = False

    def connection_lost(self, error: Exception | None) -> None:
        self.is_over = True


class _Stream:
    """One output of a command: logged line by line, and its end kept."""

    def __init__(self, pipe: IO[bytes], name: str, level: str, context: ComponentContext) -> None:
        self.pipe = pipe
        self._name = name
        self._level = level
        self._context = context
        self.received = 0
        self._kept = bytearray()
        self._dropped = 0
        self._line = b""

    async def pump(self, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(READ_BYTES):
            self._keep(chunk)
            self._log_lines(chunk)
            await asyncio.sleep(0)  # a full buffer is read without a pause otherwise

    def end(self) -> None:
        """Nothing more comes."""
        self._shorten()
        if self._line:
            self._log(self._line)
            self._line = b""
        if self._dropped:
            message = f"{self._name} is long: its first {self._dropped} bytes are not in the output"
            self._context.log(message, level="warn", stream=self._name)

    def text(self) -> str:
        return bytes(self._kept).decode("utf-8", "replace")

    def _keep(self, chunk: bytes) -> None:
        self.received += len(chunk)
        self._kept += chunk
        if len(self._kept) > 2 * KEPT_BYTES:
            self._shorten()

    def _shorten(self) -> None:
        surplus = len(self._kept) - KEPT_BYTES
        if surplus > 0:
            del self._kept[:surplus]
            self._dropped += surplus

    def _log_lines(self, chunk: bytes) -> None:
        *lines, rest = (self._line + chunk).split(b"\n")
        for line in lines:
            self._log(self._log_pieces(line))
        self._line = self._log_pieces(rest)

    def _log_pieces(self, line: bytes) -> bytes:
        """Log what is too long of it; the rest."""
        while len(line) > LINE_BYTES:
            self._log(line[:LINE_BYTES])
            line = line[LINE_BYTES:]
        return line

    def _log(self, line: bytes) -> None:
        # Of a line that overwrites itself (a progress bar), what would be seen in the end.
        seen = line.rstrip(b"\r").rpartition(b"\r")[2]
        self._context.log(seen.decode("utf-8", "replace"), level=self._level, stream=self._name)
