"""`stepflow delete`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stepflow.cli.session import fail, say, with_client
from stepflow.cli.text import paint
from stepflow.model.statuses import RunStatus

if TYPE_CHECKING:
    from stepflow.client import Client

_LIVE = [status for status in RunStatus if not status.is_final]


@click.command("delete")
@click.argument("name")
@click.option("--force", is_flag=True, help="Ask nothing, also when executions of it are live.")
def command(name: str, force: bool) -> None:
    """Delete a template. Its executions stay, and live ones go on.

    \b
    Example:
      stepflow delete order-flow --force
    """

    async def delete(client: Client) -> None:
        await client.describe_template(name)
        live = await client.count_runs(status=_LIVE, template=name)
        if live and not force:
            question = f"Template '{name}' has {live} live execution{'s' if live > 1 else ''}. Delete it?"
            if not sys.stdin.isatty():
                fail(f"{question} Say so with --force")
            if not click.confirm(question, err=True):
                fail("Not deleted")
        await client.delete_template(name)
        say(f"{paint('✓', 'green')} Template '{name}' deleted")

    with_client(delete)
