"""Records for pictures: one execution of each kind, at fixed times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus

NOW = datetime(2026, 1, 5, 12, 0, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def run(status: RunStatus, **more: Any) -> RunRecord:
    record: dict[str, Any] = {
        "id": "exec_mwum0000abcd1234",
        "template": "order-flow",
        "version": 1,
        "status": status,
        "created_at": ago(61),
        "started_at": ago(60),
        "steps_total": 4,
        "steps_done": 1,
    }
    if status.is_final:
        record["finished_at"] = ago(10)
    return RunRecord(**{**record, **more})


def step(key: str, status: StepStatus, index: int = 0, **more: Any) -> StepRecord:
    record: dict[str, Any] = {"key": key, "status": status, "attempt": 1, "component": "/builtin/echo", "index": index}
    if status is not StepStatus.PENDING:
        record["started_at"] = ago(60)
    if status.is_final:
        record["finished_at"] = ago(30)
    return StepRecord(**{**record, **more})
