"""Executions, steps and events as sentences: what is read out has no columns and no signs."""

from __future__ import annotations

from datetime import datetime

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.executions import error_text
from stepflow_tui.presentation.log import event_text
from stepflow_tui.presentation.spans import safe

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


def _word(status: RunStatus | StepStatus) -> str:
    return status.value.replace("_", " ")


def _took(one: RunRecord | StepRecord, now: datetime) -> str:
    assert one.started_at is not None
    return spoken(((one.finished_at or now) - one.started_at).total_seconds())
