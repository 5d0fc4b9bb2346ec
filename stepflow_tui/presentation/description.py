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
from stepflow_tui.presentation.executions import awaited_words, error_text, short_id, why_words
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.history import History
from stepflow_tui.presentation.json_tree import JsonTree, Row, json_row
from stepflow_tui.presentation.labelled import LABEL, moment, told
from stepflow_tui.presentation.redrive import retried_words
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.presentation.timeline import note_of
from stepflow_tui.presentation.timeline_folding import is_upstream_failure

MOST_OF_VALUE = 20
MOST_STEPS = 12
UNDER_WAY = (StepStatus.RUNNING, StepStatus.AWAITING_RETRY, StepStatus.SLEEPING, StepStatus.WAITING)


def describe(
    run: RunRecord,
    attempts: Sequence[StepRecord],
    now: datetime,
    width: int,
    glyphs: Glyphs,
    history: History | None = None,
) -> list[Line]:
    """`run` with its input and output, `attempts` of its steps, oldest first; `history` of its template."""
    steps = list({one.key: one for one in attempts}.values())
    glyph, style = glyphs.run(run.status)
    is_dead = run.lacks_worker and run.worker is not None
    says = "cancelling" if run.cancel_requested and not run.status.is_final else run.status.value
    lines: list[Line] = [[(f"{glyph} {says}", style), (f"  {safe(run.template)} v{run.version}", "title")], []]
    lines += told("id", run.id, width)
    lines += told("asked for", f"{moment(run.created_at, now)}{_asked_by(run)}", width)
    if run.started_at is not None:
        ended = run.finished_at
        took = short(((ended or now) - run.started_at).total_seconds())
        lines += told("started", moment(run.started_at, now), width)
        lines += told("ended" if ended else "for", f"{moment(ended, now)}, after {took}" if ended else took, width)
    if compared := _compared(run, history):
        lines += told("vs last ok", compared, width)
    if run.worker is not None:
        lines += told("worker", f"{run.worker}{', dead' if is_dead else ''}", width, "bad" if is_dead else "")
    if run.priority:
        lines += told("priority", str(run.priority), width)
    for place, (name, value) in enumerate(run.metadata.items()):
        lines += told("" if place else "metadata", f"{name}: {value}", width)
    lines += told("steps", _counted(run, steps, attempts, glyphs), width)
    lines += _waits(run, steps, now, width, glyphs)
    lines += _error(run, steps, width)
    lines += _retried(run, width)
    lines += _next(run, steps, width)
    lines += _other_failures(run, steps, width)
    for name, value in (("input", run.input), ("output", run.output)):
        if value is not None and not (name == "output" and run.output_skipped):
            lines += [[], *_value(name, value, glyphs)]
    return lines


def summarise(run: RunRecord, attempts: Sequence[StepRecord], now: datetime, width: int, glyphs: Glyphs) -> list[Line]:
    """The same in few lines, what matters first: what went wrong, what it waits for, what now."""
    steps = list({one.key: one for one in attempts}.values())
    lines = _cause(run, steps, width)
    lines += _retried(run, width)
    lines += _waits(run, steps, now, width, glyphs)
    lines += _next(run, steps, width)
    asked = "" if run.started_at is None else f"started {moment(run.started_at, now)}"
    took = "" if run.duration_ms is None else f", took {short(run.duration_ms / 1000)}"
    by = _asked_by(run).removeprefix(",")
    dead = " (dead)" if run.lacks_worker else ""
    held = "" if run.worker is None else f", by {run.worker}{dead}"
    asked = asked or f"asked for {moment(run.created_at, now)}"
    lines += told("when", f"{asked}{took}{held}{by}", width)
    for name, value in (("input", run.input), ("output", run.output)):
        if value is not None and not (name == "output" and run.output_skipped):
            shown = json_row(Row((name,), 0, value), "yaml", glyphs)[-1]
            lines.append([(f"{name:<{LABEL}}", "dim"), shown])
    return [line for line in lines if line]


def _cause(run: RunRecord, steps: Sequence[StepRecord], width: int) -> list[Line]:
    if run.error is None:
        return told("because", run.reason, width) if run.reason and run.status.is_final else []
    beneath = sum(is_upstream_failure(step) for step in steps)
    after = f"; {beneath:,} step{'s' if beneath > 1 else ''} after it did not run" if beneath else ""
    lines = told("error", f"{error_text(run.error)}{after}", width, "bad")
    place = next((_place_of(step.error) for step in steps if step.error is not None and _place_of(step.error)), "")
    return [*lines, *told("at", place, width, "late")] if place else lines


def _retried(run: RunRecord, width: int) -> list[Line]:
    return told("retried", retried_words(run), width) if run.retried_as is not None else []


def _compared(run: RunRecord, history: History | None) -> str:
    """With the last one before it that completed; empty: there is none, or it has not ended."""
    ended = () if history is None else history.ended
    last = next((one for one in ended if one.status is RunStatus.COMPLETED and one.id < run.id), None)
    if last is None or last.seconds is None or run.duration_ms is None:
        return ""
    apart = run.duration_ms / 1000 - last.seconds
    how = "longer" if apart >= 0 else "shorter"
    return f"{short(abs(apart))} {how} than {short_id(last.id)}, which took {short(last.seconds)}"


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
    counts = Counter(step.status for step in steps if not is_upstream_failure(step))
    parts = [f"{glyphs.step(status)[0]} {counts[status]:,} {status.value}" for status in StepStatus if counts[status]]
    not_run = sum(map(is_upstream_failure, steps))
    if not_run:
        parts.append(f"{not_run:,} not run")
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
        lines += told("because", why_words(run), width, "late")
    if run.status is RunStatus.QUEUED:
        lines += told("waits for", "a worker that takes it", width)
    if run.awaits:
        lines += told("waits for", awaited_words(run).removeprefix("waits for "), width)
    if run.last_error is not None:
        lines += told("failed by", error_text(run.last_error), width, "late")
    if run.wake_at is not None and run.wake_at > now:
        label = "times out" if run.awaits else "begins" if run.status is RunStatus.SCHEDULED else "goes on"
        lines += told(label, f"in {short((run.wake_at - now).total_seconds())}", width)
    now_at = [step for step in steps if step.status in UNDER_WAY]
    for place, step in enumerate(now_at[:MOST_STEPS]):
        glyph, _ = glyphs.step(step.status)
        note = note_of(step, now) or (f"for {step.awaits}" if step.awaits else "")
        tries = f", attempt {step.attempt}" if step.attempt > 1 else ""
        text = f"{glyph} {step.key} {step.status.value}{tries}{f', {note}' if note else ''}"
        lines += told("is at" if place == 0 else "", text, width)
    if len(now_at) > MOST_STEPS:
        lines += told("", f"and {len(now_at) - MOST_STEPS:,} more", width)
    return lines


def _error(run: RunRecord, steps: Sequence[StepRecord], width: int) -> list[Line]:
    if run.error is None:
        return [[], *told("because", run.reason, width)] if run.reason and run.status.is_final else []
    lines: list[Line] = [[], *told("error", _said(run.error), width, "bad")]
    cause = (run.error.get("details") or {}).get("step_key")
    if cause:
        lines += told("cause", f"the step {cause}", width)
    place = next((_place_of(step.error) for step in steps if step.key == cause and step.error is not None), "")
    if place:
        lines += told("at", place, width, "late")
    beneath = sum(is_upstream_failure(step) for step in steps)
    if beneath:
        lines += told("", f"{beneath:,} step{'s' if beneath > 1 else ''} after it did not run", width, "dim")
    return lines


def _other_failures(run: RunRecord, steps: Sequence[StepRecord], width: int) -> list[Line]:
    """Of steps whose errors are not the execution's own, which is told."""
    failed = [
        step
        for step in steps
        if step.error is not None and not is_upstream_failure(step) and not _is_cause(step, run.error)
    ]
    lines: list[Line] = [[]] if failed else []
    for step in failed[:MOST_STEPS]:
        assert step.error is not None
        is_over = step.status is StepStatus.COMPLETED
        said = f"{step.key}: {_said(step.error)}"
        kept = ", and went on with its default" if step.recovered else ", a later attempt completed" if is_over else ""
        lines += told("step", said + kept, width, "dim" if is_over else "bad")
        place = _place_of(step.error)
        if place:
            lines += told("at", place, width, "late")
    if len(failed) > MOST_STEPS:
        lines += told("", f"and {len(failed) - MOST_STEPS:,} more", width)
    return lines


def _is_cause(step: StepRecord, error: dict[str, Any] | None) -> bool:
    """Its error is that of the execution, word for word."""
    if error is None or step.error is None or (error.get("details") or {}).get("step_key") != step.key:
        return False
    return _said(step.error) == _said(error)


def _said(error: dict[str, Any]) -> str:
    return "  ".join(str(error[name]) for name in ("code", "message") if error.get(name))


def _place_of(error: dict[str, Any]) -> str:
    details = error.get("details") or {}
    return ":".join(str(details[key]) for key in ("file", "line", "column") if details.get(key) is not None)


def _next(run: RunRecord, steps: Sequence[StepRecord], width: int) -> list[Line]:
    """The keys that lead on from here."""
    keys: list[tuple[str, str]] = []
    if run.status.may_be_retried:
        keys += [] if run.retried_as is not None else [("t y", "retry what did not complete")]
        keys.append(("T", "from a step, with another input"))
    if run.status is RunStatus.STALLED:
        keys += [("p y", "let it go on, when the cause is mended"), ("c y", "cancel")]
    if run.status is RunStatus.PAUSED:
        keys.append(("p y", "let it go on"))
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
