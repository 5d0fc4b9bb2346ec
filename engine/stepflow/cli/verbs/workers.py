"""`stepflow workers`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stepflow.cli.session import say, with_reader
from stepflow.cli.text import json_text, local_time, table

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("workers")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def command(as_json: bool) -> None:
    """List workers, living ones first.

    \b
    Example:
      stepflow workers
    """

    async def show(client: Client) -> None:
        workers = await client.workers()
        if as_json:
            for one in workers:
                say(
                    json_text(
                        {
                            "id": one.id,
                            "pid": one.pid,
                            "host": one.host,
                            "alive": one.alive,
                            "started_at": one.started_at.isoformat(),
                            "slots": one.slots,
                            "held_runs": one.held_runs,
                            "background": one.background,
                            "trouble": one.trouble,
                        }
                    )
                )
            return
        rows = [
            (
                one.id,
                str(one.pid),
                one.host,
                f"{one.held_runs}/{one.slots}",
                local_time(one.started_at),
                _state(alive=one.alive, background=one.background, trouble=one.trouble),
            )
            for one in workers
        ]
        for line in table(("WORKER", "PID", "HOST", "HOLDS", "STARTED", "STATE"), rows, (21, 9, 14, 9, 21), 80):
            say(line)

    with_reader(show)


def _state(*, alive: bool, background: bool, trouble: str | None) -> str:
    if not alive:
        return "dead"
    if trouble is not None:
        return f"in trouble: {trouble}"
    return "background" if background else "alive"
