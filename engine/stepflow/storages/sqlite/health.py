"""Is the database well? Each check looks at one thing and says what it found; none of them writes to the database.

They are there for a database in trouble, so nothing is taken for granted: the file is opened here, for reading only,
and a check that cannot be made says why. The database's own file is never opened by hand: closing it would drop the
locks that SQLite holds on it in this process.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import socket
import sqlite3
import stat
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stepflow.errors import StorageError
from stepflow.model.health import Finding, Level, size
from stepflow.model.times import format_duration
from stepflow.storages.sqlite import health_of_runs, upkeep_queries
from stepflow.storages.sqlite.connect import (
    MINIMUM_SQLITE,
    SCHEMA_VERSION,
    connect_without_writing,
    is_of_another_program,
    refuse_network_file_system,
    storage_error,
)
from stepflow.storages.sqlite.examination import Look, Section, Tables
from stepflow.storages.sqlite.liveness import holder_of
from stepflow.storages.sqlite.wake import socket_folder
from stepflow.storages.sqlite.walindex import read_wal_index
from stepflow.storages.sqlite.writer import RESTART_BYTES

QUICK_SECONDS = 5.0
"""How long the integrity check may take, but for a full one."""
LOCK_SECONDS = 3.0
LITTLE_SPACE, NO_SPACE = 500_000_000, 50_000_000
SLOW_COMMIT_MS = 50.0
MANY_FREE_BYTES = 64_000_000
CLOCK_MS = 60_000

_WAL_RESET_FIXED = {(3, 44): 6, (3, 50): 7}
"""Releases that got the fix of 3.51.3 for the race of two checkpoints with a commit (`sqlite.org/wal.html`, "WAL-reset
bug")."""

_of_database = Section("Database")

FileCheck = Callable[[Look], Iterator[Finding]]
TableCheck = Callable[[Look, Tables], Iterator[Finding]]


def examine(look: Look) -> Iterator[Finding]:
    """Everything there is to say of the database, as it is found."""
    try:
        is_there = look.path.exists()
    except OSError as error:
        yield _of_database("file", "wrong", f"{look.path}: {error.strerror}", "name another file with --db")
        return
    if not is_there:
        yield _of_a_new_file(look)
        yield from _check_space(look)
        yield from _check_file_system(look)
        return
    if not look.path.is_file() and not look.path.is_dir():
        yield _of_database("file", "wrong", f"{look.path} is no regular file", "name a file with --db")
        return  # one that is a pipe would be waited for
    for check in FILE_CHECKS:
        yield from _guarded(check, look)
    try:
        connection = _open(look.path)
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    except (sqlite3.Error, OSError) as error:
        yield _unreadable(look, error)
        return
    try:
        tables = Tables(look, connection)
        for table_check in ANY_DATABASE:
            yield from _guarded(table_check, look, tables)
        is_ours = found == SCHEMA_VERSION and not is_of_another_program(connection)
        for table_check in OUR_TABLES if is_ours else ():
            yield from _guarded(table_check, look, tables)
    finally:
        connection.close()


def _of_a_new_file(look: Look) -> Finding:
    folder = next(parent for parent in look.path.parents if parent.exists())
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return _of_database("file", "ok", f"{look.path} is not there yet; the first command that needs it makes it")
    lack = "cannot be written to" if folder.is_dir() else "is no folder"
    message = f"{look.path} is not there and cannot be made: {folder} {lack}"
    return _of_database("file", "wrong", message, "name another file with --db", f"ls -ld {shlex.quote(str(folder))}")


def _guarded(check: Callable[..., Iterator[Finding]], look: Look, *more: Tables) -> Iterator[Finding]:
    """What a check stumbles over is a finding too."""
    try:
        yield from check(look, *more)
    except sqlite3.Error as error:
        yield _unreadable(look, error, check.__name__.removeprefix("_check_").replace("_", " "))
    except OSError as error:
        name = check.__name__.removeprefix("_check_").replace("_", " ")
        yield _of_database(name, "warning", f"cannot be looked at: {error.filename or look.path}: {error.strerror}")


def _open(path: Path) -> sqlite3.Connection:
    """For reading only. What is locked says so, and is not read as if it were not."""
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=LOCK_SECONDS, isolation_level=None)
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise
        connection = connect_without_writing(path)
    connection.execute("PRAGMA query_only = on")
    return connection


def _unreadable(look: Look, error: Exception, check: str = "opening") -> Finding:
    if "malformed" in str(error):
        return _damaged(look, check, str(error))
    said = storage_error(error, look.path) if isinstance(error, sqlite3.Error) else error
    message, _, advice = str(said).partition("; ")
    return _of_database(check, "wrong", message, advice)


def _damaged(look: Look, check: str, what: str, **details: Any) -> Finding:
    """Not every sqlite3 can recover: Debian's says nothing of it and leaves an empty file."""
    message = f"the database is damaged: {what}"
    program = shutil.which("sqlite3")
    asked = [program or "", ":memory:", "SELECT count(*) FROM sqlite_dbpage"]
    if program is None or subprocess.run(asked, capture_output=True, check=False).returncode != 0:  # noqa: S603 - fixed
        advice = (
            "stop the workers and restore a backup. Without one, `.recover` of the sqlite3 from "
            "sqlite.org/download.html saves what can be read; that of this machine cannot"
        )
        return _of_database(check, "wrong", message, advice, **details)
    advice = "stop the workers and restore a backup; without one, save what can be read into another file"
    command = f"sqlite3 {look.quoted} .recover | sqlite3 {shlex.quote(f'{look.path}.recovered')}"
    return _of_database(check, "wrong", message, advice, command, **details)


# The file


def _check_file(look: Look) -> Iterator[Finding]:
    if look.path.is_dir():
        yield _of_database("file", "wrong", f"{look.path} is a folder, not a database", "name a file with --db")
        return
    bytes_ = look.path.stat().st_size
    message = f"{look.path}, {size(bytes_)}"
    if not os.access(look.path, os.R_OK):
        command = f"ls -l {look.quoted}"
        yield _of_database("file", "wrong", f"{look.path} cannot be read", "see who owns it", command, bytes=bytes_)
    elif not os.access(look.path, os.W_OK) or not os.access(look.path.parent, os.W_OK):
        advice = "executions can be looked at and not started; see who owns the file and its folder"
        command = f"ls -ld {shlex.quote(str(look.path.parent))} {look.quoted}"
        yield _of_database("file", "warning", f"{message}, cannot be written", advice, command, bytes=bytes_)
    else:
        yield _of_database("file", "ok", message, bytes=bytes_)


def _check_permissions(look: Look) -> Iterator[Finding]:
    mode = stat.S_IMODE(look.path.stat().st_mode)
    folder = look.path.parent.stat()
    files = [path for suffix in ("", "-wal", "-shm", ".worker.log") if (path := look.beside(suffix)).is_file()]
    open_files = [path for path in files if path.stat().st_mode & 0o077]
    if open_files:
        names = " ".join(shlex.quote(str(path)) for path in open_files)
        advice = "inputs and outputs of executions are for you alone"
        yield _of_database(
            "permissions", "warning", f"others may open the database ({mode:04o})", advice, f"chmod 600 {names}"
        )
    if folder.st_mode & 0o022 and not folder.st_mode & stat.S_ISVTX:
        advice = "whoever writes there can put another file in the database's place"
        command = f"chmod go-w {shlex.quote(str(look.path.parent))}"
        yield _of_database("permissions", "warning", f"others may write to {look.path.parent}", advice, command)
    elif not open_files:
        yield _of_database("permissions", "ok", "for you alone", mode=f"{mode:04o}")


def _check_space(look: Look) -> Iterator[Finding]:
    folder = next(parent for parent in look.path.parents if parent.exists())
    free = shutil.disk_usage(folder).free
    level: Level = "ok" if free >= LITTLE_SPACE else "warning" if free >= NO_SPACE else "wrong"
    advice = "" if level == "ok" else "when the disk is full, workers keep what they have and try again each second"
    command = "" if level == "ok" else f"df -h {shlex.quote(str(folder))}"
    yield _of_database("disk space", level, f"{size(free)} free", advice, command, free=free)


def _check_file_system(look: Look) -> Iterator[Finding]:
    try:
        refuse_network_file_system(look.path)
    except StorageError as error:
        message, _, advice = error.message.partition("; ")
        yield _of_database("file system", "wrong", message, advice)
    else:
        yield _of_database("file system", "ok", "local")


def _check_write_latency(look: Look) -> Iterator[Finding]:
    """Of a small file beside the database."""
    if not os.access(look.path.parent, os.W_OK):
        return
    took = []
    with tempfile.TemporaryFile(dir=look.path.parent, prefix=".stepflow-") as file:
        for _ in range(5):
            begin = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - begin) * 1000)
    median = statistics.median(took)
    is_slow = median > SLOW_COMMIT_MS
    advice = 'each commit waits for that; durability = "normal" in stepflow.toml survives crashes, not power loss'
    message = f"{median:.1f} ms for a durable write"
    yield _of_database("disk", "warning" if is_slow else "ok", message, advice if is_slow else "", milliseconds=median)


def _check_wake_ups(look: Look) -> Iterator[Finding]:
    folder = socket_folder(look.path)
    if folder is not None and _takes_a_socket(folder):
        yield _of_database("wake-ups", "ok", "other processes hear of a commit at once")
        return
    advice = "other processes hear of a commit within 50 ms; a private, short TMPDIR lets them hear it at once"
    yield _of_database("wake-ups", "warning", f"no sockets can be made in {tempfile.gettempdir()}", advice)


def _takes_a_socket(folder: Path) -> bool:
    address = folder / f"doctor-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asked:
        try:
            asked.bind(str(address))
        except OSError:
            return False
    address.unlink(missing_ok=True)
    return True


def _check_turnstile(look: Look) -> Iterator[Finding]:
    """The lock that lets processes write in turn; nobody has it for long."""
    path = look.beside(".lock")
    if not path.exists():
        return
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    deadline = time.monotonic() + LOCK_SECONDS
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
            else:
                yield from _foreign_writer(look)
                return
    finally:
        os.close(file)
    pid = holder_of(path)
    who = "a process" if pid is None else f"process {pid}"
    command = f"fuser -v {shlex.quote(str(path))}" if pid is None else f"ps -fp {pid}"
    message = f"{who} has been writing for {LOCK_SECONDS:.0f} s, and keeps all others from it"
    yield _of_database("lock", "wrong", message, "see what it is, and end it if it is stopped or hung", command)


def _foreign_writer(look: Look) -> Iterator[Finding]:
    """While we have the turnstile, none of ours writes: who does is another program."""
    index = read_wal_index(look.path)
    if index is None or index.writer == 0:
        yield _of_database("lock", "ok", "free")
        return
    message = f"process {index.writer} is in a write transaction and is none of ours"
    advice = "a database browser? nobody can write until it commits or is closed"
    yield _of_database("lock", "wrong", message, advice, f"ps -fp {index.writer}", pid=index.writer)


def _check_log_of_writes(look: Look) -> Iterator[Finding]:
    wal = look.beside("-wal")
    bytes_ = wal.stat().st_size if wal.exists() else 0
    index = read_wal_index(look.path)
    message = f"{size(bytes_)}"
    if index is not None and index.frames:
        message += f", {index.copied} of {index.frames} pages are in the file"
    is_large = bytes_ > 4 * RESTART_BYTES
    advice = "a reader that is never done keeps it from being used again; close what reads for long"
    yield _of_database(
        "log of writes", "warning" if is_large else "ok", message, advice if is_large else "",
        f"fuser -v {shlex.quote(str(wal))}" if is_large else "", bytes=bytes_,
    )  # fmt: skip


FILE_CHECKS: tuple[FileCheck, ...] = (
    _check_file,
    _check_permissions,
    _check_space,
    _check_file_system,
    _check_write_latency,
    _check_turnstile,
    _check_log_of_writes,
    _check_wake_ups,
)

# Any database


def _check_sqlite(look: Look, tables: Tables) -> Iterator[Finding]:
    version = sqlite3.sqlite_version
    found = sqlite3.sqlite_version_info
    if found < MINIMUM_SQLITE:
        needed = ".".join(map(str, MINIMUM_SQLITE))
        yield _of_database(
            "SQLite", "wrong", f"{version} is too old", f"StepFlow needs {needed}; use a newer Python build"
        )
    elif found >= (3, 51, 3) or _WAL_RESET_FIXED.get(found[:2], 1000) <= found[2]:
        yield _of_database("SQLite", "ok", version, version=version)
    else:
        yield _of_database(
            "SQLite", "info", f"{version} can lose pages when a checkpoint races a commit",
            "StepFlow never does both at once; other programs that write to the file could. Fixed in 3.51.3, "
            "3.50.7 and 3.44.6 (sqlite.org/wal.html, WAL-reset bug)", version=version,
        )  # fmt: skip


def _check_schema(look: Look, tables: Tables) -> Iterator[Finding]:
    found = tables.value("PRAGMA user_version")
    if is_of_another_program(tables.connection):
        message = "this SQLite file holds tables of another program"
        yield _of_database("schema", "wrong", message, "name another file with --db", version=found)
    elif found == SCHEMA_VERSION:
        yield _of_database("schema", "ok", f"version {found}", version=found)
    elif found > SCHEMA_VERSION:
        message = f"version {found} is of a newer StepFlow; this one knows {SCHEMA_VERSION}"
        yield _of_database("schema", "wrong", message, "upgrade StepFlow, or use another file with --db", version=found)
    elif found > 0:
        message = f"version {found} is of an older StepFlow; the next command brings it to {SCHEMA_VERSION}"
        yield _of_database("schema", "info", message, "copy the file first if you may want to go back", version=found)
    else:
        yield _of_database("schema", "ok", "empty; the first command makes the tables", version=0)


def _check_integrity(look: Look, tables: Tables) -> Iterator[Finding]:
    begin = time.monotonic()
    if not look.full:
        tables.connection.set_progress_handler(lambda: time.monotonic() - begin > QUICK_SECONDS, 10_000)
    try:
        found = [row[0] for row in tables.fetch(f"PRAGMA {'integrity_check' if look.full else 'quick_check'}(20)")]
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        message = f"nothing was found in {QUICK_SECONDS:.0f} s, and not everything was looked at"
        yield _of_database("integrity", "info", message, "look at everything", "stepflow doctor --full")
        return
    finally:
        tables.connection.set_progress_handler(None, 0)
    if found == ["ok"]:
        took = format_duration(round((time.monotonic() - begin) * 1000))
        yield _of_database("integrity", "ok", f"{'every page, row and index' if look.full else 'every page'} ({took})")
    else:
        yield _damaged(look, "integrity", found[0][:200], problems=found)


def _check_free_pages(look: Look, tables: Tables) -> Iterator[Finding]:
    bytes_ = tables.value("PRAGMA freelist_count") * tables.value("PRAGMA page_size")
    message = f"{size(bytes_)} in the file are free"
    if bytes_ > MANY_FREE_BYTES:
        advice = "what is new is written there; to give it back to the disk, stop the workers and prune"
        command = "stepflow prune --older-than 30d --vacuum"
        yield _of_database("free pages", "info", message, advice, command, bytes=bytes_)
    else:
        yield _of_database("free pages", "ok", message, bytes=bytes_)


ANY_DATABASE: tuple[TableCheck, ...] = (_check_sqlite, _check_schema, _check_integrity, _check_free_pages)

# Our tables


def _check_references(look: Look, tables: Tables) -> Iterator[Finding]:
    if not look.full:
        return
    found = {what: count for what, sql in upkeep_queries.STRAYS if (count := tables.value(sql))}
    broken = len(tables.fetch("PRAGMA foreign_key_check"))
    if broken:
        found["broken foreign keys"] = broken
    if found:
        message = ", ".join(f"{count} {what}" for what, count in found.items())
        yield _of_database("references", "wrong", message, "rows refer to what is not there; restore a backup", **found)
    else:
        yield _of_database("references", "ok", "every row refers to what is there")


def _check_journal(look: Look, tables: Tables) -> Iterator[Finding]:
    mode = tables.value("PRAGMA journal_mode")
    if mode != "wal" and os.access(look.path, os.W_OK):
        advice = (
            "another program changed it: readers and writers wait for each other now; stop the workers and change it"
        )
        command = f"sqlite3 {look.quoted} 'PRAGMA journal_mode = wal'"
        yield _of_database("journal", "warning", f"its mode is {mode} instead of wal", advice, command)


def _check_clock(look: Look, tables: Tables) -> Iterator[Finding]:
    rows = tables.fetch(upkeep_queries.NEWEST_AT)
    ahead = rows[0][0] - look.now if rows else 0
    if ahead > CLOCK_MS:
        message = f"the newest event is {format_duration(ahead)} in the future"
        advice = "the clock was set back; sleeping and delayed executions wait that much longer"
        yield _of_database("clock", "warning", message, advice, "date", ahead_ms=ahead)
    else:
        yield _of_database("clock", "ok", "not behind the newest event")


OUR_TABLES: tuple[TableCheck, ...] = (_check_references, _check_journal, _check_clock, *health_of_runs.CHECKS)
