"""`stepflow schema`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import file_paths
from stepflow.cli.session import fail, note, say, with_workbench
from stepflow.cli.text import json_text, paint, safe

if TYPE_CHECKING:
    from stepflow.workbench import Workbench


@click.command("schema")
@click.option("--output", metavar="FILE", help="Write it there instead of to stdout.", shell_complete=file_paths)
def command(output: str | None) -> None:
    """Write the JSON Schema of templates: editors complete, explain and check with it while you type.

    It knows the workspace's components too; write it again when they change.

    \b
    Examples:
      stepflow schema --output .stepflow/template.schema.json
    A template names it in its first line:
      # yaml-language-server: $schema=.stepflow/template.schema.json
    or VS Code for all of them, in .vscode/settings.json:
      "yaml.schemas": { ".stepflow/template.schema.json": "*.yaml" }
    """

    async def show(workbench: Workbench) -> None:
        text = json_text(workbench.schema(), indent=2)
        if output is None:
            say(text)
        else:
            _write(text, output)

    with_workbench(show)


def _write(text: str, output: str) -> None:
    try:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        fail(f"Schema file '{safe(output)}' cannot be written: {error.strerror}")
    note(f"{paint('✓', 'green', sys.stderr)} Schema written to {safe(output)}")
