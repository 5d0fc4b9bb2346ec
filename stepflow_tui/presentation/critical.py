"""What the end of an execution waits for: the chain of steps that ended last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from stepflow.model.run import StepRecord


def critical_path(steps: Sequence[StepRecord], now: datetime) -> tuple[str, ...]:
    """Keys, first to last: of what each waited for, the step that ended last. One record a step."""
    by_key = {step.key: step for step in steps}
    ran = [step for step in steps if step.started_at is not None]
    if not ran:
        return ()
    at: StepRecord | None = max(ran, key=lambda step: (step.finished_at or now, step.index))
    path: list[str] = []
    while at is not None:
        path.append(at.key)
        ended = [by_key[key] for key in at.depends_on if key in by_key and by_key[key].finished_at is not None]
        at = max(ended, key=lambda step: (step.finished_at or now, step.index), default=None)
        if at is not None and at.started_at is None:
            break  # skipped: what it waited for is not known from here
    return tuple(reversed(path))
