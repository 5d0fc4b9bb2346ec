"""Instants and durations.

Inside the engine an instant is an int, milliseconds since 1970 UTC; at the border it is an aware datetime.
A duration is written `250ms`, `30s`, `5m`, `1h30m`, `2d`.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?) *(ms|[smhdw])")

DURATION = r"[ \t\r\n]*(?:[0-9]+(?:\.[0-9]+)? *(?:ms|[smhdw])[ \t\r\n]*)+"
"""What a duration looks like, for those who read patterns."""

MAX_DURATION_MS = 100 * 365 * 86_400_000


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def to_datetime(instant: int) -> datetime:
    return datetime.fromtimestamp(instant / 1000, UTC)


def from_datetime(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError("a time needs a time zone; use datetime.now(timezone.utc)")
    return round(moment.timestamp() * 1000)


def iso(instant: int) -> str:
    """`2025-01-20T14:22:10.123Z`"""
    return to_datetime(instant).strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant % 1000:03d}Z"


def parse_duration(text: str) -> int:
    """Milliseconds of `250ms`, `30s`, `5m`, `1h30m`, `2d`. `ValueError` says what was expected."""
    if not re.fullmatch(DURATION, text):
        bare = text.strip()
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", bare):
            raise ValueError(f"a duration needs a unit: '{bare}s' or '{bare}ms', '{bare}m', '{bare}h'")
        raise ValueError(f"'{text}' is not a duration; write it like 250ms, 30s, 5m, 1h30m or 2d")
    total = sum(float(number) * _UNIT_MS[unit] for number, unit in _PART.findall(text))
    if total > MAX_DURATION_MS:
        raise ValueError(f"'{text}' is longer than 100 years")
    return round(total)


def format_duration(duration_ms: int) -> str:
    """For people, two units at most: `125ms`, `2.4s`, `1m02s`, `3h05m`, `2d04h`."""
    if duration_ms < 1000:
        return f"{duration_ms}ms"
    seconds = duration_ms / 1000
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, seconds_left = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{seconds_left:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h"
