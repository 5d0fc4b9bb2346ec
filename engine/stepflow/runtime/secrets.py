"""Secrets of one attempt: read when it needs them, and taken out again of all it says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from stepflow.core.secrets import MASK, has_mark, replaced, reveal
from stepflow.errors import ComponentError
from stepflow.model.flow import Json
from stepflow.model.jsontext import normalise

SHORTEST_HIDDEN = 3
"""Characters: a shorter one would take half of every sentence away."""
PIECE = 12
"""Characters of a part of a secret that is hidden too: messages are cut, and commands write line by line."""


class Secrets:
    """`references`: the run's variables as they are stored, `env:NAME` or `file:PATH` for each secret."""

    def __init__(self, references: Mapping[str, Json]) -> None:
        self._references = references
        self._read: dict[str, str] = {}
        self._hidden: list[tuple[str, frozenset[str]]] = []
        """What was read and its pieces, the longest first: one may be part of another."""

    @property
    def are_read(self) -> bool:
        return bool(self._read)

    def reveal(self, value: Json) -> Json:
        return reveal(value, self._secret) if self._references and has_mark(value) else value

    def _secret(self, name: str) -> str:
        if name not in self._read:
            secret = self._read[name] = read_secret(name, str(self._references[name]))
            if len(secret) >= SHORTEST_HIDDEN:
                pieces = frozenset(secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1))
                self._hidden.append((secret, pieces))
                self._hidden.sort(key=lambda hidden: -len(hidden[0]))
        return self._read[name]

    def hide(self, value: Json) -> Json:
        """`value`, as JSON has it, without the secrets that were read. `TypeError`, `ValueError`: it is not JSON."""
        return replaced(normalise(value)[0], self._without) if self._hidden else value

    def are_in(self, value: Json) -> bool:
        """Whether a secret that was read is part of `value`."""
        found = False

        def see(text: str) -> str:
            nonlocal found
            found = found or any(secret in text for secret, _ in self._hidden)
            return text

        if self._hidden:
            replaced(normalise(value)[0], see)
        return found

    def _without(self, text: str) -> str:
        for secret, pieces in self._hidden:
            text = text.replace(secret, MASK)
            if pieces:
                text = _without_pieces(text, pieces)
        return text


def read_secret(name: str, reference: str) -> str:
    """`ComponentError` SECRET_NOT_FOUND says where it was looked for, never what was found."""
    kind, _, where = reference.partition(":")
    if kind not in ("env", "file"):
        raise ComponentError("SECRET_NOT_FOUND", f"The secret '{name}' is not given as env:NAME or file:PATH")
    try:
        if kind == "env":
            return os.environ[where]
        return Path(where).expanduser().read_text(encoding="utf-8").rstrip("\n")
    except KeyError:
        message = f"The secret '{name}' is not there: the worker's environment has no {where}"
    except (OSError, UnicodeDecodeError) as error:
        message = f"The secret '{name}' is not there: {where}: {getattr(error, 'strerror', None) or 'not text'}"
    raise ComponentError("SECRET_NOT_FOUND", message)


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
