"""Opening the terminal UI: whatever is registered under `stepflow.screens`, so that the engine never imports it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from stepflow.cli.completers import profiles
from stepflow.cli.session import Place, fail, note, say
from stepflow.cli.text import paint, safe
from stepflow.errors import WorkflowEngineError

F = TypeVar("F", bound=Callable[..., Any])
Screen = Callable[..., int]


def has_terminal() -> bool:
    """A person sits in front of it. The screen is drawn on stderr, so that one counts too."""
    return sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()


def screen_options(command: F) -> F:
    """What all ways of opening it take."""
    command = click.option("--plain", is_flag=True, help="Lines instead of a screen, to be read out.")(command)
    command = click.option(
        "--profile", metavar="NAME", help="The storage that ui.toml has under this name.", shell_complete=profiles
    )(command)
    return click.option("--read-only", is_flag=True, help="Change nothing, start no worker.")(command)


def _only_reads(place: Place, *, read_only: bool) -> bool:
    """Whether it is asked to, or can do no more, which is said. Who only wants to read gets no empty database."""
    from stepflow.location import find_database, find_workspace, is_there, split_url, whole_path, why_only_read

    database = split_url(find_database(place.database, find_workspace(place.workspace)))[0]
    file = whole_path(database)
    if read_only and not is_there(file):
        fail(f"There is no database {safe(database)} to read; name another with --db, or leave --read-only out")
    if read_only or (why := why_only_read(file)) is None:
        return read_only
    _warn(f"Nothing can be changed: {why} ({file})")
    return True


def open_screen(
    place: Place, run: str | None = None, *, read_only: bool = False, plain: bool = False, profile: str | None = None
) -> int:
    """The exit code of the screen on that database, which begins on `run`. A terminal that can show none gets lines."""
    if not plain and os.environ.get("TERM") == "dumb":
        _warn("TERM=dumb shows no screen; these are lines, as with --plain")
        plain = True
    return _call("dashboard", place, run, read_only=read_only, plain=plain, profile=profile)


def serve_screen(place: Place, *, host: str, port: int, read_only: bool = False, profile: str | None = None) -> int:
    """The same for browsers, until it is interrupted."""
    return _call("web", place, host, port, read_only=read_only, profile=profile, say=_tell, warn=_warn)


def _tell(text: str) -> None:
    say(safe(text))


def _warn(text: str) -> None:
    note(f"{paint('⚠', 'yellow', sys.stderr)} {safe(text)}")


def _call(name: str, place: Place, *what: Any, read_only: bool, profile: str | None, **options: Any) -> int:
    from importlib.metadata import entry_points  # no other command waits for it

    if profile is not None and (given := next((one for one in place._fields if getattr(place, one)), None)):
        option = "--db" if given == "database" else "--workspace"
        raise click.UsageError(f"--profile and {option} say the same; give one of them")
    found = entry_points(group="stepflow.screens")
    if name not in found.names:
        fail("The terminal UI is not installed; install the distribution `stepflow-tui` as a whole")
    screen = cast(Screen, found[name].load())
    try:
        if profile is None:
            read_only = _only_reads(place, read_only=read_only)
        return screen(place.database, place.workspace, *what, read_only=read_only, profile=profile, **options)
    except WorkflowEngineError as error:
        fail(safe(error.message))
    except KeyboardInterrupt:
        sys.exit(130)
