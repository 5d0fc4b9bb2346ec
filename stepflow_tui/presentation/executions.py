"""An execution as a row: what it is, how it stands, and what is wrong, at one glance."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from rich.cells import cell_len

from stepflow.model.ids import RUN_PREFIX
from stepflow.model.run import NO_WORKER, WORKER_DIED, WORKER_GONE, RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.history import CELLS, History, expected, is_working, passed_usually, past_line
from stepflow_tui.presentation.spans import Line, cells, fit, fit_name, safe

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
    wide = width >= 74  # what is wrong has 24 cells there beside the trend
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
    share: int | None = None,
) -> Line:
    """`when`: it will end, as its steps tell, and `share`: of a hundred, how much of its time is over; without `when`
    both as its template's history tells."""
    layout = layout_of(width, full=full)
    glyph, style = glyphs.run(run.status)
    mark = MARKS[is_marked, is_watched][glyphs.ascii_only]
    line: Line = [(glyph, style), (mark, "active"), (f"{short_id(run.id)} ", "dim")]
    line.append((fit_name(safe(run.template), layout.name), ""))
    if layout.version:
        line.append((fit(f"{f'v{run.version}':>4}", layout.version), "dim"))
    if layout.status:
        if when is None:
            share = passed_usually(history, run, now)
        line.append((" " + fit(_status(run, share), layout.status - 1), style))
    if layout.started:
        line.append((fit(f"{_when(run.started_at, now):>11}", layout.started), "dim"))
    if layout.took:
        line.append((fit(f"{_took(run, now):>6}", layout.took), "dim" if run.status.is_final else ""))
    if layout.past:
        line += [*past_line(history, run, glyphs), (" ", "")]
    if layout.worker:
        line.append((fit(safe(run.worker or ""), layout.worker - 1) + " ", "dim"))
    if layout.what:
        ends = expected(history, run, now) if when is None else when
        line += _retried(run, glyphs) + (why_line(run, now, layout.what, ends) or _going_on(run, ends))
    return line


def _retried(run: RunRecord, glyphs: Glyphs) -> Line:
    """`↻ w4f2 ✓  `: as what, and how that stands."""
    if run.retried_as is None:
        return []
    sign, style = glyphs.run(run.retried_as.status)
    again, _ = glyphs.run(RunStatus.AWAITING_RETRY)
    return [(f"{again} {short_id(run.retried_as.id)} {sign}  ", style)]


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


def list_title(listed: Listed, marked: int, width: int, glyphs: Glyphs, *, follows: bool = False) -> tuple[str, str]:
    """Above: what is listed; below: how many. `follows`: the cursor stays on the first row."""
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
    return title, glyphs.plain(" · ").join(parts)


def _when(moment: datetime | None, now: datetime) -> str:
    """A time of today, else the day too."""
    if moment is None:
        return "-"
    local, today = moment.astimezone(), now.astimezone()
    return f"{local:%H:%M:%S}" if local.date() == today.date() else f"{local:%m-%d %H:%M}"


WORDS = {RunStatus.AWAITING_RETRY: "retrying", RunStatus.COMPLETED: "ok", RunStatus.TIMED_OUT: "timed out"}
"""Of a status in a row, where it has another one there."""
CANCELLING = "cancelling"


def _status(run: RunRecord, share: int | None) -> str:
    if run.cancel_requested:
        return CANCELLING
    if run.status is RunStatus.RUNNING and share is None and run.steps_total > 1:
        share = run.steps_done * 100 // run.steps_total
    if run.status is RunStatus.RUNNING and share is not None:
        return f"run {share}%"
    return WORDS.get(run.status, run.status.value)


def _took(run: RunRecord, now: datetime) -> str:
    if run.started_at is None:
        return "-"
    return short(((run.finished_at or now) - run.started_at).total_seconds())


LEAST_MESSAGE = 10
"""Cells of one before it gives way to when it goes on."""
MOST_AWAITED = 2


def why_line(run: RunRecord, now: datetime, room: int, ends: tuple[str, str] = ("", "")) -> Line:
    """Why it stands as it does; empty: it goes on, or ended well. An error is cut to `room` before the time when it is
    tried again; what somebody has to answer is not. `ends`: when it will, and a style."""
    if run.error is not None:
        return [(error_text(run.error), "bad" if run.retried_as is None else "dim")]
    if run.reason:
        return [(why_words(run), "dim" if run.status.is_final else "bad")]
    left = "" if run.wake_at is None or run.wake_at <= now else short((run.wake_at - now).total_seconds())
    if run.status is RunStatus.AWAITING_RETRY and run.last_error is not None:
        return _tried_again(error_text(run.last_error), f"  again in {left}" if left else "", room)
    if run.awaits and is_working(run):
        return _at_work(run, ends, room)
    if run.awaits:
        asks = awaited_words(run).removeprefix("waits for ")
        return [(asks, "wait"), (f"  times out in {left}" if left else "", "dim")]
    if left and not run.status.is_final:
        return [(f"{'begins' if run.status is RunStatus.SCHEDULED else 'goes on'} in {left}", "dim")]
    return []


def _at_work(run: RunRecord, ends: tuple[str, str], room: int) -> Line:
    """`ETA 2m10  458/1,000 pages, 3 failed`; where that has no room, `ETA 2m10  458/1,000 3 failed`, or without ETA."""
    when, style = ends
    begin: Line = [(f"{when}  ", style)] if when else []
    line: Line = []
    for place, one in enumerate(run.awaits[:MOST_AWAITED]):
        many = f"{one.ended:,}/{one.children:,} " if one.children > 1 else ""
        line.append((f"{'; ' if place else ''}{many}{safe(one.step)}", "active"))
        if one.failed:
            line.append((f", {one.failed:,} failed", "bad"))
    first = run.awaits[0]
    if cells([*begin, *line]) <= room or first.children < 2:
        return [*begin, *line]
    line = [(f"{first.ended:,}/{first.children:,}", "active")]
    if first.failed:
        line.append((f" {first.failed:,} failed", "bad"))
    begin = [(f"{when} ", style)] if when else []
    return [*begin, *line] if cells([*begin, *line]) <= room else line


def _tried_again(message: str, when: str, room: int) -> Line:
    for_message = room - len(when)
    if for_message < cell_len(message) and for_message >= LEAST_MESSAGE:
        message = fit(message, for_message)
    return [(message, "late"), (when, "dim")]


def why_words(run: RunRecord) -> str:
    """Its reason, with the way out where only a worker that is started goes on with it."""
    way_out = "; start one: stepflow worker" if run.reason in (NO_WORKER, WORKER_DIED, WORKER_GONE) else ""
    return f"{safe(run.reason or '')}{way_out}"


def awaited_words(run: RunRecord) -> str:
    """`waits for ops: Deploy version 2?`, `waits for signal paid`, `waits for pages: 188 of 200 done, 3 failed`"""
    parts = []
    for one in run.awaits[:MOST_AWAITED]:
        if one.signal is None and one.children > 1:
            failed = f", {one.failed:,} failed" if one.failed else ""
            parts.append(f"{safe(one.step)}: {one.ended:,} of {one.children:,} done{failed}")
        elif one.signal is None:
            parts.append(safe(one.step))
        else:
            parts.append(f"{safe(one.step)}: {safe(one.message)}" if one.message else f"signal {safe(one.signal)}")
    more = len(run.awaits) - MOST_AWAITED
    return f"waits for {'; '.join(parts)}{f'; {more:,} more' if more > 0 else ''}"


def _going_on(run: RunRecord, ends: tuple[str, str]) -> Line:
    """When it will end, and how far it is."""
    if run.status.is_final:
        return []
    line: Line = []
    when, style = ends
    if when and run.status is not RunStatus.QUEUED:  # nobody knows when one is taken
        line.append((f"{when}  ", style))
    if run.steps_total:
        line.append((f"{run.steps_done}/{run.steps_total} steps", "dim"))
    return line


def error_text(error: dict[str, Any]) -> str:
    """`load: HTTP 503 upstream`"""
    step = (error.get("details") or {}).get("step_key")
    message = safe(error.get("message") or error.get("code") or "no message")
    return f"{safe(step)}: {message}" if step else message


def is_upstream(error: object) -> bool:
    """Another step failed, and this one could not run."""
    return isinstance(error, dict) and error.get("code") == "UPSTREAM_FAILED"


def what_now(run: RunRecord) -> str:
    """What to do about a run that needs a person."""
    if run.status in (RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.CANCELLED):
        return "t y retry"
    if run.status is RunStatus.STALLED:
        return "p y go on, or c y cancel"
    if run.status is RunStatus.PAUSED:
        return "p y go on"
    return "A answer" if any(one.signal is not None for one in run.awaits) else ""
