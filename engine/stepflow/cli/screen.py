"""Opening the terminal UI: whatever is registered under `stepflow.screens`, so that the engine never imports it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import cast

from stepflow.cli.session import Place, fail
from stepflow.cli.text import safe
from stepflow.errors import WorkflowEngineError

Screen = Callable[[str | None, str | None, str | None], int]


def has_terminal() -> bool:
    """A person sits in front of it. The screen is drawn on stderr, so that one counts too."""
    return sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()


def open_screen(place: Place, run: str | None = None) -> int:
    """The exit code of the screen on that database, which begins on `run`."""
    found = entry_points(group="stepflow.screens")
    if "dashboard" not in found.names:
        fail("The terminal UI is not installed; install the distribution `stepflow-tui` as a whole")
    screen = cast(Screen, found["dashboard"].load())
    try:
        return screen(place.database, place.workspace, run)
    except WorkflowEngineError as error:
        fail(safe(error.message))
    except KeyboardInterrupt:
        sys.exit(130)
