"""Components of programs in any language: each `[[components]]` table of `stepflow.toml` names one to be run, which
speaks the worker protocol over its stdin and stdout (`docs/stdio-components.md`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from stepflow.components._offers import schema_problem
from stepflow.components._paths import check_path
from stepflow.components._stdio_program import Program
from stepflow.contracts.component import Component
from stepflow.dsl.diagnostics import Diagnostic, did_you_mean
from stepflow.errors import WorkflowEngineError
from stepflow.model.times import parse_duration
from stepflow.settings import FILE, read_settings

TABLES = "components"
DEFAULT_START_SECONDS = 10.0


class _Table(msgspec.Struct, frozen=True):
    command: list[str]
    cwd: str | None = None
    env: dict[str, str | int | float | bool] = {}
    start_timeout: float | str = DEFAULT_START_SECONDS


class _WrongTableError(Exception):
    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def stdio_components(workspace: Path, say: Callable[[str], None]) -> tuple[list[Component], list[Diagnostic]]:
    """What the programs of the workspace offer, and what is wrong with its tables and with programs that offer nothing.

    Each program is started to be asked, and ended again; it is started for its work at its first attempt. `say` is told
    of its stderr then, and of what it writes that is no message.
    """
    workspace = workspace.resolve()
    troubles: list[Diagnostic] = []
    programs: list[tuple[str, Program]] = []
    for where, table in _tables(workspace, troubles):
        try:
            programs.append((where, _program(table, workspace)))
        except _WrongTableError as error:
            troubles.append(_trouble(workspace, f"{where}{'.' if error.key else ''}{error.key}", str(error)))
    if not programs:
        return [], troubles
    from stepflow.components._stdio_handshake import introductions

    components: list[Component] = []
    for (where, program), introduction in zip(programs, introductions([p for _, p in programs]), strict=True):
        if introduction.trouble is not None:
            troubles.append(_trouble(workspace, where, f"{program.name} {introduction.trouble}"))
            continue
        offered, problems = _components(program, introduction.offers, f"{workspace / FILE}: {where}", say)
        components += offered
        troubles += [_trouble(workspace, where, f"{program.name}: {problem}") for problem in problems]
    return components, troubles


def _tables(workspace: Path, troubles: list[Diagnostic]) -> Iterator[tuple[str, Any]]:
    try:
        tables = read_settings(workspace).programs
    except WorkflowEngineError as error:
        troubles.append(_trouble(workspace, "", f"it cannot be read: {error.__cause__ or error.message}"))
        return
    if not isinstance(tables, list | tuple):
        troubles.append(_trouble(workspace, TABLES, "write it as [[components]], a table for each program"))
        return
    for number, table in enumerate(tables):
        yield f"{TABLES}[{number}]", table


def _program(raw: Any, workspace: Path) -> Program:
    if not isinstance(raw, dict):
        raise _WrongTableError("", "write it as [[components]], a table for each program")
    known = _Table.__struct_fields__
    for key in raw:
        if key not in known:
            hint = did_you_mean(key, known) or f"; it takes {', '.join(known)}"
            raise _WrongTableError(key, f"the key is unknown{hint}")
    try:
        table = msgspec.convert(raw, _Table)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$.")
        key = place.rstrip("`")
        hint = '; write a list: ["node", "hello.mjs"]' if key == "command" else ""
        raise _WrongTableError(key, what.replace("`", "'") + hint) from None
    cwd = workspace if table.cwd is None else workspace / Path(table.cwd).expanduser()
    if not cwd.is_dir():
        raise _WrongTableError("cwd", f"there is no folder {cwd}")
    variables = {name: _text(value) for name, value in table.env.items()}
    _check_command(table.command, cwd, variables)
    return Program(tuple(table.command), cwd, variables, _seconds(table.start_timeout))


def _check_command(command: list[str], cwd: Path, variables: dict[str, str]) -> None:
    """Told with its key, before anything is started."""
    import os
    from shutil import which

    if not command or not command[0]:
        raise _WrongTableError("command", "it names no program")
    if any("\0" in text for text in (*command, *variables, *variables.values())):
        raise _WrongTableError("command", "a program cannot be given a NUL character")
    for name in variables:
        if not name or "=" in name:
            raise _WrongTableError("env", f"'{name}' cannot be the name of a variable")
    path = variables.get("PATH", os.environ.get("PATH", os.defpath))
    program = str(cwd / command[0]) if "/" in command[0] else command[0]
    if which(program, path=path) is None:
        raise _WrongTableError("command", f"there is no program '{command[0]}'")


def _seconds(value: float | str) -> float:
    try:
        seconds = parse_duration(value) / 1000 if isinstance(value, str) else float(value)
    except ValueError as error:
        raise _WrongTableError("start_timeout", str(error)) from None
    if not 0 < seconds < float("inf"):
        raise _WrongTableError("start_timeout", "it must be longer than nothing")
    return seconds


def _text(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _components(
    program: Program, offers: tuple[dict[str, Any], ...], origin: str, say: Callable[[str], None]
) -> tuple[list[Component], list[str]]:
    from stepflow.components._stdio_process import StdioProcess
    from stepflow.components._stdio_protocol import read_offer

    process = StdioProcess(program, say)
    components: list[Component] = []
    problems = [] if offers else ["it offers no component"]
    for number, raw in enumerate(offers):
        try:
            offer = read_offer(raw)
            check_path(offer.path)
        except ValueError as error:
            problems.append(f"component {number} that it offers is not taken: {error}")
            continue
        made = Component(
            path=offer.path,
            function=partial(process.perform, offer.path),
            mode="async",
            description=offer.description.partition("\n")[0] or f"Performed by {program.name}",
            input_schema=offer.input_schema,
            output_schema=offer.output_schema,
            example=offer.example,
            external=True,
            override=offer.override,
            origin=origin,
        )
        problem = schema_problem(made)
        if problem is None:
            components.append(made)
        else:
            problems.append(f"component '{made.path}' is not available: {problem}")
    return components, problems


def _trouble(workspace: Path, path: str, message: str) -> Diagnostic:
    return Diagnostic(
        code="COMPONENT_PROGRAM",
        level="error",
        message=message,
        path=path,
        file=str(workspace / FILE),
        hint="correct it, then start the worker again",
    )
