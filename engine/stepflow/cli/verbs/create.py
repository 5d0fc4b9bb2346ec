"""`stepflow create`"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import file_paths
from stepflow.cli.session import diagnostic_lines, fail, note, ours, read_file, say, with_client
from stepflow.cli.text import paint, safe
from stepflow.errors import TemplateExistsError
from stepflow.model.ids import template_trn

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("create")
@click.argument("name")
@click.option(
    "--dsl", "file", required=True, metavar="FILE", help="The template, YAML or JSON.", shell_complete=file_paths
)
@click.option("-d", "--description", metavar="TEXT", help="What it is for.")
def command(name: str, file: str, description: str | None) -> None:
    """Create a new template from a YAML or JSON file.

    \b
    Example:
      stepflow create order-flow --dsl order-workflow.yaml -d "Order processing"
    """
    text = read_file(file, "DSL file")

    async def create(client: Client) -> None:
        try:
            saved = await client.create_template(name, text, description, file=file)
        except TemplateExistsError as error:
            way_out = ours(f"update {name} --dsl {safe(quote(file))}")
            fail(f"{safe(error.message)}\n  Save it as its next version: {way_out}")
        say(f"{paint('✓', 'green')} Template '{saved.name}' created")
        say(f"  TRN: {template_trn(saved.name)}")
        say(f"  Version: {saved.version}")
        for line in diagnostic_lines(saved.diagnostics):
            note(line)

    with_client(create)
