"""How fresh a list is, in words for its border."""

from __future__ import annotations

from datetime import datetime

from rich.cells import cell_len

from stepflow_tui.presentation.glyphs import Glyphs

BESIDE = 6
"""Cells of a border that stand beside its words."""


def fresh_words(read_at: datetime | None, glyphs: Glyphs, *, is_live: bool) -> str:
    """`● live`: what happens is seen; `as of 12:41:07`: what was then; empty: nothing was read yet."""
    if read_at is None:
        return ""
    if is_live:
        return f"{'*' if glyphs.ascii_only else '●'} live"
    return f"as of {read_at.astimezone():%H:%M:%S}"


def border_words(said: str, fresh: str, width: int, glyphs: Glyphs, *, is_live: bool) -> str:
    """Both where there is room; else that it is old before what is said, and what is said before that it is live."""
    both = glyphs.plain(" · ").join(part for part in (said, fresh) if part)
    if cell_len(both) + BESIDE <= width:
        return both
    return said if is_live and said else fresh or said
