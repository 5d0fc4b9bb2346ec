"""`stepflow stream`"""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import runs
from stepflow.cli.live import stream_line
from stepflow.cli.records import event_json
from stepflow.cli.session import say, with_reader
from stepflow.cli.text import json_text, paint
from stepflow.cli.watching import Watch, events_so_far
from stepflow.model.event import FINAL_RUN_EVENTS

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("stream")
@click.argument("run_id", shell_complete=runs)
@click.option("--from", "after", type=click.IntRange(0), default=0, metavar="SEQ", help="Only events after SEQ.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def command(run_id: str, after: int, as_json: bool) -> None:
    """Stream the events of an execution until it ends.

    \b
    Example:
      stepflow stream exec_abc123
    """

    async def show(client: Client) -> None:
        run = await client.get_run(run_id)
        if not as_json:
            say(f"{paint('ℹ', 'blue')} Streaming events for: {run.id}")
            say("─" * 64)
            sys.stdout.flush()
        if run.status.is_final:
            coming = events_so_far(client, run.id, after)
        else:
            watch = Watch(client, run.id)
            await watch.say_why()
            coming = watch.events(min(after, run.last_seq))
        async with aclosing(coming) as events:
            async for event in events:
                if event.seq > after:
                    say(json_text(event_json(event)) if as_json else stream_line(event))
                if event.event_type in FINAL_RUN_EVENTS:
                    return

    with_reader(show)
