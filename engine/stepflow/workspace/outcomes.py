"""What may come of a look at a workspace's files: each outcome is a named value."""

from __future__ import annotations

from typing import Literal

import msgspec

from stepflow.dsl.diagnostics import Diagnostic


class _Outcome(msgspec.Struct, frozen=True, tag_field="what", tag=str.lower):
    pass


class Saved(_Outcome, frozen=True):
    """A file is a new version of its template, or new words for the newest one."""

    file: str
    template: str
    version: int
    change: Literal["version", "text"]
    diagnostics: tuple[Diagnostic, ...] = ()
    """Warnings and notes."""


class Unchanged(_Outcome, frozen=True):
    """The template is as its file says already."""

    file: str
    template: str
    version: int


class Problem(_Outcome, frozen=True):
    """A file that was meant to be a template and is none. What was saved before stays."""

    file: str
    diagnostics: tuple[Diagnostic, ...]


class Mended(_Outcome, frozen=True):
    """What was wrong with a file is so no longer."""

    file: str
    gone: bool = False
    """Because it is not there any more."""


class Gone(_Outcome, frozen=True):
    """The file is not there any more, or makes another template; its template stays."""

    file: str
    template: str


class Back(_Outcome, frozen=True):
    """A file that was gone is there again, as it was."""

    file: str
    template: str
    version: int


class Renamed(_Outcome, frozen=True):
    """The same text in another file."""

    file: str
    before: str
    template: str
    version: int


class Components(_Outcome, frozen=True):
    """The workspace's Python, or its stepflow.toml, was looked at in a process of its own."""

    offered: tuple[str, ...]
    """Paths of the workspace's own components."""
    troubles: tuple[Diagnostic, ...]
    """Why some cannot be had."""
    is_first: bool
    """Nothing has changed; this is how it begins."""


class Polling(_Outcome, frozen=True):
    """The system does not tell of changes, so the files are looked at again and again."""

    reason: str


class Trouble(_Outcome, frozen=True):
    """The storage cannot be written or read; it is tried again."""

    message: str


Outcome = Saved | Unchanged | Problem | Mended | Gone | Back | Renamed | Components | Polling | Trouble


class Round(msgspec.Struct, frozen=True):
    """What came of one look."""

    outcomes: tuple[Outcome, ...]
    ms: float
    """From noticing that something changed until all of it is durable."""
    templates: int
    """Files that make a template by now."""
    is_first: bool = False
    """The look at all files, with which it begins."""
