"""One search: executions, ends of steps and log lines that match, the newest first, found a piece at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import msgspec

from stepflow.client import Client
from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow_tui.presentation.filters import Filter
from stepflow_tui.presentation.search import words_of

PAGE = 200
MOST_FOUND = 2000
"""Of each kind; who wants to see more than that narrows it."""
PIECE, PIECE_WITHOUT_WORDS = 10_000, 1_000
"""Events of the log: without words to look for, each may be a hit."""


class Hit(msgspec.Struct, frozen=True):
    """The end of a step, or what it said."""

    event: WorkflowEvent
    run: RunRecord


class Search:
    """`await look(client, seen)` fills it, calling `seen` after each piece; it is stopped by being cancelled."""

    def __init__(self, wanted: Filter) -> None:
        self.filter = wanted
        self.runs: list[RunRecord] = []
        self.steps: list[Hit] = []
        self.lines: list[Hit] = []
        self.is_over = False
        self.seconds = 0.0
        self.share = 0.0
        """Of the log, how much was looked at."""
        self._known: dict[str, RunRecord] = {}

    async def look(self, client: Client, seen: Callable[[], None]) -> None:
        """`WorkflowEngineError`"""
        begun = time.monotonic()

        def has_seen() -> None:
            self.seconds = time.monotonic() - begun
            seen()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look_at_runs(client, has_seen))
                group.create_task(self._look_at_log(client, has_seen))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self.is_over = True
        has_seen()

    async def _look_at_runs(self, client: Client, seen: Callable[[], None]) -> None:
        cursor: str | None = None
        while True:
            now = datetime.now(UTC)
            asked = self.filter.asked(now)
            if asked.statuses == ():
                return
            page = await client.list_runs(
                PAGE, cursor, status=asked.statuses, template=asked.template, since=asked.since, children=True
            )
            self.runs += [run for run in page.items if self.filter.matches(run, now)]
            cursor = page.next_cursor
            seen()
            if cursor is None or len(self.runs) >= MOST_FOUND:
                del self.runs[MOST_FOUND:]
                return

    async def _look_at_log(self, client: Client, seen: Callable[[], None]) -> None:
        needles = self.filter.needles
        before = last = await client.last_seq() + 1
        while before > 0 and len(self.steps) + len(self.lines) < 2 * MOST_FOUND:
            piece = PIECE if needles else PIECE_WITHOUT_WORDS
            page = await client.search_log(needles, before, piece)
            before = page.before_seq
            is_older = await self._take(client, page.events)
            self.share = 1.0 if is_older or before <= 0 else 1 - before / last
            seen()
            if is_older:
                return
            await asyncio.sleep(0)  # keys come between, also where no thread had to be waited for

    async def _take(self, client: Client, events: Iterable[WorkflowEvent]) -> bool:
        """What of it matches; whether any of it is older than what is looked for."""
        now = datetime.now(UTC)
        since = self.filter.asked(now).since
        hits = [event for event in events if self._reads_right(event)]
        is_older = since is not None and any(event.timestamp < since for event in hits)
        hits = [event for event in hits if self.filter.is_in_time(event.timestamp, now)]
        unknown = {event.run_id for event in hits} - self._known.keys()
        if unknown:
            self._known |= {run.id: run for run in await client.get_runs(unknown)}
        of_runs = self.filter.inside
        for event in hits:
            run = self._known.get(event.run_id)
            if run is None or not of_runs.matches(run, now):
                continue
            found = self.lines if event.event_type == EventType.LOG else self.steps
            if len(found) < MOST_FOUND:
                found.append(Hit(event, run))
        return is_older

    def _reads_right(self, event: WorkflowEvent) -> bool:
        judge = self.filter.matches_line if event.event_type == EventType.LOG else self.filter.matches_step
        return judge(event.step_key or "", words_of(event))
