"""A run and its steps, as the client hands them out: immutable records."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from stepflow.model.ids import run_trn
from stepflow.model.statuses import RunStatus, StepStatus

BodyPart = Literal["input", "output"]
"""Of a run, or of an attempt of a step."""

AWAITS_SIGNAL = "event "
"""Before the name of a signal, in what a waiting step awaits."""


def awaited_signal(awaits: str | None) -> str | None:
    """The signal's name; None: it waits for something else."""
    return awaits.removeprefix(AWAITS_SIGNAL) if awaits is not None and awaits.startswith(AWAITS_SIGNAL) else None


class StepRecord(msgspec.Struct, frozen=True):
    """A step of a run with its latest attempt."""

    key: str
    status: StepStatus
    attempt: int
    """0: never started."""
    component: str
    reason: str | None = None
    """Why it was skipped, cancelled or waits."""
    recovered: bool = False
    """It failed, and `on_error: continue` completed it with a default."""
    reused: bool = False
    """Taken over from the run this one retries."""
    withheld: bool = False
    """Imported, and sensitive: its output stayed where it comes from."""
    error: dict[str, Any] | None = None
    """`{code, message, details?}` of the latest failure."""
    input: Any = None
    output: Any = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    wake_at: datetime | None = None
    """When a sleeping or retrying step goes on."""
    awaits: str | None = None
    """What a waiting step waits for: `event NAME`, or `children`."""
    index: int = 0
    """Its place in the flow, from 0."""
    depends_on: tuple[str, ...] = ()
    """Keys of the steps it waits for (references and `depends_on`)."""

    @property
    def duration_ms(self) -> int | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds() * 1000)


class Awaited(msgspec.Struct, frozen=True):
    """What a step of a waiting run waits for: a signal, or its children."""

    step: str
    signal: str | None = None
    message: str | None = None
    """What is to be decided."""
    children: int = 0
    """How many there are to be."""
    ended: int = 0
    failed: int = 0
    """Of the children that ended."""


class Retried(msgspec.Struct, frozen=True):
    """The newest retry of a run, or fork."""

    id: str
    status: RunStatus


NO_WORKER = "no worker is running"
WORKER_DIED = "its worker died"
WORKER_GONE = "its worker is gone"
"""Reasons of runs with which a worker that is started goes on; more may be said behind them where one lives."""


class RunRecord(msgspec.Struct, frozen=True):
    id: str
    template: str
    version: int
    status: RunStatus
    created_at: datetime
    input: Any = None
    """None in lists; `get_run` fills it in."""
    output: Any = None
    """None in lists; `get_run` fills it in."""
    output_skipped: bool = False
    error: dict[str, Any] | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    wake_at: datetime | None = None
    cancel_requested: bool = False
    """Somebody asked to cancel it and its worker has not finished doing so."""
    reason: str | None = None
    """Why it was cancelled, stalls or waits."""
    awaits: tuple[Awaited, ...] = ()
    """Of a waiting one, in the flow's order."""
    last_error: dict[str, Any] | None = None
    """As `error`, of one that is to be retried: what a step of it failed by."""
    lacks_worker: bool = False
    """No worker is there for it, or the one that it had is dead and no other has taken it so far."""
    priority: int = 0
    metadata: dict[str, Any] = {}
    parent_run_id: str | None = None
    retry_of: str | None = None
    retried_as: Retried | None = None
    """Of one that ended, and not as it was meant to."""
    worker: str | None = None
    """The id of the worker that holds it."""
    steps_total: int = 0
    steps_done: int = 0
    """Steps in a final status."""
    last_seq: int = 0
    """The log's newest event when this was read: a follower that starts there misses nothing."""

    @property
    def trn(self) -> str:
        return run_trn(self.id, self.template)

    @property
    def duration_ms(self) -> int | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return round((self.finished_at - self.started_at).total_seconds() * 1000)


class WorkerRecord(msgspec.Struct, frozen=True):
    id: str
    pid: int
    host: str
    started_at: datetime
    alive: bool
    slots: int
    held_runs: int = 0
    trouble: str | None = None
    """What keeps it from committing (disk full, lock), or that it is hung; else None."""
    background: bool = False
    boot_id: str = ""
    lease_until: float = 0.0
    """By the monotonic clock of that boot."""

    def is_late(self, now_monotonic: float, boot_id: str) -> bool:
        """Its lease is over, so it is hung, if it is not dead."""
        return self.boot_id == boot_id and self.lease_until < now_monotonic
