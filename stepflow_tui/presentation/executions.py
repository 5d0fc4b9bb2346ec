"""An execution as a row: what it is, how it stands, and what is wrong, at one glance."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from stepflow.model.ids import RUN_PREFIX
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.history import CELLS, History, expected, past_line
from stepflow_tui.presentation.spans import Line, fit, fit_name, safe

SHORT_ID = 4


def short_id(run_id: str) -> str:
    """The last characters of an id: those in front are the time, and alike."""
    return run_id.removeprefix(RUN_PREFIX)[-SHORT_ID:]


class Layout(msgspec.Struct, frozen=True):
    """Widths of the columns, with the space before each; 0: it has no room."""

    name: int
    status: int = 0
    started: int = 0
    took: int = 0
    past: int = 0
    version: int = 0
    worker: int = 0
    what: int = 0


@lru_cache(maxsize=32)
def layout_of(width: int, *, full: bool) -> Layout:
    """The most telling columns first; `full`: those too that the dashboard has no room for."""
    wide = width >= 70
    name = max(8, min(24 if wide else 16, width // 4))
    left = width - 2 - SHORT_ID - 1 - name
    status = 11 if left >= 12 else 0
    left -= status
    took = 7 if left >= 7 else 0
    left -= took
    more: dict[str, int] = {"past": CELLS + 1 if wide else 0}
    if full:
        more["started"] = 12 if width >= 84 else 0
        more["version"] = 5 if width >= 110 else 0
        more["worker"] = 16 if width >= 150 else 0
        name += 12 if width >= 150 else 0
        left -= 12 if width >= 150 else 0
    left -= sum(more.values())
    return Layout(name=name, status=status, took=took, what=left if left >= 8 else 0, **more)


MARKS = {(False, False): "  ", (True, False): "●*", (False, True): "◆w", (True, True): "◈W"}
"""Of executions that are marked, or watched: Unicode and ASCII."""


def execution_row(
    run: RunRecord,
    width: int,
    now: datetime,
    glyphs: Glyphs,
    history: History | None = None,
    *,
    full: bool = False,
    is_marked: bool = False,
    is_watched: bool = False,
    when: tuple[str, str] | None = None,
) -> Line:
    """`when`: it will end, as its steps tell; None: as its template's history tells."""
    layout = layout_of(width, full=full)
    glyph, style = glyphs.run(run.status)
    mark = MARKS[is_marked, is_watched][glyphs.ascii_only]
    line: Line = [(glyph, style), (mark, "active"), (f"{short_id(run.id)} ", "dim")]
    line.append((fit_name(safe(run.template), layout.name), ""))
    if layout.version:
        line.append((fit(f"{f'v{run.version}':>4}", layout.version), "dim"))
    if layout.status:
        line.append((" " + fit(_status(run), layout.status - 1), style))
    if layout.started:
        line.append((fit(f"{_when(run.started_at, now):>11}", layout.started), "dim"))
    if layout.took:
        line.append((fit(f"{_took(run, now):>6}", layout.took), "dim" if run.status.is_final else ""))
    if layout.past:
        line += [*past_line(history, run, glyphs), (" ", "")]
    if layout.worker:
        line.append((fit(safe(run.worker or ""), layout.worker - 1) + " ", "dim"))
    if layout.what:
        line += _what(run, now, expected(history, run, now) if when is None else when)
    return line


TITLES = {"created": "", "started": "started", "finished": "", "duration": "took"}
"""By what executions can be sorted: the column that it stands above."""


def titles_row(width: int, sort: str, glyphs: Glyphs, *, reverse: bool) -> Line:
    """Above the columns of `full` rows; the one that they are sorted by has an arrow."""
    layout = layout_of(width, full=True)
    up, down = ("^", "v") if glyphs.ascii_only else ("▴", "▾")
    arrow = up if reverse else down

    def title(words: str) -> str:
        return f"{words}{arrow if words and words == TITLES[sort] else ''}"

    line: Line = [("  " + fit("id", SHORT_ID) + " ", "dim"), (fit("template", layout.name), "dim")]
    columns = (
        (layout.version, f"{'v':>4}"),
        (layout.status, " status"),
        (layout.started, f"{title('started'):>11}"),
        (layout.took, f"{title('took'):>6}"),
        (layout.past, "trend"),
        (layout.worker, "worker"),
    )
    return [*line, *((fit(words, width), "dim") for width, words in columns if width)]


class Listed(msgspec.Struct, frozen=True):
    """What a list has read, for its border."""

    filter: str
    sort: str
    reverse: bool
    found: int
    matching: int | None
    """None: it is not known, and more may be below."""
    total: int
    looked_at: int
    read_at: datetime | None


def list_title(
    listed: Listed, marked: int, width: int, glyphs: Glyphs, *, is_stale: bool, follows: bool = False
) -> tuple[str, str]:
    """Above: what is listed; below: how many, and how fresh it is. `follows`: the cursor stays on the first row."""
    title = "2 Executions"
    if listed.filter:
        title += f"  /{fit(safe(listed.filter), min(len(listed.filter), max(8, width - 16))).rstrip()}"
    if listed.matching is None and listed.filter:
        count = f"{listed.found:,} in {listed.looked_at:,} looked at, more below"
    elif listed.filter:
        count = f"{listed.matching:,} of {listed.total:,}"
    else:
        count = f"{listed.total:,}" if listed.total else ""
    parts = [f"{marked} marked"] if marked else []
    parts += [count] if count else []
    if (listed.sort, listed.reverse) != ("created", False):
        up, down = ("^", "v") if glyphs.ascii_only else ("▴", "▾")
        parts.append(f"{up if listed.reverse else down} {listed.sort}")
    if follows:
        parts.append("follows")
    if is_stale and listed.read_at is not None:
        parts.append(f"as of {listed.read_at.astimezone():%H:%M:%S}")
    return title, " · ".join(parts) if not glyphs.ascii_only else " - ".join(parts)


def _when(moment: datetime | None, now: datetime) -> str:
    """A time of today, else the day too."""
    if moment is None:
        return "-"
    local, today = moment.astimezone(), now.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == today.date() else f"{local:%m-%d %H:%M}"


def _status(run: RunRecord) -> str:
    if run.cancel_requested:
        return "cancelling"
    if run.status is RunStatus.RUNNING and run.steps_total:
        return f"run {run.steps_done * 100 // run.steps_total:d}%"
    return {RunStatus.AWAITING_RETRY: "retrying", RunStatus.COMPLETED: "ok", RunStatus.TIMED_OUT: "timed out"}.get(
        run.status, run.status.value
    )


def _took(run: RunRecord, now: datetime) -> str:
    if run.started_at is None:
        return "-"
    return short(((run.finished_at or now) - run.started_at).total_seconds())


def _what(run: RunRecord, now: datetime, expected: tuple[str, str]) -> Line:
    if run.error is not None:
        return [(error_text(run.error), "bad")]
    if run.reason:
        return [(safe(run.reason), "dim" if run.status.is_final else "bad")]
    if run.status.is_final:
        return []
    if run.wake_at is not None and run.wake_at > now:
        return [(f"goes on in {short((run.wake_at - now).total_seconds())}", "dim")]
    line: Line = []
    when, style = expected
    if when:
        line.append((f"{when}  ", style))
    if run.steps_total:
        line.append((f"{run.steps_done}/{run.steps_total} steps", "dim"))
    return line


def error_text(error: dict[str, Any]) -> str:
    """`load: HTTP 503 upstream`"""
    step = (error.get("details") or {}).get("step_key")
    message = safe(error.get("message") or error.get("code") or "no message")
    return f"{safe(step)}: {message}" if step else message


def what_now(run: RunRecord) -> str:
    """What to do about a run that needs a person."""
    if run.status in (RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.CANCELLED):
        return "t retry"
    if run.status is RunStatus.STALLED:
        return "c cancel, then t retry"
    return ""
