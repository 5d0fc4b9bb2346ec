"""`stepflow validate`"""

from __future__ import annotations

import sys

import click
import msgspec

from stepflow.cli.session import FAILED, diagnostic_lines, note, read_file, say
from stepflow.cli.text import json_text, paint, safe


@click.command("validate")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="As one object.")
def command(file: str, as_json: bool) -> None:
    """Check a template file: everything that is wrong with it, and where.

    \b
    Example:
      stepflow validate workflow.yaml
    """
    from stepflow.client import known_components
    from stepflow.dsl.validate import read_flow

    read = read_flow(read_file(file, "DSL file"), file=file, components=known_components())
    if as_json:
        diagnostics = [msgspec.structs.asdict(diagnostic) for diagnostic in read.diagnostics]
        say(json_text({"valid": read.flow is not None, "diagnostics": diagnostics}))
    elif read.flow is not None:
        say(f"{paint('✓', 'green')} DSL is valid")
        for diagnostic in read.diagnostics:
            note(f"  {paint('⚠', 'yellow', sys.stderr)} {safe(diagnostic.place)}: {safe(diagnostic.message)}")
    else:
        say(f"{paint('✗', 'red')} DSL validation failed")
        for line in diagnostic_lines(read.diagnostics):
            say(line)
    sys.exit(0 if read.flow is not None else FAILED)
