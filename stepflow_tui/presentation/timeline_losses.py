"""What a step did before its worker was lost: its record begins anew under the same attempt, so the log has to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import StepStatus
from stepflow_tui.presentation.timeline import ready_at
from stepflow_tui.presentation.timeline_folding import Row

MOST_ASKED = 3
"""Steps of which the log is asked: each costs a look at all of it."""


class Loss(msgspec.Struct, frozen=True):
    attempt: int
    begin: datetime
    end: datetime
    """When another worker took it over."""


def losses_of(events: Sequence[WorkflowEvent]) -> tuple[Loss, ...]:
    """Of the events of one step."""
    losses: list[Loss] = []
    begun: WorkflowEvent | None = None
    for event in events:
        if event.event_type == EventType.STEP_STARTED:
            begun = event
        elif event.event_type == EventType.STEP_RELEASED and begun is not None:
            losses.append(Loss(begun.attempt or 1, begun.timestamp, event.timestamp))
            begun = None
    return tuple(losses)


def may_have_lost(
    rows: Sequence[Row], run: RunRecord, finished: Mapping[str, datetime | None], least_seconds: float
) -> list[StepRecord]:
    """Those that began long after they could have, the longest waits first."""
    waits: list[tuple[float, StepRecord]] = []
    for row in rows:
        first = row.attempts[0]
        since = ready_at(row, run, finished)
        if row.step.status is StepStatus.PENDING and row.step.attempt:
            waits.append((float("inf"), row.step))  # it was taken back
        elif since is not None and first.started_at is not None:
            waits.append(((first.started_at - since).total_seconds(), row.step))
    waits.sort(key=lambda wait: -wait[0])
    return [step for seconds, step in waits[:MOST_ASKED] if seconds >= least_seconds]


def with_losses(row: Row, losses: Sequence[Loss]) -> Row:
    """Each as an attempt before that which took its place."""
    attempts: list[StepRecord] = []
    for one in row.attempts:
        attempts += [
            msgspec.structs.replace(one, status=StepStatus.CANCELLED, started_at=loss.begin, finished_at=loss.end)
            for loss in losses
            if loss.attempt == max(1, one.attempt) and (one.started_at is None or loss.end <= one.started_at)
        ]
        attempts.append(one)
    return Row(row.step, tuple(attempts))
