"""`stepflow retry`"""

from __future__ import annotations

import click

from stepflow.cli.completers import runs
from stepflow.cli.redriving import redrive_options, start_redriven
from stepflow.cli.session import read_input


@click.command("retry")
@click.argument("run_id", shell_complete=runs)
@redrive_options
def command(
    run_id: str, from_step: str | None, given: str | None, file: str | None, version: str | None, no_worker: bool
) -> None:
    """Retry a failed, cancelled or timed-out execution: a new one that takes over the steps that completed.

    A step is taken over only if it, and all it depends on, is unchanged: steps before it, and the parts of the input
    it refers to.

    \b
    Examples:
      stepflow retry exec_abc123
      stepflow retry exec_abc123 --from send-confirmation
      stepflow retry exec_abc123 --input '{"orderId": "12345"}' --version latest
    """
    start_redriven("retry", run_id, from_step, read_input(given, file), version, no_worker=no_worker)
