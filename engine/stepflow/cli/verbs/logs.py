"""`stepflow logs`"""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from stepflow.cli.completers import runs, steps
from stepflow.cli.live import log_line
from stepflow.cli.records import event_json
from stepflow.cli.session import fail, note, say, with_reader
from stepflow.cli.text import json_text, paint, safe
from stepflow.cli.watching import Watch, events_so_far
from stepflow.model.event import FINAL_RUN_EVENTS, LEVELS, EventType

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.model.event import WorkflowEvent


@click.command("logs")
@click.argument("run_id", shell_complete=runs)
@click.option("--follow", "-f", is_flag=True, help="Go on until the execution ends.")
@click.option("--step", metavar="KEY", shell_complete=steps, help="Only what this step said.")
@click.option("--level", type=click.Choice(LEVELS), default=LEVELS[0], help="Only lines of this level and above.")
@click.option("--children", is_flag=True, help="Also what the executions said that its steps started.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def command(run_id: str, follow: bool, step: str | None, level: str, children: bool, as_json: bool) -> None:
    """Show the log lines of an execution, and the events of its components' own.

    \b
    Examples:
      stepflow logs exec_abc123 --follow
      stepflow logs exec_abc123 --step process-payment --level warn
    """
    if step is not None and children:
        raise click.UsageError("--step names a step of the execution itself; leave --children out")

    async def show(client: Client) -> None:
        run = await client.get_run(run_id)
        if step is not None:
            await _check_step(client, run.id, step)
        begin = await client.get_events(run.id, limit=1)
        after = begin[0].seq - 1 if begin else 0
        if follow and not run.status.is_final:
            watch = Watch(client, run.id)
            await watch.say_why()
            coming = watch.events(after, lines=True, of_all=children)
        else:
            coming = events_so_far(client, None if children else run.id, after, lines=True)
        tree = _Tree(run.id, children=children)
        count = 0
        async with aclosing(coming) as events:
            async for event in events:
                if tree.has_ended_with(event):
                    break
                if not tree.has_line(event) or step not in (None, event.step_key) or _is_below(event, level):
                    continue
                count += 1
                say(json_text(event_json(event)) if as_json else log_line(event, with_run=children))
        if as_json:
            return
        sign = paint("ℹ", "blue", sys.stderr)
        if tree.left_out:
            them = "an execution" if tree.left_out == 1 else f"{tree.left_out:,} executions"
            note(f"{sign} Its steps started {them}; --children shows what was said in them too")
        elif not count:
            note(f"{sign} No log lines")

    with_reader(show)


class _Tree:
    """An execution and, with `children`, those that its steps and theirs started, as far as events have told."""

    def __init__(self, run_id: str, *, children: bool) -> None:
        self._with_children = children
        self._open = {run_id}
        self._all = {run_id}
        self.left_out = 0

    def has_ended_with(self, event: WorkflowEvent) -> bool:
        if event.run_id in self._all and event.event_type == EventType.CHILD_STARTED:
            if self._with_children:
                self._all.add(event.payload["child_run_id"])
                self._open.add(event.payload["child_run_id"])
            else:
                self.left_out += 1
        elif event.event_type in FINAL_RUN_EVENTS:
            self._open.discard(event.run_id)
        return not self._open

    def has_line(self, event: WorkflowEvent) -> bool:
        return event.run_id in self._all and event.event_type not in (*FINAL_RUN_EVENTS, EventType.CHILD_STARTED)


async def _check_step(client: Client, run_id: str, step: str) -> None:
    keys = [one.key for one in await client.get_steps(run_id, bodies=False)]
    if step not in keys:
        from stepflow.dsl.diagnostics import did_you_mean

        hint = did_you_mean(step, keys) or f"; see `stepflow steps {run_id}`"
        fail(f"Execution {run_id} has no step '{safe(step)}'{safe(hint)}")


def _is_below(event: WorkflowEvent, level: str) -> bool:
    return LEVELS.index(event.level) < LEVELS.index(level)
