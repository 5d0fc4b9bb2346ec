"""`stepflow list`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stepflow.cli.session import say, with_reader
from stepflow.cli.text import json_text, local_time, table

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Maximum results.")
@click.option("--offset", type=click.IntRange(0), default=0, help="Results to pass over.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def command(limit: int, offset: int, as_json: bool) -> None:
    """List templates, newest change first.

    \b
    Example:
      stepflow list --limit 20
    """

    async def show(client: Client) -> None:
        templates = await client.list_templates(limit, offset)
        if as_json:
            for one in templates:
                say(
                    json_text(
                        {
                            "name": one.name,
                            "trn": one.trn,
                            "version": one.version,
                            "description": one.description,
                            "created_at": one.created_at.isoformat(),
                            "updated_at": one.updated_at.isoformat(),
                            "file": one.file,
                            "file_gone": one.file_gone,
                        }
                    )
                )
            return
        rows = [(one.name, str(one.version), local_time(one.updated_at)) for one in templates]
        gone = [f"file gone: {Path(one.file).name}" if one.file and one.file_gone else None for one in templates]
        for line in table(("NAME", "VERSION", "UPDATED"), rows, (25, 11), 65, below=gone):
            say(line)
        say()
        say(f"Showing {len(templates)} of {await client.count_templates()} templates")

    with_reader(show, at_once=True)
