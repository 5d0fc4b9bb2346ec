"""`stepflow workers`"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import workers
from stepflow.cli.session import FAILED, note, say, with_reader
from stepflow.cli.text import json_text, local_time, paint, safe, table

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.model.run import WorkerRecord

SILENT_SECONDS = 2.0
"""Then it says what it waits for."""


@click.group("workers", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List workers, living ones first; or stop them.

    \b
    Examples:
      stepflow workers
      stepflow workers stop --all
    """
    if ctx.invoked_subcommand is not None:
        return

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


@command.command("stop")
@click.argument("ids", nargs=-1, metavar="[ID]...", shell_complete=workers)
@click.option("--all", "stop_all", is_flag=True, help="All living ones of this machine.")
@click.option("--now", is_flag=True, help="Kill them. What their steps started is ended by who takes them over.")
def stop(ids: tuple[str, ...], stop_all: bool, now: bool) -> None:
    """Stop workers of this machine: they give their executions back and end.

    It waits until they have ended. The beginning of an id is enough.

    \b
    Examples:
      stepflow workers stop w_mwwh
      stepflow workers stop --all
    """
    if bool(ids) == stop_all:
        raise click.UsageError("Name the workers to stop, or say --all")

    async def do(client: Client) -> int:
        from stepflow.errors import WorkflowEngineError

        if stop_all:
            workers = [one for one in await client.workers() if one.alive]
        else:
            workers = list({one.id: one for one in [await client.find_worker(ref) for ref in ids]}.values())
        if not workers:
            note(f"{paint('ℹ', 'blue', sys.stderr)} No worker is running")
        stopping = [_stop(client, one, now=now) for one in workers]
        code = 0
        for worker, outcome in zip(workers, await asyncio.gather(*stopping, return_exceptions=True), strict=True):
            if isinstance(outcome, WorkflowEngineError):
                note(f"{paint('✗', 'red', sys.stderr)} {safe(outcome.message)}")
                code = FAILED
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                say(f"{paint('✓', 'green')} {_stopped(worker, outcome)}")
        return code

    with_reader(do)


async def _stop(client: Client, worker: WorkerRecord, *, now: bool) -> int | None:
    stopping = asyncio.ensure_future(client.stop_worker(worker, now=now))
    await asyncio.wait([stopping], timeout=SILENT_SECONDS)
    if not stopping.done():
        doing = f"is {worker.trouble}" if worker.trouble else "lets the steps that it performs end"
        way_out = "" if now else f"; to kill it: stepflow workers stop {worker.id} --now"
        note(f"{paint('ℹ', 'blue', sys.stderr)} Worker {safe(worker.id)} {safe(doing)}{safe(way_out)}")
    return await stopping


def _stopped(worker: WorkerRecord, given_back: int | None) -> str:
    if given_back is None:
        return f"Worker {safe(worker.id)} had died already; the next worker takes over what it held"
    held = {0: "it held no execution", 1: "1 execution given back"}.get(
        given_back, f"{given_back:,} executions given back"
    )
    return f"Worker {safe(worker.id)} stopped, {held}"
