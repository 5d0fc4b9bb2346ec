"""A step in full: how it stands, its attempts and what went wrong, what it was given and gave, its last words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord, awaited_signal
from stepflow.model.statuses import StepStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.json_tree import JsonTree, json_row
from stepflow_tui.presentation.log import event_line
from stepflow_tui.presentation.spans import Line, fit_name, safe
from stepflow_tui.presentation.sparkline import bar_of
from stepflow_tui.presentation.stack import cause_in, own_frame
from stepflow_tui.presentation.timeline import note_of
from stepflow_tui.presentation.timeline_folding import is_upstream_failure
from stepflow_tui.presentation.timeline_prediction import StepHistory
from stepflow_tui.presentation.wrapping import wrap_text

MOST_OF_VALUE = 12
"""Rows of an input or output; the tab of these has all."""
MOST_EARLIER = 12
"""Executions whose durations are drawn."""
MOST_FOLDED = 3
"""Lines of a long detail that stay when it is folded and there is no room."""


def step_title(step: StepRecord, glyphs: Glyphs) -> str:
    glyph, _ = glyphs.step(step.status)
    tries = f"  attempt {step.attempt}" if step.attempt > 1 else ""
    return f"{safe(step.key)} {glyph} {step.status.value}{tries}"


def step_lines(
    run: RunRecord,
    attempts: Sequence[StepRecord],
    words: Sequence[WorkflowEvent],
    width: int,
    now: datetime,
    glyphs: Glyphs,
    *,
    unfolded: bool,
    room: int = 0,
    history: StepHistory | None = None,
) -> list[Line]:
    """`attempts` of the step, oldest first, the last with bodies; `words`: its newest log lines; `unfolded`: stacks and
    other long details are shown whole; `room`: lines, up to which they are."""
    step = attempts[-1]
    lines: list[Line] = [[(safe(step.component), "dim"), *_after(step)]]
    note = note_of(step, now)
    if note and step.error is None:
        lines += wrap_text(note, width, "dim")
    keys = what_now(run, step)
    if keys:
        lines.append([("now ", "dim"), *keys])
    error_at = len(lines)
    tried = [_attempt_line(one, now, glyphs) for one in attempts if one.started_at is not None]
    if len(tried) == 1 and step.error is not None:
        del tried[0][3:]  # it was said above
    lines += [*tried, *_usual_line(step.key, history, glyphs)]
    for name, value in (("input", step.input), ("output", step.output)):
        if value is not None:
            lines += _value_lines(name, value, glyphs)
    if words:
        lines.append([("log", "title")])
        lines += [event_line(event, width, with_run=False) for event in words]
    error = _error_lines(step, width, None if unfolded else MOST_FOLDED)
    free = room - len(lines) - len(error)
    if free > 0 and not unfolded:
        error = _error_lines(step, width, MOST_FOLDED + free)
    return [*lines[:error_at], *error, *lines[error_at:]]


def _usual_line(key: str, history: StepHistory | None, glyphs: Glyphs) -> list[Line]:
    """What it took in the executions before."""
    usual = None if history is None else history.steps.get(key)
    earlier = () if history is None else history.earlier.get(key, ())
    if usual is None or not earlier:
        return []
    bars = "".join(bar_of(seconds, usual.median, glyphs) for seconds in earlier[-MOST_EARLIER:])
    said = f" p50 {short(usual.median)}  p95 {short(usual.slow)}"
    return [[("usual ", "dim"), (bars, "quiet"), (f"{said}  of {usual.count:,}", "dim")]]


def _after(step: StepRecord) -> Line:
    return [("  after ", "dim"), (safe(", ".join(step.depends_on)), "")] if step.depends_on else []


def what_now(run: RunRecord, step: StepRecord) -> Line:
    """The keys that lead on from here."""
    keys: list[tuple[str, str]] = []
    failed = step.status is StepStatus.FAILED and not is_upstream_failure(step)
    if failed and run.status.may_be_retried:
        keys += [("t y", "retry"), ("T", "from here, with other input")]
    elif step.status is StepStatus.COMPLETED and run.status.is_final:
        keys.append(("T", "again from here"))
    elif step.status is StepStatus.WAITING and awaited_signal(step.awaits) is not None:
        keys.append(("A", f"answer {safe(awaited_signal(step.awaits))}"))
    if failed:
        keys.append(("e", "open the template here"))
    line: Line = []
    for key, meaning in keys:
        line += [(key, "active"), (f" {meaning}  ", "")]
    return line


def _attempt_line(attempt: StepRecord, now: datetime, glyphs: Glyphs) -> Line:
    glyph, style = glyphs.step(attempt.status)
    assert attempt.started_at is not None
    took = short(((attempt.finished_at or now) - attempt.started_at).total_seconds())
    line: Line = [(f"{glyph} ", style), (f"#{attempt.attempt} {attempt.started_at.astimezone():%H:%M:%S} ", "dim")]
    line.append((f"{took:>6}", ""))
    if attempt.error is not None:
        told = f"  {safe(attempt.error.get('code', ''))} {safe(attempt.error.get('message', ''))}"
        line.append((told, "bad" if attempt.status is StepStatus.FAILED else "dim"))
    return line


def _error_lines(step: StepRecord, width: int, most: int | None) -> list[Line]:
    """`most`: lines of a long detail that are shown; None: all."""
    error = step.error
    if error is None:
        return []
    style = "dim" if is_upstream_failure(step) or step.recovered else "bad"
    message = str(error.get("message", ""))
    lines = wrap_text(f"{error.get('code', '')}  {message}", width, style)
    details: dict[str, Any] = error.get("details") or {}
    cause = cause_in(str(details.get("stack") or ""))
    if cause is not None:
        lines += wrap_text(f"cause {cause}", width, "late")
    place = ":".join(str(details[key]) for key in ("file", "line", "column") if details.get(key) is not None)
    if place:
        lines.append([(f"at {safe(place)}", "late")])
    for name, value in details.items():
        if name not in ("file", "line", "column", "step_key", "attempt"):
            lines += _detail_lines(name, value, message, width, most)
    return lines


def _detail_lines(name: str, value: Any, message: str, width: int, most: int | None) -> list[Line]:
    if isinstance(value, list) and value and all(isinstance(one, dict) and "message" in one for one in value):
        said = [": ".join(str(one[key]) for key in ("path", "message") if one.get(key)) for one in value]
        told = [line for line, one in zip(said, value, strict=True) if str(one["message"]) not in message]
        return [line for one in told for line in wrap_text(f"{name}: {one}", width, "dim")]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    told = text.splitlines() or [""]
    if len(told) == 1:
        return wrap_text(f"{name}: {text}", width, "dim")
    lines: list[Line] = [[(f"{name}: ", "dim")]]
    cut = 0 if most is None else max(0, len(told) - most)
    if cut:
        first, last = own_frame(told)
        kept = told[first:last] if first < cut else []
        lines += [[("  " + safe(line), "")] for line in kept]
        cut = max(cut, last) if kept else cut
        lines.append([(f"  … {cut - len(kept):,} lines; x unfolds", "dim")])
    return lines + [[("  " + safe(line), "")] for line in told[cut:]]


def _value_lines(name: str, value: Any, glyphs: Glyphs) -> list[Line]:
    if isinstance(value, dict) and value.keys() == {"$omitted"}:
        size = value["$omitted"].get("size", 0)
        return [[(f'"{name}": ', ""), (f"{size:,} characters{'; i shows them' if name == 'output' else ''}", "dim")]]
    tree = JsonTree({name: value})
    lines = [json_row(tree.row_at(row), "json", glyphs) for row in range(min(tree.row_count, MOST_OF_VALUE))]
    if tree.row_count > MOST_OF_VALUE:
        lines.append([(f"  … {tree.row_count - MOST_OF_VALUE:,} more rows; i shows all", "dim")])
    return lines


def attempt_row(attempt: StepRecord, names: int, now: datetime, glyphs: Glyphs) -> Line:
    """One attempt of any step, for the list of all."""
    line = _attempt_line(attempt, now, glyphs)
    return [line[0], (fit_name(safe(attempt.key), names) + " ", ""), *line[1:]]


def event_detail(event: WorkflowEvent, glyphs: Glyphs) -> list[Line]:
    """An event with all it says."""
    said: dict[str, Any] = {"type": event.event_type}
    if event.step_key is not None:
        said |= {"step": event.step_key, "attempt": event.attempt}
    said |= {"level": event.level, "time": event.timestamp.isoformat(), "payload": event.payload}
    tree = JsonTree(said)
    return [json_row(tree.row_at(row), "json", glyphs) for row in range(tree.row_count)]
