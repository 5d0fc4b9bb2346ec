"""A run with what has been decided so far laid over it: moves are written here, and values are evaluated in it.

It knows nothing of why; `decide` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepflow.core.run import Run
from stepflow.core.secrets import mask
from stepflow.core.transition import Event, StepState, run_after, step_after
from stepflow.core.values import Value
from stepflow.errors import ExpressionError
from stepflow.model import jsontext
from stepflow.model.event import EventType
from stepflow.model.flow import Json
from stepflow.model.statuses import StepStatus


class NotAtHand(Exception):
    """A value has to be read from the storage first."""


class _Values(dict[int, Json]):
    """Outputs by step: the new ones, then the run's."""

    __slots__ = ("_base",)

    def __init__(self, base: Mapping[int, Json]) -> None:
        super().__init__()
        self._base = base

    def __missing__(self, step: int) -> Json:
        value = self[step] = self._base[step]
        return value


class Overlay:
    """Also the scope (`values.Scope`) in which a run's values are evaluated."""

    __slots__ = ("base", "current", "events", "holds_large", "missing", "now", "running", "state", "steps", "values")

    def __init__(self, run: Run, now: int) -> None:
        self.base = run
        self.now = now
        self.state = run.state
        self.steps: dict[int, StepState] = {}
        self.events: list[Event] = []
        self.running = len(run.running)
        self.values: dict[int, Json] = _Values(run.values)
        self.holds_large = run.holds_large
        self.missing: set[int] = set()
        self.current: int | None = None
        """The step whose condition is judged: warnings are its."""

    # Moves

    def step(self, index: int) -> StepState:
        state = self.steps.get(index)
        return self.base.steps[index] if state is None else state

    def move(
        self,
        kind: EventType,
        step: int,
        payload: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
        attempt: int | None = None,
    ) -> None:
        before = self.step(step)
        if error is not None and kind is EventType.STEP_FAILED:
            error = self._error_of(step, error)
        event = Event(kind, self.now, step, before.attempt if attempt is None else attempt, payload, error)
        self.events.append(event)
        after = self.steps[step] = step_after(before, event)
        if before.status is StepStatus.RUNNING:
            if after.status is not StepStatus.RUNNING:
                self.running -= 1
        elif after.status is StepStatus.RUNNING:
            self.running += 1
        if self.state.losses or kind is EventType.STEP_FAILED:
            self.state = run_after(self.state, event)

    def _error_of(self, step: int, error: dict[str, Any]) -> dict[str, Any]:
        if self.base.has_secrets:
            error = mask(error)
        details = error.get("details") or {}
        if "step_key" in details:
            return error
        return {**error, "details": {**details, "step_key": self.base.graph.nodes[step].key}}

    def run_event(
        self, kind: EventType, payload: dict[str, Any] | None = None, error: dict[str, Any] | None = None
    ) -> None:
        event = Event(kind, self.now, None, 0, payload, error)
        self.events.append(event)
        self.state = run_after(self.state, event)

    # The scope of values and conditions

    def evaluate(self, value: Value) -> Json:
        """`NotAtHand`: whatever else this value needs is asked for at once."""
        try:
            found = value.evaluate(self)
            if self.holds_large:
                check_length(found)
            return found
        except NotAtHand:
            for other in value.steps:
                if (
                    self.status_of(other) is StepStatus.COMPLETED
                    and other not in self.values
                    and other not in self.base.values
                ):
                    self.missing.add(other)
            raise

    @property
    def input(self) -> Json:
        return self.base.input

    @property
    def variables(self) -> Mapping[str, Json]:
        return self.base.variables

    @property
    def run(self) -> Mapping[str, Json]:
        return {"id": self.base.id}

    def status_of(self, step: int) -> StepStatus:
        return self.step(step).status

    def output_of(self, step: int) -> Json:
        try:
            return self.values[step]
        except KeyError:
            self.missing.add(step)
            raise NotAtHand from None

    def error_of(self, step: int) -> dict[str, Any] | None:
        state = self.step(step)
        return state.error if state.status is not StepStatus.COMPLETED or state.recovered else None

    def warn(self, message: str) -> None:
        self.events.append(Event(EventType.LOG, self.now, self.current, 0, {"level": "warn", "message": message}))


def check_length(value: Json) -> None:
    size = jsontext.size_of(value)
    if size > jsontext.MAX_CHARACTERS:
        raise ExpressionError(f"The value is {jsontext.too_long(size)}")
