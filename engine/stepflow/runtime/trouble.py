"""What keeps a worker from committing (a full disk, a lock): told once, again after a while, and when it is over."""

from __future__ import annotations

from collections.abc import Callable

from stepflow.contracts.clock import Clock
from stepflow.errors import DatabaseGoneError, WorkflowEngineError

TELL_AGAIN_SECONDS = 600.0
QUIET_SECONDS = 10.0
"""Without trouble; then it is over."""


class Trouble:
    def __init__(self, clock: Clock, say: Callable[[str], None]) -> None:
        self._clock = clock
        self._say = say
        self.present: str | None = None
        """None: the last write went through."""
        self._told: tuple[str, float] | None = None
        """What was said last, and when."""
        self._noted_at = 0.0

    def note(self, error: WorkflowEngineError) -> None:
        self.present = error.message
        self._noted_at = now = self._clock.monotonic()
        # A full disk takes small writes and not large ones: the same trouble comes and goes each second.
        if self._told is None or self._told[0] != error.message or now - self._told[1] >= TELL_AGAIN_SECONDS:
            self._told = (error.message, now)
            again = "" if isinstance(error, DatabaseGoneError) else "; trying again each second"
            self._say(f"trouble: {error.message}{again}")

    def tell_its_end(self) -> None:
        if self._told is not None and self._clock.monotonic() - self._noted_at >= QUIET_SECONDS:
            self._told = None
            self._say("the trouble is over")
