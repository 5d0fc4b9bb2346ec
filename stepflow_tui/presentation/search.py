"""What was found as lines, with the words that were looked for standing out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow.model.statuses import StepStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.executions import awaited_words, error_text, is_upstream, short_id, why_words
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.log import LEVELS
from stepflow_tui.presentation.spans import Line, fit, fit_name, safe

ENDS = {
    EventType.STEP_COMPLETED: StepStatus.COMPLETED,
    EventType.STEP_FAILED: StepStatus.FAILED,
    EventType.STEP_SKIPPED: StepStatus.SKIPPED,
    EventType.STEP_CANCELLED: StepStatus.CANCELLED,
}
State = Literal["looks", "stopped", "over"]
BEFORE_HIT = 12
"""Cells before a hit that would not be seen otherwise."""


def words_of(event: WorkflowEvent) -> str:
    """What there is to read of it."""
    if event.event_type == EventType.LOG:
        return str(event.payload.get("message") or "")
    error = event.payload.get("error")
    if isinstance(error, dict):
        return f"{error.get('code') or ''} {error.get('message') or ''}"
    return str(event.payload.get("reason") or "")


def emphasised(text: str, needles: Sequence[str], room: int, style: str = "") -> Line:
    """`text` in `room` cells, each of `needles` in it standing out, the first of them to be seen."""
    wanted = [re.escape(safe(needle)) for needle in needles if needle]
    if not wanted:
        return [(text, style)]
    pattern = re.compile("|".join(wanted), re.IGNORECASE)
    first = pattern.search(text)
    if first is not None and first.end() > room:
        begin = max(0, first.start() - min(BEFORE_HIT, max(0, room - len(first.group())) // 2))
        text = ("…" if begin else "") + text[begin:]
    line: Line = []
    at = 0
    for found in pattern.finditer(text):
        line += [(text[at : found.start()], style), (found.group(), "title-reverse")]
        at = found.end()
    return [span for span in [*line, (text[at:], style)] if span[0]]


def run_row(run: RunRecord, needles: Sequence[str], width: int, now: datetime, glyphs: Glyphs) -> Line:
    sign, style = glyphs.run(run.status)
    took = "-" if run.started_at is None else short(((run.finished_at or now) - run.started_at).total_seconds())
    line: Line = [(f"{sign} ", style), (f"{short_id(run.id)} ", "dim")]
    line += emphasised(fit_name(safe(run.template), _name(width)), needles, width)
    if width >= 60:
        line.append((f" {took:>6}", ""))
    line.append((_ago(run.created_at, now), "dim"))
    if run.error is not None:
        said = error_text(run.error)
    else:
        said = why_words(run) if run.reason else awaited_words(run) if run.awaits else ""
    return [*line, *emphasised(said, needles, width - _taken(line), "bad" if run.error is not None else "dim")]


def step_row(
    event: WorkflowEvent, run: RunRecord, needles: Sequence[str], width: int, now: datetime, glyphs: Glyphs
) -> Line:
    sign, style = glyphs.step(ENDS[EventType(event.event_type)])
    is_from_upstream = is_upstream(event.payload.get("error"))
    line: Line = [
        (f"{sign} ", "dim" if is_from_upstream else style),
        (f"{short_id(run.id)} ", "dim"),
        (fit_name(safe(run.template), _name(width)), ""),
    ]
    line.append((_ago(event.timestamp, now), "dim"))
    line += [*emphasised(safe(event.step_key or ""), needles, width), ("  ", "")]
    said_style = "bad" if event.event_type == EventType.STEP_FAILED and not is_from_upstream else "dim"
    return [*line, *emphasised(safe(words_of(event).strip()), needles, width - _taken(line), said_style)]


def line_row(event: WorkflowEvent, run: RunRecord, needles: Sequence[str], width: int, now: datetime) -> Line:
    word, style = LEVELS.get(event.level, LEVELS["info"])
    line: Line = [(f"{word} ", style), (f"{short_id(run.id)} ", "dim")]
    if width >= 60:
        line.append((fit_name(safe(run.template), _name(width)), ""))
    line.append((_ago(event.timestamp, now), "dim"))
    if event.step_key:
        line.append((f"{safe(event.step_key)}  ", "dim"))
    return [*line, *emphasised(safe(words_of(event)), needles, width - _taken(line), "bad" if style == "bad" else "")]


def _name(width: int) -> int:
    return max(8, min(24, width // 5))


def _ago(moment: datetime, now: datetime) -> str:
    return fit(f"{short((now - moment).total_seconds()):>7} ago ", 12)


def _taken(line: Line) -> int:
    return sum(len(text) for text, _ in line)


class Reach(msgspec.Struct, frozen=True):
    """How far back something was searched."""

    what: Literal["execution", "event"]
    count: int = 0
    """So many of them were looked at."""
    back_to: datetime | None = None
    """The oldest of them; None: none was yet."""


def found_line(
    counts: Sequence[int], seconds: float, reach: Reach | None, most: int, now: datetime, state: State
) -> str:
    """`14 executions, 31 steps, 208 log lines in 12 ms`; before it is over, when the tabs have the counts, `searched
    back to 12:03, 2.1 M events; esc stops`. `counts` of executions alone: nothing else was looked for. `reach`: of
    what is not all searched yet."""
    if state != "over":
        after = "esc stops" if state == "looks" else "stopped"
        if reach is None or reach.back_to is None:
            return after
        what = f"{many_words(reach.count)} {reach.what}{'' if reach.count == 1 else 's'}"
        return f"searched back to {moment_words(reach.back_to, now)}, {what}; {after}"
    found = [
        f"{count:,}{'+' if count >= most else ''} {one if count == 1 else many}"
        for count, one, many in zip(
            counts, ("execution", "step", "log line"), ("executions", "steps", "log lines"), strict=False
        )
    ]
    inside = "; a word, err~ or step: looks inside them" if len(counts) == 1 else ""
    return f"{', '.join(found)} in {short(seconds)}{inside}"


def moment_words(moment: datetime, now: datetime) -> str:
    """`12:03`, or `Jan 20 12:03`, of the local clock."""
    local = moment.astimezone()
    return f"{local:%H:%M}" if local.date() == now.astimezone().date() else f"{local:%b} {local.day} {local:%H:%M}"


def many_words(count: int) -> str:
    """`950`, `12,300`, `2.1 M`"""
    return f"{count:,}" if count < 1_000_000 else f"{count / 1_000_000:.1f} M"
