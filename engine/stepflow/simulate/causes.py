"""Why each attempt of a simulated run began when it did: the step whose end, or whose slot, it waited for.

From what ended last back through the causes goes the critical path.
"""

from __future__ import annotations

from collections.abc import Sequence

from stepflow.core.graph import Graph
from stepflow.core.transition import Event, StepState
from stepflow.model.event import EventType

Attempted = tuple[int, int]
"""A step and the number of its attempt; 0: it ended without one."""

_LEAVES_OFF = frozenset(
    {
        EventType.STEP_COMPLETED,
        EventType.STEP_FAILED,
        EventType.STEP_SKIPPED,
        EventType.STEP_CANCELLED,
        EventType.STEP_RETRY,
        EventType.STEP_SLEEPING,
        EventType.STEP_WAITING,
    }
)
"""After these a step needs no slot."""


class Causes:
    def __init__(self, graph: Graph) -> None:
        self._nodes = graph.nodes
        self._causes: dict[Attempted, Attempted | None] = {}
        self._now: int | None = None
        self._left: dict[int, Attempted] = {}
        """What left off at this very moment."""
        self._last_left: Attempted | None = None
        self._heard: dict[int, int] = {}
        """The place of each step's last event among all."""
        self._count = 0

    def note(self, events: Sequence[Event], before: Sequence[StepState]) -> None:
        """The events of a decision, and the steps before it."""
        for event in events:
            step = event.step
            if step is None or event.type == EventType.LOG:
                continue
            if event.at != self._now:
                self._now = event.at
                self._left.clear()
                self._last_left = None
            self._count += 1
            self._heard[step] = self._count
            if event.type == EventType.STEP_STARTED:
                self._causes[step, event.attempt] = self._cause(step, event.attempt, before[step].wake_at)
            elif event.type in _LEAVES_OFF:
                if event.attempt == 0:
                    self._causes[step, 0] = self._cause(step, 0, None)
                self._left[step] = self._last_left = step, event.attempt

    def _cause(self, step: int, attempt: int, wake_at: int | None) -> Attempted | None:
        if attempt > 1 and wake_at == self._now:
            return step, attempt - 1  # the wait between the two was all
        waited_for = [other for other in self._nodes[step].dependencies if other in self._left]
        if waited_for:
            return self._left[max(waited_for, key=self._heard.__getitem__)]
        # Nothing it depends on: it waited for a slot, or for the choice that made it needed.
        return self._last_left

    def critical_path(self, steps: Sequence[StepState]) -> list[str]:
        """Keys of the steps that the end waited for, one after the other. A step stands there twice if it waited for a
        slot between two attempts."""
        ran = [step for step, state in enumerate(steps) if state.attempt]
        if not ran:
            return []
        last = max(ran, key=lambda step: (steps[step].finished_at or 0, self._heard[step]))
        path: list[str] = []
        at: Attempted | None = (last, steps[last].attempt)
        while at is not None:
            step, attempt = at
            key = self._nodes[step].key
            if attempt and path[-1:] != [key]:
                path.append(key)
            at = self._causes[at]
        path.reverse()
        return path
