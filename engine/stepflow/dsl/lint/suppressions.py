"""`# stepflow: ignore[CODE, rule-name]` in a template: what an author has looked at and decided to keep.

Behind something it speaks of its own line; on a line of its own it speaks of the next line that is no comment. Without
brackets it silences everything there.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from stepflow.dsl.lint.source import Source

_IGNORE = re.compile(r"(?<!\S)#[^\n]*?\bstepflow:[ \t]*ignore\b(?:\[([^\]\n]*)\]|(?![\[\w-]))")
EVERYTHING = "*"

Suppressions = dict[int, frozenset[str]]
"""Line, from 1, to the codes and rule names that are silenced there."""


def find_suppressions(source: Source) -> Suppressions:
    if source.format == "json" or "stepflow:" not in source.text:
        return {}
    lines = source.text.split("\n")
    starts = [start for start, _ in source.scalars]
    found: Suppressions = {}
    for match in _IGNORE.finditer(source.text):
        before = bisect_right(starts, match.start()) - 1
        if before >= 0 and match.start() < source.scalars[before][1]:
            continue  # It is part of a text.
        names = [EVERYTHING] if match[1] is None else [name.strip() for name in match[1].split(",")]
        line = _line_it_speaks_of(lines, source.text.count("\n", 0, match.start()))
        found[line + 1] = found.get(line + 1, frozenset()) | frozenset(names)
    return found


def is_suppressed(found: Suppressions, line: int, *names: str) -> bool:
    silenced = found.get(line, frozenset())
    return EVERYTHING in silenced or not silenced.isdisjoint(names)


def _line_it_speaks_of(lines: list[str], line: int) -> int:
    if not lines[line].lstrip().startswith("#"):
        return line
    while line < len(lines) and lines[line].lstrip().startswith("#"):
        line += 1
    return line
