"""Secrets of one attempt: read when it needs them, and taken out again of all it says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from stepflow.core.secrets import MASK, has_mark, reveal
from stepflow.errors import ComponentError
from stepflow.model.flow import Json

SHORTEST_HIDDEN = 3
"""Characters: a shorter one would take half of every sentence away."""


class Secrets:
    """`references`: the run's variables as they are stored, `env:NAME` or `file:PATH` for each secret."""

    def __init__(self, references: Mapping[str, Json]) -> None:
        self._references = references
        self._read: dict[str, str] = {}

    @property
    def are_read(self) -> bool:
        return bool(self._read)

    def reveal(self, value: Json) -> Json:
        return reveal(value, self._secret) if self._references and has_mark(value) else value

    def _secret(self, name: str) -> str:
        if name not in self._read:
            self._read[name] = read_secret(name, str(self._references[name]))
        return self._read[name]

    def hide(self, value: Json) -> Json:
        """`value` without the secrets that were read."""
        for secret in self._read.values():
            if len(secret) >= SHORTEST_HIDDEN:
                value = _without(value, secret)
        return value


def read_secret(name: str, reference: str) -> str:
    """`ComponentError` SECRET_NOT_FOUND says where it was looked for, never what was found."""
    kind, _, where = reference.partition(":")
    try:
        if kind == "env":
            return os.environ[where]
        return Path(where).expanduser().read_text(encoding="utf-8").rstrip("\n")
    except KeyError:
        message = f"The secret '{name}' is not there: the worker's environment has no {where}"
    except (OSError, UnicodeDecodeError) as error:
        message = f"The secret '{name}' is not there: {where}: {getattr(error, 'strerror', None) or 'not text'}"
    raise ComponentError("SECRET_NOT_FOUND", message)


def _without(value: Json, secret: str) -> Json:
    if type(value) is str:
        return value.replace(secret, MASK)
    if type(value) is list:
        return [_without(item, secret) for item in value]
    if type(value) is dict:
        return {_without(key, secret): _without(item, secret) for key, item in value.items()}
    return value
