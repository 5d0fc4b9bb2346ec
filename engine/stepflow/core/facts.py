"""Facts: what happened to a run since it was last decided. Values; whoever saw it happen makes them."""

from __future__ import annotations

from typing import Any

import msgspec

from stepflow.model.flow import Json


class Claimed(msgspec.Struct, frozen=True):
    """A worker took the run. Steps that still say `running` were another worker's, which is gone."""


class Succeeded(msgspec.Struct, frozen=True):
    step: int
    attempt: int
    value: Json
    text: str
    """`value` as JSON, encoded once where it was made."""


class Failed(msgspec.Struct, frozen=True):
    step: int
    attempt: int
    error: dict[str, Any]
    """`{code, message, details?}`"""


class StepSkipped(msgspec.Struct, frozen=True):
    """The component itself asked to be skipped."""

    step: int
    attempt: int
    reason: str


class Slept(msgspec.Struct, frozen=True):
    """The attempt ended as a durable timer."""

    step: int
    attempt: int
    until: int


class Woken(msgspec.Struct, frozen=True):
    """The step's `wake_at` has come."""

    step: int


class Stopped(msgspec.Struct, frozen=True):
    """The attempt was told to stop and has ended without an outcome."""

    step: int
    attempt: int
    abandoned: bool = False
    """It did not end in time (a thread cannot be killed); its result will be refused."""


class CancelRequested(msgspec.Struct, frozen=True):
    """`run.cancel_requested` is in the log."""

    reason: str | None = None


class DeadlineReached(msgspec.Struct, frozen=True):
    """The run's own timeout has passed."""


class ReleaseRequested(msgspec.Struct, frozen=True):
    """The worker is about to stop and gives the run back."""


Fact = (
    Claimed
    | Succeeded
    | Failed
    | StepSkipped
    | Slept
    | Woken
    | Stopped
    | CancelRequested
    | DeadlineReached
    | ReleaseRequested
)
