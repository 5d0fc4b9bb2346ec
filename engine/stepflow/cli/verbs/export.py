"""`stepflow export`"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from stepflow.cli.completers import file_paths, runs, templates
from stepflow.cli.names import template_name
from stepflow.cli.session import fail, note, with_reader
from stepflow.cli.text import paint, safe

if TYPE_CHECKING:
    from stepflow.client import Client

GZIP_LEVEL = 5


@click.command("export")
@click.argument("run_ids", nargs=-1, metavar="[RUN_ID]…", shell_complete=runs)
@click.option(
    "--template", metavar="NAME", callback=template_name, help="All executions of a template.", shell_complete=templates
)
@click.option("--output", metavar="FILE", help="Write there; compressed if it ends in .gz.", shell_complete=file_paths)
def command(run_ids: tuple[str, ...], template: str | None, output: str | None) -> None:
    """Write executions as JSON lines, for `stepflow import`: these with their children, or else everything.

    What sensitive steps gave, and the values of secrets, are not in it.

    \b
    Examples:
      stepflow export --output backup.jsonl.gz
      stepflow export exec_abc123 | jq -c 'select(.type == "step")'
    """
    if run_ids and template is not None:
        raise click.UsageError("Give executions or --template, not both")
    if output is None and sys.stdout.isatty():
        raise click.UsageError("An export is not for a terminal; give --output FILE, or pipe it (| less)")

    async def export(client: Client) -> None:
        count = 0
        with _opened(output) as file:
            async for chunk in client.export(list(run_ids), template=template):
                count += chunk.count(b'\n{"type":"run",') + chunk.startswith(b'{"type":"run",')
                file.write(chunk)
            file.flush()
        if output is not None:
            many = "execution" if count == 1 else "executions (children count too)"
            note(f"{paint('✓', 'green', sys.stderr)} {count:,} {many} exported to {safe(output)}")

    with_reader(export)


@contextmanager
def _opened(output: str | None) -> Iterator[BinaryIO]:
    """What is written is there when it is whole, or not at all."""
    if output is None:
        yield sys.stdout.buffer
        return
    target = Path(output).resolve()
    try:
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            # A pipe or a device has no place beside it.
            with target.open("wb") as file:
                yield file
            return
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        private = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(beside, private, 0o600), "wb") as file:
                with _compressed(file, output) as compressed:
                    yield compressed
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"'{safe(output)}' cannot be written: {error.strerror or error}")


@contextmanager
def _compressed(file: BinaryIO, output: str) -> Iterator[BinaryIO]:
    if not output.endswith(".gz"):
        yield file
        return
    import gzip

    with gzip.GzipFile(filename="", mode="wb", compresslevel=GZIP_LEVEL, fileobj=file) as compressed:
        yield cast("BinaryIO", compressed)
