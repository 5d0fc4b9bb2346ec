"""`/shell/run`: a command in a process group of its own, its lines streamed while it runs."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from stepflow.components._failure import failure, invalid_input
from stepflow.components._places import home
from stepflow.contracts.component import Component, ComponentContext
from stepflow.model.flow import Json

MESSAGE_BYTES = 500

SCALAR = {"type": ["string", "number", "boolean"]}


async def run(value: dict[str, Any], context: ComponentContext) -> dict[str, Any]:
    from stepflow.components._command import Command, perform

    arguments = _arguments(value)
    folder = _folder(value.get("cwd"), context)
    environment = _environment(value.get("env") or {}, context)
    _check_program(arguments[0], folder, environment)
    stdin = value.get("stdin")
    command = Command(arguments, folder, environment, None if stdin is None else stdin.encode("utf-8", "surrogatepass"))
    ended = await perform(command, context)
    if not _is_expected(ended.exit_code, value):
        raise _exit_failure(ended.exit_code, ended.signal, "" if context.sensitive else ended.stderr)
    return {"exit_code": ended.exit_code, "stdout": ended.stdout, "stderr": ended.stderr}


def _arguments(value: dict[str, Any]) -> list[str]:
    command, shell = value["command"], bool(value.get("shell"))
    if shell:
        if not command.strip():
            raise invalid_input("command: it is empty")
        return ["/bin/sh", "-c", command]
    return [_text(argument) for argument in command]


def _text(value: Any) -> str:
    """As JSON writes it: an argument that came from a value may be a number."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _folder(cwd: str | None, context: ComponentContext) -> Path | None:
    folder = home(context)
    if cwd is not None:
        folder = (folder or Path.cwd()) / cwd
    if folder is not None and not folder.is_dir():
        raise invalid_input(f"cwd: there is no folder {folder}")
    return folder


def _environment(added: dict[str, Any], context: ComponentContext) -> dict[str, str]:
    """The worker's own, what tells the command where it is, and what the step adds."""
    for name in added:
        if not name or "=" in name:
            raise invalid_input(f"env: '{name}' cannot be the name of a variable")
    return {
        **os.environ,
        "STEPFLOW_RUN_ID": context.run_id,
        "STEPFLOW_STEP": context.step_id,
        "STEPFLOW_ATTEMPT": str(context.attempt),
        "STEPFLOW_IDEMPOTENCY_KEY": context.idempotency_key,
        **{name: _text(value) for name, value in added.items() if value is not None},
    }


def _check_program(program: str, folder: Path | None, environment: dict[str, str]) -> None:
    """The shell that waits at the gate would find it out too, but could only say 127."""
    from shutil import which

    if "/" in program:
        file = (folder or Path.cwd()) / program
        if not file.exists():
            raise failure("COMMAND_NOT_FOUND", f"There is no program {file}")
        if file.is_dir() or not os.access(file, os.X_OK):
            raise failure("COMMAND_NOT_FOUND", f"{file} is not executable")
    elif which(program, path=environment.get("PATH", os.defpath)) is None:
        raise failure("COMMAND_NOT_FOUND", f"There is no program '{program}' in the PATH")


def _is_expected(exit_code: int, value: dict[str, Any]) -> bool:
    expect = value.get("expect")
    if exit_code == 0 or value.get("check") is False:
        return True
    return exit_code in (expect if isinstance(expect, list) else [expect])


def _exit_failure(exit_code: int, number: int | None, stderr: str) -> Exception:
    how = f"exited with {exit_code}" if number is None else f"was killed by {signal.Signals(number).name}"
    end = stderr.strip()
    if len(end) > MESSAGE_BYTES:
        end = "…" + end[-MESSAGE_BYTES:]
    message = f"The command {how}{': ' if end else ''}{end}"
    return failure("SHELL_EXIT", message, exit_code=exit_code)


def _command_is(kind: str) -> Json:
    return {"required": ["command"], "properties": {"command": {"type": kind}}}


COMPONENTS: tuple[Component, ...] = (
    Component(
        path="/shell/run",
        function=run,
        mode="async",
        external=True,
        description="Runs a command; its lines are logged while it runs, and all its processes end with the step",
        input_schema={
            "type": "object",
            "required": ["command"],
            "additionalProperties": False,
            "allOf": [
                {
                    "if": _command_is("string"),
                    "then": {
                        "description": "command: write a list, [program, argument, …], or say shell: true beside it",
                        "required": ["shell"],
                        "properties": {"shell": {"const": True}},
                    },
                },
                {
                    "if": _command_is("array"),
                    "then": {
                        "description": "command: with shell: true it is one string, not a list",
                        "properties": {"shell": {"not": {"const": True}}},
                    },
                },
            ],
            "properties": {
                "command": {
                    "anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": SCALAR}],
                    "description": "[program, argument, …], or a string with shell: true",
                },
                "shell": {"type": ["boolean", "null"]},
                "cwd": {
                    "type": ["string", "null"],
                    "description": "relative to the template's folder or the workspace",
                },
                "env": {
                    "type": ["object", "null"],
                    "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
                    "description": "added to the worker's own variables",
                },
                "stdin": {"type": ["string", "null"]},
                "check": {"type": ["boolean", "null"], "description": "false: any exit code is fine"},
                "expect": {
                    "type": ["integer", "array", "null"],
                    "items": {"type": "integer"},
                    "description": "exit codes that are fine besides 0",
                },
            },
        },
        output_schema={
            "type": "object",
            "required": ["exit_code", "stdout", "stderr"],
            "properties": {
                "exit_code": {"type": "integer", "description": "128 + n where signal n ended it"},
                "stdout": {"type": "string", "description": "its last megabyte"},
                "stderr": {"type": "string", "description": "its last megabyte"},
            },
        },
        example={
            "input": {"command": ["echo", "hello"]},
            "output": {"exit_code": 0, "stdout": "hello\n", "stderr": ""},
        },
    ),
)
