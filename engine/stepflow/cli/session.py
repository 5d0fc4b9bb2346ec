"""One command's life: opens the client, drives its coroutine, turns errors and interrupts into words and exit codes.

Exit codes: 0 done, 1 it failed or was refused, 2 the command line was wrong, 130 interrupted.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import msgspec

from stepflow.cli.text import paint, safe
from stepflow.errors import DSLValidationError, WorkflowEngineError

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.workbench import Workbench

FAILED = 1
INTERRUPTED = 130


class Place(msgspec.Struct, frozen=True):
    """Where the command works: what `--db` and `--workspace` said."""

    database: str | None = None
    workspace: str | None = None


def say(text: str = "") -> None:
    """A result, to stdout."""
    click.echo(text, color=True)


def note(text: str) -> None:
    """Everything else, to stderr."""
    click.echo(text, err=True, color=True)


def fail(message: str) -> NoReturn:
    note(f"{paint('✗', 'red', sys.stderr)} {message}")
    sys.exit(FAILED)


def with_client(
    action: Callable[[Client], Awaitable[int | None]], *, on_interrupt: Callable[[], None] | None = None
) -> None:
    """Run `action` with a client on the command's database and exit with its code."""
    place = click.get_current_context().find_object(Place) or Place()

    async def drive() -> int | None:
        from stepflow.client import Client

        async with Client(place.database, place.workspace) as client:
            return await action(client)

    try:
        code = asyncio.run(drive())
    except KeyboardInterrupt:
        if on_interrupt is not None:
            on_interrupt()
        sys.exit(INTERRUPTED)
    except DSLValidationError as error:
        note(f"{paint('✗', 'red', sys.stderr)} DSL validation failed")
        for line in diagnostic_lines(error.diagnostics):
            note(line)
        sys.exit(FAILED)
    except WorkflowEngineError as error:
        fail("\n  ".join(safe(line) for line in error.message.splitlines()))
    except BrokenPipeError:
        quiet_pipe()
    sys.exit(code or 0)


def with_workbench(action: Callable[[Workbench, Client | None], Awaitable[int | None]]) -> None:
    """Run `action` with a workbench, and with a client where the command's database exists: none is made for it."""
    from stepflow.location import find_database, find_workspace, split_url

    place = click.get_current_context().find_object(Place) or Place()
    try:
        workspace = find_workspace(place.workspace)
        database = split_url(find_database(place.database, workspace))[0]
    except WorkflowEngineError as error:
        fail(safe(error.message))
    if Path(database).expanduser().is_file():

        async def with_both(client: Client) -> int | None:
            return await action(await client.workbench(), client)

        with_client(with_both)
        return
    from stepflow.workbench import Workbench

    async def alone() -> int | None:
        return await action(Workbench(workspace, lambda trouble: note(f"⚠ {safe(trouble)}")), None)

    try:
        code = asyncio.run(alone())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except WorkflowEngineError as error:
        fail(safe(error.message))
    except BrokenPipeError:
        quiet_pipe()
    sys.exit(code or 0)


def quiet_pipe() -> NoReturn:
    """Whoever read our output has gone: that is no error of anybody's."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def diagnostic_lines(diagnostics: Any) -> list[str]:
    """`• message`, and where it is and what to do below it."""
    lines = []
    for diagnostic in diagnostics:
        if diagnostic.level == "error":
            lines.append(f"  • {safe(diagnostic.message)}")
            below = " ".join(filter(None, (f"{diagnostic.place}:" if diagnostic.place else "", diagnostic.hint)))
            if below:
                lines.append(paint(f"      {safe(below.rstrip(':'))}", "dim", sys.stderr))
    return lines


def read_file(path: str, what: str) -> str:
    """The text of a file the user named."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        close = _like(Path(path))
        fail(f"{what} '{safe(path)}' not found{close}")
    except IsADirectoryError:
        fail(f"{what} '{safe(path)}' is a folder; name a file in it")
    except UnicodeDecodeError as error:
        fail(f"{what} '{safe(path)}' is not UTF-8 text (byte {error.start}); save it as UTF-8")
    except OSError as error:
        fail(f"{what} '{safe(path)}' cannot be read: {error.strerror}")


def _like(path: Path) -> str:
    from stepflow.dsl.diagnostics import did_you_mean

    try:
        names = [one.name for one in path.parent.iterdir()]
    except OSError:
        return ""
    return safe(did_you_mean(path.name, names))


def read_input(given: str | None, file: str | None) -> Any:
    """The run's input: JSON, `@file`, `-` for stdin, or `--file`."""
    if given is not None and file is not None:
        raise click.UsageError("--input and --file say the same; give one of them")
    if file is not None:
        given = f"@{file}"
    if given is None:
        return None
    source = "--input"
    if given == "-":
        text, source = sys.stdin.read(), "stdin"
    elif given.startswith("@"):
        text, source = read_file(given[1:], "Input file"), given[1:]
    else:
        text = given
    if source.endswith((".yaml", ".yml")):
        from stepflow.dsl.load import load

        document = load(text, "yaml")
        if document.diagnostics:
            fail(f"{safe(source)}: {document.diagnostics[0].message} (line {document.diagnostics[0].line})")
        return document.data
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        shown = safe(text.strip()[:60])
        fail(
            f"The input is not JSON: {error.msg} in line {error.lineno}, column {error.colno} of {safe(source)}\n"
            f'  {shown}\n  Write it like --input \'{{"orderId": "123"}}\' or --input @order.json'
        )
    except RecursionError:
        fail("The input is nested too deeply")
