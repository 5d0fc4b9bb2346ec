"""The statuses of runs and steps, and the one table of the moves between them.

Everything that writes a status asks this table first; the state charts of ARCHITECTURE.md are drawn from it.
Other documents' words (`succeeded`, `canceled`, `timeout` …) are accepted wherever a status is read and never written.
"""

from __future__ import annotations

from enum import StrEnum

from stepflow.errors import InvalidTransitionError


class RunStatus(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    SLEEPING = "sleeping"
    WAITING = "waiting"
    AWAITING_RETRY = "awaiting_retry"
    PAUSED = "paused"
    STALLED = "stalled"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"

    @property
    def is_final(self) -> bool:
        return self in FINAL_RUN_STATUSES

    @property
    def may_be_retried(self) -> bool:
        """It ended, and not as it was meant to."""
        return self in RETRIED_RUN_STATUSES

    @classmethod
    def _missing_(cls, value: object) -> RunStatus | None:
        alias = RUN_ALIASES.get(str(value).lower())
        return None if alias is None else cls(alias)


class StepStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    AWAITING_RETRY = "awaiting_retry"
    SLEEPING = "sleeping"
    WAITING = "waiting"
    COMPLETED = "completed"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self in FINAL_STEP_STATUSES

    @classmethod
    def _missing_(cls, value: object) -> StepStatus | None:
        alias = STEP_ALIASES.get(str(value).lower())
        return None if alias is None else cls(alias)


_R, _S = RunStatus, StepStatus

FINAL_RUN_STATUSES = frozenset({_R.COMPLETED, _R.FAILED, _R.CANCELLED, _R.TIMED_OUT})
RETRIED_RUN_STATUSES = FINAL_RUN_STATUSES - {_R.COMPLETED}
FINAL_STEP_STATUSES = frozenset({_S.COMPLETED, _S.SKIPPED, _S.FAILED, _S.CANCELLED})

RUN_STATUS_CODES: dict[str, int] = {status.value: code for code, status in enumerate(RunStatus)}
"""How the storages write a status: small integers in the order above. New statuses go to the end."""
RUN_STATUSES: tuple[RunStatus, ...] = tuple(RunStatus)
STEP_STATUS_CODES: dict[str, int] = {status.value: code for code, status in enumerate(StepStatus)}
STEP_STATUSES: tuple[StepStatus, ...] = tuple(StepStatus)

_ENDED = {_R.FAILED, _R.CANCELLED, _R.TIMED_OUT}

RUN_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    _R.SCHEDULED: frozenset({_R.QUEUED, _R.PAUSED, _R.CANCELLED}),
    _R.QUEUED: frozenset({_R.RUNNING, _R.PAUSED, _R.STALLED} | _ENDED),
    _R.RUNNING: frozenset(
        {_R.QUEUED, _R.SLEEPING, _R.WAITING, _R.AWAITING_RETRY, _R.PAUSED, _R.STALLED, _R.COMPLETED} | _ENDED
    ),
    _R.SLEEPING: frozenset({_R.QUEUED, _R.PAUSED} | _ENDED),
    _R.WAITING: frozenset({_R.QUEUED, _R.PAUSED} | _ENDED),
    _R.AWAITING_RETRY: frozenset({_R.QUEUED, _R.PAUSED} | _ENDED),
    _R.PAUSED: frozenset({_R.QUEUED, _R.SCHEDULED} | _ENDED),
    _R.STALLED: frozenset({_R.QUEUED} | _ENDED),
    _R.COMPLETED: frozenset(),
    _R.FAILED: frozenset(),
    _R.CANCELLED: frozenset(),
    _R.TIMED_OUT: frozenset(),
}

_WAKES = frozenset({_S.RUNNING, _S.COMPLETED, _S.SKIPPED, _S.FAILED, _S.CANCELLED})

STEP_MOVES: dict[StepStatus, frozenset[StepStatus]] = {
    _S.PENDING: frozenset({_S.RUNNING, _S.WAITING, _S.SKIPPED, _S.FAILED, _S.CANCELLED}),
    _S.RUNNING: frozenset(
        {
            _S.COMPLETED,
            _S.SKIPPED,
            _S.FAILED,
            _S.CANCELLED,
            _S.AWAITING_RETRY,
            _S.SLEEPING,
            _S.WAITING,
            _S.PENDING,
        }
    ),
    _S.AWAITING_RETRY: _WAKES,
    _S.SLEEPING: _WAKES | {_S.AWAITING_RETRY},  # it timed out
    _S.WAITING: _WAKES | {_S.AWAITING_RETRY},  # it timed out, or its children failed it
    _S.COMPLETED: frozenset(),
    _S.SKIPPED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}


def check_run_move(before: RunStatus, after: RunStatus) -> None:
    """Raise `InvalidTransitionError` unless a run may move from `before` to `after`."""
    if after not in RUN_MOVES[before]:
        raise InvalidTransitionError("An execution", before, after)


def check_step_move(before: StepStatus, after: StepStatus) -> None:
    """Raise `InvalidTransitionError` unless a step may move from `before` to `after`."""
    if after not in STEP_MOVES[before]:
        raise InvalidTransitionError("A step", before, after)


RUN_ALIASES = {
    "pending": "queued",
    "succeeded": "completed",
    "success": "completed",
    "error": "failed",
    "failure": "failed",
    "canceled": "cancelled",
    "timeout": "timed_out",
    "timedout": "timed_out",
    "awaiting_event": "waiting",
    "awaiting_child": "waiting",
    "awaiting_child_workflow": "waiting",
    "retrying": "awaiting_retry",
}
STEP_ALIASES = {
    "queued": "pending",
    "succeeded": "completed",
    "success": "completed",
    "error": "failed",
    "failure": "failed",
    "canceled": "cancelled",
    "timeout": "failed",
    "awaiting_event": "waiting",
    "retrying": "awaiting_retry",
}
