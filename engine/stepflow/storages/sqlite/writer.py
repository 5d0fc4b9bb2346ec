"""The one writer thread of a process: it drains a queue and commits all waiting jobs in one transaction.

A job that is refused (lease lost, stale) has written nothing and only its own caller hears of it. An SQL error rolls
the group back and its jobs are done again one by one, so that only the one at fault fails.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stepflow.contracts.storage import Done
from stepflow.errors import StorageBusyError, StorageError, WorkflowEngineError
from stepflow.model import jsontext
from stepflow.model.event import EVENT_CODES, LEVELS, EventType
from stepflow.storages.sqlite.connect import Durability, OpenedFile, connect, storage_error
from stepflow.storages.sqlite.queries import INSERT_EVENT, NEWEST_SEQ, UPSERT_STEP
from stepflow.storages.sqlite.turnstile import Turnstile
from stepflow.storages.sqlite.wake import FOR_FOLLOWERS, FOR_WORKERS, Sender

INFO = LEVELS.index("info")

MAX_GROUP = 200
PATIENCE_SECONDS = 15.0
"""How long a caller waits for its turn before it is told who holds the lock."""
STUCK_SECONDS = 0.1
"""For a turnstile that opens in the very last moment."""

PASSIVE_BYTES = 4 * 1024 * 1024
RESTART_BYTES = 64 * 1024 * 1024
IDLE_CHECKPOINT_SECONDS = 1.0
RESTART_RETRY_SECONDS = 2.0


class Group:
    """One write transaction in the making: rows that several jobs add are written together at its end."""

    __slots__ = ("connection", "events", "has_events", "next_seq", "steps", "wakes_workers")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.events: list[tuple[Any, ...]] = []
        self.steps: list[tuple[Any, ...]] = []
        self.next_seq: int = connection.execute(NEWEST_SEQ).fetchone()[0] + 1
        self.wakes_workers = False
        self.has_events = False

    def add_event(
        self,
        run: int | None,
        run_seq: int | None,
        kind: int | str,
        step: int | None,
        attempt: int | None,
        level: int,
        at: int,
        payload: str | None,
    ) -> None:
        self.events.append((self.next_seq, run, run_seq, kind, step, attempt, level, at, payload))
        self.next_seq += 1

    def add_run_event(
        self, run: int | None, run_seq: int | None, kind: EventType, at: int, payload: dict[str, Any] | None = None
    ) -> None:
        """One about a run as a whole, or (None) about none."""
        text = None if payload is None else jsontext.encode(payload)
        self.add_event(run, run_seq, EVENT_CODES[kind], None, None, INFO, at, text)

    def flush(self) -> None:
        if self.steps:
            self.connection.executemany(UPSERT_STEP, self.steps)
            self.steps.clear()
        if self.events:
            self.connection.executemany(INSERT_EVENT, self.events)
            self.events.clear()
            self.has_events = True


Job = Callable[[Group], Any]


class _Waiting:
    __slots__ = ("done", "job", "revoked", "urgent")

    def __init__(self, job: Job, done: Done, urgent: bool) -> None:
        self.job = job
        self.done = done
        self.urgent = urgent
        self.revoked = False


class Writer:
    def __init__(self, path: Path, file: OpenedFile, turnstile: Turnstile, durability: Durability) -> None:
        self._path = path
        self._file = file
        self._turnstile = turnstile
        self._durability = durability
        self._queue: queue.SimpleQueue[list[_Waiting] | None] = queue.SimpleQueue()
        self._sender = Sender(path)
        self._connection: sqlite3.Connection | None = None
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._closed = False
        self._wal = Path(f"{path}-wal")
        self._checkpointed_bytes = 0
        self._next_restart = 0.0
        self._in_turnstile = threading.Event()
        self._is_stuck = False
        """Somebody lost patience with whoever holds the turnstile, and holds it still."""

    # For callers, from any thread

    def submit(self, jobs: Sequence[tuple[Job, Done]]) -> None:
        self._put([_Waiting(job, done, urgent=False) for job, done in jobs])

    def do(self, job: Job, *, urgent: bool = False) -> Any:
        """Do `job` and wait until it is durable."""
        outcome: list[Any] = []
        finished = threading.Lock()
        finished.acquire()

        def done(result: Any, error: BaseException | None) -> None:
            outcome.append((result, error))
            finished.release()

        waiting = _Waiting(job, done, urgent)
        self._put([waiting])
        if not finished.acquire(timeout=PATIENCE_SECONDS):
            waiting.revoked = True
            # It may have begun in this very moment; then its outcome counts.
            if not finished.acquire(timeout=PATIENCE_SECONDS if self._in_turnstile.is_set() else 0.1):
                self._is_stuck = True
                raise StorageBusyError(
                    f"Another process has held the write lock of {self._path} for {PATIENCE_SECONDS:.0f} s "
                    "(`stepflow doctor` names it); nothing was written, try again"
                )
        result, error = outcome[0]
        if error is not None:
            raise error
        return result

    def _put(self, waiting: list[_Waiting]) -> None:
        with self._start_lock:
            if self._closed:
                raise StorageError(f"{self._path} was closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="stepflow-writer", daemon=True)
                self._thread.start()
        self._queue.put(waiting)

    def close(self) -> None:
        """Finish what was submitted, then end the thread; one that is stuck ends with the process."""
        with self._start_lock:
            if self._closed:
                return
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join(STUCK_SECONDS if self._is_stuck else None)
        self._sender.close()

    # The thread

    def _work(self) -> None:
        closing = False
        while not closing:
            try:
                first = self._queue.get(timeout=IDLE_CHECKPOINT_SECONDS if self._checkpoint_is_due() else None)
            except queue.Empty:
                self._checkpoint_when_idle()
                continue
            if first is None:
                break
            group = first
            while len(group) < MAX_GROUP:
                try:
                    waiting = self._queue.get_nowait()
                except queue.Empty:
                    break
                if waiting is None:
                    closing = True
                    break
                group = group + waiting
            if any(waiting.urgent for waiting in group):
                group.sort(key=lambda waiting: not waiting.urgent)
            self._commit(group)
        if self._connection is not None:
            self._checkpoint("PASSIVE")
            self._connection.close()

    def _commit(self, waiting: list[_Waiting]) -> None:
        try:
            self._turnstile.enter()
        except OSError as error:
            self._refuse_all(waiting, StorageError(f"{self._path}.lock cannot be locked: {error.strerror}"))
            return
        outcomes: list[tuple[_Waiting, Any, BaseException | None]]
        self._in_turnstile.set()
        self._is_stuck = False
        try:
            waiting = [one for one in waiting if not one.revoked]
            outcomes, kind = self._transact(waiting)
            if self._wal_bytes_since_checkpoint() > PASSIVE_BYTES:
                self._checkpoint_in_turn()
        finally:
            self._in_turnstile.clear()
            self._turnstile.leave()
        for one, result, failure in outcomes:
            one.done(result, failure)
        if kind is not None:
            self._sender.send(kind)

    def _transact(
        self, waiting: list[_Waiting]
    ) -> tuple[list[tuple[_Waiting, Any, BaseException | None]], bytes | None]:
        """All in one transaction; when that fails, each in its own."""
        try:
            return self._try_group(waiting)
        except Exception as error:  # noqa: BLE001 - whatever a job raises is its caller's; the thread lives on
            self._roll_back()
            if len(waiting) == 1:
                failure = storage_error(error, self._path) if isinstance(error, sqlite3.Error) else error
                return [(waiting[0], None, failure)], None
        outcomes: list[tuple[_Waiting, Any, BaseException | None]] = []
        kind: bytes | None = None
        for one in waiting:
            single, single_kind = self._transact([one])
            outcomes.extend(single)
            kind = single_kind if kind is None or single_kind == FOR_WORKERS else kind
        return outcomes, kind

    def _try_group(
        self, waiting: list[_Waiting]
    ) -> tuple[list[tuple[_Waiting, Any, BaseException | None]], bytes | None]:
        self._file.check()
        connection = self._connection
        if connection is None:
            connection = self._connection = connect(self._path, self._durability)
        outcomes: list[tuple[_Waiting, Any, BaseException | None]] = []
        connection.execute("BEGIN IMMEDIATE")
        group = Group(connection)
        for one in waiting:
            try:
                outcomes.append((one, one.job(group), None))
            except WorkflowEngineError as refusal:
                outcomes.append((one, None, refusal))
        group.flush()
        connection.execute("COMMIT")
        if group.wakes_workers:
            return outcomes, FOR_WORKERS
        return outcomes, FOR_FOLLOWERS if group.has_events else None

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is not None and connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                # The connection is of no use any more; the next group opens another.
                connection.close()
                self._connection = None

    def _refuse_all(self, waiting: list[_Waiting], error: BaseException) -> None:
        for one in waiting:
            one.done(None, error)

    # Checkpoints: by this thread alone, in its turn, never beside a write

    def _wal_bytes(self) -> int:
        try:
            return self._wal.stat().st_size
        except OSError:
            return 0

    def _wal_bytes_since_checkpoint(self) -> int:
        size = self._wal_bytes()
        if size < self._checkpointed_bytes:
            self._checkpointed_bytes = 0  # somebody restarted the log
        return size - self._checkpointed_bytes

    def _checkpoint_is_due(self) -> bool:
        return self._connection is not None and self._wal_bytes_since_checkpoint() > 0

    def _checkpoint_in_turn(self) -> None:
        size = self._wal_bytes()
        if size > RESTART_BYTES and time.monotonic() >= self._next_restart:
            self._next_restart = time.monotonic() + RESTART_RETRY_SECONDS
            self._checkpoint("RESTART")
        else:
            self._checkpoint("PASSIVE")

    def _checkpoint_when_idle(self) -> None:
        self._turnstile.enter()
        try:
            self._checkpoint("PASSIVE")
        finally:
            self._turnstile.leave()

    def _checkpoint(self, mode: str) -> None:
        """RESTART needs the readers gone, so it does not wait for them and is tried again later."""
        connection = self._connection
        if connection is None:
            return
        try:
            connection.execute("PRAGMA busy_timeout = 0")
            busy, _, _ = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except sqlite3.Error:
            busy = 1  # a full disk, most likely: the log stays, and is tried again
        finally:
            connection.execute("PRAGMA busy_timeout = 5000")
        self._checkpointed_bytes = 0 if mode == "RESTART" and not busy else self._wal_bytes()
