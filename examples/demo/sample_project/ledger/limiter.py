"""At most so many postings in a stretch of time."""

import time


class Limiter:
    def __init__(self, postings, seconds):
        self._gap = seconds / postings
        self._next = 0.0

    def wait(self):
        """Return when the next posting may be made."""
        delay = self._next - time.monotonic()
        if delay > 0:
            time.sleep(delay)
        self._next = time.monotonic() + self._gap
