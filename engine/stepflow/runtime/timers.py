"""Timers: the next moment at which a held run, or one that nobody holds, is due.

Times are wall-clock instants, since they outlive processes; the clock is looked at again every few seconds at least, so
that one that jumps delays nothing for long.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from stepflow.contracts.clock import Clock

LONGEST_REST_SECONDS = 5.0
DEADLINE = -1

OnTimer = Callable[[int | None, list[int]], None]
"""Called with the number of a held run and its due steps (none: its deadline), or with None: something to claim."""


class Timers:
    def __init__(self, clock: Clock, on_timer: OnTimer) -> None:
        self._clock = clock
        self._on_timer = on_timer
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._handle_at = 0
        self._heap: list[tuple[int, int, int]] = []
        self._set: dict[tuple[int, int], int] = {}
        self._steps_of: dict[int, set[int]] = {}
        self._wake_at: int | None = None

    def set_wake(self, at: int | None) -> None:
        """When the next run that nobody holds is due."""
        self._wake_at = at
        self._rest()

    def set(self, run: int, step: int, at: int | None) -> None:
        """The timer of a step of a held run, or of the run's deadline (`DEADLINE`); None turns it off."""
        steps = self._steps_of.setdefault(run, set())
        if at is None:
            if step in steps:
                steps.discard(step)
                del self._set[(run, step)]
        elif self._set.get((run, step)) != at:
            steps.add(step)
            self._set[(run, step)] = at
            heapq.heappush(self._heap, (at, run, step))
            self._rest()

    def forget(self, run: int) -> None:
        """The run is no longer held."""
        for step in self._steps_of.pop(run, ()):
            del self._set[(run, step)]

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _next(self) -> int | None:
        heap = self._heap
        while heap and self._set.get((heap[0][1], heap[0][2])) != heap[0][0]:
            heapq.heappop(heap)  # it was moved or turned off
        at = heap[0][0] if heap else None
        if self._wake_at is None:
            return at
        return self._wake_at if at is None else min(at, self._wake_at)

    def _rest(self) -> None:
        at = self._next()
        if at is None:
            if self._handle is not None:
                self._handle.cancel()
                self._handle = None
            return
        if self._handle is not None:
            if self._handle_at == at:
                return
            self._handle.cancel()
        self._handle_at = at
        seconds = min(max(0.0, (at - self._clock.now()) / 1000), LONGEST_REST_SECONDS)
        self._handle = self._loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._handle = None
        now = self._clock.now()
        due: dict[int, list[int]] = {}
        while (at := self._next()) is not None and at <= now:
            if self._wake_at is not None and self._wake_at <= now:
                self._wake_at = None
                self._on_timer(None, [])
                continue
            _, run, step = heapq.heappop(self._heap)
            del self._set[(run, step)]
            self._steps_of[run].discard(step)
            steps = due.setdefault(run, [])
            if step != DEADLINE:
                steps.append(step)
        for run, steps in due.items():
            self._on_timer(run, steps)
        self._rest()
