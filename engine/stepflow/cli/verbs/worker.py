"""`stepflow worker`"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import click

from stepflow.cli.durations import duration
from stepflow.cli.session import Place, fail, note, say
from stepflow.cli.text import safe
from stepflow.errors import WorkflowEngineError


@click.command("worker")
@click.option(
    "--concurrency", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Executions at once."
)
@click.option("--grace", default="10s", show_default=True, callback=duration, help="Time for running steps at its end.")
@click.option("--lease", default="15s", show_default=True, callback=duration, help="After this a hung worker is dead.")
@click.option("--background", is_flag=True, help="Be the database's one background worker; end when nothing is left.")
@click.option("--print-systemd", is_flag=True, help="Show a systemd unit that keeps such a worker running, and end.")
@click.pass_obj
def command(
    place: Place, concurrency: int, grace: timedelta, lease: timedelta, background: bool, print_systemd: bool
) -> None:
    """Work until stopped (Ctrl-C or SIGTERM: executions are given back; twice: end at once).

    \b
    Examples:
      stepflow worker --concurrency 20
      stepflow worker --print-systemd > ~/.config/systemd/user/stepflow.service
    """
    from stepflow.location import find_database, find_workspace
    from stepflow.worker import end_process, run_worker

    try:
        workspace = find_workspace(place.workspace)
        url = find_database(place.database, workspace)
        if print_systemd:
            _print_unit(url, workspace, concurrency, grace, lease, background=background)
            return
        code = run_worker(url, workspace, slots=concurrency, grace=grace, lease=lease, background=background)
    except WorkflowEngineError as error:
        fail(safe(error.message))
    end_process(code)


def _print_unit(
    url: str, workspace: Path | None, concurrency: int, grace: timedelta, lease: timedelta, *, background: bool
) -> None:
    """With whole paths, and the PATH that this shell has: steps find the same programs."""
    from stepflow.cli.systemd import unit
    from stepflow.location import split_url

    if background:
        raise click.UsageError("--background ends when nothing is left to do; a unit's worker stays")
    path, in_url = split_url(url)
    database = str(Path(path).expanduser().absolute())
    command = [sys.executable, "-P", "-m", "stepflow.cli.main"]
    command += ["--db", database if in_url is None else f"sqlite:///{database}?durability={in_url}"]
    command += ["--workspace", str(workspace)] if workspace is not None else []
    command += ["worker", "--concurrency", str(concurrency)]
    for option, time in (("--grace", grace), ("--lease", lease)):
        command += [option, f"{round(time.total_seconds() * 1000)}ms"]
    names = ("PATH", "STEPFLOW_DURABILITY")
    environment = {name: value for name in names if (value := os.environ.get(name))}
    folder = workspace or Path(database).parent
    say(unit(command, str(folder), environment, grace.total_seconds()).rstrip())
    name = "~/.config/systemd/user/stepflow.service"
    note(f"Save it as {name}, then `systemctl --user enable --now stepflow`; `loginctl enable-linger` at boot.")
