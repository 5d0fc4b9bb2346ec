"""Telling other processes of a commit: one byte to the unix socket of each that listens, after the commit.

The sockets stand in a private folder, named by a hash of the database's path (socket paths are short). Sending never
blocks and never fails: `PRAGMA data_version` is polled as the safety net.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from stepflow.storages.sqlite.connect import storage_error

FOR_WORKERS = b"w"
"""Something to claim, or a request."""
FOR_FOLLOWERS = b"f"
"""Only events."""

WORKER_SUFFIX = ".worker"

_counter = itertools.count()


def socket_folder(database: Path) -> Path | None:
    """Where the listeners of this database have their sockets; None where there cannot be a private folder."""
    digest = hashlib.blake2s(str(database.resolve()).encode(), digest_size=8).hexdigest()
    root = Path(tempfile.gettempdir()) / f"stepflow-{os.getuid()}"
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        status = root.lstat()
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            return None
        folder = root / digest
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return None
    return folder if len(str(folder)) < 80 else None


class Sender:
    def __init__(self, database: Path) -> None:
        self._folder = socket_folder(database)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._listed_at = -1
        self._targets: list[str] = []

    def send(self, kind: bytes) -> None:
        """Wake whoever listens for this kind."""
        if self._folder is None:
            return
        try:
            changed = self._folder.stat().st_mtime_ns
            if changed != self._listed_at:
                self._targets = [entry.path for entry in os.scandir(self._folder)]
                self._listed_at = changed
        except OSError:
            return
        for target in self._targets:
            if kind == FOR_FOLLOWERS and target.endswith(WORKER_SUFFIX):
                continue
            try:
                self._socket.sendto(kind, target)
            except BlockingIOError:
                pass  # it has unread wake-ups already
            except ConnectionRefusedError:
                Path(target).unlink(missing_ok=True)  # nobody is behind it any more
            except OSError:
                pass  # its poll will tell it

    def close(self) -> None:
        self._socket.close()


class SocketListener:
    """Keeps `contracts.storage.Listener`."""

    def __init__(
        self,
        database: Path,
        reader: sqlite3.Connection,
        *,
        for_workers: bool,
        on_close: Callable[[SocketListener], None],
    ) -> None:
        self._database = database
        self._reader = reader
        self._on_close = on_close
        self._data_version = self._read_data_version()
        self._socket: socket.socket | None = None
        self.address = ""
        folder = socket_folder(database)
        if folder is not None:
            suffix = WORKER_SUFFIX if for_workers else ""
            self._bind(str(folder / f"{os.getpid()}-{next(_counter)}{suffix}"))
        self.poll_seconds = 0.25 if self._socket is not None else 0.05

    def _bind(self, address: str) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.setblocking(False)
        try:
            Path(address).unlink(missing_ok=True)
            listener.bind(address)
        except OSError:
            listener.close()
            return
        self._socket, self.address = listener, address

    def _read_data_version(self) -> int:
        try:
            return int(self._reader.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise storage_error(error, self._database) from error

    def fileno(self) -> int | None:
        return None if self._socket is None else self._socket.fileno()

    def drain(self) -> bool:
        had_any = False
        if self._socket is not None:
            try:
                while self._socket.recv(16):
                    had_any = True
            except BlockingIOError:
                pass
        return had_any

    def changed(self) -> bool:
        before, self._data_version = self._data_version, self._read_data_version()
        return before != self._data_version

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            Path(self.address).unlink(missing_ok=True)
            self._socket = None
        self._reader.close()
        self._on_close(self)
