"""The histories of templates, read in the background for those that are seen, and kept."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable
from functools import partial

from stepflow.client import Client
from stepflow.model.event import FINAL_RUN_EVENTS, WorkflowEvent
from stepflow_tui.presentation.history import History, history_of

LAST = 50
"""Executions of a template that are read."""
AGAIN_SECONDS = 1.0
"""A template whose executions end all the time is read again no sooner."""


class Histories:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[str, History] = {}
        self._read_at: dict[str, float] = {}
        self._reading: dict[str, asyncio.Task[bool]] = {}
        """Of which each is for all who ask meanwhile."""
        self._stale: set[str] = set()

    def of(self, template: str) -> History | None:
        """As far as it was read."""
        return self._known.get(template)

    def note(self, events: Iterable[WorkflowEvent]) -> None:
        """Some of their templates have another history now."""
        self._stale.update(event.kind for event in events if event.event_type in FINAL_RUN_EVENTS)

    def due_in(self, templates: Iterable[str]) -> float | None:
        """Seconds until one of them may be read again, where it is to be; None: what is known holds."""
        return min((self._wait(name) for name in templates if self._is_wanted(name)), default=None)

    def _is_wanted(self, name: str) -> bool:
        return name not in self._known or name in self._stale

    def _wait(self, name: str) -> float:
        return max(0.0, self._read_at.get(name, -math.inf) + AGAIN_SECONDS - time.monotonic())

    async def read(self, templates: Iterable[str]) -> bool:
        """Those that are not known, or not any more; whether any of them is another one now."""
        changed = False
        for name in dict.fromkeys(templates):
            if name not in self._reading:
                if not self._is_wanted(name) or self._wait(name):
                    continue
                reading = self._reading[name] = asyncio.create_task(self._read(name))
                reading.add_done_callback(partial(self._has_read, name))
            changed |= await asyncio.shield(self._reading[name])
        return changed

    def _has_read(self, name: str, done: asyncio.Task[bool]) -> None:
        del self._reading[name]
        if not done.cancelled():
            done.exception()  # heard, also where nobody waits for it any more

    async def _read(self, name: str) -> bool:
        self._stale.discard(name)
        self._read_at[name] = time.monotonic()
        try:
            page = await self._client.list_runs(LAST, template=name, children=True)
        except BaseException:
            self._stale.add(name)
            raise
        history = history_of(page.items)
        is_another = history != self._known.get(name)
        self._known[name] = history
        return is_another
