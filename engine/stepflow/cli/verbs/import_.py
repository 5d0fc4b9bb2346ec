"""`stepflow import`"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from stepflow.cli.completers import file_paths
from stepflow.cli.session import FAILED, fail, fail_not_found, note, say, with_client
from stepflow.cli.text import paint, safe
from stepflow.errors import WorkflowEngineError

if TYPE_CHECKING:
    from io import BufferedReader

    from stepflow.client import Client
    from stepflow.contracts.transfer import ImportedRuns, ImportedTemplate, NotImported

_GZIP = b"\x1f\x8b"


class _Told:
    """What became of all that is in the file."""

    def __init__(self) -> None:
        self.roots = self.runs = self.stored = self.paused = self.refused = 0

    def add(self, one: ImportedTemplate | ImportedRuns | NotImported) -> None:
        from stepflow.contracts.transfer import ImportedRuns, ImportedTemplate

        if isinstance(one, ImportedTemplate):
            for version, here in one.versions.items():
                if version != here:
                    _warn(f"Version {version} of template '{one.name}' is its version {here} here")
        elif isinstance(one, ImportedRuns):
            self.roots += one.count > 0
            self.runs += one.count
            self.stored += one.count == 0
            self.paused += one.paused
            if one.lost_key is not None:
                _warn(f"{one.id} has no idempotency key here: '{one.lost_key}' is that of another execution")
        else:
            self.refused += 1
            _warn(f"{one.id} has not ended, and cannot go on without what its sensitive steps gave: not imported")

    def say(self) -> None:
        children = self.runs - self.roots
        also = f", with {children:,} children" if children else ""
        say(f"{paint('✓', 'green')} {self.roots:,} execution{'' if self.roots == 1 else 's'} imported{also}")
        if self.stored:
            note(f"  {self.stored:,} {'is' if self.stored == 1 else 'are'} stored already, and stayed as they are")
        if self.paused:
            note(f"  {self.paused:,} had not ended and {'is' if self.paused == 1 else 'are'} paused: stepflow resume …")


def _warn(text: str) -> None:
    note(f"{paint('⚠', 'yellow', sys.stderr)} {safe(text)}")


@click.command("import")
@click.argument("file", shell_complete=file_paths)
@click.option("--resume", is_flag=True, help="Let executions that had not ended go on here.")
def command(file: str, resume: bool) -> None:
    """Take in what `stepflow export` wrote; `-` reads stdin.

    What is stored already stays as it is. Executions that had not ended are paused.

    \b
    Examples:
      stepflow import backup.jsonl.gz
      stepflow --db other.db export exec_abc123 | stepflow import -
    """

    async def take_in(client: Client) -> int | None:
        told = _Told()
        try:
            with _opened(file) as opened:
                async for one in client.import_from(opened, resume=resume):
                    told.add(one)
        except WorkflowEngineError:
            if told.runs:
                told.say()
            raise
        told.say()
        if resume and told.runs:
            await client.ensure_worker()
        return FAILED if told.refused else None

    with_client(take_in)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    import zlib

    try:
        if file == "-":
            yield _decompressed(sys.stdin.buffer)
            return
        with open(file, "rb") as opened:
            yield _decompressed(opened)
    except (EOFError, zlib.error) as error:
        fail(f"'{safe(file)}' is damaged: {error}; export it again")
    except FileNotFoundError:
        fail_not_found(file, "File")
    except OSError as error:
        fail(f"'{safe(file)}' cannot be read: {error.strerror or error}")


def _decompressed(file: BinaryIO) -> BinaryIO:
    if cast("BufferedReader", file).peek(len(_GZIP))[: len(_GZIP)] != _GZIP:
        return file
    from gzip import GzipFile

    return cast("BinaryIO", GzipFile(fileobj=file, mode="rb"))
