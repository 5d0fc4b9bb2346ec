"""Blobs: large or shared data, kept once under the hash of its content; long outputs go here by themselves."""

from __future__ import annotations

import hashlib

from stepflow.storages.sqlite import queries
from stepflow.storages.sqlite.writer import Group

OFFLOAD_CHARACTERS = 256 * 1024
"""Of a body's JSON: a longer one is kept as a blob, and its row refers to it."""


def blob_id(text: str) -> str:
    """Of compact JSON: the sha256 of its UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def put(group: Group, run: int, text: str, blob_type: str, at: int) -> str:
    found = blob_id(text)
    group.connection.execute(queries.INSERT_BLOB, (found, blob_type, text, at))
    group.connection.execute(queries.INSERT_BLOB_REF, (found, run))
    return found


def offload(group: Group, run: int, text: str | None, at: int) -> str | None:
    """What stands in the row: the body itself, or where it is."""
    if text is None or len(text) <= OFFLOAD_CHARACTERS:
        return text
    return queries.BLOB_MARK + put(group, run, text, "output", at)
