"""`stepflow ui`"""

from __future__ import annotations

import sys

import click

from stepflow.cli.screen import has_terminal, open_screen, screen_options, serve_screen
from stepflow.cli.session import Place, note
from stepflow.cli.text import paint

HOST, PORT = "127.0.0.1", 8000


@click.command("ui")
@screen_options
@click.option("--web", is_flag=True, help="For browsers: serve it until Ctrl-C.")
@click.option("--host", metavar="ADDRESS", help=f"With --web, where it listens.  [default: {HOST}]")
@click.option("--port", type=click.IntRange(0, 65535), help=f"With --web, its port; 0: a free one.  [default: {PORT}]")
@click.pass_context
def command(
    ctx: click.Context,
    read_only: bool,
    plain: bool,
    profile: str | None,
    web: bool,
    host: str | None,
    port: int | None,
) -> None:
    """Open the terminal UI, here or in a browser.

    With --web each tab of a browser has a screen of its own; closing it harms no execution. Whoever can reach the
    address can do what you can: by default that is who has an account on this machine. To reach it from another one,
    forward the port: ssh -L 8000:127.0.0.1:8000 HOST.

    \b
    Examples:
      stepflow ui --profile production
      stepflow ui --web --port 8001
      stepflow ui --web --read-only
    """
    place = ctx.find_object(Place) or Place()
    if not web:
        if host is not None or port is not None:
            raise click.UsageError(f"{'--port' if host is None else '--host'} needs --web")
        if not plain and not has_terminal():
            note(f"{paint('✗', 'red', sys.stderr)} The terminal UI needs a terminal; for a browser add --web")
            ctx.exit(2)
        ctx.exit(open_screen(place, read_only=read_only, plain=plain, profile=profile))
    if plain:
        raise click.UsageError("--plain is for a terminal; leave --web out")
    from importlib.util import find_spec

    if find_spec("textual_serve") is None:
        missing = "--web needs what is not installed: pip install 'stepflow-tui[web]'"
        note(f"{paint('✗', 'red', sys.stderr)} {missing}")
        ctx.exit(2)
    port = PORT if port is None else port
    ctx.exit(serve_screen(place, host=host or HOST, port=port, read_only=read_only, profile=profile))
