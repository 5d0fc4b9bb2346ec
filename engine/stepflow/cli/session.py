"""One command's life: opens the client, drives its coroutine, turns errors and interrupts into words and exit codes.

Exit codes: 0 done, 1 it failed or was refused, 2 the command line was wrong, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TextIO

import click

from stepflow.cli.text import paint, safe
from stepflow.errors import DSLValidationError, WorkflowEngineError

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.dsl.diagnostics import Diagnostic
    from stepflow.workbench import Workbench

FAILED = 1
INTERRUPTED = 130


class Place(NamedTuple):
    """Where the command works: what `--db` and `--workspace` said."""

    database: str | None = None
    workspace: str | None = None


def ours(words: str) -> str:
    """A command of ours to paste: under the name that this one was called by, on its database, in its workspace."""
    from shlex import quote

    context = click.get_current_context(silent=True)
    if context is None:
        return f"stepflow {words}"
    place = _place()
    options = (("--db", place.database), ("--workspace", place.workspace))
    given = [f"{name} {safe(quote(value))}" for name, value in options if value]
    return " ".join([context.find_root().info_name or "stepflow", *given, words])


def say(text: str = "") -> None:
    """A result, to stdout."""
    click.echo(text, color=True)


def note(text: str) -> None:
    """Everything else, to stderr."""
    click.echo(text, err=True, color=True)


def fail(message: str) -> NoReturn:
    note(f"{paint('✗', 'red', sys.stderr)} {message}")
    sys.exit(FAILED)


def confirm(question: str, option: str) -> bool:
    """Asked on a terminal; elsewhere `option` has to say so. Ctrl-D is a no, Ctrl-C interrupts."""
    if not sys.stdin.isatty():
        fail(f"{question} Say so with {option}")
    # asyncio takes note of the first Ctrl-C and goes on: whoever waits for an answer would see nothing happen.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        while True:
            click.echo(f"{question} [y/N]: ", nl=False, err=True)
            answer = sys.stdin.readline()
            if not answer:
                click.echo(err=True)
            if answer.strip().lower() in ("", "n", "no"):
                return False
            if answer.strip().lower() in ("y", "yes"):
                return True
    except KeyboardInterrupt:
        click.echo(err=True)
        raise
    finally:
        signal.signal(signal.SIGINT, handler)


def with_client(
    action: Callable[[Client], Awaitable[int | None]],
    *,
    on_interrupt: Callable[[], None] | None = None,
    read_only: bool = False,
    at_once: bool = False,
) -> None:
    """Run `action` with a client on the command's database and exit with its code. `at_once`: all that it awaits is the
    client, and it follows nothing, so that it needs no event loop."""
    place = _place()

    async def drive() -> int | None:
        from stepflow.client import Client

        async with Client(place.database, place.workspace, read_only=read_only, at_once=at_once) as client:
            return await action(client)

    _drive(drive, on_interrupt, at_once=at_once)


def with_reader(action: Callable[[Client], Awaitable[int | None]], *, at_once: bool = False) -> None:
    """As `with_client`, for what only looks. Where there is no database none is made for it: it sees an empty one."""
    database = _database()
    if Path(database).expanduser().exists():
        with_client(action, at_once=at_once)
        return
    note(f"{paint('ℹ', 'blue', sys.stderr)} There is no database {safe(database)} yet")

    async def drive() -> int | None:
        from tempfile import TemporaryDirectory

        from stepflow.client import Client

        with TemporaryDirectory() as folder:
            async with Client(str(Path(folder, "empty.db")), _place().workspace, at_once=at_once) as client:
                return await action(client)

    _drive(drive, at_once=at_once)


def with_workbench(action: Callable[[Workbench], Awaitable[int | None]]) -> None:
    """Run `action` with a workbench, which needs no database, and exit with its code."""

    async def drive() -> int | None:
        from stepflow.location import find_workspace
        from stepflow.workbench import Workbench

        return await action(Workbench(find_workspace(_place().workspace), _warn))

    _drive(drive)


def with_templates(action: Callable[[Workbench, Client | None], Awaitable[int | None]]) -> None:
    """Run `action` with a workbench that knows the templates of the command's database, and a client that only reads;
    without a client where there is no database: none is made for this."""
    if not Path(_database()).expanduser().exists():
        with_workbench(lambda workbench: action(workbench, None))
        return

    async def with_both(client: Client) -> int | None:
        return await action(await client.workbench(_warn), client)

    with_client(with_both, read_only=True)


def _place() -> Place:
    return click.get_current_context().find_object(Place) or Place()


def _database() -> str:
    """Its path, whether it is there or not."""
    from stepflow.location import find_database, find_workspace, is_there, split_url, whole_path

    place = _place()
    try:
        database = split_url(find_database(place.database, find_workspace(place.workspace)))[0]
        is_there(whole_path(database))
    except WorkflowEngineError as error:
        fail(safe(error.message))
    return database


def _warn(trouble: str) -> None:
    note(f"{paint('⚠', 'yellow', sys.stderr)} {safe(trouble)}")


def _drive(
    drive: Callable[[], Coroutine[Any, Any, int | None]],
    on_interrupt: Callable[[], None] | None = None,
    *,
    at_once: bool = False,
) -> None:
    try:
        code = _run_at_once(drive()) if at_once else _run(drive())
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


def _run(coroutine: Coroutine[Any, Any, int | None]) -> int | None:
    import asyncio

    is_interrupted = False

    async def interruptible() -> int | None:
        """asyncio cancels wherever the loop just is, also halfway through the outcome of what is waited for."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            nonlocal is_interrupted
            is_interrupted = True
            loop.remove_signal_handler(signal.SIGINT)  # a second one does not wait for what is cleaned up
            task.cancel()

        loop.add_signal_handler(signal.SIGINT, interrupt)
        return await coroutine

    hears = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else somebody has asked not to be
    try:
        return asyncio.run(interruptible() if hears else coroutine)
    except asyncio.CancelledError:
        if is_interrupted:
            raise KeyboardInterrupt from None
        raise


def _run_at_once(coroutine: Coroutine[Any, Any, int | None]) -> int | None:
    try:
        coroutine.send(None)
    except StopIteration as end:
        code: int | None = end.value
        return code
    raise AssertionError("it awaits something that needs an event loop")


def quiet_pipe() -> NoReturn:
    """Whoever read our output has gone: that is no error of anybody's."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def diagnostic_lines(diagnostics: Iterable[Diagnostic], stream: TextIO | None = None) -> list[str]:
    """For `stream` (stderr by default): errors as `• message`, where they are and what to do below it; then warnings
    and notes."""
    stream = stream or sys.stderr
    found = list(diagnostics)
    lines = []
    for error in (one for one in found if one.level == "error"):
        lines.append(f"  • {safe(error.message)}")
        below = " ".join(filter(None, (f"{error.place}:" if error.place else "", error.hint)))
        if below:
            lines.append(paint(f"      {safe(below.rstrip(':'))}", "dim", stream))
    for other in (one for one in found if one.level != "error"):
        sign, colour = ("⚠", "yellow") if other.level == "warning" else ("ℹ", "blue")
        place = f"{safe(other.place)}: " if other.place else ""
        lines.append(f"  {paint(sign, colour, stream)} {place}{safe(other.message)}")
        if other.hint:
            lines.append(paint(f"      {safe(other.hint)}", "dim", stream))
    return lines


def read_file(path: str, what: str) -> str:
    """The text of a file the user named; the ends of its lines are what they are."""
    try:
        with Path(path).open(encoding="utf-8", newline="") as opened:
            return opened.read()
    except FileNotFoundError:
        fail_not_found(path, what)
    except IsADirectoryError:
        fail(f"{what} '{safe(path)}' is a folder; name a file in it")
    except UnicodeDecodeError as error:
        fail(f"{what} '{safe(path)}' is not UTF-8 text (byte {error.start}); save it as UTF-8")
    except OSError as error:
        fail(f"{what} '{safe(path)}' cannot be read: {error.strerror}")


def write_file(path: str, text: str, what: str) -> None:
    """In place of the text that `read_file` gave, which stays where the new one cannot be written whole."""
    target = Path(path).resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    if not os.access(target, os.W_OK):
        fail(f"{what} '{safe(path)}' cannot be written: {os.strerror(errno.EACCES)}")
    try:
        with beside.open("w", encoding="utf-8", newline="") as opened:
            opened.write(text)
        shutil.copymode(target, beside)
        beside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        fail(f"{what} '{safe(path)}' cannot be written: {error.strerror}")


def fail_not_found(file: str, what: str) -> NoReturn:
    from stepflow.dsl.diagnostics import did_you_mean

    path = Path(file)
    try:
        names = [one.name for one in path.parent.iterdir()]
    except OSError:
        names = []
    fail(f"{what} '{safe(file)}' not found{safe(did_you_mean(path.name, names))}")


def read_input(given: str | None, file: str | None, option: str = "--input") -> Any:
    """The run's input: JSON, `@file`, `-` for stdin, or `--file`."""
    if given is not None and file is not None:
        raise click.UsageError(f"{option} and --file say the same; give one of them")
    if file is not None:
        given = f"@{file}"
    if given is None:
        return None
    if given == "-":
        return _read_json(_read_stdin(), "stdin", option)
    if given.startswith("@"):
        return _read_json(read_file(given[1:], "Input file"), given[1:], option)
    return _read_json(given, option, option)


def _read_stdin() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        fail(f"The input on stdin is not UTF-8 text (byte {error.start})")


def _read_json(text: str, source: str, option: str) -> Any:
    """Of a file that says so, YAML."""
    from stepflow.dsl.load import load

    text = text.removeprefix("\ufeff")
    if source.endswith((".yaml", ".yml")):
        document = load(text, "yaml")
        if document.diagnostics:
            fail(f"{safe(source)}: {safe(document.diagnostics[0].message)} (line {document.diagnostics[0].line})")
        return document.data
    try:
        return parse_json(text)
    except ValueError as error:
        begin = safe(text.strip()[:60])
        wrong = f"not JSON: {error} of {safe(source)}\n  {begin}" if begin else f"empty: {safe(source)} says nothing"
        fail(f'The input is {wrong}\n  Write it like {option} \'{{"orderId": "123"}}\' or {option} @order.json')


def parse_json(text: str) -> Any:
    """`ValueError` says what is wrong, and where."""
    import json

    try:
        return json.loads(text, parse_constant=_refuse_number, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} in line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise ValueError(str(error).partition(";")[0]) from None  # Python's own way out is not the user's
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_number(written: str) -> Any:
    raise ValueError(f"{written} is not a JSON number")


def _finite(written: str) -> float:
    number = float(written)
    return number if math.isfinite(number) else _refuse_number(f"{written}, which is out of range,")
