"""Where the storage and the workspace are: what was given, the environment, the nearest workspace, the user's data.

The one place that turns a storage's URL into a storage.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from stepflow.errors import StorageError, WorkflowEngineError

if TYPE_CHECKING:
    from stepflow.contracts.storage import Storage
    from stepflow.storages.sqlite.connect import Durability

WORKSPACE_FILE = "stepflow.toml"
DEFAULT_DATABASE = Path(".stepflow") / "stepflow.db"
DURABILITIES = ("full", "normal", "off")


def find_workspace(given: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder given, else the nearest one upwards that has a `stepflow.toml`."""
    if given is not None:
        folder = Path(given).expanduser().absolute()
        if not folder.is_dir():
            raise WorkflowEngineError("INVALID_WORKSPACE", f"The workspace {folder} is not a folder")
        return folder
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / WORKSPACE_FILE).is_file()), None)


def find_database(url: str | None, workspace: Path | None) -> str:
    """`url`, else STEPFLOW_DB, else the workspace's database, else one in the user's data directory."""
    found = url or os.environ.get("STEPFLOW_DB")
    if found:
        return found
    if workspace is not None:
        return str(workspace / _configured(workspace))
    from platformdirs import user_data_path

    return str(user_data_path("stepflow") / "stepflow.db")


def _configured(workspace: Path) -> Path:
    """`db` in the workspace's `stepflow.toml`, relative to it."""
    file = workspace / WORKSPACE_FILE
    if not file.is_file():
        return DEFAULT_DATABASE
    import tomllib

    try:
        value = tomllib.loads(file.read_text(encoding="utf-8")).get("db", str(DEFAULT_DATABASE))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkflowEngineError("INVALID_CONFIG", f"{file}: {error}") from error
    if not isinstance(value, str):
        raise WorkflowEngineError("INVALID_CONFIG", f"{file}: 'db' must be a path, in quotes")
    return Path(value).expanduser()


def split_url(url: str) -> tuple[str, str | None]:
    """A storage's URL as a path and the durability it asks for (`?durability=`)."""
    if url.startswith("sqlite:"):
        rest = url.removeprefix("sqlite:")
        path, _, query = rest.partition("?")
        # sqlite:///relative.db, sqlite:////absolute.db
        path = path.removeprefix("///") if path.startswith("///") else path
        durability = None
        for part in filter(None, query.split("&")):
            name, _, value = part.partition("=")
            if name != "durability":
                raise StorageError(f"'{name}' in {url} is unknown; it takes durability=full or durability=normal")
            durability = value
        return path, durability
    scheme, separator, _ = url.partition("://")
    if separator:
        raise StorageError(f"'{scheme}://' storages are not available in this release; give the path of an SQLite file")
    return url, None


def open_storage(url: str, *, durability: str | None = None, read_only: bool = False) -> Storage:
    """The storage that `url` names: a path or `sqlite:///…`. It is made where there is none."""
    path, asked = split_url(url)
    durability = durability or asked or os.environ.get("STEPFLOW_DURABILITY") or "full"
    if durability not in DURABILITIES:
        raise StorageError(f"Durability '{durability}' is unknown; use full (survives power loss) or normal")
    from stepflow.storages.sqlite import SQLiteStorage

    return SQLiteStorage(path, durability=cast("Durability", durability), read_only=read_only)
