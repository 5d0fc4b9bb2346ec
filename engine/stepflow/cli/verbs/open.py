"""`stepflow open`"""

from __future__ import annotations

import sys

import click

from stepflow.cli.completers import runs
from stepflow.cli.screen import has_terminal, open_screen, screen_options
from stepflow.cli.session import Place, note
from stepflow.cli.text import paint, safe


@click.command("open")
@click.argument("run_id", required=False, shell_complete=runs)
@screen_options
@click.pass_context
def command(ctx: click.Context, run_id: str | None, read_only: bool, plain: bool, profile: str | None) -> None:
    """Open the terminal UI, on an execution if one is named.

    \b
    Examples:
      stepflow open exec_abc123
      stepflow open exec_abc123 --read-only
    """
    if not plain and not has_terminal():
        see = "`stepflow executions`" if run_id is None else f"`stepflow execution {safe(run_id)}`"
        note(f"{paint('✗', 'red', sys.stderr)} The terminal UI needs a terminal; without one see {see}")
        ctx.exit(2)
    place = ctx.find_object(Place) or Place()
    ctx.exit(open_screen(place, run_id, read_only=read_only, plain=plain, profile=profile))
