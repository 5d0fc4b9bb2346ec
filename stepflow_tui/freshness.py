"""How fresh a list is: whether it shows what is, or what was when it was read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

BEHIND_SECONDS = 3.0
"""So long what happened may be missing in a list that is called live: longer than reading rests, else it would be
called now this and now that."""


class Freshness:
    def __init__(self, changed: Callable[[], object]) -> None:
        """`changed`: called when it is another one, except by reading, after which a list is drawn anyway."""
        self._changed = changed
        self.read_at: datetime | None = None
        """When what is shown was read; None: nothing was yet."""
        self.is_cut_off = False
        """The storage cannot be read."""
        self._is_behind = False
        self._missed: float | None = None
        """When the first happened that is not shown."""
        self._missed_meanwhile: float | None = None
        """The first since reading began."""
        self._later: asyncio.TimerHandle | None = None

    @property
    def is_live(self) -> bool:
        """What happens is shown within seconds."""
        return self.read_at is not None and not self.is_cut_off and not self._is_behind

    def miss(self) -> None:
        """Something happened that is not shown yet."""
        if self._missed_meanwhile is None:
            self._missed_meanwhile = time.monotonic()
        if self._missed is None:
            self._missed = self._missed_meanwhile
            self._look_after(BEHIND_SECONDS)

    def begin(self) -> None:
        """Reading all that is shown."""
        self._missed_meanwhile = None

    def end(self) -> None:
        """It was read, with all that had happened when that began."""
        self.read_at = datetime.now(UTC)
        self._missed = self._missed_meanwhile
        self.stop()
        left = BEHIND_SECONDS if self._missed is None else self._missed + BEHIND_SECONDS - time.monotonic()
        self._is_behind = left <= 0
        if self._missed is not None and left > 0:
            self._look_after(left)

    def cut_off(self, is_so: bool) -> None:
        """The storage cannot be read, or can be again."""
        if is_so != self.is_cut_off:
            self.is_cut_off = is_so
            self._changed()

    def begin_anew(self) -> None:
        """Another list, of which nothing was read."""
        self.read_at = self._missed = self._missed_meanwhile = None
        self._is_behind = False
        self.stop()

    def stop(self) -> None:
        """Nothing is said later."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _look_after(self, seconds: float) -> None:
        self._later = asyncio.get_running_loop().call_later(seconds, self._fall_behind)

    def _fall_behind(self) -> None:
        self._later = None
        self._is_behind = True
        self._changed()
