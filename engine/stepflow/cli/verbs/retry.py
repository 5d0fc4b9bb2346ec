"""`stepflow retry`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stepflow.cli.session import say, with_client
from stepflow.cli.text import paint
from stepflow.model.ids import short_run_trn

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("retry")
@click.argument("run_id")
@click.option("--no-worker", is_flag=True, help="Start no worker.")
def command(run_id: str, no_worker: bool) -> None:
    """Retry a failed, cancelled or timed-out execution: a new one that takes over the steps that completed.

    \b
    Example:
      stepflow retry exec_abc123
    """

    async def retry(client: Client) -> None:
        new = await client.retry(run_id)
        if not no_worker:
            await client.ensure_worker()
        say(f"{paint('✓', 'green')} Execution redriven")
        say(f"  New Run TRN: {short_run_trn(new)}")

    with_client(retry)
