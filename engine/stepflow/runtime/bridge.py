"""The one place where async code waits for a storage.

Writes that the loop makes in one turn are handed over together, and outcomes come back together, so that a turn costs
two wake-ups and one commit, however many runs it moves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from stepflow.contracts.storage import Done, Storage, Write
from stepflow.errors import StorageError

T = TypeVar("T")

THREADS = 4


class Bridge:
    """Belongs to the running loop that made it."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._loop = asyncio.get_running_loop()
        self._outbox: list[tuple[Write, Done]] = []
        self._outcomes: deque[tuple[Done, Any, BaseException | None]] = deque()
        self._delivery_is_due = False
        self._flush_is_due = False
        self._delivering = False
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="stepflow-storage")

    def close(self) -> None:
        self._threads.shutdown(wait=True)

    def submit(self, write: Write, done: Done) -> None:
        """`done(result, error)` is called on the loop when `write` is durable or refused."""

        def outcome(result: Any, error: BaseException | None) -> None:
            self._outcomes.append((done, result, error))
            if not self._delivery_is_due:
                self._delivery_is_due = True
                self._call_soon_threadsafe(self._deliver)

        self._outbox.append((write, outcome))
        if not self._delivering and not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            pass  # the loop has ended; nobody waits for the outcome any more

    def _deliver(self) -> None:
        # The flag goes down first: an outcome that arrives from here on asks for another delivery.
        self._delivery_is_due = False
        self._delivering = True
        outcomes = self._outcomes
        try:
            while outcomes:
                done, result, error = outcomes.popleft()
                done(result, error)
        finally:
            self._delivering = False
            if outcomes:
                self._loop.call_soon(self._deliver)
            self._flush()

    def _flush(self) -> None:
        self._flush_is_due = False
        if self._outbox:
            writes, self._outbox = self._outbox, []
            try:
                self.storage.submit(writes)
            except StorageError as error:
                for _, outcome in writes:
                    outcome(None, error)

    async def perform(self, write: Write) -> Any:
        """The result of `write`, once it is durable."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def done(result: Any, error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        self.submit(write, done)
        return await future

    async def call(self, verb: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Any other verb of the storage, in a thread."""
        try:
            running = self._loop.run_in_executor(self._threads, lambda: verb(*arguments, **options))
        except RuntimeError as error:
            raise StorageError(f"{self.storage.url} was closed") from error
        return await running
