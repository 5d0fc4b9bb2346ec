"""`stepflow pause`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import runs
from stepflow.cli.session import FAILED, note, say, with_client
from stepflow.cli.text import paint
from stepflow.model.statuses import StepStatus

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("pause")
@click.argument("run_id", shell_complete=runs)
def command(run_id: str) -> None:
    """Pause an execution and its children: nothing more of it starts, and steps that run finish.

    It stays so until `stepflow resume`; its timeout goes on.

    \b
    Example:
      stepflow pause exec_abc123
    """

    async def pause(client: Client) -> int | None:
        was_changed = await client.pause(run_id)
        run = await client.get_run(run_id)
        if not was_changed:
            note(f"{paint('✗', 'red', sys.stderr)} Execution {run.id} is paused already")
            return FAILED
        say(f"{paint('✓', 'green')} Execution paused")
        say(f"  Run ID: {run.id}")
        steps = await client.get_steps(run.id, bodies=False)
        running = sum(step.status is StepStatus.RUNNING for step in steps)
        if running:
            many = "steps run" if running > 1 else "step runs"
            note(f"  {paint('ℹ', 'blue', sys.stderr)} {running} {many} and will finish")
        return None

    with_client(pause)
