"""`stepflow lint`"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from stepflow.cli.completers import file_paths
from stepflow.cli.session import FAILED, note, read_file, say, with_workbench, write_file
from stepflow.cli.text import json_text, paint, safe

if TYPE_CHECKING:
    from stepflow.dsl.diagnostics import Diagnostic
    from stepflow.workbench import Workbench

SIGNS = {"error": ("✗", "red"), "warning": ("⚠", "yellow"), "info": ("ℹ", "blue")}


@click.command("lint")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=file_paths)
@click.option("--fix", is_flag=True, help="Put right in the file what is certain: spellings, needless depends_on.")
@click.option("--strict", is_flag=True, help="Exit 1 for warnings too.")
@click.option("--json", "as_json", is_flag=True, help="As one object.")
def command(files: tuple[str, ...], fix: bool, strict: bool, as_json: bool) -> None:
    """Look for what is risky in template files, and how to do better.

    A comment on the line, or alone on the line above, silences it: `# stepflow: ignore[no-retry]`.

    \b
    Example:
      stepflow lint workflow.yaml
      stepflow lint --fix --strict workflow.yaml
    """
    texts = {file: read_file(file, "DSL file") for file in files}

    async def lint(workbench: Workbench) -> int:
        found: list[Diagnostic] = []
        for file, text in texts.items():
            fixed = _fixed(file, text, workbench) if fix else text
            diagnostics = workbench.lint(fixed, file).diagnostics
            found += diagnostics
            if not as_json:
                _show(file, diagnostics)
        levels: Counter[str] = Counter(diagnostic.level for diagnostic in found)
        if as_json:
            listed = [msgspec.structs.asdict(diagnostic) for diagnostic in found]
            say(json_text({"valid": not levels["error"], "diagnostics": listed}))
        else:
            say(f"Summary: {_summary(levels)}")
        return FAILED if levels["error"] or (strict and levels["warning"]) else 0

    with_workbench(lint)


def _fixed(file: str, text: str, workbench: Workbench) -> str:
    """Rewrites the file if there is something to put right; its text afterwards."""
    fixed, number = workbench.fix(text, file)
    if number:
        write_file(file, fixed, "DSL file")
        note(f"{paint('✓', 'green', sys.stderr)} Fixed {_counted(number, 'issue')} in {safe(file)}")
    return fixed


def _show(file: str, diagnostics: Sequence[Diagnostic]) -> None:
    say(f"{paint('ℹ', 'blue')} Lint results for {safe(file)}")
    for line in _lines(diagnostics):
        say(line)
    if not diagnostics:
        say(f"  {paint('✓', 'green')} Nothing found")
    say()


def _lines(diagnostics: Iterable[Diagnostic]) -> Iterable[str]:
    """What was found, and below it where, what to do, and the code that silences it."""
    for diagnostic in diagnostics:
        sign, colour = SIGNS[diagnostic.level]
        yield f"  {paint(sign, colour)} [{diagnostic.level}] {safe(diagnostic.message)}"
        hint = f" {diagnostic.hint}" if diagnostic.hint else ""
        yield paint(f"      {safe(f'{diagnostic.place}:{hint} [{diagnostic.code}]')}", "dim")


def _summary(levels: Counter[str]) -> str:
    """`2 issues (0 errors, 2 warnings)`, and the notes where there are some."""
    parts = [_counted(levels["error"], "error"), _counted(levels["warning"], "warning")]
    if levels["info"]:
        parts.append(_counted(levels["info"], "note"))
    return f"{_counted(sum(levels.values()), 'issue')} ({', '.join(parts)})"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
