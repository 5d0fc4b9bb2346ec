"""`stepflow execution`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import runs
from stepflow.cli.live import failure_of, place_of, why_it_waits
from stepflow.cli.records import run_json
from stepflow.cli.results import result_text
from stepflow.cli.session import say, with_reader
from stepflow.cli.text import box, json_text, local_time, paint
from stepflow.model.ids import short_run_trn

if TYPE_CHECKING:
    from stepflow.client import Client


@click.command("execution")
@click.argument("run_id", shell_complete=runs)
@click.option("--json", "as_json", is_flag=True, help="As one object.")
def command(run_id: str, as_json: bool) -> None:
    """Show an execution with its input and result.

    \b
    Example:
      stepflow execution exec_abc123
    """

    async def show(client: Client) -> None:
        run = await client.get_run(run_id)
        why = why_it_waits(run, any_worker=await client.any_worker_alive())
        if as_json:
            say(json_text(run_json(run)))
            return
        status = run.status.value + (" (cancelling)" if run.cancel_requested else "")
        rows = [
            ("TRN", short_run_trn(run.id)),
            ("Workflow", run.template),
            ("Status", status),
            ("Started", local_time(run.started_at)),
            ("Completed", local_time(run.finished_at)),
        ]
        if run.retry_of is not None:
            rows.append(("Retry of", run.retry_of))
        if run.retried_as is not None:
            rows.append(("Retried as", f"{run.retried_as.id} ({run.retried_as.status.value})"))
        # The id in it is what people copy: it is never cut.
        for line in box(f"Execution: {run.id}", rows, room=len(short_run_trn(run.id))):
            say(line)
        say()
        say("Input:")
        say(json_text(run.input))
        if run.error is not None or (run.status.is_final and run.reason):
            say()
            say("Error:")
            say(failure_of(run))
            if place_of(run.error):
                say(paint(f"  {place_of(run.error)}", "dim"))
        elif run.status.is_final:
            say()
            say("Result:")
            say(await result_text(client, run))
        elif why:
            say()
            say("Reason:")
            say(why)

    with_reader(show, at_once=True)
