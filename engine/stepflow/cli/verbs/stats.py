"""`stepflow stats`"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import templates
from stepflow.cli.durations import duration
from stepflow.cli.names import template_name
from stepflow.cli.session import say, with_reader
from stepflow.cli.text import json_text, local_time, paint, safe, table

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.model.stats import Stats, TemplateStats

MOST_TEMPLATES = 20
MOST_FAILURES = 5


@click.command("stats")
@click.option(
    "--since", default="24h", show_default=True, callback=duration, help="Executions made in this time, like 1h or 7d."
)
@click.option("--template", metavar="NAME", callback=template_name, help="Of one template.", shell_complete=templates)
@click.option("--json", "as_json", is_flag=True, help="As one object.")
def command(since: timedelta, template: str | None, as_json: bool) -> None:
    """Count executions, failures and durations, and what is stored.

    Executions that others started (children) are not counted. Of very many the newest are looked at, which is said.

    \b
    Examples:
      stepflow stats --since 7d
      stepflow stats --template order-flow --json
    """

    async def show(client: Client) -> None:
        stats = await client.stats(since, template)
        if as_json:
            say(json_text(stats.to_json()))
            return
        for line in _lines(stats):
            say(line)

    with_reader(show)


def _lines(stats: Stats) -> Iterator[str]:
    yield _head(stats)
    if stats.count:
        yield "  " + ", ".join(f"{status} {count:,}" for status, count in stats.statuses.items())
        yield f"  {stats.per_hour:,.1f} ended an hour"
        yield f"  waited to begin: {_time(stats.wait_median_ms)} (median), {_time(stats.wait_p95_ms)} (95 %)"
        yield ""
        yield from _templates(stats)
    if stats.failures:
        yield ""
        yield "Failures"
        for code, count in list(stats.failures.items())[:MOST_FAILURES]:
            yield f"  {count:>7,}  {safe(code)}"
        if len(stats.failures) > MOST_FAILURES:
            yield paint(f"  and {len(stats.failures) - MOST_FAILURES} more codes", "dim")
    yield ""
    yield from _stored(stats)
    yield f"Workers   {stats.workers_alive} alive, {stats.held_runs:,} of {stats.slots:,} slots taken"


def _head(stats: Stats) -> str:
    since = local_time(stats.since, "%Y-%m-%d %H:%M")
    if stats.is_whole:
        return f"{stats.count:,} execution{'' if stats.count == 1 else 's'} since {since}"
    return f"The newest {stats.count:,} executions (since {local_time(stats.oldest, '%Y-%m-%d %H:%M')}); there are more"


def _time(milliseconds: int | None) -> str:
    from stepflow.model.times import format_duration

    return "-" if milliseconds is None else format_duration(milliseconds)


def _templates(stats: Stats) -> Iterator[str]:
    header = ("TEMPLATE", "COUNT", "OK", "MEDIAN", "95 %", "LAST RUN")
    rows = [_row(one) for one in stats.templates[:MOST_TEMPLATES]]
    yield from table(header, rows, (25, 9, 8, 9, 9), 76)
    if len(stats.templates) > MOST_TEMPLATES:
        yield paint(f"  and {len(stats.templates) - MOST_TEMPLATES} more templates", "dim")


def _row(one: TemplateStats) -> tuple[str, ...]:
    rate = one.success_rate
    shown = "-" if rate is None else f"{int(rate * 1000) / 10:.1f} %"  # cut, so that one failure in a million shows
    last = local_time(one.last_run, "%Y-%m-%d %H:%M")
    return (one.name, f"{one.count:,}", shown, _time(one.median_ms), _time(one.p95_ms), last)


def _stored(stats: Stats) -> Iterator[str]:
    from stepflow.model.health import size

    yield f"Database  {size(stats.file_bytes)}"
    for name, count in stats.rows.items():
        rows = f"over {stats.counted_to:,}" if count is None else f"{count:,}"
        taken = f"  {size(stats.bytes[name]):>9}" if name in stats.bytes else ""
        yield f"  {name:<18}{rows:>14}{taken}"
