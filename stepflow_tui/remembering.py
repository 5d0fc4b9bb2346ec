"""Where the screens stood when they were left, by database, in the person's state folder: they begin there again.

A file that cannot be read, or is not ours, counts as none, and is written anew.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from stepflow_tui.listing import Sort

MOST = 50
"""Databases: of those that were left longest ago nothing is kept."""
LARGEST = 1 << 20
"""Bytes of a file that can be ours."""


class Kept(msgspec.Struct, frozen=True):
    """A screen as it was left."""

    view: str
    what: tuple[str | None, ...] = ()
    """Of what it was."""
    filter: str = ""
    sort: Sort = "created"
    reverse: bool = False
    cursor: str | None = None
    """The id of the execution, or the name of the template, that was selected."""
    zoomed: str | None = None
    """The pane that had the whole screen."""


class Memory:
    def __init__(self, file: Path) -> None:
        self._file = file

    def recall(self, database: str) -> list[Kept]:
        """The screens from the dashboard up; empty: nothing is known."""
        return self._read().get(database, [])

    def keep(self, database: str, screens: list[Kept]) -> None:
        """As well as it can be: leaving fails for nothing."""
        known = {url: kept for url, kept in self._read().items() if url != database}
        known[database] = screens
        newest = dict(list(known.items())[-MOST:])
        beside = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
                    file.write(msgspec.json.encode(newest))
                beside.replace(self._file)
            finally:
                beside.unlink(missing_ok=True)

    def _read(self) -> dict[str, list[Kept]]:
        try:
            if self._file.stat().st_size > LARGEST:
                return {}
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, list[Kept]])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return {}
