"""Facts: what happened to a run since it was last decided. Values; whoever saw it happen makes them."""

from __future__ import annotations

from typing import Any

import msgspec

from stepflow.model.flow import Json
from stepflow.model.statuses import RunStatus


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


class Awaiting(msgspec.Struct, frozen=True):
    """The attempt ended as a wait for a signal."""

    step: int
    attempt: int
    name: str
    """Of the signal."""
    until: int | None = None
    """When it gives up waiting."""
    message: dict[str, Any] | None = None
    """What people who are to answer are told."""


class Children(msgspec.Struct, frozen=True):
    """Runs of one flow that a step starts and waits for, one for each input."""

    template_version: int
    kind: str
    """The template's name."""
    step_count: int
    inputs: tuple[str, ...]
    """JSON, one a child."""
    max_concurrency: int
    spec: Json
    """What the component needs to make its output of theirs."""
    tolerated_failures: int | None = None
    """When more have failed no other is started."""


class ChildrenStarted(msgspec.Struct, frozen=True):
    """The attempt ended as a wait for children, which start with the decision."""

    step: int
    attempt: int
    children: Children


class Collected(msgspec.Struct, frozen=True):
    """All children of a group have ended, and this is what their step makes of it."""

    group: int
    then: Succeeded | Failed | StepSkipped | ChildrenStarted


class Signalled(msgspec.Struct, frozen=True):
    """`signal.received` is in the log."""

    number: int
    """Of the signal, in the order of the log."""
    name: str
    data: Json


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


class Restated(msgspec.Struct, frozen=True):
    """Somebody paused the run, or let it go on: the log says so already, and that this is its status now."""

    status: RunStatus


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
    | Awaiting
    | ChildrenStarted
    | Collected
    | Signalled
    | Woken
    | Stopped
    | CancelRequested
    | Restated
    | DeadlineReached
    | ReleaseRequested
)
