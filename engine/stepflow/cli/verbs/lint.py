"""`stepflow lint`"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from stepflow.cli.session import FAILED, fail, note, read_file, say
from stepflow.cli.text import json_text, paint, safe

if TYPE_CHECKING:
    from stepflow.dsl.diagnostics import Diagnostic
    from stepflow.dsl.lint.linter import Components

SIGNS = {"error": ("✗", "red"), "warning": ("⚠", "yellow"), "info": ("ℹ", "blue")}


@click.command("lint")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
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
    from stepflow.dsl.lint.linter import lint_flow

    components = _components()
    found: list[Diagnostic] = []
    for file in files:
        text = read_file(file, "DSL file")
        if fix:
            text = _fix(file, components)
        diagnostics = lint_flow(text, file=file, components=components).diagnostics
        found += diagnostics
        if not as_json:
            _show(file, diagnostics)
    levels: Counter[str] = Counter(diagnostic.level for diagnostic in found)
    if as_json:
        listed = [msgspec.structs.asdict(diagnostic) for diagnostic in found]
        say(json_text({"valid": not levels["error"], "diagnostics": listed}))
    else:
        say(f"Summary: {_summary(levels)}")
    sys.exit(FAILED if levels["error"] or (strict and levels["warning"]) else 0)


def _components() -> Components:
    from stepflow.components.registry import builtin_registry
    from stepflow.dsl.lint.view import ComponentFacts

    return {
        component.path: ComponentFacts(external=component.external, output_schema=component.output_schema)
        for component in builtin_registry()
    }


def _fix(file: str, components: Components) -> str:
    """Rewrites the file if there is something to put right; its text afterwards."""
    from stepflow.dsl.lint.linter import fix_text

    # Not as read_file does it: the ends of the lines stay what they are.
    with open(file, encoding="utf-8", newline="") as opened:
        text = opened.read()
    fixed, number = fix_text(text, file=file, components=components)
    if number:
        try:
            with Path(file).open("w", encoding="utf-8", newline="") as opened:
                opened.write(fixed)
        except OSError as error:
            fail(f"DSL file '{safe(file)}' cannot be written: {error.strerror}")
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
