"""`stepflow update`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stepflow.cli.session import diagnostic_lines, note, read_file, say, with_client
from stepflow.cli.text import paint

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("update")
@click.argument("name")
@click.option("--dsl", "file", required=True, metavar="FILE", help="The template, YAML or JSON.")
@click.option("-d", "--description", metavar="TEXT", help="What it is for.")
def command(name: str, file: str, description: str | None) -> None:
    """Save the next version of a template from a file.

    \b
    Example:
      stepflow update order-flow --dsl order-workflow.yaml -d "Order processing"
    """
    text = read_file(file, "DSL file")

    async def update(client: Client) -> None:
        saved = await client.update_template(name, text, description, file=file)
        what = "updated" if saved.change == "version" else "unchanged"
        say(f"{paint('✓', 'green')} Template '{saved.name}' {what}")
        say(f"  Version: {saved.version}")
        if saved.change == "text":
            sign = paint("ℹ", "blue", sys.stderr)
            note(f"  {sign} Only its text or description is another, so version {saved.version} stays")
        for line in diagnostic_lines(saved.diagnostics):
            note(line)

    with_client(update)
