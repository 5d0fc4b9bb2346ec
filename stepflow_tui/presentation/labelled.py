"""Something in words: what is said of it, each with a label before it."""

from __future__ import annotations

from datetime import datetime

from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.wrapping import wrap_text

LABEL = 11


def told(label: str, text: str, width: int, style: str = "") -> list[Line]:
    """As many lines as it takes."""
    first, *others = wrap_text(text, max(10, width - LABEL), style)
    return [[(f"{label:<{LABEL}}", "dim"), *first], *([(" " * LABEL, ""), *line] for line in others)]


def moment(at: datetime, now: datetime) -> str:
    """`2026-01-02 12:41:07, 3m04 ago`; of today without the day."""
    local = at.astimezone()
    day = "" if local.date() == now.astimezone().date() else f"{local:%Y-%m-%d} "
    return f"{day}{local:%H:%M:%S}, {short(max(0.0, (now - at).total_seconds()))} ago"
