"""Starting an execution that takes over what another has completed: what `retry` and `fork` share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from stepflow.cli.completers import file_paths, steps, versions
from stepflow.cli.session import note, say, with_client
from stepflow.cli.text import paint
from stepflow.model.ids import short_run_trn

if TYPE_CHECKING:
    from stepflow.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])


def redrive_options(command: Command) -> Command:
    options = (
        click.option(
            "--from",
            "from_step",
            metavar="STEP",
            help="Perform this step and all that follows from it anew.",
            shell_complete=steps,
        ),
        click.option("--input", "given", metavar="JSON|@FILE|-", help="Another input: JSON, @file, or - for stdin."),
        click.option("--file", metavar="PATH", help="Read the other input from a file.", shell_complete=file_paths),
        click.option(
            "--version",
            metavar="N|latest",
            help="A version of the template; default: the same.",
            shell_complete=versions,
        ),
        click.option("--no-worker", is_flag=True, help="Start no worker."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def start_redriven(
    how: Literal["retry", "fork"],
    run_id: str,
    from_step: str | None,
    value: Any,
    version: str | None,
    *,
    no_worker: bool,
) -> None:
    wanted = _version(version)

    async def start(client: Client) -> None:
        make = client.retry if how == "retry" else client.fork
        new = await make(run_id, from_step, value, wanted)
        if not no_worker:
            await client.ensure_worker()
        say(f"{paint('✓', 'green')} Execution {'redriven' if how == 'retry' else 'forked'}")
        say(f"  New Run TRN: {short_run_trn(new)}")
        steps = await client.get_steps(new, bodies=False)
        reused = sum(step.reused for step in steps)
        note(f"  {paint('ℹ', 'blue', sys.stderr)} Takes over {reused} of {len(steps)} steps")

    with_client(start)


def _version(given: str | None) -> int | Literal["latest"] | None:
    if given is None:
        return None
    if given == "latest":
        return "latest"
    if not given.isdecimal() or int(given) < 1:
        raise click.BadParameter(f"'{given}' is no version; give its number, or latest", param_hint="--version")
    return int(given)
