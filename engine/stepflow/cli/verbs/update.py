"""`stepflow update`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import file_paths, templates
from stepflow.cli.names import template_name
from stepflow.cli.session import diagnostic_lines, note, read_file, say, with_client
from stepflow.cli.text import paint

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("update")
@click.argument("name", callback=template_name, shell_complete=templates)
@click.option(
    "--dsl", "file", required=True, metavar="FILE", help="The template, YAML or JSON.", shell_complete=file_paths
)
@click.option("-d", "--description", metavar="TEXT", help="What it is for.")
@click.option("--force", is_flag=True, help="Also where `stepflow dev` makes it from another file.")
def command(name: str, file: str, description: str | None, force: bool) -> None:
    """Save the next version of a template from a file.

    \b
    Example:
      stepflow update order-flow --dsl order-workflow.yaml -d "Order processing"
    """
    text = read_file(file, "DSL file")

    async def update(client: Client) -> None:
        saved = await client.update_template(name, text, description, file=file, force=force)
        what = "updated" if saved.change == "version" else "unchanged"
        say(f"{paint('✓', 'green')} Template '{saved.name}' {what}")
        say(f"  Version: {saved.version}")
        if saved.change == "text":
            sign = paint("ℹ", "blue", sys.stderr)
            note(f"  {sign} Only its text or description is another, so version {saved.version} stays")
        for line in diagnostic_lines(saved.diagnostics):
            note(line)

    with_client(update)
