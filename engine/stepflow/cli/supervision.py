"""A worker process that is looked after: started, started again when it dies, and replaced by a new one when its Python
changed, while it ends what it has begun."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING

from stepflow.errors import DatabaseGoneError, StorageError

if TYPE_CHECKING:
    from stepflow.client import Client

FIRST_PATIENCE_SECONDS = 0.5
LONGEST_PATIENCE_SECONDS = 30.0
LIVED_WELL_SECONDS = 60.0
"""After such a life the next death is the first again."""
START_SECONDS = 60.0
LOOK_SECONDS = 0.05
LONGEST_LINE = 8192

Tell = Callable[[int | None, str, bool], None]
"""`(pid, what, is_trouble)`: what a worker says; without a pid, what is said of it."""


class _Process:
    def __init__(self, process: asyncio.subprocess.Process, tell: Tell) -> None:
        self._process = process
        self.pid = process.pid
        self.is_stopping = False
        self.ended = asyncio.create_task(self._follow(tell))
        """Its exit code, when all it said was told."""

    async def _follow(self, tell: Tell) -> int:
        assert self._process.stdout is not None
        async for line in _lines(self._process.stdout):
            tell(self.pid, line.removeprefix("worker: "), False)
        return await self._process.wait()

    def stop(self) -> None:
        """Let it end what it has begun. Once: the second time it would end at once."""
        if not self.is_stopping and not self.ended.done():
            self.is_stopping = True
            self._process.terminate()

    def kill(self) -> None:
        if not self.ended.done():
            self._process.kill()


class Supervisor:
    """Of the workers of `client`'s database and workspace."""

    def __init__(self, client: Client, tell: Tell) -> None:
        self._client = client
        self._tell = tell
        self._processes: list[_Process] = []
        """The last one works; those before it are ending."""
        self._is_due = asyncio.Event()

    def renew(self) -> None:
        """Its Python changed: start a new one in its place."""
        self._is_due.set()

    async def keep(self) -> None:
        """See that one works. Never ends by itself."""
        loop = asyncio.get_running_loop()
        patience = FIRST_PATIENCE_SECONDS
        while True:
            began = loop.time()
            worker = await self._start()
            if await self._works(worker):
                worker = await self._until_it_dies(worker)
            code = await worker.ended
            self._processes.remove(worker)
            await self._is_seen(worker.pid)  # raises once the database is gone, for which none can be started
            patience = FIRST_PATIENCE_SECONDS if loop.time() - began > LIVED_WELL_SECONDS else patience
            self._tell(None, f"worker {worker.pid} {_ended(code)}; another one starts in {patience:g} s", True)
            try:
                await asyncio.wait_for(self._is_due.wait(), patience)
            except TimeoutError:
                pass  # nobody is in a hurry
            self._is_due.clear()
            patience = min(patience * 2, LONGEST_PATIENCE_SECONDS)

    async def stop(self) -> None:
        """Until all have ended what they had begun."""
        for process in self._processes:
            process.stop()
        await asyncio.gather(*(process.ended for process in self._processes), return_exceptions=True)

    def kill(self) -> None:
        """End all at once; other workers take their executions over."""
        for process in self._processes:
            process.kill()

    async def _until_it_dies(self, worker: _Process) -> _Process:
        """The one that died: it, or one that took its place."""
        while True:
            due = asyncio.ensure_future(self._is_due.wait())
            try:
                await asyncio.wait([worker.ended, due], return_when=asyncio.FIRST_COMPLETED)
            finally:
                due.cancel()
            if worker.ended.done():
                return worker
            self._is_due.clear()
            new = await self._start()
            if await self._works(new):
                self._tell(None, f"worker {new.pid} takes the place of {worker.pid}, which ends what it began", False)
                worker.stop()
                worker.ended.add_done_callback(lambda _, old=worker: self._processes.remove(old))  # type: ignore[misc]  # bound now
                worker = new
            else:
                await new.ended
                self._processes.remove(new)
                self._tell(None, f"a new worker did not start; worker {worker.pid} works on as it is", True)

    async def _start(self) -> _Process:
        process = await asyncio.create_subprocess_exec(
            # -P: a folder named like ours, where the user stands, must not be imported. -B: two saves within a second
            # look alike to Python, which would take the bytecode of the first.
            *(sys.executable, "-P", "-B", "-m", "stepflow.worker"),
            *("--owned", self._client.url, str(self._client.workspace)),
            stdin=asyncio.subprocess.PIPE,  # it ends with us, however we end
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C in the terminal is ours
        )
        started = _Process(process, self._tell)
        self._processes.append(started)
        return started

    async def _works(self, worker: _Process) -> bool:
        """Once others see it; False: it has ended, or took too long and was killed."""
        until = asyncio.get_running_loop().time() + START_SECONDS
        while not worker.ended.done():
            if await self._is_seen(worker.pid):
                return True
            if asyncio.get_running_loop().time() > until:
                worker.kill()
                return False
            await asyncio.wait([worker.ended], timeout=LOOK_SECONDS)
        return False

    async def _is_seen(self, pid: int) -> bool:
        try:
            return any(one.pid == pid and one.alive for one in await self._client.workers())
        except DatabaseGoneError:
            raise
        except StorageError:
            return False  # the database is in trouble, of which the worker speaks itself


def _ended(code: int) -> str:
    return f"died of signal {-code}" if code < 0 else f"ended with {code}"


async def _lines(stream: asyncio.StreamReader) -> AsyncGenerator[str, None]:
    """Of any length: what is longer comes in pieces."""
    rest = b""
    while data := await stream.read(LONGEST_LINE):
        *whole, rest = (rest + data).split(b"\n")
        if len(rest) > LONGEST_LINE:
            whole, rest = [*whole, rest], b""
        for line in whole:
            yield line.decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")
