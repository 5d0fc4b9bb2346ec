"""The person's own editor: which it is, how it is told of a line, and giving it the terminal."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from textual.app import App, SuspendNotSupported

from stepflow.errors import WorkflowEngineError

_PLUS_LINE = ("vi", "vim", "nvim", "nano", "emacs", "emacsclient", "micro", "kak", "joe", "mg")
_COLON_LINE = ("hx", "helix", "subl", "zed")
_GOTO = ("code", "codium", "cursor")


class EditorError(WorkflowEngineError):
    """There is none, or it failed. What it was to edit is as it was left."""

    def __init__(self, message: str) -> None:
        super().__init__("EDITOR", message)


def editor_command(file: str, line: int) -> list[str]:
    """What starts it on a line of a file. `EditorError` where no editor is set."""
    wanted = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not wanted or not wanted.strip():
        raise EditorError("No editor is set: EDITOR=vim, for example, says which")
    try:
        command = shlex.split(wanted)
    except ValueError as error:
        raise EditorError(f"EDITOR is no command: {error}") from error
    return [*command, *_place(Path(command[0]).name, file, line)]


def _place(editor: str, file: str, line: int) -> Sequence[str]:
    if editor in _PLUS_LINE:
        return (f"+{line}", file)
    if editor in _COLON_LINE:
        return (f"{file}:{line}",)
    if editor in _GOTO:
        return ("-g", f"{file}:{line}")
    return (file,)


def edit(app: App[int], file: str, line: int) -> None:
    """Give it the terminal until it ends; the screen is back whatever happens. `EditorError`."""
    command = editor_command(file, line)
    trouble = None
    try:
        with app.suspend():
            # An exception in here would leave the screen away.
            trouble = _run(command)
    except SuspendNotSupported:
        trouble = "An editor needs the terminal, which cannot be given away here"
    if trouble is not None:
        raise EditorError(trouble)


def _run(command: Sequence[str]) -> str | None:
    """What went wrong."""
    # A Ctrl-C while it has the terminal is for it.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        code = subprocess.run(command, check=False).returncode  # noqa: S603 - what the person has set
    except OSError as error:
        return f"{Path(command[0]).name} cannot be started: {error.strerror}"
    finally:
        signal.signal(signal.SIGINT, before)
    return f"{Path(command[0]).name} ended with {code}" if code else None
