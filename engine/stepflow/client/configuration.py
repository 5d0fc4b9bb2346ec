"""Every setting in effect, and where it comes from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.location import Found, find_workspace, look_for_database, look_for_durability, split_url, whole_path
from stepflow.settings import FILE, Settings, read_settings

HIDDEN = "***"
VARIABLE = "STEPFLOW_VAR_"
DATABASE, DURABILITY = "STEPFLOW_DB", "STEPFLOW_DURABILITY"
ENVIRONMENT = (DATABASE, DURABILITY, "STEPFLOW_THEME", "STEPFLOW_ASCII")
_OURS = ("STEPFLOW_RUN_ID", "STEPFLOW_STEP", "STEPFLOW_ATTEMPT", "STEPFLOW_IDEMPOTENCY_KEY", "STEPFLOW_PROCESS_GROUP")
"""What a step's own command is told: it may well ask what the settings are."""
_REFERENCES = ("env:", "file:")


class Setting(msgspec.Struct, frozen=True):
    name: str
    value: str | bool | int | None
    source: str
    """`--db`, a variable's name, a file, or `default`."""


class Configuration(msgspec.Struct, frozen=True):
    settings: tuple[Setting, ...]
    troubles: tuple[str, ...]
    """Words that mean nothing, each with the way out."""


def configuration(url: str | None, workspace: str | os.PathLike[str] | None) -> Configuration:
    """`WorkflowEngineError`: what was given, or the file, says what cannot be."""
    folder = find_workspace(workspace)
    in_file = read_settings(folder)
    file = "" if folder is None else str(folder / FILE)
    troubles = [*in_file.unknown, *_unknown(os.environ)]
    return Configuration((*_places(url, workspace, folder, file), *_of_file(in_file, file), *_given()), tuple(troubles))


def _places(
    url: str | None, workspace: str | os.PathLike[str] | None, folder: Path | None, file: str
) -> Iterator[Setting]:
    database = look_for_database(url, folder)
    path, in_url = split_url(database.value)
    yield Setting("database", str(whole_path(path)), _source(database, "--db", DATABASE, file))
    found = "--workspace" if workspace is not None else file or "default"
    yield Setting("workspace", None if folder is None else str(folder), found)
    durability = look_for_durability(None, in_url, folder)
    yield Setting("durability", durability.value, _source(durability, "", DURABILITY, file))


def _source(found: Found, option: str, variable: str, file: str) -> str:
    return {"given": option, "url": "the database's URL", "environment": variable, "file": file}.get(
        found.source, "default"
    )


def _of_file(settings: Settings, file: str) -> Iterator[Setting]:
    programs = len(settings.programs) if isinstance(settings.programs, list) else 0
    for name, value in (("shell", settings.shell), ("python", settings.python), ("components", programs)):
        yield Setting(name, value, file if name in settings.given else "default")


def _given() -> Iterator[Setting]:
    """What the environment says beside that. Any variable may be a secret; what only says where one is, is none."""
    for name in sorted(os.environ):
        if name.startswith(VARIABLE):
            value = os.environ[name]
            yield Setting(name, value if value.startswith(_REFERENCES) else HIDDEN, "environment")
        elif name in ENVIRONMENT and name not in (DATABASE, DURABILITY):
            yield Setting(name, os.environ[name], "environment")


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(environment):
        if name.startswith("STEPFLOW_") and not name.startswith(VARIABLE) and name not in (*ENVIRONMENT, *_OURS):
            meant = did_you_mean(name, ENVIRONMENT) or f"; there are {', '.join(ENVIRONMENT)} and {VARIABLE}NAME"
            yield f"{name} in the environment means nothing{meant}"
