"""What happens next: from a run and the facts that are ready, the events that follow and the steps to perform.

`decide` changes nothing: it writes on a draft over the run and answers with a `Decision`, which the worker commits and
then hands to `advance`; or with `Missing`, the outputs it would have to read and are not at hand. It costs what the
facts touch: a completed step counts down its dependents, and only those that reach zero are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

import msgspec

from stepflow.core.effects import Perform, StartChildren
from stepflow.core.endings import Endings
from stepflow.core.facts import (
    Awaiting,
    CancelRequested,
    ChildrenStarted,
    Claimed,
    Collected,
    DeadlineReached,
    Fact,
    Failed,
    ReleaseRequested,
    Restated,
    Signalled,
    Slept,
    StepSkipped,
    Stopped,
    Succeeded,
    Woken,
)
from stepflow.core.run import Run
from stepflow.core.transition import CHILDREN, Event, RunState, StepState
from stepflow.model.event import EventType
from stepflow.model.flow import Json
from stepflow.model.statuses import RunStatus, StepStatus

MAX_LOSSES = 5
"""Workers lost in a row, without an outcome between, before a run stalls."""


class Decision(msgspec.Struct):
    state: RunState
    """The run after it."""
    steps: dict[int, StepState]
    """The steps it changes, after it."""
    events: list[Event]
    outputs: dict[int, str]
    """JSON of the outputs that became known, by step."""
    output: str | None
    """JSON of the run's output, when it completes."""
    perform: list[Perform]
    stop: list[int]
    """Running steps that must be told to stop."""
    children: list[StartChildren]
    collected: list[int]
    """Groups of children whose step has heard of their end."""
    dropped: list[int]
    """Steps that no longer wait for their children, which are cancelled."""
    consumed: list[int]
    """Signals that were what a step waited for."""
    release: bool
    """The run needs no worker now: it is final, waits, or was given back."""
    wake_at: int | None
    """When a released run has to be claimed again; None: by priority and age, or never."""
    draft: Draft

    @property
    def open_steps(self) -> int:
        return self.draft.open

    @property
    def is_durable(self) -> bool:
        """Whether anything of it has to be written."""
        return bool(self.events or self.release or self.children or self.collected or self.dropped or self.consumed)


class Missing(msgspec.Struct, frozen=True):
    """Outputs of these steps are needed to decide."""

    steps: frozenset[int]


def decide(run: Run, facts: Sequence[Fact], now: int) -> Decision | Missing:
    """The decision that follows from `facts`, in their order, at `now` (ms since 1970). Facts that come too late (of an
    attempt that is over, of a run that has ended) change nothing."""
    draft = Draft(run, now)
    for fact in facts:
        draft.take(fact)
    draft.settle()
    if draft.missing:
        return Missing(frozenset(draft.missing))
    return draft.decision()


def advance(run: Run, decision: Decision) -> None:
    """Make a durable decision the run's present state."""
    draft = decision.draft
    run.state = draft.state
    run.stopping = draft.stopping
    run.open = draft.open
    run.failed = draft.failed
    run.heard = draft.heard
    if draft.signals is not None:
        run.signals = draft.signals
    if draft.demand is not None:
        draft.demand.keep()
        run.demand = draft.demand_base
    run.holds_large = draft.holds_large
    for index, left in draft.remaining.items():
        run.remaining[index] = left
    for index, left in draft.condition_remaining.items():
        run.condition_remaining[index] = left
    for _ in range(draft.taken):
        run.ready.popleft()
    run.ready.extend(draft.added[draft.added_taken :])
    for index, step in draft.steps.items():
        _advance_step(run, index, step, draft.values)


def _advance_step(run: Run, index: int, step: StepState, values: Mapping[int, Json]) -> None:
    status = step.status
    run.steps[index] = step
    if status is StepStatus.RUNNING:
        run.running.add(index)
    else:
        run.running.discard(index)
    if status is StepStatus.WAITING:
        run.waiting.add(index)
    else:
        run.waiting.discard(index)
    if step.wake_at is not None and status is not StepStatus.RUNNING:
        run.waits[index] = step.wake_at
    else:
        run.waits.pop(index, None)
    if not status.is_final:
        return
    if status is StepStatus.COMPLETED and index in values:
        run.values[index] = values[index]
    for dependency in run.graph.nodes[index].dependencies:
        run.users[dependency] -= 1
        if run.users[dependency] == 0 and dependency not in run.graph.output_steps:
            run.values.pop(dependency, None)  # nobody needs it any more


class Draft(Endings):
    """A decision in the making: facts are taken, and what follows from them is written beside the run."""

    __slots__ = ()

    def decision(self) -> Decision:
        return Decision(
            state=self.state,
            steps=self.steps,
            events=self.events,
            outputs=self.outputs,
            output=self.output_text,
            perform=self.perform,
            stop=self.stop,
            children=self.children,
            collected=self.collected,
            dropped=self.dropped,
            consumed=self.consumed,
            release=self.release,
            wake_at=self.wake_at,
            draft=self,
        )

    def take(self, fact: Fact) -> None:  # noqa: C901 - one case a fact, a line or two each
        if self.state.status.is_final:
            return
        match fact:
            case Succeeded(step, attempt, value, text):
                if self._is_performing(step, attempt):
                    self._complete(step, value, text)
            case Failed(step, attempt, error):
                if self._is_performing(step, attempt):
                    self._fail(step, error, own=True)
            case Claimed():
                self._claimed()
            case StepSkipped(step, attempt, reason):
                if self._is_performing(step, attempt):
                    self._skip(step, reason)
            case Slept(step, attempt, until):
                if self._is_performing(step, attempt):
                    self._sleep(step, until)
            case Awaiting(step, attempt):
                if self._is_performing(step, attempt):
                    self._await(fact)
            case ChildrenStarted(step, attempt):
                if self._is_performing(step, attempt):
                    self._start_children(fact)
            case Collected(group, then):
                if self._is_waiting_for_children(then.step, then.attempt):
                    self.collected.append(group)
                    self._collected(then)
            case Signalled(number):
                if number > self.heard:
                    self.heard = number
                    self._signalled(fact)
            case Woken(step):
                self._wake(step)
            case Stopped(step, attempt, abandoned):
                if self._is_performing(step, attempt):
                    self._stopped(step, abandoned)
            case CancelRequested(reason):
                if not self.state.cancel_requested:
                    # The client wrote the event; here the run only learns of it.
                    self.state = msgspec.structs.replace(self.state, cancel_requested=True, reason=reason)
                self._stop_all("cancel")
            case Restated(status):
                self.state = msgspec.structs.replace(self.state, status=status)
            case DeadlineReached():
                self._stop_all("timeout")
            case ReleaseRequested():
                if self.stopping is None:
                    self.stopping = "release"
            case _:
                assert_never(fact)

    def settle(self) -> None:
        """Follow every consequence: dependents of what ended, starts while there is room, the end of the run."""
        if self.state.status.is_final or (self.state.status is RunStatus.STALLED and not self._is_ending):
            return
        if self.state.status is RunStatus.QUEUED and not self._is_ending:
            self.run_event(EventType.RUN_RESUMED)  # it was let go on while it was held
        while self.ended or self._may_start():
            if self.ended:
                self._count_down(self.ended.popleft())
            else:
                self._start(self._next_ready())
        if self.missing:
            return
        if self._is_ending:
            if self.running == 0:
                self._end_stopped_run()
        elif not self._is_paused and self._is_done():
            self._end_run()
        elif self.running == 0 and (self._is_paused or self.state.status is RunStatus.RUNNING):
            self._give_up_worker()

    def _is_performing(self, step: int, attempt: int) -> bool:
        state = self.step(step)
        return state.status is StepStatus.RUNNING and state.attempt == attempt

    def _is_waiting_for_children(self, step: int, attempt: int) -> bool:
        state = self.step(step)
        return state.status is StepStatus.WAITING and state.attempt == attempt and state.awaits == CHILDREN

    def _claimed(self) -> None:
        if self.state.status is RunStatus.RUNNING:
            self.run_event(EventType.RUN_RELEASED, {"reason": "worker lost", "lost": True})
        if self.state.losses >= MAX_LOSSES and not self.state.cancel_requested:
            self._stall()
            return
        if self.state.started_at is None and (self._is_paused or self.state.cancel_requested):
            self._go_on_stopping()  # it never starts, or not yet
            return
        if self._is_paused:
            self._take_over()
            return
        if self.state.status is not RunStatus.QUEUED:
            self.run_event(EventType.RUN_QUEUED)
        if self.state.started_at is None:
            self.run_event(EventType.RUN_STARTED)
            if self.base.input_problem is not None:
                error = {"code": "INVALID_INPUT", "message": self.base.input_problem}
                self._end_open_steps(EventType.RUN_FAILED, None, error)
                return
            if not self.base.graph.is_lazy:
                for node in self.base.graph.nodes:
                    if node.condition_is_early and not node.condition_dependencies:
                        self._judge_early(node)
        else:
            self.run_event(EventType.RUN_RESUMED)
        self._take_over()

    def _take_over(self) -> None:
        # First: what is to end needs no output to be read, and nothing of it is tried again.
        self._go_on_stopping()
        self._take_back_steps()
        if self.base.graph.is_lazy and self.stopping is None:
            self._begin_demand()
        self._wake_waiting()

    def _stall(self) -> None:
        for step in sorted(self.base.running):
            self._release_step(step, "worker lost")
        reason = (
            f"{self.state.losses} workers in a row died while performing it; "
            "mend the cause, then resume it, or cancel it"
        )
        self.run_event(EventType.RUN_STALLED, {"reason": reason})
        self.release = True

    def _take_back_steps(self) -> None:
        """Steps that still say running were performed by a worker that is gone: there is nothing to stop."""
        self.stop.clear()
        for step in sorted(self.base.running):
            if self.base.graph.nodes[step].step.on_crash == "fail":
                message = "Its worker died while it ran, and on_crash is 'fail'"
                self._fail(step, {"code": "WORKER_LOST", "message": message}, own=True)
            else:
                self._release_step(step, "worker lost")

    def _go_on_stopping(self) -> None:
        """What the last holder was told, or found, and did not finish."""
        deadline = self.base.deadline
        if self.state.cancel_requested:
            self._stop_all("cancel")
        elif deadline is not None and deadline <= self.now:
            self._stop_all("timeout")
        elif self.base.graph.flow.fail_fast and self.state.error is not None:
            self._stop_all("fail_fast")

    def _stopped(self, step: int, abandoned: bool) -> None:
        if self.stopping in (None, "release"):
            self._release_step(step, "worker stopping")
            return
        reason = "abandoned: it did not stop in time" if abandoned else self.stopping
        self.move(EventType.STEP_CANCELLED, step, {"reason": reason})
        self._end(step)

    def _release_step(self, step: int, reason: str) -> None:
        self.move(EventType.STEP_RELEASED, step, {"reason": reason})
        self.added.append(step)
