"""A workspace's `stepflow.toml`: which keys there are, what they say, and what is wrong with the file."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from stepflow.errors import WorkflowEngineError

FILE = "stepflow.toml"
DURABILITIES = ("full", "normal", "off")


class Settings(msgspec.Struct, frozen=True):
    db: str | None = None
    """The database's file, relative to the workspace."""
    durability: str | None = None
    """One of `DURABILITIES`."""
    shell: bool = True
    """Whether there are `/shell` components."""
    python: bool = True
    """Whether there are `/python` components."""
    programs: Any = ()
    """The `[[components]]` tables, as they are written; `components.stdio` judges them."""
    given: tuple[str, ...] = ()
    """The keys that stand in the file."""
    unknown: tuple[str, ...] = ()
    """Those of them that mean nothing, each with the way out."""

    def turned_off(self, components: Iterable[str]) -> dict[str, str]:
        """Of components with these paths, those that are turned off, each with the way out."""
        off = {key: f"/{key}/" for key, is_on in (("shell", self.shell), ("python", self.python)) if not is_on}
        return {
            path: f"{FILE} says {key} = false"
            for path in components
            for key, family in off.items()
            if path.startswith(family)
        }


_EXAMPLES = {
    "db": 'db = ".stepflow/stepflow.db"',
    "durability": 'durability = "normal"',
    "shell": "shell = false",
    "python": "python = false",
}
KEYS = (*_EXAMPLES, "components")


def read_settings(workspace: Path | None) -> Settings:
    """What the file says; without a workspace or a file: nothing. `WorkflowEngineError` INVALID_CONFIG: it cannot be
    read, or a value is not what its key takes."""
    if workspace is None:
        return Settings()
    file = workspace / FILE
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise _invalid(f"{file} is no regular file")
        text = file.read_bytes()
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise _invalid(f"{file} cannot be read: {error.strerror}") from error
    import tomllib

    try:
        data = tomllib.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _invalid(f"{file} is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise _invalid(f"{file}: {error}") from error
    values = {key: data[key] for key in _EXAMPLES if key in data}
    if "db" in values and (not isinstance(values["db"], str) or not values["db"]):
        raise _invalid(f"{file}: 'db' must be a path, in quotes")
    return Settings(
        **_checked(values, file),
        programs=data.get("components", ()),
        given=tuple(data),
        unknown=tuple(_unknown(key, file) for key in data if key not in KEYS),
    )


def _checked(values: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    for key in ("shell", "python"):
        if not isinstance(values.get(key, True), bool):
            raise _invalid(f"{file}: '{key}' must be true or false; write {_EXAMPLES[key]}")
    durability = values.get("durability", DURABILITIES[0])
    if durability not in DURABILITIES:
        says = f"'durability' must be full (survives power loss) or normal; write {_EXAMPLES['durability']}"
        raise _invalid(f"{file}: {says}")
    return values


def _unknown(key: str, file: Path) -> str:
    if key == "webhooks":
        return f"{file}: this release sends no webhooks; a program can follow the events of `stepflow stream --json`"
    from stepflow.dsl.diagnostics import did_you_mean  # every command reads this file, few have to compare words

    meant = did_you_mean(key, KEYS) or f"; it takes {', '.join(KEYS)}"
    return f"{file}: the key '{key}' is unknown{meant}"


def _invalid(message: str) -> WorkflowEngineError:
    return WorkflowEngineError("INVALID_CONFIG", message)
