"""`stepflow diff`"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from stepflow.cli.changes import changes_json, changes_lines
from stepflow.cli.completers import others_like_first, templates_or_runs
from stepflow.cli.names import template_name
from stepflow.cli.session import fail, note, ours, read_file, say, with_reader
from stepflow.cli.source import diff_lines, say_diff
from stepflow.cli.text import json_text, paint, safe
from stepflow.errors import DSLValidationError, RunNotFoundError, TemplateNotFoundError

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.model.flow import Flow
    from stepflow.model.template import TemplateVersion

_FILES = (".yaml", ".yml", ".json")


class _Side(msgspec.Struct, frozen=True):
    """A version, or a file that may become one."""

    title: str
    version: int | None
    file: str | None
    source: str
    flow: Flow
    folder: str | None


@click.command("diff")
@click.argument("first", metavar="TEMPLATE|RUN", callback=template_name, shell_complete=templates_or_runs)
@click.argument("second", metavar="[VERSION|FILE|RUN]", required=False, shell_complete=others_like_first)
@click.argument("third", metavar="[VERSION|FILE]", required=False, shell_complete=others_like_first)
@click.option("--json", "as_json", is_flag=True, help="As one object.")
def command(first: str, second: str | None, third: str | None, as_json: bool) -> None:
    """Compare versions of a template, its newest with a file, or two executions.

    Of a template alone: its newest version with the one before; with one VERSION: that one with the newest. Above the
    text it is said in words what changed in the flow. The exit code is 0, whether they differ or not.

    \b
    Examples:
      stepflow diff order-flow
      stepflow diff order-flow 3 5
      stepflow diff order-flow order-workflow.yaml
      stepflow diff exec_abc123 exec_def456
    """

    async def show(client: Client) -> None:
        try:
            newest = await client.template_versions(first, 2)
        except TemplateNotFoundError as error:
            if not await _is_run(client, first):
                hint = error.message.partition("not found")[2]
                fail(f"'{safe(first)}' is neither a template nor an execution{safe(hint)}")
        else:
            wrong = [word for word in (second, third) if word and not (_is_version(word) or _is_file(word))]
            if not wrong:
                await _show_versions(client, newest, (second, third), as_json=as_json)
                return
            if not await _is_run(client, first):
                way_out = f"see `{ours(f'history {first}')}`"
                fail(f"'{safe(wrong[0])}' is no version of '{safe(first)}' and no file; {way_out}")
        if second is None or third is not None:
            raise click.UsageError("Two executions are compared: stepflow diff RUN RUN")
        from stepflow.cli.run_diff import show_run_difference

        await show_run_difference(client, first, second, as_json)

    with_reader(show)


def _is_version(word: str) -> bool:
    return word.isascii() and word.isdigit()


def _is_file(word: str) -> bool:
    return word.endswith(_FILES) or os.sep in word or Path(word).is_file()


async def _is_run(client: Client, word: str) -> bool:
    try:
        await client.get_run(word)
    except RunNotFoundError as error:
        # Several that begin so: what is to be said of it is said there.
        return "several match" in error.message
    return True


async def _show_versions(
    client: Client, newest: list[TemplateVersion], words: tuple[str | None, str | None], *, as_json: bool
) -> None:
    """`newest`: the newest version, and the one before it if there is one."""
    name, after = newest[0].name, _side_of(newest[0])
    match words:
        case (None, _):
            if len(newest) < 2:
                fail(f"Template '{safe(name)}' has one version; compare it with a file: stepflow diff {name} FILE")
            before = _side_of(newest[1])
        case (str() as word, None) if _is_version(word):
            before = await _side(client, name, word)
        case (str() as word, None):
            before, after = after, await _side(client, name, word)
        case (str() as word, str() as other):
            before, after = await _side(client, name, word), await _side(client, name, other)
    _show(name, before, after, as_json=as_json)


async def _side(client: Client, name: str, word: str) -> _Side:
    if _is_version(word):
        return _side_of(await client.get_template(name, int(word)))
    text = read_file(word, "DSL file")
    read = (await client.workbench()).validate(text, word)
    if read.flow is None:
        raise DSLValidationError(read.diagnostics)
    return _Side(word, None, word, text, read.flow, str(Path(word).absolute().parent))  # noqa: ASYNC240 - reads no disk


def _side_of(version: TemplateVersion) -> _Side:
    title = f"{version.name} version {version.version}"
    return _Side(title, version.version, version.file, version.source, version.flow, version.base_dir)


def _show(name: str, before: _Side, after: _Side, *, as_json: bool) -> None:
    from stepflow.model.changes import compare_flows

    changes = compare_flows(before.flow, after.flow, before.folder, after.folder)
    difference = list(diff_lines(before.source, after.source, before.title, after.title))
    if as_json:
        sides = {
            side: {"version": one.version, "file": one.file} for side, one in (("before", before), ("after", after))
        }
        say(json_text({"template": name, **sides, "changes": changes_json(changes), "diff": "\n".join(difference)}))
        return
    if not changes and not difference:
        note(f"{paint('ℹ', 'blue', sys.stderr)} Nothing differs between {safe(before.title)} and {safe(after.title)}")
        return
    say(paint(f"{safe(before.title)} → {safe(after.title)}", "bold"))
    for line in changes_lines(changes, before.flow, after.flow) or ["  The flow is the same; only its text differs"]:
        say(line)
    if difference:
        say()
        say_diff(difference)
