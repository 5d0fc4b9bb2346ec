"""What is wrong with a template, where, why, and the way out: one value for validate, lint and the screens."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Literal

import msgspec

from stepflow.model import jsontext
from stepflow.model.flow import Json

LONGEST = 500
"""Characters of a message or a hint: they quote what authors wrote, which may be of any length."""

MOST_COMPARISONS = 3_000
"""Of short words, for suggestions: a tenth of a second."""


class Diagnostic(msgspec.Struct, frozen=True):
    code: str
    """Stable, e.g. `E102`."""
    level: Literal["error", "warning", "info"]
    message: str
    path: str = ""
    """Where in the document, e.g. `steps[0].input.x`."""
    file: str | None = None
    line: int = 0
    """From 1; 0: unknown."""
    column: int = 0
    hint: str = ""
    """What to do about it."""

    def __post_init__(self) -> None:
        for field in ("message", "path", "hint"):
            said = getattr(self, field)
            if len(said) > LONGEST or not said.isprintable():
                msgspec.structs.force_setattr(self, field, printable(said if field == "path" else _shortened(said)))

    @property
    def place(self) -> str:
        """`file:line:column`, as far as known."""
        where = self.file or ""
        if self.line:
            where += f"{':' if where else ''}{self.line}:{self.column}"
        return where


def quoted(value: Json) -> str:
    """As messages show what an author wrote: a text in quotes, everything else as JSON."""
    return f"'{value}'" if isinstance(value, str) else jsontext.encode(value)


def printable(text: str) -> str:
    """One line in which whatever has no sign of its own is written as its escape: `\\n`, `\\x1b`."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    return any(d.level == "error" for d in diagnostics)


class Suggestions:
    """Did-you-mean for the mistakes of one document. Comparing a word with all others takes its time, so where many
    words are unknown among many, the first mistakes have a suggestion and the later ones none."""

    def __init__(self) -> None:
        self._left = MOST_COMPARISONS
        self._made: dict[tuple[str, int], tuple[Collection[str], str]] = {}
        """By the word and the identity of the known ones, which stand beside to keep theirs."""

    def __call__(self, word: str, known: Collection[str]) -> str:
        """`did you mean 'clean'?` or nothing."""
        made = self._made.get((word, id(known)))
        if made is not None:
            return made[1]
        if self._left <= 0:
            return ""
        self._left -= len(known) * (1 + (len(word) // 20) ** 2)  # as long as the slowest comparison takes
        hint = did_you_mean(word, known).removeprefix("; ")
        self._made[word, id(known)] = known, hint
        return hint


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'clean'?` or nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
