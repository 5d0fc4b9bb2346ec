"""How far the log of writes has been copied into the file, and who is writing: read from SQLite's shared memory.

It is read by a process of its own. A POSIX lock goes when its process closes any descriptor of the file, so whoever has
the database open must never open this file by hand. The layout is that of SQLite's `walformat.html`.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_NEWEST_FRAME, _COPIED_FRAMES, _WRITE_LOCK = 16, 96, 120
_SECONDS = 10.0


class WalIndex(NamedTuple):
    frames: int
    """Pages in the log."""
    copied: int
    """Those of them that are in the file by now."""
    writer: int
    """The pid of the process that is in a write transaction; 0: none is."""


def read_wal_index(database: Path) -> WalIndex | None:
    """None: nobody has the database open, or it cannot be read."""
    shared = Path(f"{database}-shm")
    if not shared.exists():
        return None
    command = [sys.executable, "-I", __file__, str(shared)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and file
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return None
    numbers = [int(word) for word in done.stdout.split()]
    return WalIndex(*numbers) if len(numbers) == len(WalIndex._fields) else None


def _look(shared: str) -> WalIndex:
    file = os.open(shared, os.O_RDONLY)
    head = os.pread(file, _WRITE_LOCK, 0)
    (frames,), (copied,) = (struct.unpack_from("=I", head, at) for at in (_NEWEST_FRAME, _COPIED_FRAMES))
    # struct flock, as the platform lays it out; F_GETLK asks who is in the way and locks nothing.
    if sys.platform == "darwin":
        asked = struct.pack("qqihh", _WRITE_LOCK, 1, 0, fcntl.F_RDLCK, os.SEEK_SET)
        _, _, pid, kind, _ = struct.unpack("qqihh", fcntl.fcntl(file, fcntl.F_GETLK, asked))
    else:
        asked = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, _WRITE_LOCK, 1, 0)
        kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, asked))
    return WalIndex(frames, copied, 0 if kind == fcntl.F_UNLCK else pid)


if __name__ == "__main__":
    print(*_look(sys.argv[1]))  # noqa: T201 - the answer of this process
