"""`# stepflow: ignore[CODE, rule-name]` in a template: what an author has looked at and decided to keep.

Behind something it speaks of its own line; on a line of its own it speaks of the next line that is no comment. Without
brackets it silences everything there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate

from stepflow.dsl.lint.source import Source

_IGNORE = re.compile(r"(?<!\S)#[^\n]*?\bstepflow:[ \t]*ignore\b(?:\[([^\]\n]*)\]|(?![\[\w-]))")
EVERYTHING = "*"

Suppressions = dict[int, frozenset[str]]
"""Line, from 1, to the codes and rule names that are silenced there."""


def find_suppressions(source: Source) -> Suppressions:
    if source.format == "json" or "stepflow:" not in source.text:
        return {}
    lines = source.text.split("\n")
    spoken_of = _lines_spoken_of(lines)
    ends = list(accumulate(len(line) + 1 for line in lines))
    starts = [start for start, _ in source.scalars]
    found: Suppressions = {}
    for match in _IGNORE.finditer(source.text):
        before = bisect_right(starts, match.start()) - 1
        if before >= 0 and match.start() < source.scalars[before][1]:
            continue  # It is part of a text.
        names = [EVERYTHING] if match[1] is None else [name.strip() for name in match[1].split(",")]
        line = spoken_of[bisect_right(ends, match.start())]
        found[line + 1] = found.get(line + 1, frozenset()) | frozenset(names)
    return found


def is_suppressed(found: Suppressions, line: int, *names: str) -> bool:
    silenced = found.get(line, frozenset())
    return EVERYTHING in silenced or not silenced.isdisjoint(names)


def _lines_spoken_of(lines: list[str]) -> list[int]:
    """For a comment in each line the line it speaks of: its own, or below comments the next that is none."""
    spoken_of = list(range(len(lines)))
    following = len(lines)
    for number in reversed(spoken_of):
        if not lines[number].lstrip().startswith("#"):
            following = number
        spoken_of[number] = following
    return spoken_of
