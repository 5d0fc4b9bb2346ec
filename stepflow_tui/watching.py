"""What the watching of a workspace's files tells: which are wrong, which were just saved, and what to say of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import datetime

import msgspec
from textual.message import Message

from stepflow.client import Client
from stepflow.client import workspace as told
from stepflow.dsl.diagnostics import Diagnostic
from stepflow_tui.messages import FilesChanged

Note = tuple[str, str]
"""A text and its style."""


async def watch_files(client: Client, post: Callable[[Message], object]) -> None:
    """Post each round; ends only by being cancelled. `WorkflowEngineError`: they cannot be watched."""
    async with aclosing(client.watch_workspace()) as rounds:
        async for one in rounds:
            post(FilesChanged(one))


class SavedFile(msgspec.Struct, frozen=True):
    """A template that was saved from its file while somebody looked."""

    at: datetime
    ms: float
    """From noticing the change until it was durable."""


class WatchedFiles:
    """How the files stand, as far as was told."""

    def __init__(self) -> None:
        self.is_watched = False
        self.problems: dict[str, tuple[Diagnostic, ...]] = {}
        """By whole path, what is wrong with a file; what was saved of it before stays."""
        self.saved: dict[str, SavedFile] = {}
        """By template, the last time."""

    def forget(self) -> None:
        """They are not watched any more: what was told of them may be wrong by now."""
        self.is_watched = False
        self.problems.clear()

    def problem_of(self, file: str | None) -> tuple[Diagnostic, ...]:
        return () if file is None else self.problems.get(file, ())

    def take(self, one: told.Round, now: datetime) -> list[Note]:
        """What a round changes; what is to be said of it, the worst first."""
        self.is_watched = True
        notes = [note for outcome in one.outcomes for note in self._take(outcome, one, now)]
        return sorted(notes, key=lambda note: note[1] != "bad")

    def _take(self, outcome: told.Outcome, one: told.Round, now: datetime) -> list[Note]:
        match outcome:
            case told.Saved(file, template, version, change):
                if one.is_first:
                    return []
                self.saved[template] = SavedFile(now, one.ms)
                same = ", the same flow in other words" if change == "text" else ""
                return [(f"{file}: {template} v{version}{same} ({one.ms:.0f} ms)", "good")]
            case told.Unchanged(_, template):
                if not one.is_first:
                    self.saved[template] = SavedFile(now, one.ms)  # by another that watches
                return []
            case told.Problem(file, diagnostics):
                self.problems[_whole(file)] = diagnostics
                first = first_error(diagnostics)
                place = f"{file}:{first.line}:{first.column}" if first.line else file
                return [(f"{place} not saved: {first.message}", "bad")]
            case told.Mended(file, gone):
                self.problems.pop(_whole(file), None)
                if not gone:
                    return [(f"{file}: mended", "good")]
                is_said = any(isinstance(other, told.Gone) and other.file == file for other in one.outcomes)
                return [] if is_said else [(f"{file} is gone", "late")]
            case _:
                return _said(outcome)


def _said(outcome: told.Gone | told.Back | told.Renamed | told.Components | told.Polling | told.Trouble) -> list[Note]:
    """Of what changes nothing that is held here."""
    match outcome:
        case told.Gone(file, template):
            return [(f"{file} is gone; template '{template}' stays", "late")]
        case told.Back(file, template, version):
            return [(f"{file} is back; {template} v{version} stays", "good")]
        case told.Renamed(file, before, template, version):
            return [(f"{file} was {before}; {template} v{version} stays", "good")]
        case told.Components():
            return _of_components(outcome)
        case told.Polling(reason):
            return [(f"The system does not tell of changes ({reason}); looking twice a second", "late")]
        case told.Trouble(message):
            return [(f"Not saved: {message}; trying again", "bad")]


def _of_components(outcome: told.Components) -> list[Note]:
    if outcome.troubles:
        first = outcome.troubles[0]
        return [(f"The workspace's components cannot be had: {first.place} {first.message}", "bad")]
    if outcome.is_first:
        return []
    return [("The Python changed; a worker has it when it is started anew, as `stepflow dev` does", "late")]


def note_of(notes: list[Note]) -> Note | None:
    """All of them in one line."""
    if not notes:
        return None
    text, style = notes[0]
    return (f"{text} · and {len(notes) - 1} more" if len(notes) > 1 else text), style


def first_error(diagnostics: Sequence[Diagnostic]) -> Diagnostic:
    """For which a file was not saved; warnings may come before it."""
    return next((one for one in diagnostics if one.level == "error"), diagnostics[0])


def _whole(file: str) -> str:
    """The path of a file that is told of as people see it, below the folder they stand in."""
    return os.path.join(os.path.realpath(os.curdir), file)  # noqa: PTH118 - absolute ones stay as they are
