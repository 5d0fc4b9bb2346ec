"""The executions that the one at hand started, read page by page in the background and kept up with the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime

from stepflow.client import Client
from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord
from stepflow_tui.presentation.timeline_items import Begun, Items, is_fan_out, items_of

PAGE = 250
MOST = 20_000
"""Children that are read, the oldest ones."""
MOST_STEPS = 100
"""Steps of which it is read when they began to wait."""
MOST_EVENTS = 200
ABOUT_CHILDREN = (EventType.CHILD_STARTED, EventType.CHILD_ENDED)


class Children:
    def __init__(self, client: Client) -> None:
        self._client = client
        self.run_id: str | None = None
        """Whose they are."""
        self._known: dict[str, RunRecord] = {}
        self._begun: dict[str, list[Begun]] = {}
        self._begins_read: set[tuple[str, int]] = set()
        """Steps with their attempts."""
        self._changed: set[str] = set()
        self._is_stale = False
        self._reading: object = None
        """Who reads all of them."""

    def is_wanted(self, run: RunRecord) -> bool:
        return self.run_id != run.id or self._is_stale

    def look_again(self) -> None:
        """What happened meanwhile was not heard: what is known holds until it has been read."""
        self._is_stale = True

    def forget(self) -> None:
        self.run_id = None
        self._known, self._begun = {}, {}
        self._begins_read, self._changed = set(), set()

    async def read(self, run: RunRecord, steps: Sequence[StepRecord]) -> AsyncIterator[None]:
        """After each page."""
        if self.run_id != run.id:
            self.forget()
        self.run_id, self._is_stale = run.id, False
        self._reading = reading = object()
        cursor = None
        try:
            for _ in range(MOST // PAGE):
                page = await self._client.list_runs(PAGE, cursor, parent_run_id=run.id, reverse=True)
                if self.run_id != run.id:
                    return
                self._known.update((child.id, child) for child in page.items)
                cursor = page.next_cursor
                if page.items:
                    await self._read_begins(run, steps)
                yield
                if cursor is None:
                    break
        finally:
            if self._reading is reading:
                self._reading = None

    async def _read_begins(self, run: RunRecord, steps: Sequence[StepRecord]) -> None:
        begun = [one for one in steps if is_fan_out(one) and one.started_at is not None][:MOST_STEPS]
        for step in begun:
            attempt = (step.key, step.attempt)
            if attempt in self._begins_read:
                continue
            events = await self._client.get_events(run.id, step=step.key, limit=MOST_EVENTS, newest=True, bodies=False)
            waits = [event for event in events if event.event_type == EventType.STEP_WAITING]
            self._begun[step.key] = [Begun(event.timestamp, event.payload.get("children") or 0) for event in waits]
            if step.status.is_final or any(event.attempt == step.attempt for event in waits):
                self._begins_read.add(attempt)

    def note(self, events: Iterable[WorkflowEvent]) -> bool:
        """Whether any of them stands otherwise now."""
        if self.run_id is None:
            return False
        for event in events:
            if event.run_id == self.run_id and event.event_type in ABOUT_CHILDREN:
                self._changed.add(event.payload["child_run_id"])
            elif event.event_type.startswith("run.") and (self._reading is not None or event.run_id in self._known):
                self._changed.add(event.run_id)
        return bool(self._changed)

    @property
    def are_to_be_read(self) -> bool:
        return bool(self._changed) and self._reading is None

    async def catch_up(self, run: RunRecord, steps: Sequence[StepRecord]) -> None:
        """Read those that stand otherwise; the rest of them the next time."""
        await self._read_begins(run, steps)
        some = sorted(self._changed)[:PAGE]
        self._changed.difference_update(some)
        for child in await self._client.get_runs(some):
            if child.parent_run_id == self.run_id and (child.id in self._known or len(self._known) < MOST):
                self._known[child.id] = child

    def items(
        self, run: RunRecord, attempts: Mapping[str, Sequence[StepRecord]], moment: datetime | None
    ) -> dict[str, Items]:
        if self.run_id != run.id:
            return {}
        oldest_first = sorted(self._known.values(), key=lambda child: (child.created_at, child.id))
        return items_of(run, attempts, oldest_first, self._begun, moment, is_cut=len(self._known) >= MOST)
