"""`stepflow history`"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click

from stepflow.cli.changes import changes_json, changes_text
from stepflow.cli.completers import templates
from stepflow.cli.names import template_name
from stepflow.cli.session import note, ours, say, with_reader
from stepflow.cli.text import json_text, local_time, safe, table

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.model.changes import FlowChanges
    from stepflow.model.template import TemplateVersion

_FIRST = "the first version"


@click.command("history")
@click.argument("name", callback=template_name, shell_complete=templates)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Maximum results.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def command(name: str, limit: int, as_json: bool) -> None:
    """List the versions of a template, newest first: what changed in each, and how many executions it has.

    \b
    Example:
      stepflow history order-flow
    """

    async def show(client: Client) -> None:
        found = await client.template_versions(name, limit + 1)
        executions = await client.count_runs_by_version(name)
        versions = found[:limit]
        changes = [_changes(older, newer) for newer, older in pairwise(found)]
        since: list[FlowChanges | None] = [*changes, None][: len(versions)]
        if as_json:
            for version, change in zip(versions, since, strict=True):
                say(json_text(_as_json(version, change, executions.get(version.version, 0))))
            return
        rows = [
            (
                str(version.version),
                local_time(version.created_at),
                str(executions.get(version.version, 0)),
                version.file or "-",
            )
            for version in versions
        ]
        below = [_FIRST if change is None else changes_text(change) for change in since]
        for line in table(("VERSION", "SAVED", "EXECUTIONS", "FILE"), rows, (9, 21, 12), 65, below=below):
            say(line)
        if len(found) > limit:
            note(f"More: {ours(f'history {safe(name)} --limit {limit * 2}')}")

    with_reader(show)


def _changes(before: TemplateVersion, after: TemplateVersion) -> FlowChanges:
    from stepflow.model.changes import compare_flows

    return compare_flows(before.flow, after.flow, before.base_dir, after.base_dir)


def _as_json(version: TemplateVersion, changes: FlowChanges | None, executions: int) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "created_at": version.created_at.isoformat(),
        "file": version.file,
        "executions": executions,
        "changes": None if changes is None else changes_json(changes),
    }
