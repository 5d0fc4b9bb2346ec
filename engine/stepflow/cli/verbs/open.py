"""`stepflow open`"""

from __future__ import annotations

import sys

import click

from stepflow.cli.completers import runs
from stepflow.cli.screen import has_terminal, open_screen
from stepflow.cli.session import Place, note
from stepflow.cli.text import paint, safe


@click.command("open")
@click.argument("run_id", required=False, shell_complete=runs)
@click.pass_context
def command(ctx: click.Context, run_id: str | None) -> None:
    """Open the terminal UI, on an execution if one is named.

    \b
    Example:
      stepflow open exec_abc123
    """
    if not has_terminal():
        see = "`stepflow executions`" if run_id is None else f"`stepflow execution {safe(run_id)}`"
        note(f"{paint('✗', 'red', sys.stderr)} The terminal UI needs a terminal; without one see {see}")
        ctx.exit(2)
    ctx.exit(open_screen(ctx.find_object(Place) or Place(), run_id))
