"""Failures that are the same one: of one template and step, with one code, and messages that differ only in numbers,
ids and what is quoted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from rich.cells import cell_len

from stepflow.model.run import RunRecord
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.filters import step_of
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, fit, fit_name, safe
from stepflow_tui.presentation.sparkline import counts_line

LONGEST = 400
"""Characters of a message that are compared."""
BUCKETS = 12
WIDE = 76
"""Cells from which on it is shown when they failed."""

_DIFFERS = re.compile(
    r"""(?P<kept>\b(?:http|status|code|errno|exit|signal)\W{0,2}\d+\b)  # these numbers say what happened
    |(?<!\w)'[^']*'(?!\w) | "[^"]*" | `[^`]*` | «[^»]*»
    |\b(?=\w*\d)\w+(?:[-.:]\w+)*                                        # with a digit: a number, an id, a time
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Fingerprint(msgspec.Struct, frozen=True):
    template: str
    step: str
    code: str
    message: str


class Group(msgspec.Struct, frozen=True):
    """Failures with one fingerprint."""

    fingerprint: Fingerprint
    runs: tuple[RunRecord, ...]
    """The newest first."""

    @property
    def newest(self) -> RunRecord:
        return self.runs[0]

    @property
    def example(self) -> str:
        return message_of(self.newest)


def fingerprint(run: RunRecord) -> Fingerprint:
    error = run.error or {}
    code = str(error.get("code") or run.status.value)
    return Fingerprint(run.template, step_of(error), code, without_particulars(message_of(run)))


def message_of(run: RunRecord) -> str:
    error = run.error or {}
    return str(error.get("message") or run.reason or run.status.value)


def without_particulars(message: str) -> str:
    """`HTTP 503 for order 'a-17' after 3 tries` is `HTTP 503 for order … after … tries`."""
    shortened = " ".join(message[:LONGEST].split())
    return _DIFFERS.sub(lambda found: found["kept"] or "…", shortened)


def groups_of(runs: Sequence[RunRecord]) -> list[Group]:
    """`runs`, the newest first; the group that failed most often first, then the one that failed last."""
    by_print: dict[Fingerprint, list[RunRecord]] = {}
    for run in runs:
        by_print.setdefault(fingerprint(run), []).append(run)
    groups = [Group(one, tuple(own)) for one, own in by_print.items()]
    return sorted(groups, key=lambda group: -len(group.runs))


def failed_at(run: RunRecord) -> datetime:
    return run.finished_at or run.started_at or run.created_at


def buckets(runs: Sequence[RunRecord], begin: datetime, end: datetime, count: int = BUCKETS) -> list[int]:
    """How many failed in each part of that time."""
    counts = [0] * count
    whole = max((end - begin) / timedelta(milliseconds=1), 1)
    for run in runs:
        at = (failed_at(run) - begin) / timedelta(milliseconds=1)
        counts[max(0, min(count - 1, int(count * at / whole)))] += 1
    return counts


def group_row(
    group: Group, width: int, begin: datetime, now: datetime, retried: int, glyphs: Glyphs, *, is_open: bool
) -> Line:
    """`retried`: how many of it were."""
    folds = ("v" if is_open else ">") if glyphs.ascii_only else ("▾" if is_open else "▸")
    style = glyphs.run(group.newest.status)[1]
    line: Line = [
        (f"{folds} ", "dim"),
        (f"{len(group.runs):>5,}", style),
        ("× " if not glyphs.ascii_only else "x ", style),
    ]
    left = width - 9
    if width >= 60:
        ago = short((now - failed_at(group.newest)).total_seconds())
        line.append((f"{ago:>6} ago ", "dim"))
        left -= 11
    if width >= WIDE:
        line += [(counts_line(buckets(group.runs, begin, now), glyphs), style), (" ", "")]
        left -= BUCKETS + 1
    template = max(8, min(24, left // 3))
    line.append((fit_name(safe(group.fingerprint.template), template) + " ", ""))
    if retried:
        line.append((f"{'@' if glyphs.ascii_only else '↻'}{retried:,} ", "active"))
    if group.fingerprint.step:
        line.append((f"{safe(group.fingerprint.step)}: ", "dim"))
    return [*line, (safe(group.example), "bad")]


def short_group_row(group: Group, width: int, glyphs: Glyphs) -> Line:
    """Where there is little room: how often, what, and where at the right end if that has room."""
    style = glyphs.run(group.newest.status)[1]
    line: Line = [(f" {len(group.runs):>3,}", style), ("x " if glyphs.ascii_only else "× ", style)]
    place = safe(group.fingerprint.step or group.fingerprint.template)
    left = width - 7
    beside = min(cell_len(place), left // 3) if left >= 16 else 0
    line.append((fit(safe(group.example), left - beside - 1 if beside else left), "bad"))
    return [*line, (" ", ""), (fit_name(place, beside), "dim")] if beside else line


def failure_row(run: RunRecord, width: int, now: datetime, glyphs: Glyphs, *, is_retried: bool) -> Line:
    """One of a group, below it. `is_retried`: it was asked for here, whether it has begun or not."""
    sign, style = glyphs.run(run.status)
    ago = short((now - failed_at(run)).total_seconds())
    line: Line = [("    ", ""), (f"{sign} ", style), (f"{short_id(run.id)} ", "dim"), (f"{ago:>6} ago ", "dim")]
    if width >= 60:
        line.append((fit(f"v{run.version}", 5), "dim"))
    if run.retried_as is not None:
        sign, style = glyphs.run(run.retried_as.status)
        line.append((f"retried {sign}{short_id(run.retried_as.id)} ", style))
    elif is_retried:
        line.append(("retried ", "active"))
    return [*line, (safe(message_of(run)), "dim" if is_retried else "")]
