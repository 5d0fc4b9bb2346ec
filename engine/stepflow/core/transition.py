"""The fold: what one event makes of a run and its steps.

`decide` moves its draft through these functions and the test suite folds the stored log through the same ones, so the
stored run equals the fold of its events by construction, as long as the storage keeps what it was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from stepflow.model.event import EventType
from stepflow.model.statuses import RunStatus, StepStatus, check_run_move, check_step_move

replace = msgspec.structs.replace


class Event(msgspec.Struct, frozen=True):
    """A fact before the log has numbered it. Bodies (inputs, outputs, errors) are not in the payload."""

    type: str
    at: int
    step: int | None = None
    """Index into the flow."""
    attempt: int = 0
    payload: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    """The body of a failure; stored once, on the step or run row."""


CHILDREN = "children"
"""What a step awaits whose children run."""
TIMEOUT = "timeout"
"""What a step awaits that sleeps for longer than it may take."""


class StepState(msgspec.Struct, frozen=True):
    status: StepStatus = StepStatus.PENDING
    attempt: int = 0
    started_at: int | None = None
    finished_at: int | None = None
    wake_at: int | None = None
    reason: str | None = None
    error: dict[str, Any] | None = None
    recovered: bool = False
    reused: bool = False
    awaits: str | None = None
    """What a waiting step waits for: `event NAME`, or `children`; a sleeping one that will not wake in time:
    `timeout`."""


PENDING_STEP = StepState()
REUSED_STEP = StepState(status=StepStatus.COMPLETED, reused=True)
"""What a retry of a run takes over; its times are the old run's (`started_at`, `finished_at` stay None here)."""


class RunState(msgspec.Struct, frozen=True):
    status: RunStatus = RunStatus.QUEUED
    started_at: int | None = None
    """Of the first start; the run's timeout counts from here."""
    finished_at: int | None = None
    error: dict[str, Any] | None = None
    """The first failure of its own; cleared when the run completes all the same."""
    reason: str | None = None
    cancel_requested: bool = False
    losses: int = 0
    """Workers lost in a row without an outcome between."""
    output_skipped: bool = False


RUN_STATUS_AFTER: dict[str, RunStatus] = {
    EventType.RUN_SCHEDULED: RunStatus.SCHEDULED,
    EventType.RUN_QUEUED: RunStatus.QUEUED,
    EventType.RUN_STARTED: RunStatus.RUNNING,
    EventType.RUN_RESUMED: RunStatus.RUNNING,
    EventType.RUN_RELEASED: RunStatus.QUEUED,
    EventType.RUN_SLEEPING: RunStatus.SLEEPING,
    EventType.RUN_WAITING: RunStatus.WAITING,
    EventType.RUN_RETRY: RunStatus.AWAITING_RETRY,
    EventType.RUN_PAUSED: RunStatus.PAUSED,
    EventType.RUN_STALLED: RunStatus.STALLED,
    EventType.RUN_COMPLETED: RunStatus.COMPLETED,
    EventType.RUN_FAILED: RunStatus.FAILED,
    EventType.RUN_CANCELLED: RunStatus.CANCELLED,
    EventType.RUN_TIMEOUT: RunStatus.TIMED_OUT,
}

_STEP_MOVES: dict[str, StepStatus] = {
    EventType.STEP_STARTED: StepStatus.RUNNING,
    EventType.STEP_COMPLETED: StepStatus.COMPLETED,
    EventType.STEP_FAILED: StepStatus.FAILED,
    EventType.STEP_SKIPPED: StepStatus.SKIPPED,
    EventType.STEP_RETRY: StepStatus.AWAITING_RETRY,
    EventType.STEP_SLEEPING: StepStatus.SLEEPING,
    EventType.STEP_WAITING: StepStatus.WAITING,
    EventType.STEP_CANCELLED: StepStatus.CANCELLED,
    EventType.STEP_RELEASED: StepStatus.PENDING,
}

NOT_NEEDED = "not needed"
"""Why a step is skipped that `evaluate: needed` never came to."""

OUTCOMES = frozenset(
    {
        EventType.STEP_COMPLETED,
        EventType.STEP_FAILED,
        EventType.STEP_SKIPPED,
        EventType.STEP_SLEEPING,
        EventType.STEP_WAITING,
    }
)


def step_after(step: StepState, event: Event) -> StepState:
    """`step` after `event`, which is about it. Raises `InvalidTransitionError` for a move the table does not have."""
    kind = event.type
    payload = event.payload
    if kind == EventType.STEP_FAILED and payload is not None and "handled" in payload:
        # The attempt failed, and the next event says what becomes of the step: retry, skip, continue.
        return replace(step, error=event.error, finished_at=event.at)
    after = _STEP_MOVES[kind]
    check_step_move(step.status, after)
    match after:
        case StepStatus.RUNNING:
            return StepState(status=after, attempt=event.attempt, started_at=event.at)
        case StepStatus.COMPLETED:
            recovered = bool(payload and payload.get("recovered"))
            return StepState(
                status=after,
                attempt=step.attempt,
                started_at=step.started_at,
                finished_at=event.at,
                error=step.error if recovered else None,
                recovered=recovered,
            )
        case StepStatus.AWAITING_RETRY:
            delay_ms = (payload or {})["delay_ms"]
            return replace(step, status=after, wake_at=event.at + delay_ms, awaits=None)
        case StepStatus.SLEEPING | StepStatus.WAITING:
            payload = payload or {}
            return replace(step, status=after, wake_at=payload.get("wake_at"), awaits=payload.get("awaits"))
        case StepStatus.FAILED:
            return replace(step, status=after, finished_at=event.at, wake_at=None, awaits=None, error=event.error)
        case StepStatus.PENDING:
            return replace(step, status=after, started_at=None)
        case _:
            reason = (payload or {}).get("reason")
            return replace(step, status=after, finished_at=event.at, wake_at=None, awaits=None, reason=reason)


def step_after_run_ended(step: StepState, event: Event) -> StepState:
    """What the run's one final event means for a step that was still open."""
    if event.type == EventType.RUN_COMPLETED:
        # Only where `evaluate: needed` never came to it.
        check_step_move(step.status, StepStatus.SKIPPED)
        return replace(step, status=StepStatus.SKIPPED, finished_at=event.at, reason=NOT_NEEDED)
    check_step_move(step.status, StepStatus.CANCELLED)
    return replace(
        step, status=StepStatus.CANCELLED, finished_at=event.at, wake_at=None, awaits=None, reason="run ended"
    )


def run_after(run: RunState, event: Event) -> RunState:
    """`run` after `event`, of the run or of one of its steps."""
    kind = event.type
    payload = event.payload or {}
    after = RUN_STATUS_AFTER.get(kind)
    if after is None:
        return _run_after_other(run, event, payload)
    if not (after is RunStatus.SCHEDULED and run == RunState()):
        # A delayed run is scheduled by its creation, which is no move from queued.
        check_run_move(run.status, after)
    changes: dict[str, Any] = {"status": after}
    if kind == EventType.RUN_STARTED:
        changes["started_at"] = event.at
    elif kind == EventType.RUN_RELEASED and payload.get("lost"):
        changes["losses"] = run.losses + 1
    elif kind == EventType.RUN_QUEUED and run.status is RunStatus.STALLED:
        # A person says that it can go on now, or that it is to end.
        changes |= {"losses": 0, "reason": run.reason if run.cancel_requested else None}
    elif kind == EventType.RUN_STALLED:
        changes["reason"] = payload.get("reason")
    elif after.is_final:
        changes["finished_at"] = event.at
        changes["losses"] = 0
        changes["error"] = event.error
        if kind == EventType.RUN_COMPLETED:
            changes["output_skipped"] = bool(payload.get("output_skipped"))
        elif kind == EventType.RUN_CANCELLED:
            changes["reason"] = payload.get("reason")
    return replace(run, **changes)


def _run_after_other(run: RunState, event: Event, payload: Mapping[str, Any]) -> RunState:
    kind = event.type
    if kind == EventType.RUN_CANCEL_REQUESTED:
        return replace(run, cancel_requested=True, reason=payload.get("reason"))
    if run.losses and kind in OUTCOMES:
        run = replace(run, losses=0)
    if kind == EventType.STEP_FAILED and "handled" not in payload and run.error is None:
        error = event.error or {}
        if error.get("code") != "UPSTREAM_FAILED":
            return replace(run, error=error)
    return run


def fold(events: Iterable[Event], step_count: int, reused: Iterable[int] = ()) -> tuple[RunState, list[StepState]]:
    """The run and its steps as the whole log says they are. `events` in order, bodies filled in; `reused` are the
    steps that `run.created` says were taken over."""
    run = RunState()
    steps = [PENDING_STEP] * step_count
    for index in reused:
        steps[index] = REUSED_STEP
    for event in events:
        if event.step is not None and event.type in _STEP_MOVES:
            steps[event.step] = step_after(steps[event.step], event)
        run = run_after(run, event)
        if run.status.is_final:
            steps = [step if step.status.is_final else step_after_run_ended(step, event) for step in steps]
    return run, steps
