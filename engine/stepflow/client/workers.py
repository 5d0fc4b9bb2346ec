"""Workers: who is alive, and starting one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec

from stepflow.client.connection import Connection
from stepflow.errors import NotFoundError, WorkflowEngineError
from stepflow.model.run import WorkerRecord

ID_PREFIX = "w_"
STOP_LOOK_SECONDS = 0.05
HUNG = "hung, silent for longer than its lease"


class WorkerProcess:
    """The background worker, started by this process. Left alone it goes on, and ends when nothing is left to do."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Let it give its executions back and end."""
        if self.is_alive():
            self._process.terminate()


class Workers(Connection):
    async def workers(self) -> list[WorkerRecord]:
        """Living ones first. To be hung is a trouble too."""
        from stepflow.runtime.processes import boot_id  # nobody else waits for it to be imported

        now, here = self._clock.monotonic(), boot_id()
        return [
            msgspec.structs.replace(one, trouble=HUNG) if one.alive and one.is_late(now, here) else one
            for one in await self._open_bridge.call(self._open_storage.workers)
        ]

    async def any_worker_alive(self) -> bool:
        return await self._open_bridge.call(self._open_storage.any_worker_alive)

    async def find_worker(self, ref: str) -> WorkerRecord:
        """The one whose id begins so; `NotFoundError`."""
        from stepflow.dsl.diagnostics import did_you_mean

        known = {one.id: one for one in await self.workers()}
        wanted = ref if ref.startswith(ID_PREFIX) else f"{ID_PREFIX}{ref}"
        found = [one for one in known.values() if one.id.startswith(wanted)]
        if wanted in known:
            return known[wanted]
        if not found:
            hint = did_you_mean(wanted, known) or "; `stepflow workers` lists them"
            raise NotFoundError("WORKER_NOT_FOUND", f"There is no worker '{ref}'{hint}")
        if len(found) > 1:
            both = f"{found[0].id}, {found[1].id}"
            raise NotFoundError("WORKER_NOT_FOUND", f"Several workers begin with '{ref}' ({both}); give more of its id")
        return found[0]

    async def stop_worker(self, worker: WorkerRecord, *, now: bool = False) -> int | None:
        """Tell a worker of this host to end, and wait until it has; how many executions it gave back. None: it was
        dead. `now`: kill it; whoever takes its executions over ends what their steps have started.
        `WorkflowEngineError`: it cannot be stopped from here."""
        # Nobody else waits for these two to be imported.
        import asyncio

        from stepflow.runtime.processes import boot_id, host_id

        storage, call = self._open_storage, self._open_bridge.call
        if not worker.alive:
            return None
        if worker.host != host_id():
            there = f"Worker {worker.id} is on {worker.host}; stop it there: kill {worker.pid}"
            raise WorkflowEngineError("WORKER_ELSEWHERE", there)
        held = await call(storage.runs_held_by, worker.id)
        if not await call(storage.is_worker, worker.id, worker.pid):
            elsewhere = f"Process {worker.pid} is not worker {worker.id}; it may be in a container. Stop it there"
            raise WorkflowEngineError("WORKER_ELSEWHERE", elsewhere)
        try:
            os.kill(worker.pid, signal.SIGKILL if now else signal.SIGTERM)
        except ProcessLookupError:
            return None
        except PermissionError:
            message = f"Worker {worker.id} (process {worker.pid}) is another user's; it cannot be stopped from here"
            raise WorkflowEngineError("NOT_PERMITTED", message) from None
        # What it was about to start when it was killed may hold its lock for a moment longer.
        while any(one.alive and one.id == worker.id for one in await self.workers()):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(STOP_LOOK_SECONDS)
        await call(storage.free_dead_workers, self._clock.monotonic(), boot_id())
        left = [await call(storage.get_run, run) for run in held]
        return sum(not run.status.is_final for run in left)

    async def ensure_worker(self) -> WorkerProcess | None:
        """Start the database's background worker where no worker is alive; None: one is."""
        if await self.any_worker_alive():
            return None
        return await self._open_bridge.call(self._start_worker)

    def _start_worker(self) -> WorkerProcess:
        arguments = [self.url, *([str(self.workspace)] if self.workspace is not None else [])]
        log = os.open(f"{self.url}.worker.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        environment = dict(os.environ)
        if self._durability is not None:
            environment["STEPFLOW_DURABILITY"] = self._durability
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                # -P: a folder named like ours, where the user stands, must not be imported.
                [sys.executable, "-P", "-m", "stepflow.worker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment,
            )
        finally:
            os.close(log)
        return WorkerProcess(process)
