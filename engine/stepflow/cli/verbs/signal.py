"""`stepflow signal`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import runs, signals
from stepflow.cli.session import note, read_input, say, with_client
from stepflow.cli.text import paint, safe
from stepflow.model.run import awaited_signal

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("signal")
@click.argument("run_id", shell_complete=runs)
@click.argument("name", shell_complete=signals)
@click.option("--data", metavar="JSON|@FILE|-", help="What the waiting step gets.")
def command(run_id: str, name: str, data: str | None) -> None:
    """Give an execution the signal NAME; the steps that wait for it go on.

    An approval without a name of its own waits for the id of its step.

    \b
    Example:
      stepflow signal exec_abc123 approve --data '{"by": "ada"}'
    """
    value = read_input(data, None, "--data")

    async def send(client: Client) -> None:
        is_awaited = await client.signal(run_id, name, value)
        run = await client.get_run(run_id)
        say(f"{paint('✓', 'green')} Signal '{safe(name)}' sent")
        say(f"  Run ID: {run.id}")
        if not is_awaited:
            note(f"  {paint('ℹ', 'blue', sys.stderr)} No step waits for it yet; it is kept for the first that will")
            steps = await client.get_steps(run.id, bodies=False)
            others = sorted({other for step in steps if (other := awaited_signal(step.awaits)) is not None})
            if others:
                note(f"    Waited for now: {safe(', '.join(others))}")
        await client.ensure_worker()

    with_client(send)
