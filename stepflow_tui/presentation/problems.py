"""What is wrong with a template, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from stepflow.dsl.diagnostics import Diagnostic
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.source import LEVELS, mark
from stepflow_tui.presentation.spans import Line, safe


def problem_row(problem: Diagnostic, glyphs: Glyphs) -> Line:
    sign, style = mark(problem.level, glyphs)
    place = f"{problem.line}:{problem.column}" if problem.line else ""
    line: Line = [(f"{sign} ", style), (f"{place:<7} {problem.code} ", "dim"), (safe(problem.message), "")]
    if problem.hint:
        line.append((f"  {safe(problem.hint)}", "dim"))
    return line


def problem_counts(problems: Sequence[Diagnostic], glyphs: Glyphs) -> Line:
    """`✗1 !2`; notes are not counted."""
    line: Line = []
    for level in LEVELS:
        count = sum(one.level == level for one in problems)
        if count and level != "info":
            sign, style = mark(level, glyphs)
            line.append((f"{' ' if line else ''}{sign}{count}", style))
    return line


def problems_note(name: str, problems: Sequence[Diagnostic]) -> tuple[str, str]:
    """How many there are, and the style of saying so."""
    counts = {level: sum(one.level == level for one in problems) for level in LEVELS}
    said = [f"{count:,} {level}{'s' if count > 1 else ''}" for level, count in counts.items() if count]
    worst = next((LEVELS[level][2] for level, count in counts.items() if count), "good")
    return f"{safe(name)}: {', '.join(said) or 'nothing is wrong with it'}", worst
