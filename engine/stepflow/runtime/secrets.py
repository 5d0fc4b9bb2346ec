"""Secrets of one attempt: read when it needs them, and taken out again of all it says."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from stepflow.core.secrets import MASK, has_mark, replaced, reveal
from stepflow.errors import ComponentError
from stepflow.model.flow import Json
from stepflow.model.jsontext import normalise

LARGEST_FILE = 64 * 1024
"""Bytes: what is more is no secret, and all its pieces are looked for in all that is said."""
SHORTEST_HIDDEN = 3
"""Characters: a shorter one would take half of every sentence away."""
PIECE = 12
"""Characters of a part of a secret that is hidden too: messages are cut, and commands write line by line."""


class Secrets:
    """`references`: the run's variables as they are stored, `env:NAME` or `file:PATH` for each secret. A path is
    relative to `folder`; without one, to where this process stands."""

    def __init__(self, references: Mapping[str, Json], folder: str | os.PathLike[str] | None = None) -> None:
        self._references = references
        self._folder = folder or ""
        self._read: dict[str, str] = {}
        self._hidden: list[_Hidden] = []
        """What was read, the longest first: one may be part of another."""

    @property
    def are_read(self) -> bool:
        return bool(self._read)

    def reveal(self, value: Json) -> Json:
        return reveal(value, self._secret) if self._references and has_mark(value) else value

    def _secret(self, name: str) -> str:
        if name not in self._read:
            secret = self._read[name] = read_secret(name, str(self._references[name]), self._folder)
            if len(secret) >= SHORTEST_HIDDEN:
                self._hidden.append(_hidden(name, secret))
                self._hidden.sort(key=lambda hidden: -len(hidden.spellings[0]))
        return self._read[name]

    def hide(self, value: Json) -> Json:
        """`value`, as JSON has it, without the secrets that were read, nor any longer piece of one.
        `TypeError`, `ValueError`: it is not JSON."""
        return replaced(normalise(value)[0], self._without) if self._hidden else value

    def _without(self, text: str) -> str:
        for hidden in self._hidden:
            text = hidden.taken_out_of(text)
            if hidden.pieces:
                text = _without_pieces(text, hidden.pieces)
        return text

    def taken_out(self, value: Json) -> tuple[Json, tuple[str, ...]]:
        """`value` without the secrets that were read, for what others work with: a piece that happens to be the same,
        the beginning of a URL perhaps, stays. And the names of those that were in it."""
        found: dict[str, None] = {}

        def without(text: str) -> str:
            for hidden in self._hidden:
                less = hidden.taken_out_of(text)
                if less != text:
                    found[hidden.name] = None
                    text = less
            return text

        if self._hidden:
            value = replaced(normalise(value)[0], without)
        return value, tuple(found)


class _Hidden(msgspec.Struct, frozen=True):
    name: str
    spellings: tuple[str, ...]
    """The secret, as JSON writes it, and its lines; the longest first."""
    pieces: frozenset[str]

    def taken_out_of(self, text: str) -> str:
        for spelling in self.spellings:
            text = text.replace(spelling, MASK)
        return text


def _hidden(name: str, secret: str) -> _Hidden:
    lines = [line for line in secret.splitlines() if len(line) >= PIECE]
    written = [json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)]
    spellings = sorted({secret, *written, *lines}, key=len, reverse=True)
    pieces = frozenset(secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1))
    return _Hidden(name, tuple(spellings), pieces)


def read_secret(name: str, reference: str, folder: str | os.PathLike[str] = "") -> str:
    """`ComponentError` SECRET_NOT_FOUND says where it was looked for, never what was found."""
    kind, _, where = reference.partition(":")
    if kind not in ("env", "file"):
        raise ComponentError("SECRET_NOT_FOUND", f"The secret '{name}' is not given as env:NAME or file:PATH")
    try:
        if kind == "env":
            return os.environ[where]
        file = Path(folder, Path(where).expanduser())
        status = file.stat()
        if stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_FILE):
            return file.read_text(encoding="utf-8").rstrip("\n")
        # A pipe or a device would be waited for, by the whole worker.
        why = f"{file}: not a file of at most {LARGEST_FILE // 1024} KB"
    except KeyError:
        why = f"the worker's environment has no {where}; start one where it is set"
    except (OSError, UnicodeDecodeError) as error:
        why = f"{file}: {getattr(error, 'strerror', None) or 'not text'}"
    raise ComponentError("SECRET_NOT_FOUND", f"The secret '{name}' is not there: {why}")


def _without_pieces(text: str, pieces: frozenset[str]) -> str:
    kept: list[str] = []
    at = start = 0
    while at <= len(text) - PIECE:
        if text[at : at + PIECE] not in pieces:
            at += 1
            continue
        kept += [text[start:at], MASK]
        while text[at + 1 : at + 1 + PIECE] in pieces:
            at += 1
        at = start = at + PIECE
    return "".join([*kept, text[start:]])
