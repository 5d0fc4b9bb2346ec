"""Who is alive: a worker holds an flock for its lifetime, and whoever can take it knows that it is dead."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class LifeLock:
    """A lock file that lives as long as its holder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self) -> bool:
        """False: somebody else lives."""
        file = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def let_go(self, *, remove: bool = True) -> None:
        if self._file is not None:
            if remove:
                self.path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


def is_held(path: Path) -> bool:
    """Whether the holder of that lock file is alive."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(file)


def is_held_by(path: Path, pid: int) -> bool:
    """Whether process `pid` has that lock file open and it is held: a number alone may be somebody else's by now. Where
    the system does not tell what a process has open, being held is all that is known."""
    if not is_held(path):
        return False
    if not Path("/proc/self/fd").exists():
        return True
    try:
        meant = path.stat()
        files = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False
    return any(_is_same(file, meant) for file in files)


def holder_of(path: Path) -> int | None:
    """The process that holds that lock file; None: nobody does, or the system does not tell."""
    try:
        inode = str(path.stat().st_ino)
        locks = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return None
    for line in locks.splitlines():
        _, kind, _, _, pid, file, *_ = line.split()  # 1: FLOCK ADVISORY WRITE 708 fe:00:2293810 0 EOF
        if kind == "FLOCK" and file.rpartition(":")[2] == inode and is_held_by(path, int(pid)):
            return int(pid)
    return None


def _is_same(file: Path, meant: os.stat_result) -> bool:
    try:
        return os.path.samestat(file.stat(), meant)
    except OSError:
        return False  # closed in this moment
