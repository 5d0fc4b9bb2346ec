"""What the checks of a database's health look at, and how they say what they found."""

from __future__ import annotations

import shlex
import socket
import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from stepflow.model import jsontext
from stepflow.model.health import Finding, Level
from stepflow.model.times import format_duration, to_datetime
from stepflow.storages.sqlite import queries
from stepflow.storages.sqlite.liveness import is_held


class Look(msgspec.Struct, frozen=True):
    """Which database, and when."""

    path: Path
    now: int
    monotonic: float
    boot_id: str
    full: bool

    @property
    def quoted(self) -> str:
        return shlex.quote(str(self.path))

    def beside(self, suffix: str) -> Path:
        return Path(f"{self.path}{suffix}")


class Tables:
    """An open database, and who of its workers is alive."""

    def __init__(self, look: Look, connection: sqlite3.Connection) -> None:
        self.path = look.path
        self.connection = connection
        self._workers: list[Worker] | None = None

    def fetch(self, sql: str, *parameters: Any) -> list[Any]:
        return self.connection.execute(sql, parameters).fetchall()

    def value(self, sql: str) -> Any:
        return self.fetch(sql)[0][0]

    @property
    def workers(self) -> list[Worker]:
        if self._workers is None:
            offers = {worker_id: offered for worker_id, _, offered in self.fetch(queries.OFFERS)}
            self._workers = [self._worker(row, offers.get(row[1], "[]")) for row in self.fetch(queries.ALL_WORKERS)]
        return self._workers

    def _worker(self, row: Any, offered: str) -> Worker:
        number, worker_id, pid, host, boot_id, _, lease_until, slots, _, trouble, held = row
        is_here = host == socket.gethostname()
        alive = is_held(Path(f"{self.path}.workers", f"{worker_id}.lock")) if is_here else True
        offers = frozenset(jsontext.decode(offered))
        return Worker(number, worker_id, pid, host, boot_id, lease_until, slots, trouble, held, is_here, alive, offers)


class Worker(msgspec.Struct, frozen=True):
    number: int
    id: str
    pid: int
    host: str
    boot_id: str
    lease_until: float
    slots: int
    trouble: str | None
    held: int
    is_here: bool
    alive: bool
    offers: frozenset[str]


class Section(msgspec.Struct, frozen=True):
    """Makes the findings of one part of the report."""

    name: str

    def __call__(
        self, check: str, level: Level, message: str, advice: str = "", command: str = "", **details: Any
    ) -> Finding:
        return Finding(self.name, check, level, message, advice, command, details)


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def ago(look: Look, at: int | None) -> str:
    if not at:
        return "some time ago"
    return f"{format_duration(max(look.now - at, 0))} ago ({to_datetime(at):%Y-%m-%d %H:%M} UTC)"
