"""A template's text, line by line: numbers, marks of problems, and colours from a look at one line alone."""

from __future__ import annotations

import re

from stepflow.dsl.diagnostics import Diagnostic
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, safe

LEVELS: dict[str, tuple[str, str, str]] = {
    "error": ("✗", "x", "bad"),
    "warning": ("!", "!", "late"),
    "info": ("i", "i", "dim"),
}
"""Unicode, ASCII, style; the worst first."""
COLOURED = 1000
"""Characters of a line; what is behind them is plain."""

_TOKEN = re.compile(
    r"""
      (?P<comment>(?:^|(?<=\s))\#.*)
    | (?P<expression>\$\{\{?[^}]*\}\}?)
    | (?P<key>(?:"[^"\\]*"|'[^']*'|(?<![\w$./-])[\w$/][\w$./-]*)(?=\s*:(?:\s|$)))
    | (?P<string>"(?:\\.|[^"\\])*"|'[^']*')
    | (?P<literal>(?<![\w./-])(?:-?\d+(?:\.\d+)?(?:ms|[smhd])?|true|false|null)(?![\w./-]))
    """,
    re.VERBOSE,
)
_STYLES = {"comment": "dim", "expression": "wait", "key": "active", "string": "good", "literal": "late"}


def mark(level: str, glyphs: Glyphs) -> tuple[str, str]:
    """The sign of a problem, and its style."""
    unicode, ascii_sign, style = LEVELS[level]
    return (ascii_sign if glyphs.ascii_only else unicode), style


def worst(diagnostics: list[Diagnostic]) -> dict[int, str]:
    """By line, the level of the worst problem on it."""
    found: dict[int, str] = {}
    order = list(LEVELS)
    for one in diagnostics:
        known = found.get(one.line)
        if one.line and (known is None or order.index(one.level) < order.index(known)):
            found[one.line] = one.level
    return found


def lines_of(text: str) -> list[str]:
    """As editors count them: other characters that could end a line stand within one."""
    return text.removesuffix("\n").split("\n")


def source_gutter(number: int, digits: int, level: str | None, glyphs: Glyphs) -> Line:
    """What stands before a line: its number, the mark of the worst problem on it."""
    sign, style = (" ", "dim") if level is None else mark(level, glyphs)
    bar = "|" if glyphs.ascii_only else "│"
    return [(f"{number:>{digits}}", "dim"), (sign, style), (f"{bar} ", "dim")]


def coloured(text: str) -> Line:
    text = safe(text.removesuffix("\r").expandtabs(4))
    line: Line = []
    end = 0
    for found in _TOKEN.finditer(text, 0, COLOURED):
        if found.start() > end:
            line.append((text[end : found.start()], ""))
        line.append((found[0], _STYLES[found.lastgroup or ""]))
        end = found.end()
    line.append((text[end:], ""))
    return line
