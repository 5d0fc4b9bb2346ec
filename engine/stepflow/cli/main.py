"""`stepflow …`, `aio wf …` and `aio workflow …`: the same commands.

A verb is a file in `verbs/` that defines `command`; the list here is the order of the help. Each is imported only
when it is called, so that starting costs little.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from stepflow.cli.completers import file_paths, folder_paths
from stepflow.cli.screen import has_terminal, open_screen, screen_options
from stepflow.cli.session import Place, quiet_pipe

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

SECTIONS = {
    "Templates": {
        "create": "Create a template from a file",
        "list": "List templates",
        "get": "Show a template",
        "history": "List the versions of a template",
        "diff": "Compare versions of a template, or executions",
        "update": "Save a new version of a template",
        "delete": "Delete a template",
    },
    "Executions": {
        "run": "Start an execution",
        "executions": "List executions",
        "execution": "Show an execution",
        "steps": "List the steps of an execution",
        "stream": "Follow the events of an execution",
        "logs": "Show what the steps of an execution said",
        "open": "Open the terminal UI on an execution",
        "signal": "Give an execution a signal, or an approval",
        "cancel": "Cancel an execution",
        "pause": "Pause an execution",
        "resume": "Let a paused execution go on",
        "retry": "Retry a failed execution",
        "fork": "Start anew from what an execution has completed",
    },
    "Writing templates": {
        "dev": "Save templates whenever their files change",
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
        "ui": "Open the terminal UI, here or in a browser",
        "worker": "Work until stopped",
        "workers": "List workers, or stop them",
        "stats": "Count executions, failures, durations",
        "doctor": "See whether all is well",
        "export": "Write executions to a file",
        "import": "Take in executions from a file",
        "prune": "Delete executions that ended long ago",
        "config": "Show the settings, and where they come from",
        "completion": "Complete commands at TAB",
    },
}
_INSTEAD = {
    "schedules": "; this release has no schedules: let cron call `stepflow run TEMPLATE --async`",
}
"""Of commands that other releases have, or that people look for."""
EXIT_CODES = {0: "done", 1: "it failed or was refused", 2: "the command line was wrong", 130: "interrupted"}
VERBS = {verb: what for verbs in SECTIONS.values() for verb, what in verbs.items()}


class Verbs(click.Group):
    """Loads a verb's file when it is needed, and knows what was meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"stepflow.cli.verbs.{module}").command
        for parameter in command.params:
            if isinstance(parameter, click.Option) and isinstance(parameter.type, click.IntRange):
                parameter.metavar = parameter.metavar or "N"  # click's INTEGER RANGE says less
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Without loading them, as click would for their help."""
        verbs = [CompletionItem(verb, help=what) for verb, what in VERBS.items() if verb.startswith(incomplete)]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, VERBS))
        for section, verbs in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(verb.ljust(width), what) for verb, what in verbs.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from stepflow.dsl.diagnostics import did_you_mean

            way_out = _INSTEAD.get(args[0]) or did_you_mean(args[0], VERBS)
            raise click.UsageError(f"Unknown command '{args[0]}'{way_out}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    "stepflow",
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Exit codes: {', '.join(f'{code} {what}' for code, what in EXIT_CODES.items())}.",
)
@click.option(
    "--db", metavar="FILE", help="The database; default: the workspace's, else your own.", shell_complete=file_paths
)
@click.option(
    "--workspace",
    metavar="FOLDER",
    help="The workspace; default: the nearest folder with a stepflow.toml.",
    shell_complete=folder_paths,
)
@screen_options
@click.option("--version", is_flag=True, help="Show the version.")
@click.pass_context
def group(
    ctx: click.Context,
    db: str | None,
    workspace: str | None,
    read_only: bool,
    plain: bool,
    profile: str | None,
    version: bool,
) -> None:
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
        if not plain and not has_terminal():
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        ctx.exit(open_screen(ctx.obj, read_only=read_only, plain=plain, profile=profile))
    elif read_only or plain or profile is not None:
        option = "--read-only" if read_only else "--plain" if plain else "--profile"
        way_out = "which opens without a command, by `ui`, or by `open`"
        raise click.UsageError(f"{option} is for the terminal UI, {way_out}", ctx)


def _call(name: str, arguments: list[str]) -> None:
    if sys.platform == "win32":
        click.echo("✗ StepFlow runs on Linux and macOS; on Windows use it inside WSL", err=True)
        sys.exit(1)
    _open_what_is_closed()
    try:
        code = group.main(arguments, prog_name=name, standalone_mode=False)
    except click.UsageError as error:
        from stepflow.cli.usage import usage_lines

        for line in usage_lines(error, _context(name, arguments)):
            click.echo(line, err=True, color=True)
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


def _context(name: str, arguments: list[str]) -> click.Context:
    """Of the command that `arguments` call, wrong as they may be."""
    root = click.Context(group, info_name=name)
    verb = next((word for word in arguments if word in VERBS), None)
    command = None if verb is None else group.get_command(root, verb)
    return root if command is None else click.Context(command, root, verb)


def _open_what_is_closed() -> None:
    """Where stdin, stdout or stderr is closed, the first file that is opened would take its place: a database."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _no_room(error: OSError) -> NoReturn:
    """What is read from files and sockets has its own words; this is what we print that goes nowhere."""
    click.echo(f"✗ The output cannot be written: {error.strerror or error}", err=True)
    # What is still in the buffer would be tried again at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


def _complete(program: str, command: click.Command) -> None:
    """Answer a shell that asks at TAB, instead of doing anything."""
    if f"_{program.upper()}_COMPLETE" in os.environ:
        from stepflow.cli.shells import answer

        answer(program, command)


def stepflow() -> None:
    """The `stepflow` command."""
    _complete("stepflow", group)
    _call("stepflow", sys.argv[1:])


def aio() -> None:
    """The `aio` command, of which StepFlow is `wf`."""
    _complete("aio", click.Group("aio", {"wf": group, "workflow": group}))
    arguments = sys.argv[1:]
    if arguments[:1] in (["wf"], ["workflow"]):
        _call(f"aio {arguments[0]}", arguments[1:])
    asked_for_help = not arguments or arguments[0] in ("-h", "--help")
    if not asked_for_help:
        from stepflow.dsl.diagnostics import did_you_mean

        click.echo(f"Unknown command '{arguments[0]}'{did_you_mean(arguments[0], ('wf', 'workflow'))}", err=True)
    click.echo("Usage: aio wf COMMAND …  (or: aio workflow COMMAND …); `aio wf --help` lists the commands", err=True)
    sys.exit(0 if asked_for_help and arguments else 2)


if __name__ == "__main__":
    stepflow()
