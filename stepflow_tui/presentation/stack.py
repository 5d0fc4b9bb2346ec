"""What a Python stack says first: what caused the error, and where in somebody's own code it came from."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CAUSED = re.compile(r"\n+(?:The above exception was the direct cause of|During handling of the above exception)")
_FRAME = re.compile(r'\s*File "([^"]+)", line \d+')
_NOT_OWN = re.compile(r"[/\\](?:site-packages|dist-packages|lib[/\\]python3[^/\\]*|stepflow)[/\\]|^<")
"""In the path of a file that belongs to Python, to a package or to the engine."""


def cause_in(stack: str) -> str | None:
    """What was there first: `KeyError: 'ts'`."""
    found = _CAUSED.search(stack)
    return None if found is None else stack[: found.start()].rstrip().rpartition("\n")[2] or None


def own_frame(lines: Sequence[str]) -> tuple[int, int]:
    """Of the last call in somebody's own code, else of the last one at all: its first line, and the one after its code.
    Both 0: there is none."""
    frames = [(place, match[1]) for place, line in enumerate(lines) if (match := _FRAME.match(line))]
    own = [place for place, file in frames if not _NOT_OWN.search(file)]
    if not frames:
        return 0, 0
    begin = (own or [place for place, _ in frames])[-1]
    has_code = begin + 1 < len(lines) and lines[begin + 1].startswith("    ")
    return begin, begin + 1 + has_code
