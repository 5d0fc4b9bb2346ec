"""`stepflow doctor`"""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from stepflow.cli.session import FAILED, Place, quiet_pipe, say
from stepflow.cli.text import cut, json_text, pad, paint, safe, terminal_width

if TYPE_CHECKING:
    from stepflow.model.health import Finding

SIGNS = {"ok": ("✓", "green"), "info": ("ℹ", "blue"), "warning": ("⚠", "yellow"), "wrong": ("✗", "red")}
CHECK_WIDTH = 14


@click.command("doctor")
@click.option("--full", is_flag=True, help="Look at every row of the database, however long it takes.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@click.pass_obj
def command(place: Place, full: bool, as_json: bool) -> None:
    """See whether all is well: database, workers, executions, workspace, terminal.

    Nothing is changed. It ends with 1 if something is wrong (✗), and with 0 if there are only warnings (⚠).

    \b
    Examples:
      stepflow doctor
      stepflow --db other.db doctor --full
    """
    from stepflow.client.doctor import examine

    try:
        levels = _show(examine(place.database, place.workspace, full=full), as_json=as_json)
    except BrokenPipeError:
        quiet_pipe()
    sys.exit(FAILED if levels["wrong"] else 0)


def _show(findings: Iterable[Finding], *, as_json: bool) -> Counter[str]:
    """Each as soon as it is found; how many there are of each level."""
    import msgspec

    levels: Counter[str] = Counter()
    bad: list[Finding] = []
    section = ""
    for finding in findings:
        levels[finding.level] += 1
        if finding.level in ("wrong", "warning") and finding.message not in {one.message for one in bad}:
            bad.append(finding)
        if as_json:
            say(json_text(msgspec.structs.asdict(finding)))
            continue
        if finding.section != section:
            if section:
                say()
            section = finding.section
            say(paint(section, "bold"))
        for line in _lines(finding, terminal_width()):
            say(line)
    if not as_json:
        say()
        # The report is longer than a small terminal.
        for finding in bad:
            say(_line(finding, terminal_width()))
        say(_summary(levels))
    return levels


def _line(finding: Finding, width: int | None) -> str:
    sign, colour = SIGNS[finding.level]
    text = safe(f"{finding.section}, {finding.check}: {finding.message}")
    return f"{paint(sign, colour)} {text if width is None else cut(text, width - 2)}"


def _lines(finding: Finding, width: int | None) -> Iterator[str]:
    """One line, and below it what it means and what to do where it is not well."""
    sign, colour = SIGNS[finding.level]
    indent = CHECK_WIDTH + 4
    first, *rest = _wrapped(finding.message, width, indent)
    yield f"  {paint(sign, colour)} {pad(safe(finding.check), CHECK_WIDTH)}{first}".rstrip()
    for line in rest:
        yield " " * indent + line
    for line in _wrapped(finding.advice, width, indent):
        yield " " * indent + paint(line, "dim")
    if finding.command:
        yield f"{' ' * indent}{paint(f'$ {safe(finding.command)}', 'cyan')}"


def _wrapped(text: str, width: int | None, indent: int) -> list[str]:
    if not text:
        return []
    return [safe(text)] if width is None else textwrap.wrap(safe(text), max(width - indent, 20)) or [""]


def _summary(levels: Counter[str]) -> str:
    parts = []
    if levels["wrong"]:
        parts.append(f"{levels['wrong']} wrong")
    if levels["warning"]:
        parts.append(f"{levels['warning']} warning{'' if levels['warning'] == 1 else 's'}")
    if not parts:
        return f"{paint('✓', 'green')} All is well"
    sign, colour = SIGNS["wrong" if levels["wrong"] else "warning"]
    return f"{paint(sign, colour)} {', '.join(parts)}; {levels['ok']} checks are well"
