"""The one process of a program in this worker: started at the first attempt, again after it died, ended with the loop.

Attempts are told apart by ids. What the process writes is heard as it comes; nothing it writes can hurt the worker.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from itertools import count
from typing import Any, cast

from stepflow import process_groups
from stepflow.components import _stdio_protocol as protocol
from stepflow.components._failure import failure, invalid_input
from stepflow.components._stdio_program import (
    EOF_SECONDS,
    KILL_SECONDS,
    TERM_SECONDS,
    Program,
    group_ended,
    group_started,
    how_it_ended,
)
from stepflow.contracts.component import ComponentContext, SkipStep
from stepflow.errors import ComponentError
from stepflow.model.event import LEVELS
from stepflow.model.flow import Json

CRASHED = "COMPONENT_CRASHED"
CANCEL_SECONDS = 2.0
"""How long a cancelled attempt may take to say so."""
DRAIN_SECONDS = 0.3
"""When the process has ended: how long its output may stay open, before nobody waits for it."""
STDERR_LINE_BYTES = 16 * 1024

Say = Callable[[str], None]
Answer = protocol.Result | protocol.Error | protocol.Skip | ComponentError


class StdioProcess:
    """What the components of one program call. It may be made before there is a loop."""

    def __init__(self, program: Program, say: Say) -> None:
        self._program = program
        self._say = say
        self._opening: asyncio.Task[_Connection] | None = None

    async def perform(self, path: str, value: Json, context: ComponentContext) -> Json:
        """`ComponentError` COMPONENT_CRASHED: the process could not be started, or died before it answered."""
        connection = await self._connected()
        return await connection.perform(path, value, context)

    async def _connected(self) -> _Connection:
        loop = asyncio.get_running_loop()
        if self._opening is None or self._opening.get_loop() is not loop or _is_over(self._opening):
            self._opening = loop.create_task(_open(self._program, self._say))
            self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())  # somebody has seen it
        try:
            # The start goes on for the others when the first one who needs it is cancelled.
            return await asyncio.shield(self._opening)
        except ComponentError as error:
            raise failure(error.code, error.message) from None  # each attempt its own


def _is_over(opening: asyncio.Task[_Connection]) -> bool:
    if not opening.done():
        return False
    return opening.cancelled() or opening.exception() is not None or not opening.result().is_open


async def _open(program: Program, say: Say) -> _Connection:
    try:
        _, connection = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Connection(program.name, say),
            *program.command,
            cwd=program.cwd,
            env=program.environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise failure(CRASHED, f"{program.name} cannot be started: {error}") from None
    await connection.ready(program.start_seconds)
    return connection


class _Connection(asyncio.SubprocessProtocol):
    def __init__(self, name: str, say: Say) -> None:
        self._name = name
        self._say = say
        self._serial = count(1)
        self._contexts: dict[str, ComponentContext] = {}
        self._answers: dict[str, asyncio.Future[Answer]] = {}
        self._is_ready = asyncio.Event()
        self._over = asyncio.Event()
        """It cannot be spoken with any more."""
        self._exited = asyncio.Event()
        self._output_ended = asyncio.Event()
        self._lost = asyncio.Event()
        self._stdout = protocol.Lines(protocol.MAX_MESSAGE_BYTES)
        self._stderr = protocol.Lines(STDERR_LINE_BYTES)

    @property
    def is_open(self) -> bool:
        return not self._over.is_set()

    async def ready(self, patience_seconds: float) -> None:
        self._send(protocol.hello())
        try:
            async with asyncio.timeout(patience_seconds):
                await self._is_ready.wait()
        except TimeoutError:
            self._over.set()
            message = f"{self._name} did not say that it is ready within {patience_seconds:g} s"
            raise failure(CRASHED, message) from None
        if not self.is_open:
            await self._output_ended_or_given_up()
            raise failure(CRASHED, f"{self._name} {self._ending()} before it was ready")

    async def perform(self, path: str, value: Json, context: ComponentContext) -> Json:
        attempt_id = f"{context.idempotency_key}/{context.attempt}/{next(self._serial)}"
        request = protocol.perform(attempt_id, path, value, context)
        if len(request) > protocol.MAX_MESSAGE_BYTES:
            raise invalid_input(
                f"The input has {len(request)} bytes; {path} takes {protocol.MAX_MESSAGE_BYTES} at most"
            )
        if not self.is_open:
            raise self._crash()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._contexts[attempt_id] = context
        self._answers[attempt_id] = answer
        try:
            self._send(request)
            # Not awaited itself: a cancelled attempt still waits for it.
            await asyncio.wait([answer])
        except asyncio.CancelledError:
            if self.is_open:
                self._send(protocol.cancel(attempt_id))
                await asyncio.wait([answer], timeout=CANCEL_SECONDS)
            raise
        finally:
            del self._contexts[attempt_id], self._answers[attempt_id]
        return _outcome(answer.result(), path)

    def _send(self, line: bytes) -> None:
        stdin = self._transport.get_pipe_transport(0)
        if self.is_open and stdin is not None:
            cast(asyncio.WriteTransport, stdin).write(line)

    # What the process does

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self._group = self._transport.get_pid()
        group_started(self._group)
        self._life = asyncio.get_running_loop().create_task(self._live(), name=self._name)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            for line in self._stdout.feed(data):
                self._hear(line)
        else:
            for line in self._stderr.feed(data):
                self._log_stderr(line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            for line in self._stdout.rest():
                self._hear(line)
            self._output_ended.set()
        elif fd == 2:
            for line in self._stderr.rest():
                self._log_stderr(line)
            return
        self._cut()

    def process_exited(self) -> None:
        self._exited.set()
        self._cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()

    def _cut(self) -> None:
        self._over.set()
        self._is_ready.set()

    # What it says

    def _hear(self, line: protocol.Line) -> None:
        if not line.data.strip():
            return
        if not line.is_whole:
            self._refuse_long(line)
            return
        try:
            message = protocol.read_message(line.data)
        except protocol.MessageError as error:
            self._say(f"{self._name} wrote {error}")
            if error.id is not None:
                self._answer(error.id, failure("INVALID_OUTPUT", f"{self._name} wrote {error}"))
            return
        if isinstance(message, protocol.Ready):
            self._is_ready.set()
        elif isinstance(message, protocol.Log | protocol.Emit):
            self._record(message)
        else:
            self._answer(message.id, message)

    def _answer(self, attempt_id: str, answer: Answer) -> None:
        waiting = self._answers.get(attempt_id)
        if waiting is None or waiting.done():
            self._say(f"{self._name} answered '{attempt_id}', which waits for no answer")
        else:
            waiting.set_result(answer)

    def _record(self, message: protocol.Log | protocol.Emit) -> None:
        context = self._contexts.get(message.id)
        if context is None:
            self._say(f"{self._name} speaks of '{message.id}', which is not being performed")
            return
        try:
            if isinstance(message, protocol.Emit):
                context.emit(message.event_type, message.payload)
                return
            context.log(message.message, _level(message.level), **_named(message.fields))
        except (TypeError, ValueError, RecursionError) as error:
            context.log(f"an event of this step is not recorded: {error}", "warn")

    def _refuse_long(self, line: protocol.Line) -> None:
        limit = f"{protocol.MAX_MESSAGE_BYTES // 1024 // 1024} MB"
        self._say(f"{self._name} wrote a message of more than {limit}, which is refused: {protocol.shown(line.data)}")
        for attempt_id in list(self._answers):
            if f'"{attempt_id}"'.encode() in line.data:
                self._answer(attempt_id, failure("INVALID_OUTPUT", f"The answer is larger than {limit}"))

    def _log_stderr(self, line: protocol.Line) -> None:
        text = line.data.decode("utf-8", "replace").rstrip()
        if text:
            self._say(f"{self._name}: {text}{'' if line.is_whole else ' …'}")

    # Its end

    async def _live(self) -> None:
        """To the process's end, also when cancelled: the loop does that at its own end, and waits for what follows."""
        while True:
            try:
                await self._over.wait()
                await self._end()
            except asyncio.CancelledError:
                self._cut()
            else:
                return

    async def _end(self) -> None:
        stdin = self._transport.get_pipe_transport(0)
        if stdin is not None:
            stdin.close()
        for number, patience in ((None, EOF_SECONDS), (signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
            if number is not None:
                process_groups.send_signal(self._group, number)
            if await _within(patience, self._exited):
                group_ended(self._group)
                break
        else:
            self._say(f"{self._name}: process {self._group} does not die, not even of KILL")
        await self._output_ended_or_given_up()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(self._crash())
        self._transport.close()
        await _within(DRAIN_SECONDS, self._lost)

    async def _output_ended_or_given_up(self) -> None:
        """Its last words may still be in the pipe; somebody it left behind may hold it open."""
        await _within(EOF_SECONDS, self._exited)
        await _within(DRAIN_SECONDS, self._output_ended)

    def _crash(self) -> ComponentError:
        return failure(CRASHED, f"{self._name} {self._ending()} before it answered")

    def _ending(self) -> str:
        return how_it_ended(self._transport.get_returncode())


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Whether it happens in time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _level(said: str) -> str:
    level = {"warning": "warn"}.get(said.lower(), said.lower())
    return level if level in LEVELS else "info"


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """As `log` takes them: three names are its own."""
    return {f"{name}_" if name in ("self", "message", "level") else name: value for name, value in fields.items()}


def _outcome(answer: Answer, path: str) -> Json:
    if isinstance(answer, ComponentError):
        raise answer
    if isinstance(answer, protocol.Skip):
        raise SkipStep(answer.reason)
    if isinstance(answer, protocol.Error):
        error = answer.error
        raise ComponentError(error.code or "COMPONENT_FAILED", error.message or f"{path} failed", error.data)
    return answer.output
