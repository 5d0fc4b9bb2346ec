"""`stepflow …`, `aio wf …` and `aio workflow …`: the same commands.

A verb is a file in `verbs/` that defines `command`; the list here is the order of the help. Each is imported only
when it is called, so that starting costs little.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from stepflow.cli.session import Place, quiet_pipe
from stepflow.dsl.diagnostics import did_you_mean

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

SECTIONS = {
    "Templates": {
        "create": "Create a template from a file",
        "list": "List templates",
        "get": "Show a template",
        "update": "Save a new version of a template",
        "delete": "Delete a template",
    },
    "Executions": {
        "run": "Start an execution",
        "executions": "List executions",
        "execution": "Show an execution",
        "steps": "List the steps of an execution",
        "stream": "Follow the events of an execution",
        "signal": "Give an execution a signal, or an approval",
        "cancel": "Cancel an execution",
        "retry": "Retry a failed execution",
    },
    "Writing templates": {
        "validate": "Check a template file",
        "lint": "Find what is risky in templates",
        "simulate": "Show what an execution would do",
        "test": "Run the tests of templates",
        "components": "List what steps can run",
        "schema": "Write the JSON Schema that editors use",
        "init": "Make a workspace here",
        "demo": "See what it is for",
    },
    "This machine": {
        "worker": "Work until stopped",
        "workers": "List workers",
    },
}
VERBS = {verb: what for verbs in SECTIONS.values() for verb, what in verbs.items()}


class Verbs(click.Group):
    """Loads a verb's file when it is needed, and knows what was meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"stepflow.cli.verbs.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, VERBS))
        for section, verbs in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(verb.ljust(width), what) for verb, what in verbs.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(f"Unknown command '{args[0]}'{did_you_mean(args[0], VERBS)}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--db", metavar="FILE", help="The database; default: the workspace's, else your own.")
@click.option("--workspace", metavar="FOLDER", help="The workspace; default: the nearest folder with a stepflow.toml.")
@click.option("--version", is_flag=True, help="Show the version.")
@click.pass_context
def group(ctx: click.Context, db: str | None, workspace: str | None, version: bool) -> None:
    """Durable workflows on this machine. Without a command: the terminal UI.

    \b
    Examples:
      stepflow demo
      stepflow create order-flow --dsl workflow.yaml
      stepflow run order-flow --input '{"orderId": "123"}'
    """
    ctx.obj = Place(db, workspace)
    if version:
        from importlib.metadata import version as version_of

        click.echo(f"stepflow {version_of('stepflow-tui')}")
    elif ctx.invoked_subcommand is None:
        from stepflow.cli.screen import has_terminal, open_screen

        if not has_terminal():
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        ctx.exit(open_screen(ctx.obj))


def _call(name: str, arguments: list[str]) -> None:
    if sys.platform == "win32":
        click.echo("✗ StepFlow runs on Linux and macOS; on Windows use it inside WSL", err=True)
        sys.exit(1)
    try:
        code = group.main(arguments, prog_name=name, standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        quiet_pipe()
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _no_room(error)
    sys.exit(code if isinstance(code, int) else 0)


def _no_room(error: OSError) -> NoReturn:
    """What is read from files and sockets has its own words; this is what we print that goes nowhere."""
    click.echo(f"✗ The output cannot be written: {error.strerror or error}", err=True)
    # What is still in the buffer would be tried again at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


def stepflow() -> None:
    """The `stepflow` command."""
    _call("stepflow", sys.argv[1:])


def aio() -> None:
    """The `aio` command, of which StepFlow is `wf`."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["wf"], ["workflow"]):
        _call(f"aio {arguments[0]}", arguments[1:])
    asked_for_help = not arguments or arguments[0] in ("-h", "--help")
    if not asked_for_help:
        click.echo(f"Unknown command '{arguments[0]}'{did_you_mean(arguments[0], ('wf', 'workflow'))}", err=True)
    click.echo("Usage: aio wf COMMAND …  (or: aio workflow COMMAND …); `aio wf --help` lists the commands", err=True)
    sys.exit(0 if asked_for_help and arguments else 2)


if __name__ == "__main__":
    stepflow()
