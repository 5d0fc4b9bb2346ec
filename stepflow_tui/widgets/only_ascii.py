"""The last thing before the terminal, where it shows ASCII alone: signs that are left over, ours or Textual's."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_INSTEAD = {
    "~": "…",
    "-": "·─▔▁–—−",
    "|": "│┆▏▎▍▌▐⏎",
    "#": "█▇▆▅▄▃▂▉▊▋▀■",
    ">": "→▸▶›≥",
    "<": "←◀‹",
    "^": "↑▴▲",
    "v": "↓▾▼",
    "x": "×✗",
    "+": "✓",
    "*": "★●•",
}
"""One cell each, as what they stand for."""
_PLAIN = str.maketrans({sign: plain for plain, signs in _INSTEAD.items() for sign in signs})


class OnlyAscii(LineFilter):
    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            one if one.text.isascii() else Segment(one.text.translate(_PLAIN), one.style, one.control)
            for one in segments
        ]
