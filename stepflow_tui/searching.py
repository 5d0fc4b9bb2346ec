"""One search: executions, ends of steps and log lines that match, the newest first, found a piece at a time.

The log is looked at only where the filter says something of it. A piece takes a few hundredths of a second, whatever
is in it, so that keys come between.
"""

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
from stepflow_tui.presentation.search import Reach, words_of

MOST_FOUND = 2000
"""Of each kind; who wants to see more than that narrows it."""
PIECE_SECONDS = 0.03
LEAST_RUNS, MOST_RUNS = 100, 2_000
LEAST_EVENTS, MOST_EVENTS = 500, 50_000
"""In a piece, the first of which is the least."""
MOST_KNOWN = 5000
"""Executions that are remembered, because the next pieces may be about them too."""


class Hit(msgspec.Struct, frozen=True):
    """The end of a step, or what it said."""

    event: WorkflowEvent
    run: RunRecord


class Pieces:
    """How much to look at at once: as much as the last piece says that there is time for."""

    def __init__(self, first: int, most: int) -> None:
        self._least = first
        self._most = most
        self.size = first

    def took(self, seconds: float) -> None:
        factor = min(2.0, max(0.25, PIECE_SECONDS / max(seconds, 0.0001)))
        self.size = min(self._most, max(self._least, round(self.size * factor)))


class Search:
    """`await look(client, seen)` fills it, calling `seen` after each piece; it is stopped by being cancelled."""

    def __init__(self, wanted: Filter) -> None:
        self.filter = wanted
        self.runs: list[RunRecord] = []
        self.steps: list[Hit] = []
        self.lines: list[Hit] = []
        self.is_over = False
        self.seconds = 0.0
        self._in_runs: Reach | None = Reach("execution")
        self._in_log: Reach | None = Reach("event") if wanted.looks_inside else None
        """Each is None when there is no more to be looked at."""
        self._known: dict[str, RunRecord] = {}

    @property
    def counts(self) -> tuple[int, ...]:
        """What was found of each kind that is looked for."""
        runs = (len(self.runs),)
        return (*runs, len(self.steps), len(self.lines)) if self.filter.looks_inside else runs

    @property
    def reach(self) -> Reach | None:
        """How far all was searched, as far as it is not over."""
        unfinished = [one for one in (self._in_log, self._in_runs) if one is not None]
        began = [one for one in unfinished if one.back_to is not None]
        return max(began, key=lambda one: one.back_to or datetime.min, default=None)

    async def look(self, client: Client, seen: Callable[[], None]) -> None:
        """`WorkflowEngineError`"""
        begun = time.monotonic()

        def has_seen() -> None:
            self.seconds = time.monotonic() - begun
            seen()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look_at_runs(client, has_seen))
                if self.filter.looks_inside:
                    group.create_task(self._look_at_log(client, has_seen))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self.is_over = True
        has_seen()

    async def _look_at_runs(self, client: Client, seen: Callable[[], None]) -> None:
        cursor: str | None = None
        pieces = Pieces(LEAST_RUNS, MOST_RUNS)
        looked_at = 0
        while len(self.runs) < MOST_FOUND:
            now = datetime.now(UTC)
            asked = self.filter.asked(now)
            if asked.statuses == ():
                break
            begun = time.monotonic()
            page = await client.list_runs(
                pieces.size, cursor, status=asked.statuses, template=asked.template, since=asked.since, children=True
            )
            pieces.took(time.monotonic() - begun)
            self.runs += [run for run in page.items if self.filter.matches(run, now)]
            looked_at += len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                break
            self._in_runs = Reach("execution", looked_at, page.items[-1].created_at)
            seen()
        del self.runs[MOST_FOUND:]
        self._in_runs = None
        seen()

    async def _look_at_log(self, client: Client, seen: Callable[[], None]) -> None:
        needles = self.filter.needles
        pieces = Pieces(LEAST_EVENTS, MOST_EVENTS)
        before = last = await client.last_seq() + 1
        while before > 0 and min(len(self.steps), len(self.lines)) < MOST_FOUND:
            begun = time.monotonic()
            page = await client.search_log(needles, before, pieces.size)
            pieces.took(time.monotonic() - begun)
            before = page.before_seq
            is_older = await self._take(client, page.events)
            if is_older or self._is_before_all(page.begins_at):
                break
            self._in_log = Reach("event", last - max(before, 1), page.begins_at)
            seen()
        self._in_log = None
        seen()

    def _is_before_all(self, moment: datetime | None) -> bool:
        since = self.filter.asked(datetime.now(UTC)).since
        return since is not None and moment is not None and moment < since

    async def _take(self, client: Client, events: Iterable[WorkflowEvent]) -> bool:
        """What of it matches; whether any of it is older than what is looked for."""
        now = datetime.now(UTC)
        since = self.filter.asked(now).since
        hits = [event for event in events if self._reads_right(event)]
        is_older = since is not None and any(event.timestamp < since for event in hits)
        hits = [event for event in hits if self.filter.is_in_time(event.timestamp, now)]
        wanted = {event.run_id for event in hits}
        if len(self._known) > MOST_KNOWN:
            self._known = {run_id: run for run_id, run in self._known.items() if run_id in wanted}
        if unknown := wanted - self._known.keys():
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
