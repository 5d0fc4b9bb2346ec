"""What a step runs. A component is found by its path, gets the step's input, and answers with its output.

A component's function is `inline` (instant, pure: called in the loop), `sync` (called in a thread) or `async`.
It raises `ComponentError(code, message, data)` to fail its step with a code, `SkipStep(reason)` to skip it; it returns
`SleepUntil(instant)` to end as a durable timer. Any other exception is `COMPONENT_FAILED` with its message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from stepflow.model.flow import Json

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


class ComponentContext(Protocol):
    """What a component may know and do. Methods are safe to call from the component's own thread."""

    run_id: str
    step_id: str
    attempt: int
    idempotency_key: str
    """`{run_id}/{step_key}`, the same in all attempts."""
    metadata: dict[str, Any]
    base_dir: str | None
    """The folder the template's version was read from."""
    workspace: str | None
    cancelled: threading.Event
    """Set when the attempt must stop (cancel, timeout, shutdown)."""

    def log(self, message: str, level: str = "info", **fields: Any) -> None:
        """A `log` event of the step; returns at once, durable within 100 ms."""

    def emit(self, event_type: str, payload: dict[str, Any] | None = None) -> None:
        """An event with a name of its own; a reserved name raises `ValueError`."""

    def now(self) -> int:
        """The engine's clock, milliseconds since 1970."""

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
    file_data_fallback: bool = False
    """Paths not found in its output are looked up in the output's `data` (`/builtin/load_file`)."""
