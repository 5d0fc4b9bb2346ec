"""Executions as a list reads them: page by page, as far as it was scrolled to, judged by a filter.

What one reading looks at is bounded: what is below is read when it is asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from stepflow.client import Client, Page
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.executions import Listed
from stepflow_tui.presentation.filters import Asked, Filter

Sort = Literal["created", "started", "finished", "duration"]
SORTS: tuple[Sort, ...] = ("created", "started", "finished", "duration")

PAGE = 200
ENOUGH = 50
"""Executions that one reading looks for."""
MOST_PAGES = 5
"""That one reading looks at."""
MOST_KEPT = 2000
"""Executions that stay read while nobody looks at those below the newest page."""
MOST_AGAIN = 1000
"""Executions that are read again at once, where any may have another place now."""
REST = 20
"""Counting rests so many times as long as it took."""


class Sought(msgspec.Struct, frozen=True):
    """What was found beyond what was read."""

    run: RunRecord | None = None
    looked_at: int = 0
    is_all: bool = True
    """False: there may be one further on."""


class Listing:
    def __init__(self, client: Client) -> None:
        self._client = client
        self.filter = Filter()
        self.sort: Sort = "created"
        self.reverse = False
        self.runs: list[RunRecord] = []
        """Those that match, as far as they were read."""
        self.looked_at = 0
        """Executions that were judged."""
        self.total = 0
        """All there are, children left out."""
        self._matching: int | None = None
        self._cursor: str | None = None
        self._newest: frozenset[str] | None = None
        """All of the newest page, whether they match or not; None: nothing was read."""
        self._deepest: str | None = None
        """The last that was judged below that page; None: nothing was."""
        self._sought: tuple[tuple[RunStatus, ...], str | None, str] | None = None
        """What was sought last, below which id, and the cursor from which that goes on."""
        self._changed: set[str] = set()
        self._count_due = 0.0
        self._is_miscounted = False
        self._generation = 0
        self._lock = asyncio.Lock()

    @property
    def is_all(self) -> bool:
        """All there are, the newest first."""
        return not self.filter.terms and self.is_by_age

    @property
    def has_more(self) -> bool:
        return self._cursor is not None

    @property
    def matching(self) -> int | None:
        """How many match; None: it is not known yet."""
        return len(self.runs) if self._cursor is None else self._matching

    @property
    def listed(self) -> Listed:
        return Listed(
            filter=self.filter.text,
            sort=self.sort,
            reverse=self.reverse,
            found=len(self.runs),
            matching=self.matching,
            total=self.total,
            looked_at=self.looked_at,
        )

    @property
    def count_waits(self) -> float | None:
        """Seconds until it may be counted again, where it was not; None: it was."""
        return max(0.0, self._count_due - time.monotonic()) if self._is_miscounted else None

    def choose(self, *, filter: Filter | None = None, sort: Sort | None = None, reverse: bool | None = None) -> None:  # noqa: A002 - the word of the screens
        """Another list, to be read from its beginning."""
        self.filter = self.filter if filter is None else filter
        self.sort = self.sort if sort is None else sort
        self.reverse = self.reverse if reverse is None else reverse
        self._generation += 1
        self._newest = self._deepest = self._cursor = self._matching = self._sought = None
        self._count_due = 0.0

    def note(self, run_ids: Iterable[str]) -> None:
        """Something happened to them: what is below the newest page is read again where it is one of them."""
        if self._deepest is not None:
            self._changed.update(run_ids)

    async def refresh(self, keep: str | None = None, *, counts: bool = True) -> None:
        """Read the newest page again, and whatever changed below it. `keep`: the id of one that stays among those that
        were read, although new ones come before it. `counts`: and how many there are, which takes longest."""
        async with self._lock:
            generation = self._generation
            is_first = self._newest is None
            page = await self._read(self._limit(), None)
            if generation != self._generation:
                return
            if is_first or not self.is_by_age or not await self._joined(page, keep, generation):
                self._begin(page)
            if generation != self._generation:
                return
            if is_first and len(self.runs) < ENOUGH:
                await self._look_further(generation, MOST_PAGES - 1)
            if counts:
                await self._count(generation)

    async def more(self) -> None:
        """Read on below, until there are enough."""
        async with self._lock:
            await self._look_further(self._generation, MOST_PAGES)

    async def _look_further(self, generation: int, pages: int) -> None:
        wanted = len(self.runs) + ENOUGH
        for _ in range(pages):
            if self._cursor is None or len(self.runs) >= wanted:
                return
            page = await self._read(PAGE, self._cursor)
            if generation != self._generation:
                return
            listed = {run.id for run in self.runs}
            self.runs = [*self.runs, *(run for run in self._judged(page.items) if run.id not in listed)]
            self._cursor = page.next_cursor
            self.looked_at += len(page.items)
            if page.items:
                self._deepest = page.items[-1].id

    # Beyond what was read

    @property
    def may_seek(self) -> bool:
        """There is more, in an order in which the storage finds a place without reading all before it."""
        return self.has_more and self.is_by_age

    async def seek(
        self, statuses: tuple[RunStatus, ...], fits: Callable[[RunRecord], bool], below: str | None
    ) -> Sought:
        """The next that matches below what was read, or below that id. What it looks at is bounded; asked again it goes
        on from there."""
        async with self._lock:
            generation, asked, looked_at = self._generation, self._asked_of(statuses), 0
            is_again = self._sought is not None and self._sought[:2] == (statuses, below)
            cursor = self._sought[2] if self._sought is not None and is_again else self._cursor
            for _ in range(MOST_PAGES):
                if cursor is None:
                    break
                page = await self._page(asked, PAGE, cursor)
                if generation != self._generation:
                    return Sought()
                for run in self._judged(page.items):
                    if (below is None or run.id < below) and fits(run):
                        self._sought = statuses, run.id, cursor
                        return Sought(run)
                looked_at += len(page.items)
                cursor = page.next_cursor
            self._sought = None if cursor is None else (statuses, below, cursor)
            return Sought(None, looked_at, cursor is None)

    async def seek_back(
        self, statuses: tuple[RunStatus, ...], fits: Callable[[RunRecord], bool], above: RunRecord | None
    ) -> Sought:
        """The next that matches above that one, or the oldest of all, as far as it is below what was read. Bounded."""
        async with self._lock:
            generation, asked, looked_at = self._generation, self._asked_of(statuses), 0
            if above is not None:
                since = above.created_at if asked.since is None else max(asked.since, above.created_at)
                asked = msgspec.structs.replace(asked, since=since)
            read_to = self._deepest or min(self._newest or ("",))
            cursor: str | None = None
            for _ in range(MOST_PAGES):
                page = await self._page(asked, PAGE, cursor, reverse=True)
                if generation != self._generation:
                    return Sought()
                below = [run for run in page.items if run.id < read_to]
                for run in self._judged(below):
                    if (above is None or run.id > above.id) and fits(run):
                        return Sought(run)
                looked_at += len(below)
                cursor = page.next_cursor
                if cursor is None or len(below) < len(page.items):
                    return Sought()
            return Sought(None, looked_at, is_all=False)

    def _asked_of(self, statuses: tuple[RunStatus, ...]) -> Asked:
        """In these alone."""
        asked = self.filter.asked(datetime.now(UTC))
        allowed = tuple(one for one in statuses if asked.statuses is None or one in asked.statuses)
        return msgspec.structs.replace(asked, statuses=allowed)

    @property
    def is_by_age(self) -> bool:
        return self.sort == "created" and not self.reverse

    def _limit(self) -> int:
        """Where any may have another place now, all that were read are read again."""
        return PAGE if self.is_by_age else min(max(PAGE, self.looked_at), MOST_AGAIN)

    async def _read(self, limit: int, cursor: str | None, *, with_total: bool = False) -> Page:
        asked = self.filter.asked(datetime.now(UTC))
        return await self._page(asked, limit, cursor, reverse=self.reverse, with_total=with_total)

    async def _page(
        self, asked: Asked, limit: int, cursor: str | None, *, reverse: bool = False, with_total: bool = False
    ) -> Page:
        if asked.statuses == ():
            return Page([], None, 0)
        options: dict[str, Any] = {"status": asked.statuses, "template": asked.template, "since": asked.since}
        return await self._client.list_runs(
            limit, cursor, sort=self.sort, reverse=reverse, with_total=with_total, **options
        )

    def _judged(self, runs: Iterable[RunRecord]) -> list[RunRecord]:
        now = datetime.now(UTC)
        return [run for run in runs if self.filter.matches(run, now)]

    def _begin(self, page: Page) -> None:
        self.runs = self._judged(page.items)
        self.looked_at = len(page.items)
        self._cursor = page.next_cursor
        self._newest = frozenset(run.id for run in page.items)
        self._deepest = None
        self._changed.clear()

    async def _joined(self, page: Page, keep: str | None, generation: int) -> bool:
        """The newest page with what was read below it. False: nothing is needed of that, or more than a page came
        between."""
        ids, before = frozenset(run.id for run in page.items), self._newest or frozenset()
        if page.next_cursor is None or not ids & before:
            return False
        is_above = keep is None or keep in ids
        if is_above and (self._deepest is None or len(self.runs) > MOST_KEPT):
            return False
        self._deepest = self._deepest or min(before)
        bottom, deepest = page.items[-1].id, "" if self._cursor is None else self._deepest
        below = [run for run in self.runs if run.id < bottom and run.id not in ids]
        changed = {one for one in self._changed if deepest <= one < bottom and one not in ids}
        self._changed.clear()
        if changed:
            fresh = self._judged(run for run in await self._client.get_runs(changed) if run.parent_run_id is None)
            if generation != self._generation:
                return True
            below = [*(run for run in below if run.id not in changed), *fresh]
            below.sort(key=lambda run: run.id, reverse=True)
        self.runs = [*self._judged(page.items), *below]
        self.looked_at += len([one for one in ids if one > max(before)])
        self._newest = ids
        return True

    async def _count(self, generation: int) -> None:
        begun = time.monotonic()
        self._is_miscounted = begun < self._count_due
        if self._is_miscounted:
            return
        total = await self._client.count_runs()
        matching: int | None = total
        if self.filter.terms:
            is_known = self.filter.is_known_to_storage
            matching = (await self._read(1, None, with_total=True)).total if is_known else None
        if generation == self._generation:
            self.total, self._matching = total, matching
            took = time.monotonic() - begun
            self._count_due = begun + REST * took if took > 0.005 else 0.0
