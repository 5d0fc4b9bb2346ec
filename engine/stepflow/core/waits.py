"""What steps wait for without a worker: time, a signal, their children; and how the wait ends."""

from __future__ import annotations

from stepflow.core.effects import StartChildren
from stepflow.core.facts import Awaiting, ChildrenStarted, Failed, Signalled, StepSkipped, Succeeded
from stepflow.core.graph import Node
from stepflow.core.run import Run
from stepflow.core.starts import Starts
from stepflow.core.transition import CHILDREN, TIMEOUT, StepState
from stepflow.errors import StepTimeoutError
from stepflow.model.event import EventType
from stepflow.model.run import AWAITS_SIGNAL
from stepflow.model.statuses import StepStatus
from stepflow.model.times import iso


class Waits(Starts):
    __slots__ = ("children", "collected", "consumed", "heard", "signals")

    def __init__(self, run: Run, now: int) -> None:
        super().__init__(run, now)
        self.children: list[StartChildren] = []
        self.collected: list[int] = []
        self.consumed: list[int] = []
        self.signals: list[Signalled] | None = None
        """Received and not waited for; None: as in the run."""
        self.heard = run.heard

    def _sleep(self, step: int, until: int) -> None:
        limit = _step_deadline(self.base.graph.nodes[step], self.step(step))
        if limit is not None and limit < until:
            self.move(EventType.STEP_SLEEPING, step, {"wake_at": limit, "awaits": TIMEOUT})
        else:
            self.move(EventType.STEP_SLEEPING, step, {"wake_at": until})

    def _await(self, fact: Awaiting) -> None:
        pending = self.base.signals if self.signals is None else self.signals
        node = self.base.graph.nodes[fact.step]
        times = [at for at in (fact.until, _step_deadline(node, self.step(fact.step))) if at is not None]
        payload = {"awaits": AWAITS_SIGNAL + fact.name, "wake_at": min(times, default=None), **(fact.message or {})}
        self.move(EventType.STEP_WAITING, fact.step, payload)
        received = next((signal for signal in pending if signal.name == fact.name), None)
        if received is not None:
            self.signals = [signal for signal in pending if signal is not received]
            self._receive(fact.step, received)

    def _signalled(self, signal: Signalled) -> None:
        """It ends every wait for it; where there is none it is kept for the first that comes."""
        awaited = AWAITS_SIGNAL + signal.name
        # A step that has just begun to wait is in `steps` alone.
        candidates = sorted(self.base.waiting.union(self.steps))
        waiting = [
            step
            for step in candidates
            if self.step(step).awaits == awaited and self.status_of(step) is StepStatus.WAITING
        ]
        if not waiting:
            pending = self.base.signals if self.signals is None else self.signals
            if all(one.number != signal.number for one in pending):
                self.signals = [*pending, signal]
        elif self.base.signals:
            pending = self.base.signals if self.signals is None else self.signals
            self.signals = [one for one in pending if one.number != signal.number]
        for step in waiting:
            self._receive(step, signal)

    def _receive(self, step: int, signal: Signalled) -> None:
        if signal.number not in self.consumed:
            self.consumed.append(signal.number)
        self._complete_with(step, {"received": True, "timeout": False, "data": signal.data})

    def _start_children(self, fact: ChildrenStarted) -> None:
        node = self.base.graph.nodes[fact.step]
        payload = {"awaits": CHILDREN, "wake_at": _step_deadline(node, self.step(fact.step))}
        self.move(EventType.STEP_WAITING, fact.step, {**payload, "children": len(fact.children.inputs)})
        self.children.append(StartChildren(fact.step, fact.attempt, fact.children))

    def _collected(self, then: Succeeded | Failed | StepSkipped | ChildrenStarted) -> None:
        match then:
            case Succeeded(step, _, value, text):
                self._complete(step, value, text)
            case Failed(step, _, error):
                self._fail(step, error, own=True)
            case StepSkipped(step, _, reason):
                self._skip(step, reason)
            case ChildrenStarted(step, attempt, children):
                self.children.append(StartChildren(step, attempt, children))

    def _wake_waiting(self) -> None:
        """What came while nobody held the run."""
        for step, wake_at in self.base.waits.items():
            if wake_at <= self.now:
                self._wake(step)
        for signal in self.base.signals:
            self._signalled(signal)

    def _wake(self, step: int) -> None:
        state = self.step(step)
        if state.wake_at is None or state.wake_at > self.now:
            return
        match state.status:
            case StepStatus.AWAITING_RETRY:
                self.added.append(step)
            case StepStatus.SLEEPING if state.awaits == TIMEOUT:
                self._time_out(step)
            case StepStatus.SLEEPING:
                self._complete_with(step, {"until": iso(state.wake_at)})
            case StepStatus.WAITING:
                limit = _step_deadline(self.base.graph.nodes[step], state)
                if limit is not None and limit <= self.now:
                    self._time_out(step)
                else:
                    self._complete_with(step, {"received": False, "timeout": True, "data": None})

    def _time_out(self, step: int) -> None:
        node = self.base.graph.nodes[step]
        assert node.step.timeout_ms is not None
        self._fail(step, StepTimeoutError(node.key, node.step.timeout_ms).to_record(), own=True)


def _step_deadline(node: Node, state: StepState) -> int | None:
    """When the attempt times out, ms since 1970."""
    timeout_ms = node.step.timeout_ms
    return None if timeout_ms is None or state.started_at is None else state.started_at + timeout_ms
