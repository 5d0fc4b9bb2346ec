"""`stepflow steps`"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import runs
from stepflow.cli.live import answer_of, error_text, place_of
from stepflow.cli.records import step_json
from stepflow.cli.session import say, with_reader
from stepflow.cli.text import json_text, local_time, table, terminal_width
from stepflow.cli.watching import Watch
from stepflow.model.statuses import StepStatus
from stepflow.model.times import format_duration

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.model.run import RunRecord, StepRecord


@click.command("steps")
@click.argument("run_id", shell_complete=runs)
@click.option("--attempts", is_flag=True, help="Each attempt, with its duration and its error.")
@click.option("--json", "as_json", is_flag=True, help="One object a line, with inputs and outputs.")
def command(run_id: str, attempts: bool, as_json: bool) -> None:
    """List the steps of an execution.

    Where one failed or was tried again, it is said how long each took. Below a step stands why it failed, was skipped,
    or waits.

    \b
    Examples:
      stepflow steps exec_abc123
      stepflow steps exec_abc123 --attempts
    """

    async def show(client: Client) -> None:
        run = await client.get_run(run_id)
        steps = await client.get_steps(run.id, bodies=as_json, attempts=attempts)
        if not all(step.status.is_final for step in steps):
            await Watch(client, run.id).say_why()
        if as_json:
            for step in steps:
                say(json_text(step_json(step)))
            return
        for line in _table(run, steps, attempts=attempts):
            say(line)

    with_reader(show, at_once=True)


def _table(run: RunRecord, steps: list[StepRecord], *, attempts: bool) -> list[str]:
    were_retried = attempts or any(step.attempt > 1 for step in steps)
    header, widths = ["STEP", "STATUS", "STARTED"], [31, 16]
    rows = [[step.key, step.status.value, local_time(step.started_at, "%H:%M:%S")] for step in steps]
    if were_retried or any(step.status is StepStatus.FAILED for step in steps):
        header, widths = [*header, "DURATION"], [*widths, 11]
        rows = [[*row, _duration(step)] for row, step in zip(rows, steps, strict=True)]
    if were_retried:
        header, widths = [*header, "ATTEMPT"], [*widths, 10]
        rows = [[*row, str(step.attempt or "-")] for row, step in zip(rows, steps, strict=True)]
    below = [_below(run, step) for step in steps]
    return table(header, rows, widths, max(70, sum(widths) + len(header[-1])), below=below, room=terminal_width())


def _duration(step: StepRecord) -> str:
    """Of one that runs: so far."""
    if step.status is StepStatus.RUNNING and step.started_at is not None:
        return format_duration(max(0, round((datetime.now(UTC) - step.started_at).total_seconds() * 1000)))
    return "-" if step.duration_ms is None else format_duration(step.duration_ms)


def _below(run: RunRecord, step: StepRecord) -> list[str]:
    lines = []
    if step.error is not None:
        lines = [error_text(step.error), place_of(step.error)]
    if step.recovered:
        lines.append("went on with its default")
    if step.reused:
        lines.append(f"taken over from {run.retry_of}")
    if step.reason and step.status in (StepStatus.SKIPPED, StepStatus.CANCELLED):
        lines.append(step.reason)
    if step.wake_at is not None and not step.status.is_final:
        lines.append(f"until {local_time(step.wake_at)}")
    return [*lines, answer_of(run.id, step.awaits)]
