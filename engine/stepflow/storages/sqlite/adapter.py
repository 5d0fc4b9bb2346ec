"""The storage on one SQLite file: `contracts.storage.Storage`, put together from its parts."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, assert_never

import msgspec

from stepflow.contracts.storage import (
    AppendLogs,
    Claim,
    Commit,
    CreateRun,
    Done,
    ProcessGroup,
    TemplateText,
    WorkerIdentity,
    Write,
)
from stepflow.errors import StorageError
from stepflow.model import jsontext
from stepflow.model.run import RunRecord, WorkerRecord
from stepflow.model.statuses import RunStatus
from stepflow.model.template import SavedVersion, TemplateVersion
from stepflow.model.times import to_datetime
from stepflow.storages.sqlite import queries, write
from stepflow.storages.sqlite.connect import Durability, connect, connect_without_writing, prepare
from stepflow.storages.sqlite.liveness import LifeLock, is_held
from stepflow.storages.sqlite.read import Reader
from stepflow.storages.sqlite.turnstile import Turnstile
from stepflow.storages.sqlite.wake import SocketListener
from stepflow.storages.sqlite.writer import Job, Writer


class SQLiteStorage(Reader):
    """Opens the file at once, and makes it where there is none. `read_only` refuses every writing verb."""

    def __init__(
        self, path: str | os.PathLike[str], *, durability: Durability = "full", read_only: bool = False
    ) -> None:
        file = Path(path).expanduser().absolute()
        self._turnstile = Turnstile(file)
        super().__init__(file, durability, writable=prepare(file, self._turnstile, durability))
        self.url = str(file)
        self._is_read_only = read_only or not self._writable
        self._writer = Writer(self._path, self._turnstile, durability)
        self._listeners: set[SocketListener] = set()
        self._life_locks: dict[int, LifeLock] = {}
        self._background: LifeLock | None = None

    def close(self) -> None:
        for listener in list(self._listeners):
            listener.close()
        self._writer.close()
        super().close()
        for lock in self._life_locks.values():
            lock.let_go()
        if self._background is not None:
            self._background.let_go(remove=False)
        self._turnstile.close()

    # Writing

    def submit(self, writes: Sequence[tuple[Write, Done]]) -> None:
        self._refuse_read_only()
        self._writer.submit([(_job(what), done) for what, done in writes])

    def perform(self, what: Write) -> Any:
        return self._do(_job(what))

    def _do(self, job: Job, *, urgent: bool = False) -> Any:
        self._refuse_read_only()
        return self._writer.do(job, urgent=urgent)

    def _refuse_read_only(self) -> None:
        if self._is_read_only:
            raise StorageError(
                f"{self._path} is open for reading only; check its permissions, or leave out --read-only"
            )

    def save_template(self, text: TemplateText, *, create: bool, update: bool) -> SavedVersion:
        version: SavedVersion = self._do(partial(write.save_template, text=text, create=create, update=update))
        return version

    def save_inline_template(self, text: TemplateText, components: Sequence[str]) -> TemplateVersion:
        job = partial(write.save_inline_template, text=text, components=components)
        version: TemplateVersion = self._do(job)
        return version

    def delete_template(self, name: str, now: int) -> None:
        self._do(partial(write.delete_template, name=name, now=now))

    def request_cancel(self, run_id: str, reason: str | None, now: int) -> bool:
        return bool(self._do(partial(write.request_cancel, run_id=run_id, reason=reason, now=now)))

    def signal(self, run_id: str, name: str, data: str, now: int) -> None:
        self._do(partial(write.signal, run_id=run_id, name=name, data=data, now=now))

    def put_blob(self, run: int, text: str, blob_type: str, now: int) -> str:
        return str(self._do(partial(write.put_blob, run=run, text=text, blob_type=blob_type, now=now)))

    def record_process_group(self, worker: int, group: ProcessGroup) -> None:
        self._do(partial(write.record_process_group, what=group), urgent=True)

    def forget_process_group(self, group: ProcessGroup) -> None:
        self._do(partial(write.forget_process_group, what=group))

    # Following

    def listen(self, *, for_workers: bool = False) -> SocketListener:
        if self._writable:
            reader = connect(self._path, self._durability, read_only=True)
        else:
            reader = connect_without_writing(self._path)
        listener = SocketListener(self._path, reader, for_workers=for_workers, on_close=self._listeners.discard)
        self._listeners.add(listener)
        return listener

    # Workers

    @property
    def _workers_folder(self) -> Path:
        return Path(f"{self._path}.workers")

    def _life_path(self, worker_id: str) -> Path:
        return self._workers_folder / f"{worker_id}.lock"

    def register_worker(self, identity: WorkerIdentity, lease_until: float) -> int:
        self._workers_folder.mkdir(mode=0o700, exist_ok=True)
        # The lock comes first: a row without one would be taken for dead.
        lock = LifeLock(self._life_path(identity.id))
        if not lock.take():
            raise StorageError(f"Another worker has the id {identity.id}")
        number: int = self._do(partial(write.register_worker, identity=identity, lease_until=lease_until))
        self._life_locks[number] = lock
        return number

    def heartbeat(self, worker: int, lease_until: float, trouble: str | None) -> bool:
        job = partial(write.heartbeat, worker=worker, lease_until=lease_until, trouble=trouble)
        return bool(self._do(job, urgent=True))

    def remove_worker(self, worker: int) -> None:
        self._do(partial(write.remove_worker, worker=worker))
        lock = self._life_locks.pop(worker, None)
        if lock is not None:
            lock.let_go()

    def free_dead_workers(self, now_monotonic: float, boot_id: str, *, but: int | None = None) -> int:
        dead = []
        for row in self.fetch(queries.ALL_WORKERS):
            number, worker_id, _, host, its_boot_id, _, lease_until = row[:7]
            if number == but:
                continue
            here = host == socket.gethostname()
            lives = is_held(self._life_path(worker_id)) if here else True
            hung = its_boot_id == boot_id and lease_until < now_monotonic
            if not lives or hung:
                dead.append((number, worker_id, lives))
        orphans = self.fetch(queries.ORPHANS)[0][0]
        if not dead and not orphans:
            return 0
        freed: int = self._do(partial(write.free_workers, workers=[number for number, _, _ in dead]))
        for _, worker_id, lives in dead:
            if not lives:
                self._life_path(worker_id).unlink(missing_ok=True)
        return freed

    def free_run(self, run: int, worker: int) -> None:
        self._do(partial(write.free_run, run=run, worker=worker))

    def workers(self) -> list[WorkerRecord]:
        records = []
        for row in self.fetch(queries.ALL_WORKERS):
            _, worker_id, pid, host, _, started_at, _, slots, background, trouble, held = row
            records.append(
                WorkerRecord(
                    id=worker_id,
                    pid=pid,
                    host=host,
                    started_at=to_datetime(started_at),
                    alive=is_held(self._life_path(worker_id)) if host == socket.gethostname() else True,
                    slots=slots,
                    held_runs=held,
                    trouble=trouble,
                    background=bool(background),
                )
            )
        return sorted(records, key=lambda record: not record.alive)

    def any_worker_alive(self) -> bool:
        return any(worker.alive for worker in self.workers())

    def become_background_worker(self) -> bool:
        lock = LifeLock(Path(f"{self._path}.background"))
        if not lock.take():
            return False
        self._background = lock
        return True

    # Reading: as the reader has it, and why a queued run waits

    def get_run(self, run_id: str) -> RunRecord:
        return self._with_reasons([super().get_run(run_id)])[0]

    def list_runs(
        self,
        limit: int,
        cursor: str | None,
        statuses: Collection[RunStatus] | None,
        template: str | None,
        children: bool,
    ) -> tuple[list[RunRecord], str | None]:
        runs, next_cursor = super().list_runs(limit, cursor, statuses, template, children)
        return self._with_reasons(runs), next_cursor

    def _with_reasons(self, runs: list[RunRecord]) -> list[RunRecord]:
        """Queued runs say so when no living worker could take them."""
        queued = [run.id for run in runs if run.status is RunStatus.QUEUED and run.worker is None]
        if not queued:
            return runs
        offers: set[str] = set()
        living = 0
        for worker_id, host, offered in self.fetch(queries.OFFERS):
            if host != socket.gethostname() or is_held(self._life_path(worker_id)):
                living += 1
                offers.update(jsontext.decode(offered))
        needs = {run_id: jsontext.decode(components) for run_id, components in self.needs(queued)}

        def with_reason(run: RunRecord) -> RunRecord:
            missing = [component for component in needs.get(run.id, ()) if component not in offers]
            if run.id not in needs or (living and not missing):
                return run
            reason = f"no running worker offers {missing[0]}" if living else "no worker is running"
            return msgspec.structs.replace(run, reason=run.reason or reason)

        return [with_reason(run) for run in runs]


def _job(what: Write) -> Job:
    match what:
        case Commit():
            return lambda group: write.commit(group, what)
        case Claim():
            return lambda group: write.claim(group, what)
        case CreateRun():
            return lambda group: write.create_run(group, what)
        case AppendLogs():
            return lambda group: write.append_logs(group, what)
        case _:
            assert_never(what)
