"""Events: the facts of the one log. `EventType` names ours; a component's own are any other string."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class EventType(StrEnum):
    RUN_CREATED = "run.created"
    RUN_SCHEDULED = "run.scheduled"
    RUN_QUEUED = "run.queued"
    RUN_DEQUEUED = "run.dequeued"
    RUN_STARTED = "run.started"
    RUN_RESUMED = "run.resumed"
    RUN_COMPLETED = "run.completed"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    RUN_TIMEOUT = "run.timeout"
    RUN_SLEEPING = "run.sleeping"
    RUN_WAITING = "run.waiting"
    RUN_PAUSED = "run.paused"
    RUN_STALLED = "run.stalled"
    RUN_RETRY = "run.retry"
    RUN_RELEASED = "run.released"
    RUN_CANCEL_REQUESTED = "run.cancel_requested"
    STEP_STARTED = "step.started"
    STEP_COMPLETED = "step.completed"
    STEP_FAILED = "step.failed"
    STEP_SKIPPED = "step.skipped"
    STEP_RETRY = "step.retry"
    STEP_SLEEPING = "step.sleeping"
    STEP_WAITING = "step.waiting"
    STEP_PROGRESS = "step.progress"
    STEP_CANCELLED = "step.cancelled"
    STEP_RELEASED = "step.released"
    LOG = "log"
    LOG_TRUNCATED = "log.truncated"
    SIGNAL_RECEIVED = "signal.received"
    CHILD_STARTED = "child.started"
    CHILD_ENDED = "child.ended"
    CURSOR_SKIPPED = "cursor.skipped"
    SCHEDULE_FIRED = "schedule.fired"
    TEMPLATE_SAVED = "template.saved"
    HOOK_FAILED = "hook.failed"


EVENT_CODES: dict[str, int] = {event_type.value: code for code, event_type in enumerate(EventType)}
"""How the storages write a type: a stable small integer. New types go to the end; none is ever removed."""
EVENT_TYPES: tuple[str, ...] = tuple(event_type.value for event_type in EventType)

FINAL_RUN_EVENTS = frozenset(
    {EventType.RUN_COMPLETED, EventType.RUN_FAILED, EventType.RUN_CANCELLED, EventType.RUN_TIMEOUT}
)
RESERVED_PREFIXES = ("run.", "step.", "task.", "schedule.", "hook.")
LEVELS = ("debug", "info", "warn", "error")


class WorkflowEvent(msgspec.Struct, frozen=True):
    """An event of the log as followers get it; bodies are filled in."""

    seq: int
    """Orders all events of a storage."""
    run_id: str
    run_seq: int
    """1, 2, … within the run, without gaps."""
    kind: str
    """The template's name."""
    event_type: str
    step_key: str | None
    attempt: int
    level: str
    timestamp: datetime
    payload: dict[str, Any]


def check_level(level: str) -> None:
    """`ValueError`: a log line cannot have it."""
    if level not in LEVELS:
        raise ValueError(f"'{level}' is not a level; use one of {', '.join(LEVELS)}")


def check_own_name(event_type: str) -> None:
    """`ValueError`: no event that a component makes can be called so."""
    if event_type.startswith(RESERVED_PREFIXES) or event_type in (EventType.LOG, EventType.LOG_TRUNCATED):
        raise ValueError(f"'{event_type}' is the engine's own; events of yours need another name")
    if not event_type or not event_type.isprintable():
        raise ValueError(f"{event_type!r} cannot be the name of an event: it is shown as it stands")
