"""Time as the engine asks for it; tests bring their own."""

from __future__ import annotations

import time
from typing import Protocol

from stepflow.model.times import now_ms


class Clock(Protocol):
    def now(self) -> int:
        """Wall clock, milliseconds since 1970: timestamps and timers that outlive a process."""

    def monotonic(self) -> float:
        """Seconds since boot that never jump: leases and time-outs."""


class SystemClock:
    def now(self) -> int:
        return now_ms()

    def monotonic(self) -> float:
        return time.monotonic()
