"""Opening the terminal UI: whatever is registered under `stepflow.screens`, so that the engine never imports it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from stepflow.cli.session import Place, fail
from stepflow.cli.text import safe
from stepflow.errors import WorkflowEngineError

F = TypeVar("F", bound=Callable[..., Any])
Screen = Callable[..., int]


def has_terminal() -> bool:
    """A person sits in front of it. The screen is drawn on stderr, so that one counts too."""
    return sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()


def screen_options(command: F) -> F:
    """What both ways of opening it take."""
    command = click.option("--plain", is_flag=True, help="Lines instead of a screen, to be read out.")(command)
    return click.option("--read-only", is_flag=True, help="Change nothing, start no worker.")(command)


def _refuse_to_make(place: Place) -> None:
    """Who only wants to read gets no empty database."""
    from stepflow.location import find_database, find_workspace, split_url

    database = split_url(find_database(place.database, find_workspace(place.workspace)))[0]
    if not Path(database).expanduser().exists():
        fail(f"There is no database {safe(database)} to read; name another with --db, or leave --read-only out")


def open_screen(place: Place, run: str | None = None, *, read_only: bool = False, plain: bool = False) -> int:
    """The exit code of the screen on that database, which begins on `run`."""
    from importlib.metadata import entry_points  # no other command waits for it

    found = entry_points(group="stepflow.screens")
    if "dashboard" not in found.names:
        fail("The terminal UI is not installed; install the distribution `stepflow-tui` as a whole")
    screen = cast(Screen, found["dashboard"].load())
    try:
        if read_only:
            _refuse_to_make(place)
        return screen(place.database, place.workspace, run, read_only=read_only, plain=plain)
    except WorkflowEngineError as error:
        fail(safe(error.message))
    except KeyboardInterrupt:
        sys.exit(130)
