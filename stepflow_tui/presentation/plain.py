"""Executions, steps and events as sentences: what is read out has no columns and no signs."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.executions import awaited_words, error_text
from stepflow_tui.presentation.log import event_text
from stepflow_tui.presentation.spans import safe
from stepflow_tui.presentation.stack import cause_in

if TYPE_CHECKING:
    from stepflow.client.checks import Simulation

MOST_OF_VALUE = 4000
"""Characters of an input or output."""
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def spoken(seconds: float) -> str:
    """`2 hours 5 minutes`: the two largest units."""
    if seconds < 1:
        return "less than a second"
    left = int(seconds)
    parts = []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'s' if count > 1 else ''}")
    return " ".join(parts[:2])


def run_sentence(run: RunRecord, now: datetime) -> str:
    parts = [safe(run.template), _word(run.status)]
    if run.cancel_requested and not run.status.is_final:
        parts[1] += ", to be cancelled"
    if run.started_at is not None:
        parts.append(f"took {_took(run, now)}" if run.finished_at else f"for {_took(run, now)}")
    if run.steps_total and not run.status.is_final:
        parts.append(f"{run.steps_done} of {run.steps_total} steps")
    if run.error is not None:
        parts.append(error_text(run.error))
    elif run.awaits and not run.lacks_worker:
        parts.append(awaited_words(run))
    elif run.reason:
        parts.append(safe(run.reason))
    return ", ".join([*parts, f"id {run.id}"])


def step_sentence(step: StepRecord, now: datetime) -> str:
    parts = [safe(step.key), _word(step.status)]
    if step.attempt > 1:
        parts.append(f"attempt {step.attempt}")
    if step.started_at is not None:
        parts.append(f"took {_took(step, now)}" if step.finished_at else f"for {_took(step, now)}")
    if step.error is not None:
        parts.append(safe(step.error.get("message") or step.error.get("code") or "no message"))
    elif step.reason:
        parts.append(safe(step.reason))
    return ", ".join(parts)


def event_sentence(event: WorkflowEvent, *, with_run: bool) -> str:
    parts = [event.timestamp.astimezone().strftime("%H:%M:%S")]
    if with_run and event.kind:
        parts.append(safe(event.kind))
    if event.step_key is not None:
        parts.append(safe(event.step_key))
    parts.append(safe(event.event_type).replace(".", " ").replace("_", " "))
    text = event_text(event)
    if text:
        parts.append(text)
    return ", ".join(parts)


def error_sentences(error: dict[str, Any]) -> list[str]:
    """Code and message, its cause, where it was, what else it says; the stack comes last."""
    told = [f"{safe(error.get('code') or 'error')}: {safe(error.get('message') or 'no message')}"]
    details: dict[str, Any] = error.get("details") or {}
    stack = str(details.get("stack") or "")
    if (cause := cause_in(stack)) is not None:
        told.append(f"Caused by {safe(cause)}")
    place = [str(details[name]) for name in ("file", "line", "column") if details.get(name) is not None]
    if place:
        told.append(f"At {safe(', '.join(place))}")
    for name, value in details.items():
        if name not in ("step_key", "attempt", "stack", "file", "line", "column"):
            told += _told(name, value)
    return [*told, *(_told("stack", stack) if stack else [])]


def _told(name: str, value: Any) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    first, *others = text.rstrip().splitlines() or [""]
    if not others:
        return [f"{safe(name)}: {safe(first)}"]
    return [f"{safe(name)}:", *(f"  {safe(line)}" for line in (first, *others))]


def value_sentence(name: str, value: Any) -> str:
    """As JSON."""
    if isinstance(value, dict) and value.keys() == {"$omitted"}:
        return f"{name}: {value['$omitted'].get('size', 0):,} characters, too many to be read out"
    text = json.dumps(value, ensure_ascii=False)
    cut = "" if len(text) <= MOST_OF_VALUE else f" and {len(text) - MOST_OF_VALUE:,} more characters"
    return f"{name}: {safe(text[:MOST_OF_VALUE])}{cut}"


def simulation_sentences(made: Simulation) -> list[str]:
    """What would come of it, then its steps in order, then the output or the error."""
    predicted = made.predicted
    takes = f", takes {spoken(made.duration_ms / 1000)}" if made.duration_ms or predicted.executions else ""
    known = predicted.executions
    since = f", by the last {known} execution{'s' if known > 1 else ''}" if known else ""
    told = [f"It would be {_word(made.status)}{takes}{since}. {made.step_count} of {len(made.steps)} steps would run."]
    for bar in made.steps:
        parts = [safe(bar.key), _word(bar.status)]
        if bar.took_ms:
            parts.append(f"takes {spoken(bar.took_ms / 1000)}")
        if bar.error is not None:
            parts.append(safe(bar.error.get("message") or "no message"))
        elif bar.reason:
            parts.append(safe(bar.reason))
        told.append("  " + ", ".join(parts))
    if made.error is not None:
        told += error_sentences(made.error)
    elif not made.output_skipped:
        told.append(value_sentence("output", made.output))
    return told


def _word(status: RunStatus | StepStatus) -> str:
    return status.value.replace("_", " ")


def _took(one: RunRecord | StepRecord, now: datetime) -> str:
    assert one.started_at is not None
    return spoken(((one.finished_at or now) - one.started_at).total_seconds())
