"""What a step runs. A component is found by its path, gets the step's input, and answers with its output.

A component's function is `inline` (instant, pure: called in the loop), `sync` (called in a thread) or `async`.
It raises `ComponentError(code, message, data)` to fail its step with a code, `SkipStep(reason)` to skip it; it returns
`SleepUntil`, `AwaitEvent` or `AwaitChildren` to wait without holding a worker. Any other exception is
`COMPONENT_FAILED` with its message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from stepflow.errors import ComponentError
from stepflow.model.flow import Json
from stepflow.model.statuses import RunStatus

MAX_DEPTH = 64
"""Of runs inside runs."""

PROCESS_GROUP_VARIABLE = "STEPFLOW_PROCESS_GROUP"
"""In the environment of every process a component starts in a group of its own: the group's number. It tells members
whose leader has died from strangers that got the number later."""


class SkipStep(Exception):
    """Raised by a component to skip its step."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SleepUntil(msgspec.Struct, frozen=True):
    """Returned by a component: the step sleeps durably, holds no worker, and completes at `instant` (ms since 1970)
    with the output `{"until": "<ISO time>"}`."""

    instant: int


class AwaitEvent(msgspec.Struct, frozen=True):
    """Returned by a component: the step waits for a signal, holds no worker, and completes with the output
    `{"received": true, "timeout": false, "data": …}`, or when its time is over with `received` false."""

    name: str
    until: int | None = None
    """Ms since 1970."""
    message: dict[str, Any] | None = None
    """What people who are to answer are told."""


class FlowVersion(msgspec.Struct, frozen=True):
    """A flow that child runs can be started of."""

    id: int
    kind: str
    step_count: int


def check_depth(depth: int) -> None:
    """`ComponentError` NESTED_TOO_DEEP: a run that is inside of so many others starts none."""
    if depth >= MAX_DEPTH:
        raise ComponentError("NESTED_TOO_DEEP", f"More than {MAX_DEPTH} executions are inside each other")


class AwaitChildren(msgspec.Struct, frozen=True):
    """Returned by a component: child runs start, one for each input, the step waits for them all and holds no worker,
    and the component's `finish` makes its output of theirs."""

    flow: FlowVersion
    inputs: tuple[Json, ...]
    spec: Json
    """Given to `finish`."""
    max_concurrency: int = 1
    tolerated_failures: int | None = None
    """When more have failed no other is started."""


class EndedChild(msgspec.Struct, frozen=True):
    """How a child run ended."""

    run_id: str
    status: RunStatus
    output: Json = None
    output_skipped: bool = False
    error: dict[str, Any] | None = None
    reason: str | None = None


class StepLogger:
    """Lines of a step's log, a method for each level; what is given by name are the line's fields."""

    def __init__(self, write: Callable[[str, str, dict[str, Any]], None]) -> None:
        self._write = write

    def trace(self, message: str, /, **fields: Any) -> None:
        """At `debug`: the log has no finer level."""
        self._write("debug", message, fields)

    def debug(self, message: str, /, **fields: Any) -> None:
        self._write("debug", message, fields)

    def info(self, message: str, /, **fields: Any) -> None:
        self._write("info", message, fields)

    def warn(self, message: str, /, **fields: Any) -> None:
        self._write("warn", message, fields)

    def error(self, message: str, /, **fields: Any) -> None:
        self._write("error", message, fields)

    warning = warn
    """As Python's own loggers call it."""


class ComponentContext(Protocol):
    """What a component may know and do. Methods are safe to call from the component's own thread."""

    run_id: str
    step_id: str
    attempt: int
    idempotency_key: str
    """`{run_id}/{step_key}`, the same in all attempts."""
    metadata: dict[str, Any]
    sensitive: bool
    """What the step gives is hidden: its errors should not quote it. Its log lines and events are hidden already."""
    logger: StepLogger
    base_dir: str | None
    """The folder the template's version was read from."""
    workspace: str | None
    cancelled: threading.Event
    """Set when the attempt must stop (cancel, timeout, shutdown)."""

    def heartbeat(self) -> Any:
        """Between pieces of long work: raises `asyncio.CancelledError` when the attempt must stop, and lets the loop
        do other things. Nothing is recorded. Awaitable in the loop, plain in a thread."""

    def log(self, message: str, level: str = "info", **fields: Any) -> None:
        """A `log` event of the step; returns at once, durable within 100 ms."""

    def emit(self, event_type: str, payload: dict[str, Any] | None = None) -> None:
        """An event with a name of its own; a reserved name raises `ValueError`."""

    def now(self) -> int:
        """The engine's clock, milliseconds since 1970."""

    def put_blob(self, data: Json, blob_type: str = "data") -> Any:
        """The id under which `data` is kept, the sha256 of its JSON. Awaitable in the loop, plain in a thread."""

    def get_blob(self, blob_id: str) -> Any:
        """Its data; `ComponentError` BLOB_NOT_FOUND. Awaitable in the loop, plain in a thread."""

    def start_child(self, template: str, input: Json = None) -> Any:  # noqa: A002 - the word of the language
        """The id of a child run, which nobody waits for and which is cancelled with this one. The same call of a later
        attempt gives the same run. Awaitable in the loop, plain in a thread."""

    async def resolve_flow(self, workflow: Json, template: str | None) -> FlowVersion:
        """The flow that is written out, or the newest version of a template."""

    async def process_group_started(self, group: int) -> None:
        """Write down, durably, that this attempt started process group `group` (its leader's pid): whoever takes the
        run over kills it first. Await it before the group does anything."""

    async def process_group_ended(self, group: int) -> None:
        """The group is gone; forget it."""


Function = Callable[..., Any]


class Component(msgspec.Struct, frozen=True):
    path: str
    """`/builtin/echo`"""
    function: Function
    """Called as `function(input, ctx)`."""
    mode: Literal["inline", "sync", "async"]
    description: str
    input_schema: Json = None
    output_schema: Json = None
    example: Json = None
    """`{"input": …, "output": …}`"""
    external: bool = False
    """It talks to something outside (network, process): lint asks for a timeout and an error handler."""
    pure: bool = False
    """Its output follows from its input alone: a simulation computes it."""
    override: bool = False
    """It takes the place of one that has its path already."""
    origin: str = ""
    """Where it was written, `file:line`, for messages."""
    finish: Callable[[Json, tuple[EndedChild, ...]], Any] | None = None
    """Of one that returns `AwaitChildren`: called with the spec and the children's ends, in order; returns the output,
    or `AwaitChildren` again. It must be quick and pure."""
