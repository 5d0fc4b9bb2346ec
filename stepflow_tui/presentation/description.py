"""An execution in words and columns: what it is, how it stands, what it waits for, what went wrong, what comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len

from stepflow.model.run import RunRecord, StepRecord, awaited_signal
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.executions import error_text
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.json_tree import JsonTree, Row, json_row
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.presentation.timeline import note_of
from stepflow_tui.presentation.timeline_folding import is_upstream_failure
from stepflow_tui.presentation.wrapping import wrap_text

LABEL = 10
MOST_OF_VALUE = 20
MOST_STEPS = 12
UNDER_WAY = (StepStatus.RUNNING, StepStatus.AWAITING_RETRY, StepStatus.SLEEPING, StepStatus.WAITING)


def describe(run: RunRecord, attempts: Sequence[StepRecord], now: datetime, width: int, glyphs: Glyphs) -> list[Line]:
    """`run` with its input and output, `attempts` of its steps, oldest first."""
    steps = list({one.key: one for one in attempts}.values())
    glyph, style = glyphs.run(run.status)
    says = "cancelling" if run.cancel_requested and not run.status.is_final else run.status.value
    lines: list[Line] = [[(f"{glyph} {says}", style), (f"  {safe(run.template)} v{run.version}", "title")], []]
    lines += _told("id", run.id, width)
    lines += _told("asked for", f"{_moment(run.created_at, now)}{_asked_by(run)}", width)
    if run.started_at is not None:
        ended = run.finished_at
        took = short(((ended or now) - run.started_at).total_seconds())
        lines += _told("started", _moment(run.started_at, now), width)
        lines += _told("ended" if ended else "for", f"{_moment(ended, now)}, after {took}" if ended else took, width)
    if run.worker is not None:
        lines += _told("worker", run.worker, width)
    if run.priority:
        lines += _told("priority", str(run.priority), width)
    for place, (name, value) in enumerate(run.metadata.items()):
        lines += _told("" if place else "metadata", f"{name}: {value}", width)
    lines += _told("steps", _counted(run, steps, attempts, glyphs), width)
    lines += _waits(run, steps, now, width, glyphs)
    lines += _went_wrong(run, steps, width)
    lines += _next(run, steps, width)
    for name, value in (("input", run.input), ("output", run.output)):
        if value is not None and not (name == "output" and run.output_skipped):
            lines += [[], *_value(name, value, glyphs)]
    return lines


def summarise(run: RunRecord, attempts: Sequence[StepRecord], now: datetime, width: int, glyphs: Glyphs) -> list[Line]:
    """The same in few lines, what matters first: what went wrong, what it waits for, what now."""
    steps = list({one.key: one for one in attempts}.values())
    lines = _cause(run, steps, width)
    lines += _waits(run, steps, now, width, glyphs)
    lines += _next(run, steps, width)
    asked = "" if run.started_at is None else f"started {_moment(run.started_at, now)}"
    took = "" if run.duration_ms is None else f", took {short(run.duration_ms / 1000)}"
    by = _asked_by(run).removeprefix(",")
    held = "" if run.worker is None else f", by {run.worker}"
    asked = asked or f"asked for {_moment(run.created_at, now)}"
    lines += _told("when", f"{asked}{took}{held}{by}", width)
    for name, value in (("input", run.input), ("output", run.output)):
        if value is not None and not (name == "output" and run.output_skipped):
            shown = json_row(Row((name,), 0, value), "yaml", glyphs)[-1]
            lines.append([(f"{name:<{LABEL}}", "dim"), shown])
    return [line for line in lines if line]


def _cause(run: RunRecord, steps: Sequence[StepRecord], width: int) -> list[Line]:
    if run.error is None:
        return _told("because", run.reason, width) if run.reason and run.status.is_final else []
    beneath = sum(is_upstream_failure(step) for step in steps)
    after = f"; {beneath:,} step{'s' if beneath > 1 else ''} after it did not run" if beneath else ""
    lines = _told("error", f"{error_text(run.error)}{after}", width, "bad")
    place = next((_place_of(step.error) for step in steps if step.error is not None and _place_of(step.error)), "")
    return [*lines, *_told("at", place, width, "late")] if place else lines


def _told(label: str, text: str, width: int, style: str = "") -> list[Line]:
    first, *others = wrap_text(text, max(10, width - LABEL), style)
    return [[(f"{label:<{LABEL}}", "dim"), *first], *([(" " * LABEL, ""), *line] for line in others)]


def _moment(moment: datetime, now: datetime) -> str:
    local = moment.astimezone()
    ago = short(max(0.0, (now - moment).total_seconds()))
    day = "" if local.date() == now.astimezone().date() else f"{local:%Y-%m-%d} "
    return f"{day}{local:%H:%M:%S}, {ago} ago"


def _asked_by(run: RunRecord) -> str:
    """Who did, as far as it is written down."""
    if run.parent_run_id is not None:
        return f", by a step of {run.parent_run_id}"
    if run.retry_of is not None:
        return f", as a retry of {run.retry_of}"
    if "schedule_id" in run.metadata:
        return f", by the schedule {run.metadata['schedule_id']}"
    return ""


def _counted(run: RunRecord, steps: Sequence[StepRecord], attempts: Sequence[StepRecord], glyphs: Glyphs) -> str:
    counts = Counter(step.status for step in steps)
    parts = [f"{glyphs.step(status)[0]} {counts[status]:,} {status.value}" for status in StepStatus if counts[status]]
    again = sum(one.attempt > 1 for one in attempts)
    if again:
        parts.append(f"{again:,} further attempt{'s' if again > 1 else ''}")
    reused = sum(step.reused for step in steps)
    if reused:
        parts.append(f"{reused:,} taken over")
    return f"{run.steps_done:,} of {run.steps_total:,} done" + (f": {', '.join(parts)}" if parts else "")


def _waits(run: RunRecord, steps: Sequence[StepRecord], now: datetime, width: int, glyphs: Glyphs) -> list[Line]:
    """What is under way, and on what it waits."""
    if run.status.is_final:
        return []
    lines: list[Line] = []
    if run.reason:
        lines += _told("because", run.reason, width, "late")
    if run.status is RunStatus.QUEUED:
        lines += _told("waits for", "a worker that takes it", width)
    if run.wake_at is not None and run.wake_at > now:
        lines += _told("goes on", f"in {short((run.wake_at - now).total_seconds())}", width)
    now_at = [step for step in steps if step.status in UNDER_WAY]
    for place, step in enumerate(now_at[:MOST_STEPS]):
        glyph, _ = glyphs.step(step.status)
        note = note_of(step, now) or (f"for {step.awaits}" if step.awaits else "")
        tries = f", attempt {step.attempt}" if step.attempt > 1 else ""
        text = f"{glyph} {step.key} {step.status.value}{tries}{f', {note}' if note else ''}"
        lines += _told("is at" if place == 0 else "", text, width)
    if len(now_at) > MOST_STEPS:
        lines += _told("", f"and {len(now_at) - MOST_STEPS:,} more", width)
    return lines


def _went_wrong(run: RunRecord, steps: Sequence[StepRecord], width: int) -> list[Line]:
    failed = [step for step in steps if step.error is not None and not is_upstream_failure(step)]
    beneath = sum(is_upstream_failure(step) for step in steps)
    lines: list[Line] = []
    if run.error is not None:
        lines += [[], *_told("error", _said(run.error), width, "bad")]
        cause = (run.error.get("details") or {}).get("step_key")
        if cause:
            lines += _told("cause", f"the step {cause}", width)
    elif run.reason and run.status.is_final:
        lines += [[], *_told("because", run.reason, width)]
    for step in failed[:MOST_STEPS]:
        assert step.error is not None
        is_over = step.status is StepStatus.COMPLETED
        said = f"{step.key}: {_said(step.error)}"
        kept = ", and went on with its default" if step.recovered else ", a later attempt completed" if is_over else ""
        lines += _told("step", said + kept, width, "dim" if is_over else "bad")
        place = _place_of(step.error)
        if place:
            lines += _told("at", place, width, "late")
    if len(failed) > MOST_STEPS:
        lines += _told("", f"and {len(failed) - MOST_STEPS:,} more", width)
    if beneath:
        lines += _told("", f"{beneath:,} step{'s' if beneath > 1 else ''} after it did not run", width, "dim")
    return lines


def _said(error: dict[str, Any]) -> str:
    return "  ".join(str(error[name]) for name in ("code", "message") if error.get(name))


def _place_of(error: dict[str, Any]) -> str:
    details = error.get("details") or {}
    return ":".join(str(details[key]) for key in ("file", "line", "column") if details.get(key) is not None)


def _next(run: RunRecord, steps: Sequence[StepRecord], width: int) -> list[Line]:
    """The keys that lead on from here."""
    keys: list[tuple[str, str]] = []
    if run.status.may_be_retried:
        keys += [("t", "retry what did not complete"), ("T", "from a step, with another input")]
    if run.status is RunStatus.STALLED:
        keys += [("p", "let it go on, when the cause is mended"), ("c", "cancel")]
    if run.status is RunStatus.PAUSED:
        keys.append(("p", "let it go on"))
    keys += [
        ("A", f"answer {safe(name)}")
        for name in dict.fromkeys(awaited_signal(step.awaits) for step in steps if step.status is StepStatus.WAITING)
        if name is not None
    ]
    if run.error is not None:
        keys.append(("e", "open the template"))
    if not run.status.is_final and run.cancel_requested:
        keys.append(("X", "end it, also without its worker"))
    if run.status is RunStatus.COMPLETED:
        keys.append(("r", "run it again"))
    lines: list[Line] = []
    room = 0
    for key, meaning in keys:
        length = cell_len(f"{key} {meaning}  ")
        if not lines or length > room:
            label = "" if lines else "what now"
            lines.append([(f"{label:<{LABEL}}", "dim")])
            room = width - LABEL
        lines[-1] += [(key, "active"), (f" {meaning}  ", "")]
        room -= length
    return [[], *lines] if lines else []


def _value(name: str, value: Any, glyphs: Glyphs) -> list[Line]:
    tree = JsonTree({name: value})
    lines = [json_row(tree.row_at(row), "json", glyphs) for row in range(min(tree.row_count, MOST_OF_VALUE))]
    if tree.row_count > MOST_OF_VALUE:
        lines.append([(f"  … {tree.row_count - MOST_OF_VALUE:,} more rows; i shows all", "dim")])
    return lines
