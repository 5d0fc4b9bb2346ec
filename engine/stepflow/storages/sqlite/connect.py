"""Opening the file: the PRAGMAs of every connection, creation and migration behind the turnstile, and the refusals
(newer release, unreadable, read-only, network file system, not a database) with their way out."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Literal

from stepflow.errors import DatabaseGoneError, NewerDatabaseError, StorageBusyError, StorageError
from stepflow.storages.sqlite.turnstile import Turnstile

SCHEMA_VERSION = 5
OUR_FIRST_TABLES = ("_sqlite_migrations", "templates")
MINIMUM_SQLITE = (3, 35, 0)  # RETURNING
BUSY_SECONDS = 5.0
INDEX_BYTES = 32_768
CACHE_KIB, READER_CACHE_KIB = 16_384, 2048
"""Pages that a connection keeps. There is a reader a thread, and the system keeps what they have read as well."""

Durability = Literal["full", "normal", "off"]

_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs", "ceph", "glusterfs"}


class OpenedFile:
    """The file that was opened. SQLite would go on with one that has been deleted or replaced since, and what it wrote
    there nobody else would see."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened = os.stat(path)  # noqa: PTH116 - as below

    def check(self) -> None:
        """It is still there."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - before each query; a Path costs more than the look
        except (FileNotFoundError, NotADirectoryError):
            found = None
        if found is None or not os.path.samestat(found, self._opened):
            raise DatabaseGoneError(str(self._path))


def connect(path: Path, durability: Durability, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with every setting ours have. Statements start their own transactions. Those who only read make no
    file where there is none any more."""
    uri = f"file:{_uri(path)}?mode={'rw' if read_only else 'rwc'}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.execute(f"PRAGMA synchronous = {durability}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB if read_only else CACHE_KIB}")
    connection.execute("PRAGMA temp_store = memory")
    if read_only:
        connection.execute("PRAGMA query_only = on")
    return connection


def connect_without_writing(path: Path) -> sqlite3.Connection:
    """A connection to a file that we may read and not write. SQLite wants to write beside it even to read, unless it is
    told that nobody else does: true where there is no log of writes that are not in the file yet."""
    uri = f"file:{_uri(path)}?mode=ro"
    for more in ("", "&immutable=1"):
        connection = sqlite3.connect(uri + more, uri=True, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        except sqlite3.OperationalError:
            connection.close()
            if more or _has_writes(Path(f"{path}-wal")):
                raise
        else:
            return connection
    raise AssertionError("one of the two connects or raises")


def _has_writes(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


def prepare(path: Path, turnstile: Turnstile, durability: Durability) -> bool:
    """Make the file ready for use; True if it can be written. Several processes may open a new file at once: one makes
    it, behind the turnstile, the others wait."""
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        raise StorageError(
            f"SQLite {sqlite3.sqlite_version} is too old: StepFlow needs "
            f"{'.'.join(map(str, MINIMUM_SQLITE))}; use a newer Python build"
        )
    try:
        return _prepare(path, turnstile, durability)
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
    except PermissionError as error:
        file = Path(error.filename or path)
        raise StorageError(f"{file.name} cannot be opened: permission denied; check who owns it ({file})") from error
    except OSError as error:
        said = f"cannot be opened: {error.strerror or error}; name another file with --db"
        raise StorageError(f"{path.name} {said} ({path})") from error


def _prepare(path: Path, turnstile: Turnstile, durability: Durability) -> bool:
    if path.is_dir():
        raise StorageError(f"{path} is a folder, not a database file; name a file with --db")
    if path.exists() and not path.is_file():
        raise StorageError(f"{path} is no regular file, which a database is; name another with --db")
    refuse_network_file_system(path)
    _make_folder(path.parent)
    if path.exists():
        can_write = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        found = _user_version(path, can_write=can_write)
        if found > SCHEMA_VERSION:
            raise NewerDatabaseError(str(path), found, SCHEMA_VERSION)
        if not can_write:
            if found == 0:
                raise StorageError(
                    f"{path.name} cannot be written and holds no StepFlow tables; check its permissions ({path})"
                )
            if found < SCHEMA_VERSION:
                raise StorageError(
                    f"{path} was written by an older StepFlow (schema {found}, this release reads {SCHEMA_VERSION}) "
                    "and cannot be brought up to date, because it cannot be written; open it once as its owner, "
                    "or open a copy"
                )
            return False
        if found == SCHEMA_VERSION:
            return True
    with turnstile.pass_through():
        _create_or_migrate(path, durability)
    return True


def is_current(path: Path) -> bool:
    """Whether the file is a database of this release, so that it can be opened without being changed."""
    try:
        return _user_version(path, can_write=os.access(path, os.W_OK)) == SCHEMA_VERSION
    except (sqlite3.Error, OSError, StorageError):
        return False


def is_of_another_program(connection: sqlite3.Connection) -> bool:
    """Whether the file holds tables, and none of ours, whatever its user_version says."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return bool(tables) and tables.isdisjoint(OUR_FIRST_TABLES)


def _user_version(path: Path, *, can_write: bool) -> int:
    if can_write:
        connection = sqlite3.connect(f"file:{_uri(path)}?mode=ro", uri=True, timeout=BUSY_SECONDS)
    else:
        connection = connect_without_writing(path)
    try:
        if is_of_another_program(connection):
            raise StorageError(f"{path.name} holds tables of another program; name another file with --db ({path})")
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def _uri(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _create_or_migrate(path: Path, durability: Durability) -> None:
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = connect(path, durability)
    try:
        if int(connection.execute("PRAGMA user_version").fetchone()[0]) == SCHEMA_VERSION:
            return
        connection.execute("PRAGMA journal_mode = wal")
        from stepflow.storages.sqlite.schema import migrate

        migrate(connection)
    finally:
        connection.close()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The folder {folder} cannot be made: {error.strerror}; name another database with --db"
        ) from error


def refuse_network_file_system(path: Path) -> None:
    """SQLite's locks and WAL do not work there, and it would corrupt the file one day."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return
    target = str(path.parent.resolve())
    best, kind = "", ""
    for line in mounts.read_text(errors="replace").splitlines():
        _, mount, file_system, *_ = line.split(" ")
        mount = mount.replace("\\040", " ")
        inside = target == mount or target.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, file_system
    if kind in _NETWORK_FILE_SYSTEMS:
        raise StorageError(
            f"{path} is on a network file system ({kind}), where SQLite loses data; "
            "put the database on a local disk with --db or STEPFLOW_DB"
        )


def storage_error(error: sqlite3.Error, path: Path) -> StorageError:
    """SQLite's error in words that say the way out."""
    text = str(error)
    if "disk is full" in text or ("I/O error" in text and _has_no_room(path)):
        return StorageError(f"The disk is full; free some space, nothing that was committed is lost ({path})")
    if "locked" in text or "busy" in text:
        way_out = "(a database browser in a transaction?); close it and try again"
        return StorageBusyError(f"{path.name} is locked by another program {way_out} ({path})")
    return StorageError(f"{path.name} {_lack(text)} ({path})")


def _lack(text: str) -> str:
    """What is wrong with the file, and the way out."""
    if "readonly" in text or "read-only" in text:
        return "is read-only; check the permissions of the file and its folder"
    if "not a database" in text:
        return "is not a StepFlow database (not an SQLite file); name another file with --db"
    if "malformed" in text:
        return f"is damaged ({text}); `stepflow doctor` says what can be done"
    if "unable to open" in text:
        return "cannot be opened; check that it exists and its permissions"
    if "I/O error" in text:
        return "cannot be read or written (disk I/O error); look after the disk, and a quota on it"
    return f"cannot be used: {text}"


def _has_no_room(path: Path) -> bool:
    """Not even for the index of the log, without which nothing is read."""
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < INDEX_BYTES
