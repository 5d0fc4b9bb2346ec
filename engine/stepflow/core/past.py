"""A run and its steps as they were at an event: the fold of its log up to there, with the outputs known by then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

import msgspec

from stepflow.core.transition import RUN_STATUS_AFTER, Event, RunState, StepState, fold
from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.model.times import from_datetime, to_datetime

replace = msgspec.structs.replace


def fold_log(events: Sequence[WorkflowEvent], keys: Sequence[str]) -> tuple[RunState, list[StepState]]:
    """`events`: the log of one run, from its beginning, with bodies; `keys`: of the flow's steps, in their order."""
    index_of = {key: index for index, key in enumerate(keys)}
    facts = (
        Event(
            type=event.event_type,
            at=from_datetime(event.timestamp),
            step=None if event.step_key is None else index_of[event.step_key],
            attempt=event.attempt,
            payload=event.payload,
            error=event.payload.get("error"),
        )
        for event in events
    )
    return fold(facts, len(keys), events[0].payload.get("reused", ()))


def run_then(run: RunRecord, state: RunState, steps: Sequence[StepState], events: Sequence[WorkflowEvent]) -> RunRecord:
    """`run` as it was after the last of `events`, of which `state` and `steps` are the fold."""
    return replace(
        run,
        status=state.status,
        output=run.output if state.status is RunStatus.COMPLETED else None,
        output_skipped=state.output_skipped,
        error=state.error,
        started_at=_time(state.started_at),
        finished_at=_time(state.finished_at),
        wake_at=_wake_at(events) if state.status in _WAITS.values() else None,
        cancel_requested=state.cancel_requested and not state.status.is_final,
        reason=state.reason,
        awaits=(),
        last_error=None,
        lacks_worker=False,
        worker=None,
        steps_done=sum(step.status.is_final for step in steps),
        last_seq=events[-1].seq,
    )


def steps_then(attempts: Sequence[StepRecord], steps: Sequence[StepState]) -> list[StepRecord]:
    """One record per attempt so far. `attempts`: all that there are by now, in the flow's order."""
    records = []
    for index, group in groupby(attempts, lambda one: one.index):
        state, known = steps[index], list(group)
        records += [one for one in known if one.attempt < state.attempt]
        records.append(_step_then(next((one for one in known if one.attempt == state.attempt), known[0]), state))
    return records


def _step_then(step: StepRecord, state: StepState) -> StepRecord:
    has_output = state.status is StepStatus.COMPLETED
    return replace(
        step,
        status=state.status,
        attempt=state.attempt,
        reason=state.reason,
        recovered=state.recovered,
        reused=state.reused,
        withheld=step.withheld and has_output,
        error=state.error,
        input=step.input if state.attempt else None,
        output=step.output if has_output else None,
        started_at=_time(state.started_at),
        finished_at=_time(state.finished_at),
        wake_at=None if state.status.is_final else _time(state.wake_at),
        awaits=state.awaits,
    )


_WAITS = {
    kind: RUN_STATUS_AFTER[kind]
    for kind in (EventType.RUN_SCHEDULED, EventType.RUN_SLEEPING, EventType.RUN_WAITING, EventType.RUN_RETRY)
}
"""What goes on by itself, at a time that the event says."""


def _wake_at(events: Sequence[WorkflowEvent]) -> datetime | None:
    """What the event says that let it wait."""
    last = next(event for event in reversed(events) if event.event_type in _WAITS)
    return _time(last.payload.get("wake_at", last.payload.get("start_at")))


def _time(instant: int | None) -> datetime | None:
    return None if instant is None else to_datetime(instant)
