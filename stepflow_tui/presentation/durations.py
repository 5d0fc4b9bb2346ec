"""Durations in the width of a column."""

from __future__ import annotations

import math


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
    return f"{days}d{hours:02d}h" if days < 100 else f"{days:,}d"


def passed(elapsed: float, left: float) -> int:
    """Of a hundred, how much of its time is over; what goes on is never at its end."""
    whole = elapsed + left
    return min(99, int(100 * elapsed / whole)) if whole > 0 else 0


def ticks(total: float, cells: int, least_apart: int = 9, begin: float = 0.0) -> list[tuple[int, str]]:
    """Column and label of each tick of an axis of `cells` for `total` seconds from `begin` on: steps of 1, 2, 5, …
    seconds, minutes."""
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
    if begin:
        first = math.ceil(begin / step)
        last = math.floor((begin + total) / step)
        columns = [(int((place * step - begin) / total * cells), place * step) for place in range(first, last + 1)]
        return [(column, _fine_tick(at, step)) for column, at in columns if column < cells]
    marks = []
    at = 0.0
    while at <= total:
        column = int(at / total * cells)
        if column < cells:
            marks.append((column, _tick(at)))
        at += step
    return marks


def _fine_tick(at: float, step: float) -> str:
    """One that differs from the next, however far from the begin it is."""
    minutes, seconds = divmod(at, 60)
    if step >= 1:
        hours, minutes = divmod(round(minutes), 60)
        if hours >= 24 and step < 3600:
            return f"{hours // 24}d{hours % 24:02d}h{minutes:02d}" + (f":{seconds:02.0f}" if step < 60 else "")
        return f"{hours}h{minutes:02d}:{seconds:02.0f}" if hours and step < 60 else _tick(at)
    if at < 1 and step < 0.1:
        return f"{at * 1000:.0f}ms"
    decimals = math.ceil(-math.log10(step))
    if not minutes:
        return f"{seconds:.{decimals}f}s"
    return f"{minutes:.0f}m{seconds:0{decimals + 3}.{decimals}f}"


def _tick(seconds: float) -> str:
    if seconds == 0:
        return "0s"
    if seconds < 0.1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.3g}s"
    return short(seconds).removesuffix("00") if seconds % 60 == 0 and seconds < 3600 else short(seconds)
