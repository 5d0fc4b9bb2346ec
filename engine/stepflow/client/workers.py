"""Workers: who is alive, and starting one."""

from __future__ import annotations

import os
import subprocess
import sys

from stepflow.client.connection import Connection
from stepflow.model.run import WorkerRecord


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
        """Living ones first."""
        return await self._open_bridge.call(self._open_storage.workers)

    async def any_worker_alive(self) -> bool:
        return await self._open_bridge.call(self._open_storage.any_worker_alive)

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
