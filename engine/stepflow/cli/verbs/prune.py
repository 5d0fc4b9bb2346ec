"""`stepflow prune`"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import statuses, templates
from stepflow.cli.durations import duration
from stepflow.cli.names import run_statuses, template_name
from stepflow.cli.session import FAILED, confirm, fail, note, say, with_reader
from stepflow.cli.text import paint, table
from stepflow.model.times import format_duration

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.contracts.storage import PruneForecast
    from stepflow.model.statuses import RunStatus


@click.command("prune")
@click.option("--older-than", metavar="AGE", callback=duration, help="Only those that ended so long ago: 30d, 12h.")
@click.option("--keep", type=click.IntRange(1), metavar="N", help="The N newest of each template stay.")
@click.option(
    "--template", metavar="NAME", callback=template_name, help="Only of a template.", shell_complete=templates
)
@click.option(
    "--status",
    multiple=True,
    metavar="STATUS",
    callback=run_statuses,
    shell_complete=statuses,
    help="Only these; several with commas.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--vacuum", is_flag=True, help="Give the room back to the disk; no worker may be running.")
def command(
    older_than: timedelta | None,
    keep: int | None,
    template: str | None,
    status: tuple[RunStatus, ...],
    dry_run: bool,
    yes: bool,
    vacuum: bool,
) -> None:
    """Delete executions that ended long ago, with their children, events and outputs.

    What has not ended stays, and so do templates and the newest execution.

    \b
    Examples:
      stepflow prune --older-than 30d --dry-run
      stepflow prune --older-than 12h --keep 100 --status completed --yes
    """
    if older_than is None and keep is None and (dry_run or not vacuum):
        raise click.UsageError("Say what is to go: --older-than 30d, or --keep 100, or both")
    from stepflow.model.health import size

    age = older_than or timedelta()

    async def prune(client: Client) -> int | None:
        if vacuum and await client.any_worker_alive():
            fail("Workers are running, and --vacuum would hold them up; stop them first: stepflow workers stop --all")
        if older_than is not None or keep is not None:
            forecast = await client.forecast_prune(age, keep or 0, template=template, status=status)
            _show(forecast, older_than)
            if dry_run:
                return None
            roots = sum(forecast.by_template.values())
            if roots and not yes and not confirm(f"Delete {_executions(roots)}?", "--yes"):
                note(f"{paint('✗', 'red', sys.stderr)} Nothing was deleted")
                return FAILED
            deleted = 0
            async for one in client.prune(age, keep or 0, template=template, status=status):
                deleted += one.roots
            if roots:
                say(f"{paint('✓', 'green')} {_executions(deleted)} deleted")
            await _clear_away(client)
        if vacuum:
            say(f"{paint('✓', 'green')} {size(await client.vacuum())} given back to the disk")
        elif free := await client.free_bytes():
            note(f"  {size(free)} in the file are free; --vacuum gives them back to the disk")
        return None

    with_reader(prune)


async def _clear_away(client: Client) -> None:
    blobs, flows = await client.clear_away()
    for count, one, many in (
        (blobs, "blob", "blobs"),
        (flows, "flow written inside another", "flows written inside others"),
    ):
        if count:
            say(f"  {count:,} {one if count == 1 else many} deleted that nothing needs")


def _show(forecast: PruneForecast, older_than: timedelta | None) -> None:
    roots = sum(forecast.by_template.values())
    ago = "" if not older_than else f" more than {format_duration(round(older_than.total_seconds() * 1000))} ago"
    if not roots:
        say(f"No execution that may go ended{ago}")
        return
    found = sorted(forecast.by_template.items(), key=lambda one: (-one[1], one[0]))
    for line in table(("WORKFLOW", "EXECUTIONS"), [(name, f"{count:,}") for name, count in found], (25,), 36):
        note(line)
    children = forecast.runs - roots
    also = f", {children:,} children" if children else ""
    note(f"{_executions(roots)} that ended{ago}{also}, {forecast.events:,} events")


def _executions(count: int) -> str:
    return f"{count:,} execution{'' if count == 1 else 's'}"
