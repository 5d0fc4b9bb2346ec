"""`stepflow validate`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from stepflow.cli.completers import file_paths
from stepflow.cli.session import FAILED, diagnostic_lines, note, read_file, say, with_workbench
from stepflow.cli.text import json_text, paint

if TYPE_CHECKING:
    from stepflow.workbench import Workbench


@click.command("validate")
@click.argument("file", shell_complete=file_paths)
@click.option("--strict", is_flag=True, help="Exit 1 for warnings too, such as an unknown component.")
@click.option("--json", "as_json", is_flag=True, help="As one object.")
def command(file: str, strict: bool, as_json: bool) -> None:
    """Check a template file: everything that is wrong with it, and where.

    \b
    Example:
      stepflow validate workflow.yaml
    """
    text = read_file(file, "DSL file")

    async def validate(workbench: Workbench) -> int:
        read = workbench.validate(text, file)
        refused = strict and any(diagnostic.level == "warning" for diagnostic in read.diagnostics)
        valid = read.flow is not None and not refused
        if as_json:
            diagnostics = [msgspec.structs.asdict(diagnostic) for diagnostic in read.diagnostics]
            say(json_text({"valid": valid, "diagnostics": diagnostics}))
        elif read.flow is not None:
            say(f"{paint('✓', 'green')} DSL is valid" if valid else f"{paint('✗', 'red')} DSL has warnings")
            for line in diagnostic_lines(read.diagnostics):
                note(line)
        else:
            say(f"{paint('✗', 'red')} DSL validation failed")
            for line in diagnostic_lines(read.diagnostics, sys.stdout):
                say(line)
        return 0 if valid else FAILED

    with_workbench(validate)
