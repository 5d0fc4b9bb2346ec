"""Following a workspace while people edit it: one round after another of hearing, looking, saving and telling."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Collection
from pathlib import Path
from typing import Any

from stepflow.components.registry import builtin_registry
from stepflow.location import WORKSPACE_FILE
from stepflow.model.times import now_ms
from stepflow.runtime.bridge import Bridge
from stepflow.runtime.direct import Direct
from stepflow.workspace.changes import Changes
from stepflow.workspace.files import WorkspaceFiles
from stepflow.workspace.finding import TEMPLATE_ENDINGS
from stepflow.workspace.offers import Offers, find_offers
from stepflow.workspace.outcomes import Components, Outcome, Polling, Round, Trouble

HALF_WRITTEN_SECONDS = 0.1
"""What is wrong with a file that is written in place is said if it does not change for so long."""
EMPTY_SECONDS = 1.0
"""Nothing is said of a file with nothing in it for so long: many write in place what comes over a network."""
GONE_SECONDS = 0.2
"""A file that is gone is looked for again after this: editors take files away to put others there."""
PYTHON_REST_SECONDS = 0.1
"""Without a change for so long, changed Python is imported."""
FIRST_OFFERS_SECONDS = 3.0
"""Files are looked at without knowing what the workspace's Python offers, if importing it takes longer."""
RETRY_SECONDS = 1.0
"""After trouble with the storage."""


class WorkspaceWatch:
    """`database`: its file; the folder it lies in is left out, unless that is the workspace itself."""

    def __init__(self, bridge: Bridge | Direct, workspace: Path, database: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._bridge = bridge
        self._root = os.path.realpath(workspace)
        place = os.path.dirname(os.path.realpath(database))  # noqa: PTH120 - one look
        without = {place} if place.startswith(f"{self._root}/") else set()
        self._changes = Changes(self._root, f"{self._root}/{WORKSPACE_FILE}", without)
        self._files = WorkspaceFiles(bridge.storage, self._root, _shown, now_ms, builtin_registry().by_path)
        self._again: dict[str, float] = {}
        """Files that are looked at a second time, and when."""
        self._python_at: float | None = None
        self._asking: asyncio.Task[Offers] | None = None
        self._asked_at = 0.0
        self._is_first_offer = True

    async def rounds(self) -> AsyncGenerator[Round, None]:
        """The first is about everything that is there. Never ends."""
        begun: asyncio.Future[str | None] = self._loop.create_future()
        hearing = self._loop.create_task(self._changes.hear(begun.set_result))
        try:
            yield await self._first(await begun)
            while True:
                made = await self._next()
                if made is not None and made.outcomes:
                    yield made
        finally:
            tasks: list[asyncio.Task[Any]] = [hearing, *([self._asking] if self._asking is not None else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _first(self, reason: str | None) -> Round:
        began = self._loop.time()
        outcomes: list[Outcome] = [] if reason is None else [Polling(reason)]
        # Before it is imported: what is saved from now on is another than was looked at.
        found = await self._bridge.call(self._changes.scan)
        self._ask()
        assert self._asking is not None
        await asyncio.wait([self._asking], timeout=FIRST_OFFERS_SECONDS)
        if self._asking.done():
            outcomes += await self._take_offers()
        known = await self._bridge.call(self._files.begin)
        outcomes += await self._look({path for path in found if path.endswith(TEMPLATE_ENDINGS)} | known, True)
        return self._round(outcomes, began, is_first=True)

    async def _next(self) -> Round | None:
        """Wait for something, and see what comes of it."""
        await self._wait()
        now = self._loop.time()
        if self._asking is not None and self._asking.done():
            return self._round(await self._take_offers(), self._asked_at)
        if self._changes.some.is_set():
            since = self._changes.since
            paths, whole = self._changes.take()
            if self._changes.take_python():
                self._python_at = now + PYTHON_REST_SECONDS
            for path in list(paths):
                paths |= self._files.below(path)
                self._again.pop(path, None)
            return self._round(await self._look(paths, False, whole), since)
        late = {path for path, at in self._again.items() if at <= now}
        if late:
            for path in late:
                del self._again[path]
            return self._round(await self._look(late, True), now)
        if self._python_at is not None and self._python_at <= now and self._asking is None:
            self._python_at = None
            self._ask()
        return None

    def _ask(self) -> None:
        self._asked_at = self._loop.time()
        self._asking = self._loop.create_task(find_offers(Path(self._root)))

    async def _wait(self) -> None:
        times = list(self._again.values())
        if self._python_at is not None and self._asking is None:
            times.append(self._python_at)
        rest = None if not times else max(0.0, min(times) - self._loop.time())
        changed = self._loop.create_task(self._changes.some.wait())
        waiting: list[asyncio.Task[Any]] = [changed, *([self._asking] if self._asking is not None else [])]
        try:
            await asyncio.wait(waiting, timeout=rest, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()

    async def _look(self, paths: set[str], is_last: bool, whole: Collection[str] = ()) -> list[Outcome]:
        outcomes, unsure = await self._bridge.call(self._files.look, paths, is_last=is_last, whole=whole)
        in_trouble = any(isinstance(outcome, Trouble) for outcome in outcomes)
        now = self._loop.time()
        rests = {"written": HALF_WRITTEN_SECONDS, "empty": EMPTY_SECONDS, "gone": GONE_SECONDS}
        for path, why in unsure.items():
            self._again[path] = now + (RETRY_SECONDS if in_trouble else rests[why])
        return outcomes

    async def _take_offers(self) -> list[Outcome]:
        assert self._asking is not None
        offers, self._asking = self._asking.result(), None
        said = Components(offers.own, offers.troubles, self._is_first_offer)
        self._is_first_offer = False
        to_judge = await self._bridge.call(self._files.offer, offers.components, offers.turned_off)
        return [said, *(await self._look(to_judge, True))]

    def _round(self, outcomes: list[Outcome], since: float, *, is_first: bool = False) -> Round:
        return Round(tuple(outcomes), (self._loop.time() - since) * 1000, self._files.template_count, is_first)


def _shown(path: str) -> str:
    """Below the folder the user stands in, from there; else all of it."""
    here = os.path.realpath(os.curdir)
    return os.path.relpath(path, here) if path.startswith(f"{here}/") else path
