"""`stepflow get`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import templates, versions
from stepflow.cli.names import template_name
from stepflow.cli.session import say, with_reader
from stepflow.cli.source import say_source
from stepflow.cli.text import box, json_text, local_time

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("get")
@click.argument("name", callback=template_name, shell_complete=templates)
@click.option("--version", type=click.IntRange(1), help="A version; default: the newest.", shell_complete=versions)
@click.option("--json", "as_json", is_flag=True, help="As one object.")
def command(name: str, version: int | None, as_json: bool) -> None:
    """Show a template and its source.

    \b
    Example:
      stepflow get order-flow
    """

    async def show(client: Client) -> None:
        template = await client.describe_template(name)
        found = await client.get_template(name, version)
        if as_json:
            say(
                json_text(
                    {
                        "name": template.name,
                        "trn": template.trn,
                        "version": found.version,
                        "description": template.description,
                        "created_at": template.created_at.isoformat(),
                        "updated_at": template.updated_at.isoformat(),
                        "file": template.file,
                        "file_gone": template.file_gone,
                        "dsl": found.source,
                    }
                )
            )
            return
        rows = [
            ("Name", template.name),
            ("TRN", template.trn),
            ("Version", str(found.version)),
            ("Description", template.description or "-"),
            ("Created", local_time(template.created_at)),
            ("Updated", local_time(template.updated_at)),
        ]
        if template.file is not None and template.file_gone:
            rows.append(("File gone", Path(template.file).name))
        for line in box(f"Template: {template.name}", rows):
            say(line)
        say()
        say("DSL:")
        say_source(found.source, found.source_format)

    with_reader(show)
