"""What the end of an execution waits for: the chain of steps that ended last, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import median

from stepflow.model.run import StepRecord
from stepflow_tui.presentation.graph import in_order


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


def seconds_left(steps: Sequence[StepRecord], durations_ms: Mapping[str, Sequence[int]], now: datetime) -> float | None:
    """Until the last step ends, if each takes what it took in the middle of earlier executions. None: nothing is known
    of what is left."""
    if not any(step.key in durations_ms for step in steps if not step.status.is_final):
        return None
    ends: dict[str, float] = {}
    for step in in_order(steps):
        if step.status.is_final:
            continue
        begins = max((ends.get(key, 0.0) for key in step.depends_on), default=0.0)
        took = median(durations_ms[step.key]) / 1000 if step.key in durations_ms else 0.0
        if step.wake_at is not None:
            begins = max(begins, (step.wake_at - now).total_seconds())
        elif step.started_at is not None:
            took = max(0.0, took - (now - step.started_at).total_seconds())
        ends[step.key] = begins + took
    return max(ends.values(), default=None)
