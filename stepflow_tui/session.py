"""What the screens share: the client, how everything stands, the worker that was started, the last inputs."""

from __future__ import annotations

from stepflow.client import Client, WorkerProcess
from stepflow.errors import WorkflowEngineError
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.header import Standing

UNFINISHED = frozenset(status for status in RunStatus if not status.is_final and status is not RunStatus.STALLED)


class Session:
    """`start_worker`: one is started where none is alive."""

    def __init__(self, client: Client, glyphs: Glyphs, *, start_worker: bool = True) -> None:
        self.client = client
        self.glyphs = glyphs
        self.starts_worker = start_worker
        self.standing = Standing(database=_short_name(client))
        self.storage_trouble: str | None = None
        self.worker_process: WorkerProcess | None = None
        self.last_inputs: dict[str, str] = {}
        """By template, as they were typed."""

    @property
    def live_count(self) -> int:
        return sum(self.standing.counts.get(status, 0) for status in UNFINISHED)

    async def read_counts(self) -> None:
        counts = await self.client.status_counts()
        standing = self.standing
        self.standing = Standing(standing.database, counts, standing.workers, standing.trouble)

    async def ensure_worker(self) -> None:
        """`WorkflowEngineError`: none could be started."""
        if not self.starts_worker:
            return
        try:
            started = await self.client.ensure_worker()
        except OSError as error:
            raise WorkflowEngineError("NO_WORKER", f"No worker can be started: {error}") from error
        if started is not None:
            self.worker_process = started

    async def look_at_workers(self) -> bool:
        """Whether the one that was started is there by now, or none was."""
        alive = [worker for worker in await self.client.workers() if worker.alive]
        trouble = next((f"worker: {worker.trouble}" for worker in alive if worker.trouble), None)
        starting = self.worker_process is not None and self.worker_process.is_alive()
        count = len(alive) or (None if starting else 0)
        self.standing = Standing(self.standing.database, self.standing.counts, count, trouble)
        return count is not None


def _short_name(client: Client) -> str:
    """The workspace's name, else the database file's: the header has no room for paths."""
    return client.workspace.name if client.workspace is not None else client.url.rpartition("/")[2]
