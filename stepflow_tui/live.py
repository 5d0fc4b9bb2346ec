"""Following the log: few events are drawn as they come, floods ten times a second at most, and no faster than the
terminal takes what is drawn."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from textual.message import Message

from stepflow.client import Client
from stepflow.errors import EventsPrunedError, WorkflowEngineError
from stepflow_tui.messages import EventsArrived, StorageTrouble

FEW = 40
"""Events within a second that are drawn one by one; more are a flood."""
MERGE_SECONDS = 0.1
UNANSWERED_SECONDS = 0.25
"""Between two frames of a flood on a terminal that does not say whether it has taken the last one."""
MOST_AT_ONCE = 10_000
"""Events; so many ten times a second are more than any engine writes, so that the screen never lags behind."""
RETRY_SECONDS = 1.0


class Pace:
    """How long what was drawn stands before more is. `taken`: waits until the terminal has taken all of it; False where
    it does not say."""

    def __init__(self, taken: Callable[[], Awaitable[bool]], clock: Callable[[], float] = time.monotonic) -> None:
        self._taken = taken
        self._clock = clock
        self._came: deque[tuple[float, int]] = deque()

    def is_flood(self, count: int) -> bool:
        """With `count` events that came now."""
        now = self._clock()
        self._came.append((now, count))
        while self._came[0][0] <= now - 1:
            self._came.popleft()
        return sum(events for _, events in self._came) > FEW

    async def rest(self, count: int) -> None:
        """After `count` events."""
        if self.is_flood(count):
            await asyncio.sleep(MERGE_SECONDS)
            if not await self._taken():
                await asyncio.sleep(UNANSWERED_SECONDS - MERGE_SECONDS)


async def follow_log(
    client: Client, after_seq: int, post: Callable[[Message], object], taken: Callable[[], Awaitable[bool]]
) -> None:
    """Post every event after `after_seq`, without results: the first of a flood at once, what comes behind it together.
    Trouble with the storage is posted and tried again; ends only by being cancelled."""
    seq = after_seq
    in_trouble = False
    pace = Pace(taken)
    while True:
        try:
            async with aclosing(client.follow_batches(seq, limit=MOST_AT_ONCE, bodies=False)) as batches:
                async for events in batches:
                    if in_trouble:
                        in_trouble = False
                        post(StorageTrouble(None))
                    seq = events[-1].seq
                    post(EventsArrived(events))
                    await pace.rest(len(events))
        except EventsPrunedError as error:
            seq = error.oldest_seq - 1
        except WorkflowEngineError as error:
            in_trouble = True
            post(StorageTrouble(error.message))
            await asyncio.sleep(RETRY_SECONDS)
