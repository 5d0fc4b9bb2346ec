"""The turnstile: how several processes write one file in turn.

Beside a writer that commits back to back, another process never gets SQLite's own lock. So every write transaction
first takes the queue lock, then the write lock, and leaves the queue: whoever waits is next, whatever the holder does.
flock locks go with the process, so a killed one blocks nobody.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turnstile:
    def __init__(self, database: Path) -> None:
        self._paths = (Path(f"{database}.lock"), Path(f"{database}.queue"))
        self._files: tuple[int, int] | None = None

    def _open(self) -> tuple[int, int]:
        if self._files is None:
            write, queue = (os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600) for path in self._paths)
            self._files = (write, queue)
        return self._files

    @contextmanager
    def pass_through(self) -> Iterator[None]:
        """Blocks until it is our turn."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        write, queue = self._open()
        fcntl.flock(queue, fcntl.LOCK_EX)
        try:
            fcntl.flock(write, fcntl.LOCK_EX)
        finally:
            fcntl.flock(queue, fcntl.LOCK_UN)

    def leave(self) -> None:
        fcntl.flock(self._open()[0], fcntl.LOCK_UN)

    def close(self) -> None:
        if self._files is not None:
            for file in self._files:
                os.close(file)
            self._files = None
