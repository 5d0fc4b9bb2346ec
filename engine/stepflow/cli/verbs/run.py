"""`stepflow run`"""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stepflow.cli.completers import file_paths, templates_or_files, versions
from stepflow.cli.durations import duration
from stepflow.cli.live import failure_of, place_of, stderr_line
from stepflow.cli.names import template_name
from stepflow.cli.records import run_json
from stepflow.cli.results import result_text
from stepflow.cli.session import FAILED, diagnostic_lines, fail, note, ours, read_file, read_input, say, with_client
from stepflow.cli.text import json_text, local_time, paint, safe
from stepflow.cli.variables import read_variables, var_option
from stepflow.cli.watching import Watch
from stepflow.errors import TemplateNotFoundError
from stepflow.model.event import FINAL_RUN_EVENTS, EventType
from stepflow.model.ids import run_trn
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.model.flow import Flow

_FILES = (".yaml", ".yml", ".json")
SILENT_SECONDS = 5.0
"""Then it says that it waits."""


@click.command("run")
@click.argument("template", callback=template_name, shell_complete=templates_or_files)
@click.option("--input", "given", metavar="JSON|@FILE|-", help="The input: JSON, @file, or - for stdin.")
@click.option("--file", metavar="PATH", help="Read the input from a file.", shell_complete=file_paths)
@var_option
@click.option("--async", "is_async", is_flag=True, help="Do not wait for its end.")
@click.option("--delay", metavar="DURATION", callback=duration, help="Start it later, like 30s or 2h.")
@click.option("--priority", type=int, default=0, help="Higher runs first.")
@click.option("--idempotency-key", metavar="KEY", help="The same key gives the same execution.")
@click.option(
    "--version", type=click.IntRange(1), help="A version of the template; default: the newest.", shell_complete=versions
)
@click.option("--no-worker", is_flag=True, help="Start no worker; one must be running, or be started later.")
@click.option("--json", "as_json", is_flag=True, help="Print the execution as one object.")
def command(
    template: str,
    given: str | None,
    file: str | None,
    variables: tuple[str, ...],
    is_async: bool,
    delay: timedelta | None,
    priority: int,
    idempotency_key: str | None,
    version: int | None,
    no_worker: bool,
    as_json: bool,
) -> None:
    """Start an execution of TEMPLATE, a name or a file, and wait for its end.

    \b
    Examples:
      stepflow run order-flow --input '{"orderId": "12345"}'
      stepflow run order-flow --input @order-input.json --async
      stepflow run ./flow.yaml
      stepflow run order-flow --delay 2h --async
    """
    value = read_input(given, file)
    started: list[str] = []

    async def start(client: Client) -> int | None:
        name = template
        if template.endswith(_FILES):
            saved = await client.save_template(None, read_file(template, "Template file"), file=template)
            for line in diagnostic_lines(saved.diagnostics):
                note(line)
            name = saved.name
        try:
            found = await client.get_template(name, version)
        except TemplateNotFoundError as error:
            fail((_file_of_that_name(name) if version is None else "") or safe(error.message))
        run_id = await _patiently(
            client.start_run(
                name,
                value,
                version=version,
                variables=read_variables(variables, found.flow),
                priority=priority,
                delay=delay,
                idempotency_key=idempotency_key,
            )
        )
        started.append(run_id)
        worker = None if no_worker else await client.ensure_worker()
        watch = Watch(client, run_id, worker=worker, keeps_alive=not no_worker)
        if is_async and not _needs_only_ours(found.flow):
            await watch.until_worker_is_there()  # who alone knows whether it has what the flow needs
        run = await client.get_run(run_id)
        if not as_json:
            say(f"{paint('✓', 'green')} Workflow execution started")
            say(f"  Run ID: {run_id}")
            say(f"  TRN: {run_trn(run_id, run.template)}")
            say(f"  Status: {run.status.value}")
        if is_async and as_json:
            say(json_text(run_json(run)))
        sys.stdout.flush()
        if run.status is RunStatus.SCHEDULED and not as_json:
            note(f"  {paint('ℹ', 'blue', sys.stderr)} It starts at {local_time(run.wake_at)}")
        await watch.say_why()
        if is_async:
            return None
        return await _ended(client, await _follow(client, run, watch, quiet=as_json), as_json=as_json)

    def interrupted() -> None:
        if started:
            note(
                "\nThe execution goes on\n"
                f"  Watch it with `{ours(f'stream {started[0]}')}`\n"
                f"  Cancel it with `{ours(f'cancel {started[0]}')}`"
            )

    with_client(start, on_interrupt=interrupted)


async def _patiently(starting: Coroutine[Any, Any, str]) -> str:
    import asyncio

    task = asyncio.ensure_future(starting)
    await asyncio.wait([task], timeout=SILENT_SECONDS)
    if not task.done():
        note(
            f"{paint('ℹ', 'blue', sys.stderr)} Waiting for another process that writes to the database; "
            f"`{ours('doctor')}` names it"
        )
    return await task


def _needs_only_ours(flow: Flow) -> bool:
    from stepflow.components.registry import builtin_registry

    ours = builtin_registry()
    return all(component in ours for component in flow.components)


def _file_of_that_name(name: str) -> str:
    """Whoever names a template that is only a file meant the file; empty: there is none."""
    file = next((name + ending for ending in _FILES if Path(name + ending).is_file()), None)
    said = f"Template '{safe(name)}' not found; there is a file of that name: {ours('run')}"
    return "" if file is None else f"{said} ./{safe(file)}"


async def _follow(client: Client, run: RunRecord, watch: Watch, *, quiet: bool) -> RunRecord:
    """Show its steps until it ends, or until only a person can help."""
    until: set[Any] = {*FINAL_RUN_EVENTS, EventType.RUN_STALLED}
    if run.status.is_final and quiet:
        return run
    async with aclosing(watch.events()) as events:
        async for event in events:
            line = None if quiet else stderr_line(event)
            if line is not None:
                note(line)
            if event.event_type in until:
                break
    return await client.get_run(run.id)


async def _ended(client: Client, run: RunRecord, *, as_json: bool) -> int:
    if as_json:
        say(json_text(run_json(run)))
    elif run.status is RunStatus.COMPLETED:
        say()
        say("Result:")
        say(await result_text(client, run))
    if run.status is not RunStatus.COMPLETED:
        note(f"{paint('✗', 'red', sys.stderr)} Execution failed: {failure_of(run)}")
        if place_of(run.error):
            note(paint(f"  {place_of(run.error)}", "dim", sys.stderr))
        return FAILED
    return 0
