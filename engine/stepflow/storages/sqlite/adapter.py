"""The storage on one SQLite file: `contracts.storage.Storage`, put together from its parts."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

import msgspec

from stepflow.contracts.storage import (
    AppendLogs,
    Claim,
    Commit,
    CreateRun,
    Done,
    ProcessGroup,
    Pruned,
    PruneForecast,
    PruneRule,
    RunSort,
    TemplateText,
    WorkerIdentity,
    Write,
)
from stepflow.errors import StorageError, WorkflowEngineError
from stepflow.model import jsontext
from stepflow.model.run import (
    NO_WORKER,
    WORKER_DIED,
    WORKER_GONE,
    Awaited,
    Retried,
    RunRecord,
    WorkerRecord,
    awaited_signal,
)
from stepflow.model.statuses import RUN_STATUSES, STEP_STATUSES, RunStatus, StepStatus
from stepflow.model.template import SavedVersion, TemplateVersion
from stepflow.model.times import to_datetime
from stepflow.storages.sqlite import queries, requests, upkeep_queries, write
from stepflow.storages.sqlite.connect import Durability, connect, prepare, storage_error
from stepflow.storages.sqlite.liveness import LifeLock, is_held, is_held_by
from stepflow.storages.sqlite.read import Reader
from stepflow.storages.sqlite.turnstile import Turnstile
from stepflow.storages.sqlite.wake import SocketListener
from stepflow.storages.sqlite.writer import Job, Writer

if TYPE_CHECKING:
    from stepflow.contracts.transfer import ImportedRuns, ImportedTemplate, Line, TemplateLine, WholeRun
    from stepflow.model.stats import Stats


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
        self._writer = Writer(self._path, self._file, self._turnstile, durability)
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
            way_out = "" if self._writable else "; check the permissions of the file and its folder"
            raise StorageError(f"{self._path.name} is open for reading only{way_out} ({self._path})")

    def save_template(self, text: TemplateText, *, create: bool, update: bool) -> SavedVersion:
        version: SavedVersion = self._do(partial(write.save_template, text=text, create=create, update=update))
        return version

    def save_watched_templates(self, texts: Sequence[TemplateText]) -> list[SavedVersion]:
        versions: list[SavedVersion] = self._do(partial(write.save_watched_templates, texts=texts))
        return versions

    def mark_files_gone(self, names: Sequence[str]) -> None:
        self._do(partial(write.mark_files_gone, names=names))

    def save_inline_template(self, text: TemplateText, components: Sequence[str]) -> TemplateVersion:
        job = partial(write.save_inline_template, text=text, components=components)
        version: TemplateVersion = self._do(job)
        return version

    def delete_template(self, name: str, now: int) -> None:
        self._do(partial(write.delete_template, name=name, now=now))

    def request_cancel(self, run_id: str, reason: str | None, now: int) -> bool:
        return bool(self._do(partial(requests.request_cancel, run_id=run_id, reason=reason, now=now)))

    def signal(self, run_id: str, name: str, data: str, now: int) -> None:
        self._do(partial(requests.signal, run_id=run_id, name=name, data=data, now=now))

    def pause(self, run_id: str, now: int) -> bool:
        return bool(self._do(partial(requests.pause, run_id=run_id, now=now)))

    def resume(self, run_id: str, now: int) -> bool:
        return bool(self._do(partial(requests.resume, run_id=run_id, now=now)))

    def put_blob(self, run: int, text: str, blob_type: str, now: int) -> str:
        return str(self._do(partial(write.put_blob, run=run, text=text, blob_type=blob_type, now=now)))

    def record_process_group(self, worker: int, group: ProcessGroup) -> None:
        self._do(partial(write.record_process_group, what=group), urgent=True)

    def forget_process_group(self, group: ProcessGroup) -> None:
        self._do(partial(write.forget_process_group, what=group))

    # Following

    def listen(self, *, for_workers: bool = False) -> SocketListener:
        try:
            reader = self._connect_reader()
        except sqlite3.Error as error:
            raise storage_error(error, self._path) from error
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
        self._refuse_read_only()
        # The lock comes first: a row without one would be taken for dead.
        lock = LifeLock(self._life_path(identity.id))
        try:
            self._workers_folder.mkdir(mode=0o700, exist_ok=True)
            is_ours = lock.take()
        except OSError as error:
            raise StorageError(f"{error.filename} cannot be made: {error.strerror}; look after its folder") from error
        if not is_ours:
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

    def offered(self) -> set[str]:
        return self._offered()[1]

    def stall_unoffered(self, offers: Collection[str], before: int, now: int) -> int:
        from stepflow.storages.sqlite.stalls import stall_unoffered  # once an hour, and by workers alone

        return int(self._do(partial(stall_unoffered, offers=offers, before=before, now=now)))

    def free_run(self, run: int, worker: int) -> None:
        self._do(partial(write.free_run, run=run, worker=worker))

    def workers(self) -> list[WorkerRecord]:
        records = []
        for row in self.fetch(queries.ALL_WORKERS):
            _, worker_id, pid, host, boot_id, started_at, lease_until, slots, background, trouble, held = row
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
                    boot_id=boot_id,
                    lease_until=lease_until,
                )
            )
        return sorted(records, key=lambda record: not record.alive)

    def any_worker_alive(self) -> bool:
        return any(worker.alive for worker in self.workers())

    def become_background_worker(self) -> bool:
        self._refuse_read_only()
        lock = LifeLock(Path(f"{self._path}.background"))
        if not lock.take():
            return False
        self._background = lock
        return True

    def is_worker(self, worker_id: str, pid: int) -> bool:
        return is_held_by(self._life_path(worker_id), pid)

    def runs_held_by(self, worker_id: str) -> list[str]:
        return [run_id for (run_id,) in self.fetch(upkeep_queries.RUNS_OF_WORKER, (worker_id,))]

    # Upkeep: what it takes is imported when it is done

    def export(self, run_ids: Sequence[str] | None, template: str | None) -> Iterator[Line]:
        from stepflow.storages.sqlite.exporting import Exporter

        self._check_template(template)
        connection = self._connect_reader()
        try:
            connection.execute("BEGIN")
            yield from Exporter(connection).lines(run_ids, template)
        except sqlite3.Error as error:
            raise storage_error(error, self._path) from error
        finally:
            connection.close()

    def import_template(self, lines: Sequence[TemplateLine], taken: set[int], now: int) -> ImportedTemplate:
        from stepflow.storages.sqlite import importing

        job = partial(importing.import_template, lines=lines, taken=taken, now=now)
        imported: ImportedTemplate = self._do(job)
        taken.update(imported.numbers.values())
        return imported

    def import_runs(
        self, runs: Sequence[WholeRun], versions: Mapping[tuple[str, int], int], resume: bool, now: int
    ) -> ImportedRuns:
        from stepflow.storages.sqlite import importing

        flows = {
            (one.run.template, one.run.version): self._version(versions[one.run.template, one.run.version]).flow
            for one in runs
        }
        job = partial(importing.import_runs, runs=runs, versions=versions, flows=flows, resume=resume, now=now)
        imported: ImportedRuns = self._do(job)
        return imported

    def forecast_prune(self, rule: PruneRule) -> PruneForecast:
        from stepflow.storages.sqlite.prune import Pruner

        self._check_template(rule.template)
        return Pruner(self, self._do, rule).forecast()

    def prune(self, rule: PruneRule, now: int) -> Iterator[Pruned]:
        from stepflow.storages.sqlite.prune import Pruner

        self._check_template(rule.template)
        return Pruner(self, self._do, rule).prune(now)

    def _check_template(self, name: str | None) -> None:
        """A deleted one has runs too."""
        if name is not None and self.fetch_one(queries.TEMPLATE_ROW, (name,)) is None:
            raise self._no_template(name)

    def prune_blobs(self, before: int) -> Iterator[int]:
        from stepflow.storages.sqlite import prune

        return prune.prune_blobs(self, self._do, before)

    def prune_inline_templates(self) -> int:
        from stepflow.storages.sqlite import prune

        return prune.prune_inline_versions(self, self._do, lambda: not self.any_worker_alive())

    def free_bytes(self) -> int:
        return int(self.fetch(upkeep_queries.FREE_BYTES)[0][0])

    def vacuum(self) -> int:
        self._refuse_read_only()
        turnstile = Turnstile(self._path)  # the writer thread has its own, and flock knows them apart
        try:
            with turnstile.pass_through():
                if self.any_worker_alive():
                    raise WorkflowEngineError(
                        "WORKERS_ALIVE", "Workers are running, and would wait until it is done; stop them first"
                    )
                before = self._path.stat().st_size
                connection = connect(self._path, self._durability)
                try:
                    connection.execute("PRAGMA temp_store = file")
                    connection.execute("VACUUM")
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    connection.close()
                return max(0, before - self._path.stat().st_size)
        except sqlite3.Error as error:
            raise storage_error(error, self._path) from error
        finally:
            turnstile.close()

    # Reading: as the reader has it, and why a queued run waits

    def stats(self, since: int, now: int, template: str | None) -> Stats:
        from stepflow.storages.sqlite.statistics import gather

        living = [worker for worker in self.workers() if worker.alive]
        return msgspec.structs.replace(
            gather(self, since, now, template),
            workers_alive=len(living),
            slots=sum(worker.slots for worker in living),
            held_runs=sum(worker.held_runs for worker in living),
        )

    def get_run(self, run_id: str, *, bodies: bool = True, largest: int | None = None) -> RunRecord:
        return self._with_reasons([super().get_run(run_id, bodies=bodies, largest=largest)])[0]

    def list_runs(
        self,
        limit: int,
        cursor: str | None,
        statuses: Collection[RunStatus] | None,
        template: str | None,
        children: bool,
        *,
        since: int | None = None,
        parent: str | None = None,
        sort: RunSort = "created",
        reverse: bool = False,
    ) -> tuple[list[RunRecord], str | None]:
        runs, next_cursor = super().list_runs(
            limit, cursor, statuses, template, children, since=since, parent=parent, sort=sort, reverse=reverse
        )
        return self._with_reasons(runs), next_cursor

    def runs_by_id(self, run_ids: Collection[str]) -> list[RunRecord]:
        return self._with_reasons(super().runs_by_id(run_ids))

    def _with_reasons(self, runs: list[RunRecord]) -> list[RunRecord]:
        """Runs that nobody goes on with say why: no living worker could take them, or the one that did is dead; those
        that wait say for what."""
        going_on = [run for run in runs if not run.status.is_final]
        queued = {run.id for run in going_on if run.status is RunStatus.QUEUED and run.worker is None}
        # What a dead worker ran, and lost when somebody saw its death, stays so until another one takes it.
        freed = {run.id for run in going_on if run.status is RunStatus.RUNNING and run.worker is None}
        holders = {run.worker for run in going_on if run.worker is not None}
        silent = {worker for worker in holders if not is_held(self._life_path(worker))}
        if queued or freed or silent:
            offered, offers = self._offered()
            lost = freed | {run.id for run in going_on if run.worker in silent and offered.get(run.worker) is False}
            living = any(offered.values())
            asked = sorted(queued | lost)
            needs = {run_id: jsontext.decode(components) for run_id, components in self.needs(asked)}
            reasons = {}
            for run_id in asked:
                missing = next((one for one in needs.get(run_id, ()) if living and one not in offers), None)
                unoffered = "" if missing is None else f"no running worker offers {missing}"
                if run_id in lost:
                    taken = f", and {unoffered}" if unoffered else "; another one takes it over" if living else ""
                    reasons[run_id] = f"{WORKER_GONE if run_id in freed else WORKER_DIED}{taken}"
                elif not living or unoffered:
                    reasons[run_id] = unoffered or NO_WORKER
            # A queued run may have a reason of its own; that of one whose worker died is why it was asked to end.
            runs = [
                msgspec.structs.replace(
                    run,
                    reason=(run.id not in lost and run.reason) or reasons[run.id],
                    lacks_worker=run.id in lost or not living,
                )
                if run.id in reasons
                else run
                for run in runs
            ]
        return self._with_retries(self._with_what_they_await(runs))

    def _with_retries(self, runs: list[RunRecord]) -> list[RunRecord]:
        ended = [run.id for run in runs if run.status.may_be_retried]
        if not ended:
            return runs
        retries = {
            of: Retried(run_id, RUN_STATUSES[status])
            for of, run_id, status in self.fetch(queries.RETRIES, (jsontext.encode(ended),))
        }
        if not retries:
            return runs
        return [msgspec.structs.replace(run, retried_as=retries.get(run.id)) for run in runs]

    def _with_what_they_await(self, runs: list[RunRecord]) -> list[RunRecord]:
        waiting = [run.id for run in runs if run.status in (RunStatus.WAITING, RunStatus.AWAITING_RETRY)]
        if not waiting:
            return runs
        awaits: dict[str, list[Awaited]] = {}
        errors: dict[str, dict[str, Any]] = {}
        for row in self.fetch(queries.STEPS_THAT_WAIT, (jsontext.encode(sorted(waiting)),)):
            run_id, version, step, status, awaited, error, message, total, done, failed = row
            key = self._version(version).flow.steps[step].key
            if STEP_STATUSES[status] is StepStatus.WAITING:
                message = None if message is None else str(message)
                awaits.setdefault(run_id, []).append(
                    Awaited(key, awaited_signal(awaited), message, total or 0, done or 0, failed or 0)
                )
            elif error is not None:
                said = jsontext.decode(error)
                errors.setdefault(run_id, {**said, "details": {**(said.get("details") or {}), "step_key": key}})
        return [
            msgspec.structs.replace(run, awaits=tuple(awaits.get(run.id, ())), last_error=errors.get(run.id))
            if run.id in awaits or run.id in errors
            else run
            for run in runs
        ]

    def _offered(self) -> tuple[dict[str, bool], set[str]]:
        """Whether each worker lives, by its id, and the components that the living ones have."""
        offers: set[str] = set()
        lives = {}
        for worker_id, host, offered in self.fetch(queries.OFFERS):
            lives[worker_id] = host != socket.gethostname() or is_held(self._life_path(worker_id))
            if lives[worker_id]:
                offers.update(jsontext.decode(offered))
        return lives, offers


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
