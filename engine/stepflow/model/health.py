"""What `doctor` finds: one thing that was looked at, whether it is well, and if not what to do."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Level = Literal["ok", "info", "warning", "wrong"]


class Finding(msgspec.Struct, frozen=True):
    section: str
    check: str
    """What was looked at, a word or two."""
    level: Level
    message: str
    """What was seen."""
    advice: str = ""
    """What it means and the way out."""
    command: str = ""
    """To be pasted into a shell."""
    details: dict[str, Any] = {}
    """The same for programs, JSON."""


def size(count: int) -> str:
    """Bytes for people: `512 B`, `1.2 MB`."""
    amount = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
