"""Values as small bars in one line."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from stepflow_tui.presentation.glyphs import Glyphs

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-:=+*#"
USUAL = 3
"""The bar of the usual value, of eight: others stand out by being lower or higher."""


def bar_of(value: float, usual: float, glyphs: Glyphs) -> str:
    """One bar, three eighths high where the value is the usual one."""
    level = USUAL if usual <= 0 else round(USUAL * value / usual)
    return _bars(glyphs)[max(1, min(level, 8)) - 1]


def level_bar(share: float, glyphs: Glyphs) -> str:
    """One bar as high as `share` of all, 0 to 1; the lowest is an eighth."""
    return _bars(glyphs)[max(1, min(ceil(share * 8 - 0.001), 8)) - 1]


def counts_line(counts: Sequence[int], glyphs: Glyphs) -> str:
    """Counts beside each other, the most of them a whole bar; a dot where there are none."""
    most = max(counts, default=0)
    bars, none = _bars(glyphs), " " if glyphs.ascii_only else "·"
    return "".join(bars[-(-8 * count // most) - 1] if count else none for count in counts)


def _bars(glyphs: Glyphs) -> str:
    return ASCII_BARS if glyphs.ascii_only else BARS
