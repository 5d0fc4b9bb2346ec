"""`stepflow config`"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from stepflow.cli.session import Place, fail, note, quiet_pipe, say
from stepflow.cli.text import json_text, paint, safe, table
from stepflow.errors import WorkflowEngineError

if TYPE_CHECKING:
    from stepflow.client.configuration import Setting


@click.command("config")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@click.pass_obj
def command(place: Place, as_json: bool) -> None:
    """Show the settings in effect, and where each comes from.

    What is given beats the environment, which beats the workspace's stepflow.toml. Its keys: db, durability (full,
    normal), shell and python (false turns those components off), [[components]]. Values of STEPFLOW_VAR_… are hidden.

    \b
    Example:
      stepflow config
    """
    from stepflow.client.configuration import configuration

    try:
        found = configuration(place.database, place.workspace)
    except WorkflowEngineError as error:
        fail(safe(error.message))
    try:
        for line in _lines(found.settings, as_json=as_json):
            say(line)
    except BrokenPipeError:
        quiet_pipe()
    for trouble in found.troubles:
        note(f"{paint('⚠', 'yellow', sys.stderr)} {safe(trouble)}")


def _lines(settings: Iterable[Setting], *, as_json: bool) -> list[str]:
    import msgspec

    if as_json:
        return [json_text(msgspec.structs.asdict(setting)) for setting in settings]
    rows = [(one.name, _shown(one.value), one.source) for one in settings]
    return table(("SETTING", "VALUE", "FROM"), rows, (14, 28), 72)


def _shown(value: str | bool | int | None) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "-" if value is None else str(value)
