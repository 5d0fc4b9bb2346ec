"""`stepflow executions`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stepflow.cli.records import run_json
from stepflow.cli.session import note, say, with_reader
from stepflow.cli.text import json_text, local_time, table
from stepflow.model.ids import short_run_trn

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("executions")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Maximum results.")
@click.option("--status", help="Filter: running/completed/failed/cancelled …")
@click.option("--template", help="Filter by template.")
@click.option("--cursor", help="Go on where the last page ended.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def command(limit: int, status: str | None, template: str | None, cursor: str | None, as_json: bool) -> None:
    """List executions, newest first.

    \b
    Examples:
      stepflow executions --status running
      stepflow executions --template order-flow --limit 5
    """

    async def show(client: Client) -> None:
        page = await client.list_runs(limit, cursor, status=status, template=template)
        if as_json:
            for run in page.items:
                say(json_text(run_json(run)))
            return
        rows = [
            (
                short_run_trn(run.id),
                run.template,
                run.status.value,
                local_time(run.started_at or run.created_at, "%Y-%m-%d %H:%M"),
            )
            for run in page.items
        ]
        reasons = ["" if run.error is not None else run.reason for run in page.items]
        for line in table(("TRN", "WORKFLOW", "STATUS", "STARTED"), rows, (30, 19, 13), 76, below=reasons):
            say(line)
        if page.next_cursor is not None:
            note(f"More: --cursor {page.next_cursor}")

    with_reader(show)
