"""Keys, each done before the next one is looked at, also where many come at once, as down a slow line.

A key may open a field that takes the next ones: what it set going is waited for. Textual would let keys that came
meanwhile go where the focus was, and what moves in a field come after letters that were typed later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

MOST_SECONDS = 0.5
"""What takes longer than that is not waited for."""
LOOK_SECONDS = 0.02
"""How often it is looked whether a widget that is waited for is still there."""


class TypedAhead:
    def __init__(self, app: App[Any], do: Callable[[events.Key], Awaitable[bool]]) -> None:
        """`do`: False says that it was sent on."""
        self._app = app
        self._do = do
        self._waiting: deque[events.Key] = deque()
        self._settling: asyncio.Task[None] | None = None

    async def take(self, event: events.Key) -> None:
        self._waiting.append(event)
        if self._settling is None:
            await self._next()

    async def _next(self) -> None:
        is_done = await self._do(self._waiting.popleft())
        self._settling = asyncio.create_task(self._settle(ways=0 if is_done else 2))

    async def _settle(self, ways: int) -> None:
        """A key that is sent on goes to the widget that has them, from there to those around it and to the app, which
        may do it; and what that says may go the same way once more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(MOST_SECONDS):
                for _ in range(ways):
                    for pump in self._pumps():
                        await _has_done(pump)
                await _has_done(self._app)
        if self._waiting:
            self._app.call_later(self._next)
        else:
            self._settling = None

    def _pumps(self) -> Iterator[MessagePump]:
        yield self._app
        if self._app.screen_stack:
            focused = self._app.focused
            yield from (self._app.screen,) if focused is None else focused.ancestors_with_self


async def _has_done(pump: MessagePump) -> None:
    """What was sent to it so far."""
    done = asyncio.Event()
    if not pump.call_later(done.set):
        return
    while not done.is_set() and pump.is_running:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await done.wait()
