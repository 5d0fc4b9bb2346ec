"""The one event log, page by page or as it grows."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from stepflow.client.connection import Connection
from stepflow.model.event import WorkflowEvent

FOLLOW_LIMIT = 1000


class Log(Connection):
    async def get_events(
        self,
        run: str | None = None,
        *,
        after_seq: int = 0,
        before_seq: int | None = None,
        limit: int = 1000,
        newest: bool = False,
        lines: bool = False,
        step: str | None = None,
        level: str | None = None,
        bodies: bool = True,
        largest: int | None = None,
    ) -> list[WorkflowEvent]:
        """A page of the log in its order, of one run or of all; `newest`: the last ones before `before_seq`; `lines`:
        only what steps said, the starts of children, and ends. `step`: about one step of `run`; `level`: of this one
        and graver ones. Without `bodies` results stay None, which is quick where they are large; `largest` as
        `get_steps` has it."""
        storage = self._open_storage

        def read() -> list[WorkflowEvent]:
            run_id = None if run is None else storage.find_run(run)
            return storage.get_events(
                run_id,
                after_seq=after_seq,
                before_seq=before_seq,
                limit=limit,
                newest=newest,
                lines=lines,
                step=step,
                level=level,
                bodies=bodies,
                largest=largest,
            )

        return await self._open_bridge.call(read)

    async def last_seq(self) -> int:
        """Where the log ends; 0: it is empty."""
        return await self._open_bridge.call(self._open_storage.last_seq)

    async def follow(self, after_seq: int | None = None, run: str | None = None) -> AsyncGenerator[WorkflowEvent, None]:
        """Each event after `after_seq` (None: from now on), of whichever process, soon after its commit. Never ends
        by itself."""
        async with aclosing(self.follow_batches(after_seq, run)) as batches:
            async for events in batches:
                for event in events:
                    yield event

    async def follow_batches(
        self,
        after_seq: int | None = None,
        run: str | None = None,
        limit: int = FOLLOW_LIMIT,
        *,
        lines: bool = False,
        bodies: bool = True,
    ) -> AsyncGenerator[list[WorkflowEvent], None]:
        """The same in batches of at most `limit`, for those who draw; `lines` and `bodies` as `get_events` has them."""
        from stepflow.runtime.followers import follow  # which needs an event loop

        run_id = None if run is None else await self._open_bridge.call(self._open_storage.find_run, run)
        options = {"lines": lines, "bodies": bodies}
        following = follow(self._open_bridge, self._open_storage, after_seq, run_id, limit, **options)
        async with aclosing(following) as batches:
            async for events in batches:
                yield events
