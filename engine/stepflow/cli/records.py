"""Records as the JSON that `--json` prints."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def run_json(run: RunRecord) -> dict[str, Any]:
    return {
        "id": run.id,
        "trn": run.trn,
        "template": run.template,
        "version": run.version,
        "status": run.status.value,
        "reason": run.reason,
        "input": run.input,
        "output": run.output,
        "output_skipped": run.output_skipped,
        "error": run.error,
        "created_at": _time(run.created_at),
        "started_at": _time(run.started_at),
        "finished_at": _time(run.finished_at),
        "duration_ms": run.duration_ms,
        "metadata": run.metadata,
        "priority": run.priority,
        "parent_run_id": run.parent_run_id,
        "retry_of": run.retry_of,
        "retried_as": None if run.retried_as is None else run.retried_as.id,
    }


def step_json(step: StepRecord) -> dict[str, Any]:
    return {
        "key": step.key,
        "status": step.status.value,
        "attempt": step.attempt,
        "reason": step.reason,
        "recovered": step.recovered,
        "reused": step.reused,
        "error": step.error,
        "input": step.input,
        "output": step.output,
        "started_at": _time(step.started_at),
        "finished_at": _time(step.finished_at),
        "duration_ms": step.duration_ms,
    }


def event_json(event: WorkflowEvent) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "run_id": event.run_id,
        "run_seq": event.run_seq,
        "kind": event.kind,
        "event_type": event.event_type,
        "step_key": event.step_key,
        "attempt": event.attempt,
        "level": event.level,
        "timestamp": _time(event.timestamp),
        "payload": event.payload,
    }
