"""A list that is read again as things happen, and rests the longer the longer that took."""

from __future__ import annotations

import time

from textual import work
from textual.timer import Timer

from stepflow_tui.screens.acting import Acting
from stepflow_tui.session import Session

REST = 10
"""Times as long as reading took: a sorted list of a million is no work to be done all the time."""
LEAST_REST_SECONDS = 0.1


class Reloading(Acting):
    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._is_wanted = False
        self._is_reading = False
        self._later: Timer | None = None
        self._rests_until = 0.0

    async def load(self) -> None:
        """Read all that is shown."""
        raise NotImplementedError

    def load_soon(self) -> None:
        wait = self._rests_until - time.monotonic()
        if wait <= 0:
            self.reload_list()
        elif self._later is None:
            self._later = self.set_timer(wait, self.reload_list)

    def reload_list(self) -> None:
        """At once, or once more after what is being read."""
        if self._later is not None:
            self._later.stop()
            self._later = None
        self._is_wanted = True
        if not self._is_reading:
            self._is_reading = True
            self._do_load()

    @work(group="reload")
    async def _do_load(self) -> None:
        try:
            while self._is_wanted:
                self._is_wanted = False
                begun = time.monotonic()
                await self.guarded(self.load())
                ended = time.monotonic()
                self._rests_until = ended + max(LEAST_REST_SECONDS, REST * (ended - begun))
        finally:
            self._is_reading = False

    async def reload(self) -> None:
        self.reload_list()

    def on_screen_resume(self) -> None:
        """While another screen lay above it heard of nothing."""
        if self.is_mounted:
            self.reload_list()
