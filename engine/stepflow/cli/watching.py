"""Watching an execution, and noticing when nobody works on it."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from stepflow.cli.live import why_it_waits
from stepflow.cli.session import note
from stepflow.cli.text import paint, safe

if TYPE_CHECKING:
    from stepflow.client import Client, WorkerProcess
    from stepflow.model.event import WorkflowEvent

FIRST_LOOK_SECONDS = 1.0
LONGEST_LOOK_SECONDS = 30.0
PAGE = 1000
START_SECONDS = 10.0
"""That a worker may take until others see it."""


async def events_so_far(
    client: Client, run_id: str | None, after: int, *, lines: bool = False
) -> AsyncGenerator[WorkflowEvent, None]:
    """What the log has of an execution, or of all, page by page; `lines` as `get_events` has it."""
    while True:
        events = await client.get_events(run_id, after_seq=after, limit=PAGE, lines=lines)
        for event in events:
            yield event
        if len(events) < PAGE:
            return
        after = events[-1].seq


class Watch:
    """`worker`: the process that was started for the execution, if any; `keeps_alive`: another one is started where no
    worker lives any more."""

    def __init__(
        self, client: Client, run_id: str, *, worker: WorkerProcess | None = None, keeps_alive: bool = False
    ) -> None:
        self._client = client
        self._run_id = run_id
        self._worker = worker
        self._keeps_alive = keeps_alive
        self._said = ""

    async def events(
        self, after: int = 0, *, lines: bool = False, of_all: bool = False
    ) -> AsyncGenerator[WorkflowEvent, None]:
        """Never ends by itself. While nothing comes, it looks after the execution, less and less often. `lines`: only
        what `get_events` gives then; `of_all`: those of every execution."""
        import asyncio

        batches = self._client.follow_batches(after, None if of_all else self._run_id, lines=lines)
        coming = asyncio.ensure_future(anext(batches))
        patience = FIRST_LOOK_SECONDS
        try:
            while True:
                await asyncio.wait([coming], timeout=patience)
                if coming.done():
                    for event in coming.result():
                        yield event
                    patience = FIRST_LOOK_SECONDS
                    coming = asyncio.ensure_future(anext(batches))
                else:
                    await self._look()
                    patience = min(patience * 2, LONGEST_LOOK_SECONDS)
        finally:
            coming.cancel()
            await asyncio.wait([coming])

    async def say_why(self) -> None:
        """Why nobody goes on with it, each reason once."""
        any_worker = await self._client.any_worker_alive()
        if not any_worker and self._is_starting:
            return
        run = await self._client.get_run(self._run_id)
        why = why_it_waits(run, any_worker=any_worker)
        if why and why != self._said:
            note(f"{paint('⚠', 'yellow', sys.stderr)} The execution is {run.status.value}: {why}")
        self._said = why

    async def until_worker_is_there(self) -> None:
        """The one that was started; or it has ended, or takes too long."""
        import asyncio

        patience = asyncio.get_running_loop().time() + START_SECONDS
        while self._is_starting and not await self._client.any_worker_alive():
            if asyncio.get_running_loop().time() > patience:
                return
            await asyncio.sleep(0.05)

    @property
    def _is_starting(self) -> bool:
        return self._worker is not None and self._worker.is_alive()

    async def _look(self) -> None:
        if self._keeps_alive and not self._is_starting:
            started = await self._client.ensure_worker()
            if started is not None:
                self._worker = started
                sign = paint("⚠", "yellow", sys.stderr)
                log = safe(f"{self._client.url}.worker.log")
                note(f"{sign} Its worker is gone; another one was started (what they say is in {log})")
        await self.say_why()
