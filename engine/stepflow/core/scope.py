"""What evaluation may ask, and how a value may fail to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from stepflow.errors import ExpressionError
from stepflow.model.flow import Json
from stepflow.model.statuses import StepStatus

Place = tuple[str | int, ...]
"""Where a value stands in its flow."""


class Scope(Protocol):
    """What evaluation may ask. Steps are indexes into the flow."""

    @property
    def values(self) -> Mapping[int, Json]:
        """Outputs of completed steps, those that are at hand."""

    @property
    def input(self) -> Json: ...

    @property
    def variables(self) -> Mapping[str, Json]: ...

    @property
    def run(self) -> Mapping[str, Json]: ...

    @property
    def now(self) -> int:
        """Ms since 1970."""

    def status_of(self, step: int) -> StepStatus: ...

    def output_of(self, step: int) -> Json:
        """Of a completed step."""

    def error_of(self, step: int) -> dict[str, Any] | None: ...

    def warn(self, message: str) -> None:
        """A tolerant reading counted something as null."""


Closure = Callable[[Scope], Json]


class UpstreamFailed(Exception):
    """The value needs a step that failed."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


class UpstreamSkipped(Exception):
    """The value needs a step that was skipped, and has no default."""

    def __init__(self, step: int) -> None:
        super().__init__(step)
        self.step = step


class PathNotFound(ExpressionError):
    """Nothing is at a path."""
