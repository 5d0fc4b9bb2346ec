"""Blobs: large or shared data, kept once under the hash of its content; long outputs go here by themselves."""

from __future__ import annotations

import hashlib
import re

from stepflow.storages.sqlite import queries
from stepflow.storages.sqlite.writer import Group

OFFLOAD_CHARACTERS = 256 * 1024
"""Of a body's JSON: a longer one is kept as a blob, and its row refers to it."""


_ID_LENGTH = 64
_ID = re.compile(f"[0-9a-f]{{{_ID_LENGTH}}}")


def blob_id(text: str) -> str:
    """Of compact JSON: the sha256 of its UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def put(group: Group, run: int, text: str, blob_type: str, at: int) -> str:
    found = blob_id(text)
    group.connection.execute(queries.INSERT_BLOB, (found, blob_type, text, at))
    group.connection.execute(queries.INSERT_BLOB_REF, (found, run))
    return found


def refer(group: Group, run: int, text: str) -> None:
    """The run was given this: the blobs that it names stay as long as the run."""
    if len(text) > _ID_LENGTH and group.connection.execute(queries.HAS_BLOBS).fetchone()[0]:
        for found in set(_ID.findall(text)):
            group.connection.execute(queries.REFER_TO_BLOB, (run, found))


def offload(group: Group, run: int, text: str | None, at: int) -> str | None:
    """What stands in the row: the body itself, or where it is."""
    if text is None or len(text) <= OFFLOAD_CHARACTERS:
        return text
    return queries.BLOB_MARK + put(group, run, text, "output", at)
