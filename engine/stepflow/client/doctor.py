"""Is everything well? What `doctor` looks at: the storage, its workers and executions, the workspace, this machine.

`examine` needs no open client, since it is asked when there is no opening one. Each check is a function in `CHECKS`.
"""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from stepflow.contracts.clock import SystemClock
from stepflow.errors import WorkflowEngineError
from stepflow.location import examine_storage, find_database, find_workspace
from stepflow.model.health import Finding, Level
from stepflow.settings import FILE, read_settings

PACKAGE = "stepflow-tui"
PROGRAM = "stepflow "
MOST_TEMPLATES = 300
TEMPLATE_ENDINGS = (".yaml", ".yml", ".json")
JUMP_SECONDS = 1.0
NARROW, NARROWEST = 80, 40


class Asked(msgspec.Struct, frozen=True):
    """What was named on the way in, and whether to look at everything."""

    url: str | None
    workspace: str | os.PathLike[str] | None
    full: bool = False


def examine(
    url: str | None = None, workspace: str | os.PathLike[str] | None = None, *, full: bool = False
) -> Iterator[Finding]:
    """Everything there is to say, as it is found. `full`: take the time to look at every row."""
    asked = Asked(url, workspace, full)
    said: set[str] = set()
    for check in CHECKS:
        try:
            for finding in check(asked):
                if finding.level == "wrong" and finding.message in said:
                    finding = msgspec.structs.replace(finding, advice="", command="")
                said.add(finding.message)
                yield _of_this_place(finding, asked)
        except WorkflowEngineError as error:
            if error.message in said:
                continue
            said.add(error.message)
            name = check.__name__.removeprefix("_check_").replace("_", " ")
            message, _, advice = error.message.partition("; ")
            section = "Database" if check is _check_database else "Workspace"
            yield Finding(section, name, "wrong", message, advice)


def _of_this_place(finding: Finding, asked: Asked) -> Finding:
    """Its command is about the same database and workspace, wherever it is pasted."""
    given = (("--db", asked.url), ("--workspace", asked.workspace))
    options = " ".join(f"{option} {shlex.quote(str(value))}" for option, value in given if value is not None)
    if not options or not finding.command.startswith(PROGRAM):
        return finding
    command = f"{PROGRAM}{options} {finding.command.removeprefix(PROGRAM)}"
    return msgspec.structs.replace(finding, command=command)


def _check_database(asked: Asked) -> Iterator[Finding]:
    try:
        url = find_database(asked.url, find_workspace(asked.workspace))
    except WorkflowEngineError:
        return  # said of the workspace
    from stepflow.runtime.processes import boot_id

    clock = SystemClock()
    yield from examine_storage(url, now=clock.now(), monotonic=clock.monotonic(), boot_id=boot_id(), full=asked.full)


# The workspace


def _check_workspace(asked: Asked) -> Iterator[Finding]:
    workspace = find_workspace(asked.workspace)
    if workspace is None:
        yield Finding("Workspace", "folder", "ok", "none; `stepflow init` makes one")
        return
    yield Finding("Workspace", "folder", "ok", str(workspace))
    file = workspace / FILE
    settings = read_settings(workspace)
    if file.is_file():
        yield Finding("Workspace", FILE, "ok", ", ".join(settings.given) or "says nothing")
    for trouble in settings.unknown:
        yield Finding("Workspace", FILE, "warning", trouble.removeprefix(f"{file}: "))


def _check_components(asked: Asked) -> Iterator[Finding]:
    """Importing them runs their files, as every worker does."""
    from stepflow.workbench import Workbench

    workspace = find_workspace(asked.workspace)
    troubles: list[str] = []
    found = len(Workbench(workspace, troubles.append).registry)
    unknown = read_settings(workspace).unknown
    for trouble in troubles:
        if trouble not in unknown:
            advice = "steps that need them wait; correct it, then start the worker again"
            yield Finding("Workspace", "components", "wrong", trouble, advice)
    yield Finding("Workspace", "components", "ok", f"{found} can be had", details={"count": found})


def _check_templates(asked: Asked) -> Iterator[Finding]:
    """Files of the workspace that are templates by their look."""
    from stepflow.workbench import Workbench

    workspace = find_workspace(asked.workspace)
    if workspace is None:
        return
    workbench = Workbench(workspace)
    wrong = []
    count = 0
    for file, text in _template_files(workspace):
        count += 1
        read = workbench.validate(text, str(file))
        if read.flow is None:
            error = next(one for one in read.diagnostics if one.level == "error")
            wrong.append((file, f"{error.message} ({error.place})"))
    if wrong:
        file, said = wrong[0]
        message = f"{len(wrong)} of {count} files do not validate"
        details = {"files": [str(one) for one, _ in wrong]}
        yield Finding(
            "Workspace", "templates", "warning", message, said, f"stepflow validate {shlex.quote(str(file))}", details
        )
    else:
        yield Finding("Workspace", "templates", "ok", f"{count} files validate", details={"count": count})


def _template_files(workspace: Path) -> Iterator[tuple[Path, str]]:
    """In the workspace and in the folders right in it, hidden ones left out."""
    looked_at = 0
    for file in sorted([*workspace.glob("*"), *workspace.glob("[!.]*/*")]):
        if file.suffix not in TEMPLATE_ENDINGS or not file.is_file():
            continue
        looked_at += 1
        if looked_at > MOST_TEMPLATES:
            return
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if any(line.lstrip(' {"').startswith("steps") for line in text.splitlines()):
            yield file, text


# This machine


def _check_versions(asked: Asked) -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, requires, version  # nobody else waits for it

    wanted = [line for line in requires(PACKAGE) or () if "extra ==" not in line]
    names = sorted({"".join(c if c.isalnum() or c in "-_." else " " for c in line).split()[0] for line in wanted})
    found: dict[str, str] = {}
    missing = []
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            missing.append(name)
    message = f"StepFlow {version(PACKAGE)}, Python {platform.python_version()} on {platform.system()}"
    details = {"stepflow": version(PACKAGE), "python": platform.python_version(), **found}
    yield _of_machine("versions", "ok", message, details=details)
    if missing:
        command = f"{sys.executable} -m pip install {' '.join(missing)}"
        yield _of_machine("libraries", "wrong", f"{', '.join(missing)} not installed", "install it", command)
    else:
        shown = " ".join(f"{name} {found[name]}" for name in ("textual", "click", "msgspec") if name in found)
        yield _of_machine("libraries", "ok", f"all {len(found)} are there ({shown})")


_wall_before, _monotonic_before = time.time(), time.monotonic()


def _check_clock(asked: Asked) -> Iterator[Finding]:
    """Of the few moments that this process has seen."""
    jump = (time.time() - _wall_before) - (time.monotonic() - _monotonic_before)
    if abs(jump) > JUMP_SECONDS:
        message = f"the clock was set by {jump:+.1f} s while this was looked at"
        yield _of_machine(
            "clock", "warning", message, "timers follow it; see that the time service is in order", "date"
        )
    else:
        yield _of_machine("clock", "ok", "steady")


def _of_machine(check: str, level: Level, message: str, advice: str = "", command: str = "", **more: Any) -> Finding:
    return Finding("This machine", check, level, message, advice, command, **more)


# The terminal


def _check_terminal(asked: Asked) -> Iterator[Finding]:
    """What the screen will find, and do with it."""
    term = os.environ.get("TERM", "")
    if not sys.stdout.isatty():
        yield _of_terminal("terminal", "info", "the output goes to no terminal, so the screen cannot be shown in it")
        return
    if term in ("", "dumb"):
        yield _of_terminal(
            "terminal", "warning", f"TERM is '{term}': no colours and no screen", "", "export TERM=xterm"
        )
    else:
        yield from _size(os.get_terminal_size(sys.stdout.fileno()))
    yield from _colours(term)
    yield from _letters()
    yield from _around(term)


def _size(found: os.terminal_size) -> Iterator[Finding]:
    message = f"{os.environ['TERM']}, {found.columns} × {found.lines}"
    if found.columns < NARROW:
        lack = "cuts what it shows" if found.columns < NARROWEST else "leaves out columns"
        yield _of_terminal("terminal", "info", message, f"below {NARROW} columns the screen {lack}")
    else:
        yield _of_terminal("terminal", "ok", message)


def _colours(term: str) -> Iterator[Finding]:
    if os.environ.get("NO_COLOR"):
        yield _of_terminal("colours", "ok", "none, as NO_COLOR asks")
    elif os.environ.get("COLORTERM", "") in ("truecolor", "24bit"):
        yield _of_terminal("colours", "ok", "16 million")
    else:
        number = "256" if "256color" in term else "16"
        advice = "themes are drawn with the nearest colours; where the terminal has more, say so"
        yield _of_terminal("colours", "info", f"{number}, as TERM says", advice, "export COLORTERM=truecolor")


def _letters() -> Iterator[Finding]:
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding == "utf8":
        yield _of_terminal("letters", "ok", "UTF-8")
        return
    advice = "signs and boxes cannot be shown"
    yield _of_terminal("letters", "warning", f"{sys.stdout.encoding}, not UTF-8", advice, "export LC_ALL=C.UTF-8")


def _around(term: str) -> Iterator[Finding]:
    if os.environ.get("TMUX"):
        has_colours = os.environ.get("COLORTERM", "") in ("truecolor", "24bit")
        advice = "" if has_colours else "for all colours, and the mouse, put this into ~/.tmux.conf"
        command = "" if has_colours else "set -ga terminal-overrides ',*:Tc'; set -g mouse on"
        yield _of_terminal("around it", "ok" if has_colours else "info", "tmux", advice, command)
    elif os.environ.get("STY") or term.startswith("screen"):
        yield _of_terminal("around it", "info", "GNU screen", "it has 256 colours at most; tmux has all of them")


def _of_terminal(check: str, level: Level, message: str, advice: str = "", command: str = "") -> Finding:
    return Finding("Terminal", check, level, message, advice, command)


CHECKS: tuple[Callable[[Asked], Iterator[Finding]], ...] = (
    _check_database,
    _check_workspace,
    _check_components,
    _check_templates,
    _check_versions,
    _check_clock,
    _check_terminal,
)
