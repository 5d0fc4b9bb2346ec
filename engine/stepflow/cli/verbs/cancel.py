"""`stepflow cancel`"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import runs
from stepflow.cli.session import FAILED, note, ours, say, with_client
from stepflow.cli.text import paint
from stepflow.model.statuses import RunStatus

if TYPE_CHECKING:
    from stepflow.client import Client

PATIENCE = timedelta(seconds=15)


@click.command("cancel")
@click.argument("run_id", shell_complete=runs)
@click.option("--reason", metavar="TEXT", help="Why; shown wherever the execution is.")
def command(run_id: str, reason: str | None) -> None:
    """Cancel an execution and what it runs.

    \b
    Example:
      stepflow cancel exec_abc123 --reason "wrong input"
    """

    async def cancel(client: Client) -> int | None:
        if not await client.cancel(run_id, reason):
            run = await client.get_run(run_id)
            note(
                f"{paint('✗', 'red', sys.stderr)} Execution {run.id} is {run.status.value}; there is nothing to cancel"
            )
            return FAILED
        try:
            run = await client.wait_for_run(run_id, PATIENCE)
        except TimeoutError:
            # The lease of a worker that is hung is over by now: then it is cancelled here.
            await client.cancel(run_id, reason)
            run = await client.get_run(run_id)
        if not run.status.is_final:
            note(
                f"{paint('✗', 'red', sys.stderr)} Cancelling {run.id} was asked for, but its worker has not ended it "
                f"after {PATIENCE.seconds} s; see `{ours('workers')}` and `{ours(f'stream {run.id}')}`"
            )
            return FAILED
        if run.status is not RunStatus.CANCELLED:
            cross = paint("✗", "red", sys.stderr)
            note(f"{cross} Execution {run.id} ended before it could be cancelled: {run.status.value}")
            return FAILED
        say(f"{paint('✓', 'green')} Execution cancelled")
        say(f"  Run ID: {run.id}")
        return None

    with_client(cancel)
