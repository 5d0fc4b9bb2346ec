"""`stepflow steps`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stepflow.cli.live import answer_of, place_of
from stepflow.cli.records import step_json
from stepflow.cli.session import say, with_reader
from stepflow.cli.text import json_text, local_time, table
from stepflow.cli.watching import Watch

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("steps")
@click.argument("run_id")
@click.option("--json", "as_json", is_flag=True, help="One object a line, with inputs and outputs.")
def command(run_id: str, as_json: bool) -> None:
    """List the steps of an execution.

    \b
    Example:
      stepflow steps exec_abc123
    """

    async def show(client: Client) -> None:
        steps = await client.get_steps(run_id, bodies=as_json)
        if not all(step.status.is_final for step in steps):
            await Watch(client, run_id).say_why()
        if as_json:
            for step in steps:
                say(json_text(step_json(step)))
            return
        rows = [(step.key, step.status.value, local_time(step.started_at, "%H:%M:%S")) for step in steps]
        run = await client.get_run(run_id)
        below = [place_of(step.error) or answer_of(run.id, step.awaits) for step in steps]
        for line in table(("STEP", "STATUS", "STARTED"), rows, (31, 16), 70, below=below):
            say(line)

    with_reader(show)
