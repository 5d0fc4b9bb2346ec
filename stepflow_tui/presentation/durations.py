"""Durations in the width of a column."""

from __future__ import annotations


def short(seconds: float) -> str:
    """At most six cells: `48ms`, `2.4s`, `12s`, `4m31`, `2h05m`, `3d04h`."""
    if seconds < 0.1:
        return f"{max(0.0, seconds) * 1000:.0f}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h"


def ticks(total: float, cells: int, least_apart: int = 9) -> list[tuple[int, str]]:
    """Column and label of each tick of an axis of `cells` for `total` seconds: steps of 1, 2, 5, … seconds, minutes."""
    if total <= 0 or cells < least_apart:
        return [(0, "0s")]
    most = max(1, cells // least_apart)
    steps = (
        0.001,
        0.002,
        0.005,
        0.01,
        0.02,
        0.05,
        0.1,
        0.2,
        0.5,
        1,
        2,
        5,
        10,
        15,
        30,
        60,
        120,
        300,
        600,
        900,
        1800,
        3600,
        7200,
        21600,
        43200,
        86400,
    )
    step = next((step for step in steps if total / step <= most), None)
    if step is None:
        step = 86400.0 * max(1, round(total / 86400 / most + 0.5))
    marks = []
    at = 0.0
    while at <= total:
        column = int(at / total * cells)
        if column < cells:
            marks.append((column, _tick(at)))
        at += step
    return marks


def _tick(seconds: float) -> str:
    if seconds == 0:
        return "0s"
    if seconds < 0.1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.3g}s"
    return short(seconds).removesuffix("00") if seconds % 60 == 0 and seconds < 3600 else short(seconds)
