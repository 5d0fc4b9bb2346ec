"""What the steps of earlier executions took, by version of a template, read for those that are seen going on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from stepflow.client import Client
from stepflow.model.event import FINAL_RUN_EVENTS, WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.timeline_prediction import StepHistory, step_history

LAST, LAST_OF_MANY = 20, 3
"""Executions that are read; of many steps each is a thousand rows."""
MANY_STEPS = 1000
AGAIN_SECONDS = 30.0
"""What is known is read again no sooner, however many end."""

Version = tuple[str, int]


class StepHistories:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[Version, StepHistory] = {}
        self._read_at: dict[Version, float] = {}
        self._reading: dict[Version, asyncio.Task[None]] = {}
        """Of which each is for all who ask meanwhile."""
        self._stale: set[str] = set()

    def of(self, run: RunRecord) -> StepHistory | None:
        """As far as it was read."""
        return self._known.get((run.template, run.version))

    def note(self, events: Iterable[WorkflowEvent]) -> None:
        """Some of their templates have another history now."""
        self._stale.update(event.kind for event in events if event.event_type in FINAL_RUN_EVENTS)

    def is_wanted(self, run: RunRecord) -> bool:
        """Of one that has ended nothing is expected any more."""
        version = (run.template, run.version)
        if run.status.is_final:
            return False
        if version in self._reading:
            return True
        is_old = time.monotonic() - self._read_at.get(version, 0.0) > AGAIN_SECONDS
        return version not in self._read_at or (run.template in self._stale and is_old)

    async def read(self, run: RunRecord) -> None:
        """That of its version; where none of that has completed, that of the versions before it."""
        version = (run.template, run.version)
        if version not in self._reading:
            reading = self._reading[version] = asyncio.create_task(self._read(version, run))
            reading.add_done_callback(lambda done: self._has_read(version, done))
        await asyncio.shield(self._reading[version])

    def _has_read(self, version: Version, done: asyncio.Task[None]) -> None:
        del self._reading[version]
        if not done.cancelled():
            done.exception()  # heard, also where nobody waits for it any more

    async def _read(self, version: Version, run: RunRecord) -> None:
        self._read_at[version] = time.monotonic()
        self._stale.discard(run.template)
        last = LAST_OF_MANY if run.steps_total > MANY_STEPS else LAST
        page = await self._client.list_runs(last, status=RunStatus.COMPLETED, template=run.template, children=True)
        same = [one for one in page.items if one.version == run.version]
        steps = [(one, await self._client.get_steps(one.id, bodies=False)) for one in same or page.items]
        slots = 0
        if steps and run.steps_total <= MANY_STEPS:
            slots = (await self._client.get_template(run.template, run.version)).flow.max_concurrency
        self._known[version] = step_history(steps, slots)
