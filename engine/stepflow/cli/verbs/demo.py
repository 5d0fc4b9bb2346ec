"""`stepflow demo`: a workspace of examples that do real work, some of them running, and the screen on it."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from stepflow.cli.completers import folder_paths
from stepflow.cli.live import failure_of, step_line
from stepflow.cli.session import FAILED, Place, fail, note, say, with_client
from stepflow.cli.text import local_time, paint, safe, table
from stepflow.location import WORKSPACE_FILE
from stepflow.model.event import FINAL_RUN_EVENTS, EventType
from stepflow.model.run import RunRecord
from stepflow.model.times import format_duration

if TYPE_CHECKING:
    from stepflow.client import Client

LONGEST_SECONDS = 120.0
INDEX = "demo.json"


class Example(msgspec.Struct, frozen=True):
    """An entry of `demo.json`."""

    template: str
    file: str
    why: str
    input: Any = None
    start: bool = False
    expect: str = ""
    """The status that it ends with."""


@click.command("demo")
@click.argument("folder", required=False, shell_complete=folder_paths)
@click.option("--no-screen", is_flag=True, help="Print the live events instead of opening the screen.")
@click.pass_context
def command(ctx: click.Context, folder: str | None, no_screen: bool) -> None:
    """Make a workspace of examples in FOLDER (default: a temporary one), start some, and watch them.

    \b
    Examples:
      stepflow demo
      stepflow demo ./my-demo --no-screen
    """
    workspace = _make_workspace(folder)
    examples = msgspec.json.decode((workspace / INDEX).read_bytes(), type=list[Example])
    ctx.obj = Place(str(workspace / ".stepflow" / "stepflow.db"), str(workspace))
    from stepflow.cli.screen import has_terminal, open_screen

    with_screen = not no_screen and has_terminal()

    async def begin(client: Client) -> int | None:
        started = await _start(client, examples, workspace)
        if with_screen:
            return None
        say(f"Workspace: {workspace}")
        say()
        return await _watch(client, started)

    if not with_screen:
        with_client(begin)
    try:
        with_client(begin)
    except SystemExit as ended:
        if ended.code:
            raise
    code = open_screen(ctx.obj)
    note(f"The workspace stays in {workspace}")
    note(f"Look again with: stepflow --workspace {workspace}")
    ctx.exit(code)


def _make_workspace(folder: str | None) -> Path:
    source = _examples()
    workspace = Path(folder).absolute() if folder else Path(tempfile.mkdtemp(prefix="stepflow-demo-"))
    if (workspace / WORKSPACE_FILE).exists() and not (workspace / INDEX).exists():
        fail(f"{safe(workspace)} is a workspace of yours; name another folder for the demo")
    try:
        shutil.copytree(source, workspace, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        (workspace / WORKSPACE_FILE).write_text("# The workspace of `stepflow demo`.\n", encoding="utf-8")
    except OSError as error:
        fail(f"The workspace {safe(workspace)} cannot be made: {error.strerror or error}; name another folder")
    return workspace


def _examples() -> Path:
    """In an installed package they lie beside the code, in a checkout where their authors look after them."""
    import stepflow

    package = Path(stepflow.__file__).parent
    for place in (package / "examples", package.parents[1] / "examples" / "demo"):
        if (place / INDEX).is_file():
            return place
    return fail("The examples are not installed; reinstall StepFlow")


async def _start(client: Client, examples: list[Example], workspace: Path) -> dict[str, Example]:
    """Save all templates, start those that are to be started; their examples by run id."""
    started = {}
    for example in examples:
        file = workspace / example.file
        await client.save_template(example.template, file.read_text(encoding="utf-8"), example.why, file=str(file))
    await client.ensure_worker()
    for example in examples:
        if example.start:
            started[await client.start_run(example.template, example.input)] = example
    return started


async def _watch(client: Client, started: dict[str, Example]) -> int:
    """Print what happens until all have ended, and a summary; 1 if one did not end as its example says."""
    open_runs = set(started)
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            async for event in client.follow(0):
                if event.run_id not in started:
                    continue
                line = step_line(event, sys.stdout)
                time = local_time(event.timestamp, "%H:%M:%S")
                if event.event_type in (*FINAL_RUN_EVENTS, EventType.RUN_STARTED):
                    word = event.event_type.removeprefix("run.")
                    say(f"{time} {paint(f'{safe(event.kind)} {word}', 'bold')}")
                elif line is not None:
                    say(f"{time} {safe(event.kind)}{line}")
                if event.event_type in FINAL_RUN_EVENTS:
                    open_runs.discard(event.run_id)
                if not open_runs:
                    break
    except TimeoutError:
        note(f"{paint('✗', 'red', sys.stderr)} Not all ended within {LONGEST_SECONDS:.0f} s")
    runs = [await client.get_run(run_id) for run_id in started]
    say()
    for row in table(("EXAMPLE", "STATUS", "TOOK", "WHAT HAPPENED"), [_row(run) for run in runs], (17, 12, 9), 72):
        say(row)
    wrong = [run for run in runs if run.status != started[run.id].expect]
    for run in wrong:
        note(
            f"{paint('✗', 'red', sys.stderr)} {run.template} was to end as {started[run.id].expect}: {failure_of(run)}"
        )
    return FAILED if wrong else 0


def _row(run: RunRecord) -> tuple[str, str, str, str]:
    took = "-" if run.duration_ms is None else format_duration(run.duration_ms)
    happened = failure_of(run) if run.error is not None else f"{run.steps_done} of {run.steps_total} steps"
    return run.template, run.status.value, took, happened
