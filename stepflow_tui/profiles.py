"""Several storages under names: `[profiles.NAME]` of ui.toml names a database, or a workspace with its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from stepflow.dsl.diagnostics import did_you_mean
from stepflow.errors import WorkflowEngineError
from stepflow_tui.config import Config, ConfigError, user_folder

if TYPE_CHECKING:
    from stepflow.client import Client

FIELDS = ("db", "workspace", "read_only")
_WAY_OUT = 'write db = "/path/to/file.db", or workspace = "/path/to/folder"'


class Profile(msgspec.Struct, frozen=True):
    name: str
    db: str | None = None
    """Its file, or its URL; None: the workspace's own."""
    workspace: str | None = None
    read_only: bool = False
    trouble: str | None = None
    """Why it cannot be opened, and the way out."""

    @property
    def place(self) -> str:
        """What it leads to, as people read it."""
        return self.db or self.workspace or ""

    @property
    def said(self) -> str:
        """Its trouble, with where that stands."""
        return f"ui.toml: profiles.{self.name}: {self.trouble}"

    def client(self, *, read_only: bool = False) -> Client:
        """On that alone, not open yet. `WorkflowEngineError`: there is nothing to open."""
        from stepflow.client import Client

        if self.trouble is not None:
            raise ConfigError(self.said)
        only_reads = read_only or self.read_only
        try:
            client = Client.only(self.db, self.workspace, read_only=only_reads)
            file = client.database_file
        except WorkflowEngineError as error:
            raise ConfigError(f"ui.toml: profiles.{self.name}: {error.message}") from error
        # A database that is named is one that there is; that of a workspace is made when it is first opened.
        if not file.exists() and (only_reads or self.workspace is None):
            raise ConfigError(f"ui.toml: profiles.{self.name}: there is no database {file}; mend the profile")
        return client


def read_profiles(table: Mapping[str, Any]) -> list[Profile]:
    """As the person's file has them, wrong ones too."""
    return [_read(name, value) for name, value in table.items()]


def find_profile(name: str, profiles: list[Profile]) -> Profile:
    """`ConfigError`"""
    found = next((one for one in profiles if one.name == name), None)
    if found is None:
        names = [one.name for one in profiles]
        if not names:
            raise ConfigError(f"There is no profile '{name}', nor any other; ui.toml has them: [profiles.{name}]")
        raise ConfigError(f"There is no profile '{name}'{did_you_mean(name, names) or f'; use {_list(names)}'}")
    return _as_it_may(found)


def _as_it_may(profile: Profile) -> Profile:
    """Only reading where no more can be done."""
    if profile.trouble is not None or profile.read_only:
        return profile
    from stepflow.client import Client

    try:
        why = Client.only(profile.db, profile.workspace).why_only_read
    except WorkflowEngineError:
        return profile  # opening it says so
    return profile if why is None else msgspec.structs.replace(profile, read_only=True)


def client_of(
    url: str | None, workspace: str | None, profile: str | None, *, read_only: bool
) -> tuple[Client, Profile | None]:
    """On what the command line named, which is a profile or the rest; not open yet. `WorkflowEngineError`"""
    from stepflow.client import Client

    if profile is None:
        return Client(url, workspace, read_only=read_only), None
    named = find_profile(profile, own_profiles())
    return named.client(read_only=read_only), named


def own_profiles() -> list[Profile]:
    """Those of the person's own ui.toml. `ConfigError`: it cannot be read."""
    config = Config(user_folder() / "ui.toml")
    if config.broken is not None:
        raise ConfigError(f"ui.toml is not read: {config.broken}; mend the file ({config.file})")
    return read_profiles(config.table("profiles"))


def offered() -> list[tuple[str, str]]:
    """Names that can be asked for, and what each leads to."""
    return [(one.name, one.place) for one in own_profiles() if one.trouble is None]


def _read(name: str, value: Any) -> Profile:
    if not name.strip():
        return Profile('""', trouble="it needs a name")
    if not isinstance(value, dict):
        return Profile(name, trouble=f"it is no table; under [profiles.{name}] {_WAY_OUT}")
    unknown = next((field for field in value if field not in FIELDS), None)
    if unknown is not None:
        hint = did_you_mean(unknown, FIELDS) or f"; it takes {_list(FIELDS)}"
        return Profile(name, trouble=f"'{unknown}' is unknown{hint}")
    read_only = value.get("read_only", False)
    if not isinstance(read_only, bool):
        return Profile(name, trouble="read_only is true or false")
    paths: dict[str, str | None] = {}
    for field in ("db", "workspace"):
        given = value.get(field)
        paths[field] = given
        if given is not None and (not isinstance(given, str) or not given.strip()):
            return Profile(name, trouble=f"{field} is no path; {_WAY_OUT}")
        if given is not None and not _is_whole(given):
            return Profile(name, trouble=f"{field} is '{given}'; write the whole path, or one that begins with ~/")
    if paths["db"] is None and paths["workspace"] is None:
        return Profile(name, trouble=f"it names nothing; {_WAY_OUT}")
    return Profile(name, paths["db"], paths["workspace"], read_only)


def _is_whole(path: str) -> bool:
    """The same wherever the user stands."""
    return path.startswith(("/", "~/", "sqlite:////"))


def _list(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names)
