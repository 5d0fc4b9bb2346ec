"""`stepflow delete`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import templates
from stepflow.cli.names import template_name
from stepflow.cli.session import confirm, fail, note, say, with_client
from stepflow.cli.text import paint, safe
from stepflow.model.statuses import RunStatus

if TYPE_CHECKING:
    from stepflow.client import Client

_LIVE = [status for status in RunStatus if not status.is_final]


@click.command("delete")
@click.argument("name", callback=template_name, shell_complete=templates)
@click.option("--force", is_flag=True, help="Ask nothing, also when executions of it are live.")
def command(name: str, force: bool) -> None:
    """Delete a template. Its executions stay, and live ones go on.

    \b
    Example:
      stepflow delete order-flow --force
    """

    async def delete(client: Client) -> None:
        template = await client.describe_template(name)
        live = await client.count_runs(status=_LIVE, template=name)
        if live and not force:
            executions = "a live execution" if live == 1 else f"{live} live executions"
            if not confirm(f"Template '{safe(name)}' has {executions}. Delete it?", "--force"):
                fail("Not deleted")
        await client.delete_template(name)
        say(f"{paint('✓', 'green')} Template '{name}' deleted")
        if template.file is not None and not template.file_gone:
            sign = paint("ℹ", "blue", sys.stderr)
            note(
                f"  {sign} Its file stays: where `stepflow dev` sees {safe(template.file)} change, the template is back"
            )

    with_client(delete)
