"""`stepflow worker`"""

from __future__ import annotations

from datetime import timedelta

import click

from stepflow.cli.session import Place, fail
from stepflow.cli.text import safe
from stepflow.errors import WorkflowEngineError
from stepflow.model.times import parse_duration


def _duration(ctx: click.Context, parameter: click.Parameter, value: str) -> timedelta:
    try:
        return timedelta(milliseconds=parse_duration(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command("worker")
@click.option(
    "--concurrency", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Executions at once."
)
@click.option(
    "--grace", default="10s", show_default=True, callback=_duration, help="Time for running steps at its end."
)
@click.option("--lease", default="15s", show_default=True, callback=_duration, help="After this a hung worker is dead.")
@click.option("--background", is_flag=True, help="Be the database's one background worker; end when nothing is left.")
@click.pass_obj
def command(place: Place, concurrency: int, grace: timedelta, lease: timedelta, background: bool) -> None:
    """Work until stopped (Ctrl-C or SIGTERM: executions are given back; twice: end at once).

    \b
    Example:
      stepflow worker --concurrency 20
    """
    from stepflow.location import find_database, find_workspace
    from stepflow.worker import end_process, run_worker

    try:
        workspace = find_workspace(place.workspace)
        url = find_database(place.database, workspace)
        code = run_worker(url, workspace, slots=concurrency, grace=grace, lease=lease, background=background)
    except WorkflowEngineError as error:
        fail(safe(error.message))
    end_process(code)
