"""`stepflow executions`"""

from __future__ import annotations

import shlex
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import click

from stepflow.cli.completers import statuses, templates
from stepflow.cli.moments import moment
from stepflow.cli.names import run_statuses, template_name
from stepflow.cli.records import run_json
from stepflow.cli.session import note, ours, say, with_reader
from stepflow.cli.text import json_text, local_time, safe, table, terminal_width
from stepflow.errors import RunNotFoundError
from stepflow.model.ids import short_run_trn
from stepflow.model.times import format_duration

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.model.run import RunRecord
    from stepflow.model.statuses import RunStatus

Sort = Literal["created", "started", "finished", "duration"]


@click.command("executions")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="Maximum results.")
@click.option(
    "--status",
    multiple=True,
    metavar="STATUS",
    callback=run_statuses,
    shell_complete=statuses,
    help="Filter: running/completed/failed/cancelled …; several with commas.",
)
@click.option(
    "--template", metavar="NAME", callback=template_name, shell_complete=templates, help="Filter by template."
)
@click.option(
    "--since", metavar="WHEN", callback=moment, help="Created since then: 2h or 7d ago, 2025-01-20, '2025-01-20 14:22'."
)
@click.option(
    "--sort",
    type=click.Choice(["created", "started", "finished", "duration"]),
    default="created",
    show_default=True,
    help="The newest first, or the longest.",
)
@click.option("--reverse", is_flag=True, help="The other way round: the oldest first.")
@click.option("--children", is_flag=True, help="Also those that steps of others started.")
@click.option("--cursor", help="Go on where the last page ended.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@click.pass_context
def command(
    ctx: click.Context,
    limit: int,
    status: tuple[RunStatus, ...],
    template: str | None,
    since: datetime | None,
    sort: Sort,
    reverse: bool,
    children: bool,
    cursor: str | None,
    as_json: bool,
) -> None:
    """List executions, newest first.

    Sorted by what some do not have, as a duration before they end, those come last.

    \b
    Examples:
      stepflow executions --status running
      stepflow executions --template order-flow --limit 5
      stepflow executions --since 24h --status failed,timed_out
      stepflow executions --sort duration --limit 10
    """

    async def show(client: Client) -> None:
        page = await client.list_runs(
            limit,
            cursor,
            status=status or None,
            template=template,
            children=children,
            since=since,
            sort=sort,
            reverse=reverse,
        )
        if template is not None and not page.items and not await client.count_runs(template=template, children=True):
            await client.describe_template(template)  # which says so, if there is no such template
        if as_json:
            for run in page.items:
                with suppress(RunNotFoundError):  # pruned in this moment
                    say(json_text(run_json(await client.get_run(run.id))))
        else:
            for line in _table(page.items, sort):
                say(line)
        if page.next_cursor is not None:
            note(f"More: {_next_page(ctx, since, page.next_cursor)}")

    with_reader(show, at_once=True)


def _table(runs: list[RunRecord], sort: Sort) -> list[str]:
    rows = [
        (
            short_run_trn(run.id),
            run.template,
            run.status.value,
            local_time(run.started_at or run.created_at, "%Y-%m-%d %H:%M"),
            *_sorted_by(run, sort),
        )
        for run in runs
    ]
    header, widths, rule = ["TRN", "WORKFLOW", "STATUS", "STARTED"], [30, 19, 13], 76
    if sort in ("finished", "duration"):
        header, widths, rule = [*header, sort.upper()], [*widths, 18], 96
    reasons = ["" if run.error is not None else run.reason for run in runs]
    return table(header, rows, widths, rule, below=reasons, room=terminal_width())


def _sorted_by(run: RunRecord, sort: Sort) -> tuple[str, ...]:
    if sort == "finished":
        return (local_time(run.finished_at, "%Y-%m-%d %H:%M"),)
    if sort == "duration":
        return ("-" if run.duration_ms is None else format_duration(run.duration_ms),)
    return ()


def _next_page(ctx: click.Context, since: datetime | None, cursor: str) -> str:
    """The command that shows it. How long ago something was is another moment by then: it is said as a time."""
    words = [str(ctx.info_name)]
    for parameter in ctx.command.params:
        value = ctx.params.get(parameter.name or "")
        option = parameter.opts[0]
        if option == "--cursor":
            words += [option, cursor]
        elif option == "--since" and since is not None:
            words += [option, since.isoformat(timespec="milliseconds")]
        elif value is True:
            words.append(option)
        elif value and value != parameter.get_default(ctx):
            words += [word for one in (value if isinstance(value, tuple) else (value,)) for word in (option, str(one))]
    return ours(safe(shlex.join(words)))
