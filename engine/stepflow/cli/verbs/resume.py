"""`stepflow resume`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import runs
from stepflow.cli.session import FAILED, note, say, with_client
from stepflow.cli.text import paint

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("resume")
@click.argument("run_id", shell_complete=runs)
@click.option("--no-worker", is_flag=True, help="Start no worker.")
def command(run_id: str, no_worker: bool) -> None:
    """Let a paused execution go on where it was; or a stalled one, when what held it up is mended.

    \b
    Example:
      stepflow resume exec_abc123
    """

    async def resume(client: Client) -> int | None:
        was_changed = await client.resume(run_id)
        run = await client.get_run(run_id)
        if not was_changed:
            note(f"{paint('✗', 'red', sys.stderr)} Execution {run.id} is neither paused nor stalled")
            return FAILED
        say(f"{paint('✓', 'green')} Execution resumed")
        say(f"  Run ID: {run.id}")
        if not no_worker:
            await client.ensure_worker()
        return None

    with_client(resume)
