"""How the whole fares, read again as things happen, and no more often than every two seconds; only while it is seen."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from textual import work
from textual.timer import Timer

from stepflow_tui.panes.fleet import FleetPane
from stepflow_tui.panes.recent_failures import RecentFailures
from stepflow_tui.presentation.fleet import ENDED_BADLY, Fleet, Today, today_of
from stepflow_tui.screens.arranging import Arranging
from stepflow_tui.session import Session

A_DAY = timedelta(hours=24)
MOST, MOST_FAILED = 1000, 500
"""Executions that are looked at."""
LEAST_REST_SECONDS = 2.0
REST = 20
"""Counting rests so many times as long as it took."""


class Counting(Arranging):
    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._today: Today | None = None
        self._counts_due = 0.0
        self._count_later: Timer | None = None
        self._is_counting = False
        self._is_uncounted = False

    @property
    def today(self) -> Today | None:
        return self._today if self.pane("fleet") is not None else None

    @property
    def _counts_are_seen(self) -> bool:
        return self.app.screen is self and (self.pane("fleet") is not None or self.pane("failures") is not None)

    def count_soon(self) -> None:
        """Something happened."""
        self._is_uncounted = True
        if not self._counts_are_seen or self._is_counting or self._count_later is not None:
            return
        wait = self._counts_due - time.monotonic()
        if wait <= 0:
            self._count_now()
        else:
            self._count_later = self.set_timer(wait, self._count_now)

    def _count_now(self) -> None:
        self._count_later = None
        if self._counts_are_seen and not self._is_counting:
            self._is_counting = True  # now: it begins only when the loop comes to it
            self._count()

    def on_screen_resume(self) -> None:
        if self._is_uncounted:
            self.count_soon()

    @work(group="counts")
    async def _count(self) -> None:
        self._is_uncounted = False
        begun = time.monotonic()
        try:
            await self.guarded(self._read_counts())
        finally:
            ended = time.monotonic()
            self._counts_due = ended + max(LEAST_REST_SECONDS, REST * (ended - begun))
            self._is_counting = False
        if self._is_uncounted:
            self.count_soon()

    def tell_counts(self) -> None:
        """By status, as they were read last."""
        fleet = self.pane("fleet")
        if isinstance(fleet, FleetPane) and fleet.fleet is not None:
            fleet.tell(msgspec.structs.replace(fleet.fleet, counts=self.session.standing.counts))

    async def _read_counts(self) -> None:
        since = datetime.now(UTC) - A_DAY
        if isinstance(failures := self.pane("failures"), RecentFailures):
            failures.freshness.begin()
        workers = await self.client.workers()
        page = await self.client.list_runs(MOST, since=since)
        failed = await self.client.list_runs(MOST_FAILED, status=ENDED_BADLY, since=since)
        self._today = today = today_of(page.items, is_whole=page.next_cursor is None)
        fleet = self.pane("fleet")
        if isinstance(fleet, FleetPane):
            counts, size = self.session.standing.counts, _size(self.client.url)
            fleet.tell(Fleet(counts, tuple(workers), today, size))
        if isinstance(failures, RecentFailures):
            failures.freshness.end()
            failures.show(failed.items, since)
        self.rearrange()
        self.show_header()


def _size(file: str) -> int:
    """With what was not yet taken into it; 0: it is gone."""
    parts = (Path(file), Path(f"{file}-wal"))
    return sum(part.stat().st_size for part in parts if part.exists())
