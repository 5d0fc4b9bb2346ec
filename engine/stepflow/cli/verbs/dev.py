"""`stepflow dev`"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from stepflow.cli.completers import folder_paths
from stepflow.cli.session import INTERRUPTED, Place, diagnostic_lines, fail, note, say, with_client
from stepflow.cli.text import json_text, paint, safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepflow.client import Client
    from stepflow.client.workspace import Outcome, Round
    from stepflow.dsl.diagnostics import Diagnostic

_MOST_LINES = 10
"""Of one kind in one round; more of them are counted, and first those are shown that have something to say."""


@click.command("dev")
@click.argument("folder", required=False, shell_complete=folder_paths)
@click.option("--no-worker", is_flag=True, help="Start no worker.")
@click.option("--json", "as_json", is_flag=True, help="One object for each thing that happens.")
@click.pass_context
def command(ctx: click.Context, folder: str | None, no_worker: bool, as_json: bool) -> None:
    """Watch the workspace of FOLDER (default: the one you are in): each template that is saved becomes a new version,
    problems are shown where they stand, and a worker performs executions.

    Executions keep the version they began with. A version that no execution has used gives way to the next save. When
    Python files change, a new worker takes over, and the old one ends the steps it has begun.

    \b
    Examples:
      stepflow dev
      stepflow dev ./flows --no-worker
    """
    ctx.obj = Place(ctx.obj.database, _workspace(ctx.obj, folder))
    with_client(lambda client: _Watching(client, as_json=as_json).run(no_worker=no_worker))


def _workspace(place: Place, folder: str | None) -> str:
    from stepflow.errors import WorkflowEngineError
    from stepflow.location import WORKSPACE_FILE, find_workspace

    try:
        if folder is None:
            found = find_workspace(place.workspace)
        elif place.workspace is not None:
            raise click.UsageError("FOLDER and --workspace say the same; give one of them")
        else:
            given = find_workspace(folder)
            assert given is not None
            found = next((one for one in (given, *given.parents) if (one / WORKSPACE_FILE).is_file()), given)
    except WorkflowEngineError as error:
        fail(safe(error.message))
    if found is None:
        fail(
            f"There is no {WORKSPACE_FILE} in {_here()} or above it\n"
            "  Make a workspace here with `stepflow init`, or name a folder: `stepflow dev FOLDER`"
        )
    return str(found)


def _here() -> str:
    from pathlib import Path

    try:
        return safe(Path.cwd())
    except OSError:
        return "this folder, which was deleted,"


class _Watching:
    def __init__(self, client: Client, *, as_json: bool) -> None:
        self._client = client
        self._as_json = as_json
        self._are_broken = False
        """The components, as far as was said."""

    async def run(self, *, no_worker: bool) -> int:
        from stepflow.cli.supervision import Supervisor

        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        supervisor = Supervisor(self._client, self._tell)

        def interrupt() -> None:
            if stopping.is_set():
                supervisor.kill()
            stopping.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        if not no_worker:
            await self._warn_of_others()
        doing = [loop.create_task(self._watch(supervisor))]
        if not no_worker:
            doing.append(loop.create_task(supervisor.keep()))
        stopped = loop.create_task(stopping.wait())
        try:
            await asyncio.wait([*doing, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*doing, stopped):
                task.cancel()
            ends = await asyncio.gather(*doing, return_exceptions=True)
            await self._end(supervisor)
        for end in ends:
            if isinstance(end, Exception):
                raise end
        return INTERRUPTED

    async def _end(self, supervisor: Any) -> None:
        ending = asyncio.ensure_future(supervisor.stop())
        done, _ = await asyncio.wait([ending], timeout=1.0)
        if not done:
            note("Waiting for the steps that run; Ctrl-C ends them at once")
            await ending

    async def _warn_of_others(self) -> None:
        others = [worker for worker in await self._client.workers() if worker.alive]
        if others:
            sign = paint("⚠", "yellow", sys.stderr)
            pids = ", ".join(str(worker.pid) for worker in others)
            note(f"{sign} Another worker works on this database ({pids}); changed Python does not reach it")

    async def _watch(self, supervisor: Any) -> None:
        from stepflow.client.workspace import Components

        async with aclosing(self._client.watch_workspace()) as rounds:
            async for one in rounds:
                self._show(one)
                sys.stdout.flush()
                for outcome in one.outcomes:
                    if isinstance(outcome, Components) and not outcome.is_first and not outcome.troubles:
                        supervisor.renew()

    def _tell(self, pid: int | None, what: str, is_trouble: bool) -> None:
        if self._as_json:
            self._object({"what": "worker", "pid": pid, "message": what})
        elif pid is not None:
            self._line("│", "dim", paint(f"worker {pid}: {safe(what)}", "dim"))
        else:
            self._line(*(("✗", "red") if is_trouble else ("ℹ", "blue")), safe(what))
        sys.stdout.flush()

    # What came of a round

    def _show(self, one: Round) -> None:
        if self._as_json:
            self._show_objects(one)
            return
        if one.is_first:
            self._line("ℹ", "blue", f"Watching {safe(self._client.workspace)}; Ctrl-C ends it")
        for kind, outcomes in _by_kind(one.outcomes):
            shown = outcomes
            if len(outcomes) > _MOST_LINES and kind in _COUNTED:
                shown = [outcome for outcome in outcomes if _diagnostics(outcome)][:_MOST_LINES]
            for outcome in shown:
                self._show_one(outcome, one)
            if len(shown) < len(outcomes):
                sign, colour, words = _COUNTED[kind]
                more = " more" if shown else ""
                self._line(sign, colour, f"{len(outcomes) - len(shown):,}{more} files {words} ({one.ms:.0f} ms)")
        if one.is_first:
            problems = sum(kind == "Problem" for kind, found in _by_kind(one.outcomes) for _ in found)
            mark = ("✗", "red") if problems else ("✓", "green")
            also = f", {problems} problem{'s' if problems > 1 else ''}" if problems else ""
            self._line(*mark, f"{one.templates:,} template{'' if one.templates == 1 else 's'}{also} ({one.ms:.0f} ms)")

    def _show_one(self, outcome: Outcome, one: Round) -> None:
        from stepflow.client import workspace as told

        match outcome:
            case told.Saved(file, template, version, change):
                same = ", the same flow in other words" if change == "text" else ""
                words = f"{safe(template)} version {version}{same} ({one.ms:.0f} ms)"
                self._line("✓", "green", f"{safe(file)}: {words}")
            case told.Problem(file):
                self._line("✗", "red", f"{safe(file)}: not saved")
            case told.Mended(file, gone):
                self._line("✓", "green", f"{safe(file)}: {'gone' if gone else 'mended'}")
            case told.Gone(file, template):
                self._line("⚠", "yellow", f"{safe(file)}: file gone; template '{safe(template)}' stays")
            case told.Back(file, template, version):
                self._line("✓", "green", f"{safe(file)}: is back; {safe(template)} version {version} stays")
            case told.Renamed(file, before, template, version):
                self._line("✓", "green", f"{safe(file)}: was {safe(before)}; {safe(template)} version {version} stays")
            case told.Components():
                self._show_components(outcome, one)
            case told.Polling(reason):
                why = f"The system does not tell of changes ({safe(reason)}); looking twice a second"
                self._line("⚠", "yellow", why)
            case told.Trouble(message):
                self._line("✗", "red", f"Not saved: {safe(message)}; trying again")
            case told.Unchanged():
                pass
        for line in diagnostic_lines(_diagnostics(outcome), sys.stdout):
            say(line)

    def _show_components(self, components: Any, one: Round) -> None:
        before, self._are_broken = self._are_broken, bool(components.troubles)
        if components.troubles:
            kept = "" if components.is_first else "; the worker keeps what it has"
            self._line("✗", "red", f"The workspace's components cannot be had{kept}")
        elif not components.is_first:
            count = len(components.offered)
            words = f"{'mended, ' if before else ''}{count} component{'' if count == 1 else 's'}"
            self._line("✓", "green", f"Python looked at: {words} ({one.ms:.0f} ms)")

    def _show_objects(self, one: Round) -> None:
        import msgspec

        for outcome in one.outcomes:
            found = msgspec.to_builtins(outcome)
            if not (one.is_first and found["what"] == "unchanged"):
                self._object({**found, "ms": round(one.ms, 1)})
        if one.is_first:
            workspace = str(self._client.workspace)
            self._object(
                {"what": "watching", "workspace": workspace, "templates": one.templates, "ms": round(one.ms, 1)}
            )

    def _object(self, found: dict[str, Any]) -> None:
        say(json_text({"at": datetime.now(UTC).isoformat(timespec="milliseconds"), **found}))

    def _line(self, sign: str, colour: str, words: str) -> None:
        say(f"{datetime.now().astimezone():%H:%M:%S} {paint(sign, colour)} {words}")


_COUNTED = {
    "Saved": ("✓", "green", "saved"),
    "Problem": ("✗", "red", "not saved; `stepflow validate FILE` says why"),
    "Mended": ("✓", "green", "mended"),
    "Gone": ("⚠", "yellow", "gone; their templates stay"),
    "Back": ("✓", "green", "are back"),
    "Renamed": ("✓", "green", "renamed"),
}


def _by_kind(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, list[Outcome]]]:
    """In the order of their first."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(type(outcome).__name__, []).append(outcome)
    return iter(found.items())


def _diagnostics(outcome: Outcome) -> Sequence[Diagnostic]:
    found: Sequence[Diagnostic] = getattr(outcome, "diagnostics", ()) or getattr(outcome, "troubles", ())
    return found
