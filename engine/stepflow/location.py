"""Where the storage and the workspace are: what was given, the environment, the nearest workspace, the user's data.

The one place that turns a storage's URL into a storage.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from stepflow.errors import StorageError, WorkflowEngineError
from stepflow.settings import DURABILITIES, FILE, read_settings

if TYPE_CHECKING:
    from stepflow.contracts.storage import Storage
    from stepflow.model.health import Finding
    from stepflow.storages.sqlite.connect import Durability

WORKSPACE_FILE = FILE
DEFAULT_DATABASE = Path(".stepflow") / "stepflow.db"


class Found(NamedTuple):
    """A value, and where it was found."""

    value: str
    source: Literal["given", "url", "environment", "file", "default"]


def find_workspace(given: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder given, else the nearest one upwards that has a `stepflow.toml`."""
    if given is not None:
        return _given_workspace(os.fspath(given))
    try:
        here = Path.cwd()
    except OSError:
        return None  # it was deleted meanwhile
    return next((folder for folder in (here, *here.parents) if _has_file(folder)), None)


def _given_workspace(given: str) -> Path:
    """`WorkflowEngineError` INVALID_WORKSPACE: it is no folder, or not one that can be looked into."""
    try:
        folder = whole_path(given)
        if not folder.is_dir():
            raise WorkflowEngineError("INVALID_WORKSPACE", f"The workspace {folder} is not a folder")
        os.scandir(folder).close()
    except StorageError as error:
        raise WorkflowEngineError("INVALID_WORKSPACE", f"The workspace cannot be found: {error.message}") from error
    except OSError as error:
        message = f"The workspace {given} cannot be looked into: {error.strerror}"
        raise WorkflowEngineError("INVALID_WORKSPACE", message) from error
    return folder


def _has_file(folder: Path) -> bool:
    try:
        return (folder / WORKSPACE_FILE).is_file()
    except OSError:
        return False  # a folder of somebody else's above the user's own


def whole_path(path: str) -> Path:
    """With `~` and the folder where the user stands. `StorageError`: there is no such place."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise StorageError(f"There is no home folder for '{path.partition('/')[0]}'; write the whole path") from None
    except OSError as error:
        raise StorageError(f"The folder where this was started is gone ({error.strerror}); go to another") from error


def is_there(file: Path) -> bool:
    """`StorageError`: it cannot be seen."""
    try:
        return file.exists()
    except OSError as error:
        raise StorageError(f"{file.name} cannot be looked at: {error.strerror} ({file})") from error


def why_only_read(file: Path) -> str | None:
    """Why the database in that file can be read alone; None: it can be written, or is not there."""
    if not is_there(file) or not file.is_file():
        return None
    if not os.access(file, os.W_OK):
        return f"{file.name} may not be written by you"
    return None if os.access(file.parent, os.W_OK) else f"the folder of {file.name} may not be written by you"


def find_database(url: str | None, workspace: Path | None) -> str:
    """`url`, else STEPFLOW_DB, else the workspace's database, else one in the user's data directory."""
    return look_for_database(url, workspace).value


def look_for_database(url: str | None, workspace: Path | None) -> Found:
    if url:
        return Found(url, "given")
    if named := os.environ.get("STEPFLOW_DB"):
        return Found(named, "environment")
    if workspace is not None:
        return database_of(workspace)
    from platformdirs import user_data_path

    try:
        return Found(str(user_data_path("stepflow") / "stepflow.db"), "default")
    except RuntimeError as error:
        homeless = "There is no home folder to keep a database in; name one with --db or STEPFLOW_DB"
        raise StorageError(homeless) from error


def database_of(workspace: Path) -> Found:
    """Its own, whatever the environment says."""
    configured = read_settings(workspace).db
    if configured is not None:
        path, durability = split_url(configured)
        file = str(workspace / (whole_path(path) if path.startswith("~") else path))
        return Found(file if durability is None else f"sqlite:///{file}?durability={durability}", "file")
    return Found(str(workspace / DEFAULT_DATABASE), "default")


def split_url(url: str) -> tuple[str, str | None]:
    """A storage's URL as a path and the durability it asks for (`?durability=`)."""
    path, durability = url, None
    if url.startswith("sqlite:"):
        path, _, query = url.removeprefix("sqlite:").partition("?")
        if path.startswith("//") and not path.startswith("///"):
            raise StorageError(f"{url} names a host; write sqlite:///relative.db or sqlite:////absolute.db")
        path = path.removeprefix("///")
        for part in filter(None, query.split("&")):
            name, _, value = part.partition("=")
            if name != "durability":
                raise StorageError(f"'{name}' in {url} is unknown; it takes durability=full or durability=normal")
            durability = value
    scheme, separator, _ = path.partition("://")
    if separator or path in ("memory:", ":memory:"):
        said = f"'{scheme}{separator}' storages are not available in this release; give the path of an SQLite file"
        raise StorageError(said)
    return path, durability


def look_for_durability(given: str | None, in_url: str | None, workspace: Path | None) -> Found:
    """What was given, else what the URL asks for, else STEPFLOW_DURABILITY, else the workspace's `durability`."""
    environment = os.environ.get("STEPFLOW_DURABILITY")
    if given:
        found = Found(given, "given")
    elif in_url:
        found = Found(in_url, "url")
    elif environment:
        found = Found(environment, "environment")
    elif configured := read_settings(workspace).durability:
        found = Found(configured, "file")
    else:
        found = Found(DURABILITIES[0], "default")
    if found.value not in DURABILITIES:
        raise StorageError(f"Durability '{found.value}' is unknown; use full (survives power loss) or normal")
    return found


def open_storage(
    url: str, *, durability: str | None = None, workspace: Path | None = None, read_only: bool = False
) -> Storage:
    """The storage that `url` names: a path or `sqlite:///…`. It is made where there is none."""
    path, in_url = split_url(url)
    found = look_for_durability(durability, in_url, workspace).value
    from stepflow.storages.sqlite import SQLiteStorage

    return SQLiteStorage(whole_path(path), durability=cast("Durability", found), read_only=read_only)


def open_to_look(url: str) -> Storage | None:
    """To read from without a trace; None where there is no database, or one that is not as this release makes it."""
    path = whole_path(split_url(url)[0])
    if not is_there(path) or not path.is_file():
        return None
    from stepflow.storages.sqlite import SQLiteStorage
    from stepflow.storages.sqlite.connect import is_current

    return SQLiteStorage(path, read_only=True) if is_current(path) else None


def examine_storage(url: str, *, now: int, monotonic: float, boot_id: str, full: bool) -> Iterator[Finding]:
    """What is well and what is not with the storage that `url` names, which need not open."""
    from stepflow.storages.sqlite.examination import Look
    from stepflow.storages.sqlite.health import examine

    path = whole_path(split_url(url)[0])
    is_there(path)
    yield from examine(Look(path=path, now=now, monotonic=monotonic, boot_id=boot_id, full=full))
