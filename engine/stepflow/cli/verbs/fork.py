"""`stepflow fork`"""

from __future__ import annotations

import click

from stepflow.cli.completers import runs
from stepflow.cli.redriving import redrive_options, start_redriven
from stepflow.cli.session import read_input


@click.command("fork")
@click.argument("run_id", shell_complete=runs)
@redrive_options
def command(
    run_id: str, from_step: str | None, given: str | None, file: str | None, version: str | None, no_worker: bool
) -> None:
    """Start a new execution from what another has completed so far, whether that one lives or has ended.

    As `retry`, which is for those that failed; the other execution goes on as it was.

    \b
    Examples:
      stepflow fork exec_abc123 --from process-payment
      stepflow fork exec_abc123 --input @other-order.json
    """
    start_redriven("fork", run_id, from_step, read_input(given, file), version, no_worker=no_worker)
