"""What happens next: from a run and the facts that are ready, the events that follow and the steps to perform.

`decide` changes nothing: it writes on a draft over the run and answers with a `Decision`, which the worker commits and
then hands to `advance`; or with `Missing`, the outputs it would have to read and are not at hand. It costs what the
facts touch: a completed step counts down its dependents, and only those that reach zero are looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

import msgspec

from stepflow.core.demand import OUTPUT, Demand, DemandDraft
from stepflow.core.facts import (
    Awaiting,
    CancelRequested,
    Children,
    ChildrenStarted,
    Claimed,
    Collected,
    DeadlineReached,
    Fact,
    Failed,
    ReleaseRequested,
    Signalled,
    Slept,
    StepSkipped,
    Stopped,
    Succeeded,
    Woken,
)
from stepflow.core.graph import Node
from stepflow.core.overlay import NotAtHand, Overlay
from stepflow.core.parts import Needed, all_needed
from stepflow.core.retry import retry_delay_ms
from stepflow.core.run import Run, Stopping
from stepflow.core.scope import UpstreamFailed, UpstreamSkipped
from stepflow.core.secrets import mask
from stepflow.core.transition import Event, RunState, StepState, step_after_run_ended
from stepflow.errors import ExpressionError
from stepflow.model import jsontext
from stepflow.model.event import EventType
from stepflow.model.flow import Json
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.model.times import iso

MAX_LOSSES = 5
"""Workers lost in a row, without an outcome between, before a run stalls."""

CHILDREN = "children"
"""What a step awaits whose children run."""
EVENT = "event "
"""The same before the name of a signal."""
TIMEOUT = "timeout"
"""What a step awaits that sleeps for longer than it may take."""

_SKIPPED_BY = ("step '", "' was skipped")
"""Around the key of the step that started a chain of skips."""


class Perform(msgspec.Struct, frozen=True):
    """Perform this attempt, once the decision is durable."""

    step: int
    attempt: int
    input: Json
    sensitive: bool = False
    """Its input must not be shown."""


class StartChildren(msgspec.Struct, frozen=True):
    """Start these for a step, in the same commit."""

    step: int
    attempt: int
    children: Children


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


class Draft(Overlay):
    """A decision in the making."""

    def __init__(self, run: Run, now: int) -> None:
        super().__init__(run, now)
        self.remaining: dict[int, int] = {}
        self.condition_remaining: dict[int, int] = {}
        self.open = run.open
        self.failed = run.failed
        self.stopping: Stopping | None = run.stopping
        self.taken = 0
        self.added: list[int] = []
        self.added_taken = 0
        self.ended: deque[int] = deque()
        self.outputs: dict[int, str] = {}
        self.output_text: str | None = None
        self.perform: list[Perform] = []
        self.stop: list[int] = []
        self.children: list[StartChildren] = []
        self.collected: list[int] = []
        self.dropped: list[int] = []
        self.consumed: list[int] = []
        self.signals: list[Signalled] | None = None
        self.heard = run.heard
        self.demand_base = run.demand
        self.demand = None if run.demand is None else DemandDraft(run.demand)
        self.release = False
        self.wake_at: int | None = None

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

    # Facts

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
            case DeadlineReached():
                self._stop_all("timeout")
            case ReleaseRequested():
                if self.stopping is None:
                    self.stopping = "release"
            case _:
                assert_never(fact)

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
        # First: what is to end needs no output to be read, and nothing of it is tried again.
        self._go_on_stopping()
        self._take_back_steps()
        if self.base.graph.is_lazy and self.stopping is None:
            self._begin_demand()
        self._wake_waiting()

    def _wake_waiting(self) -> None:
        """What came while nobody held the run."""
        for step, wake_at in self.base.waits.items():
            if wake_at <= self.now:
                self._wake(step)
        for signal in self.base.signals:
            self._signalled(signal)

    def _stall(self) -> None:
        for step in sorted(self.base.running):
            self._release_step(step, "worker lost")
        reason = (
            f"{self.state.losses} workers in a row died while performing it; cancel it, mend the cause, then retry it"
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
        message = f"Step '{node.key}' did not finish within {node.step.timeout_ms} ms"
        details = {"timeout_ms": node.step.timeout_ms}
        self._fail(step, {"code": "STEP_TIMEOUT", "message": message, "details": details}, own=True)

    def _stop_all(self, why: Stopping) -> None:
        if self.stopping in (None, "release"):
            self.stopping = why
            self.stop.extend(step for step in sorted(self.base.running) if self.step(step).status is StepStatus.RUNNING)

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

    # Sleeps, signals and children

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
        payload = {"awaits": EVENT + fact.name, "wake_at": min(times, default=None), **(fact.message or {})}
        self.move(EventType.STEP_WAITING, fact.step, payload)
        received = next((signal for signal in pending if signal.name == fact.name), None)
        if received is not None:
            self.signals = [signal for signal in pending if signal is not received]
            self._receive(fact.step, received)

    def _signalled(self, signal: Signalled) -> None:
        """It ends every wait for it; where there is none it is kept for the first that comes."""
        awaited = EVENT + signal.name
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

    # Outcomes of steps

    def _complete_with(self, step: int, value: Json) -> None:
        """Of a step that waited: nobody has judged its output yet."""
        find_problem = self.base.graph.nodes[step].output_problem
        problem = None if find_problem is None else find_problem(value)
        if problem is None:
            self._complete(step, value, jsontext.encode(value))
        else:
            self._fail(step, {"code": "INVALID_OUTPUT", "message": problem}, own=True)

    def _complete(self, step: int, value: Json, text: str, *, recovered: bool = False) -> None:
        self.move(EventType.STEP_COMPLETED, step, {"recovered": True} if recovered else None)
        self.values[step] = value
        self.outputs[step] = text
        self._end(step)

    def _skip(self, step: int, reason: str, by: str | None = None) -> None:
        payload = {"reason": reason} if by is None else {"reason": reason, "by": by}
        self.move(EventType.STEP_SKIPPED, step, payload)
        self._end(step)

    def _fail(self, step: int, error: dict[str, Any], *, own: bool) -> None:
        """`own`: the attempt itself failed, so retry and on_error apply; else its input could not be made."""
        node = self.base.graph.nodes[step]
        state = self.step(step)
        retry = node.step.retry
        if state.awaits == CHILDREN:
            self.dropped.append(step)
        if self.stopping not in ("cancel", "timeout", "fail_fast") and own:
            if retry is not None and state.attempt < retry.max_attempts and retry.covers(error["code"]):
                self._hand_over(step, "retry", error)
                delay_ms = retry_delay_ms(retry, state.attempt, f"{self.base.id}/{node.key}/{state.attempt}")
                payload = {"attempt": state.attempt, "max_retries": retry.max_attempts - 1, "delay_ms": delay_ms}
                self.move(EventType.STEP_RETRY, step, payload)
                return
            if self._handle_failure(node, error):
                return
        self.move(EventType.STEP_FAILED, step, None, error)
        self.failed += 1
        self._end(step)
        if self.base.graph.flow.fail_fast and self.stopping is None:
            self._stop_all("fail_fast")

    def _hand_over(self, step: int, handler: str, error: dict[str, Any]) -> None:
        """The attempt failed, and what handles it says what becomes of the step."""
        self.move(EventType.STEP_FAILED, step, {"handled": handler}, error)

    def _handle_failure(self, node: Node, error: dict[str, Any]) -> bool:
        """Apply `on_error`; False where it says `fail`, or its default has no value."""
        match node.step.on_error.action:
            case "skip":
                self._hand_over(node.index, "skip", error)
                self._skip(node.index, f"failed: {self.step(node.index).error['message']}")  # type: ignore[index]  # it has just been given one
                return True
            case "continue":
                assert node.default is not None
                try:
                    value = self.evaluate(node.default)
                except NotAtHand:
                    return True
                except (UpstreamFailed, UpstreamSkipped, ExpressionError) as problem:
                    self._warn_of_default(node.index, problem)
                    return False
                self._hand_over(node.index, "continue", error)
                self._complete(node.index, value, jsontext.encode(value), recovered=True)
                return True
            case "fail":
                return False

    def _warn_of_default(self, step: int, problem: UpstreamFailed | UpstreamSkipped | ExpressionError) -> None:
        why = str(problem)
        if not isinstance(problem, ExpressionError):
            ended = "failed" if isinstance(problem, UpstreamFailed) else "was skipped"
            why = f"step '{self.base.graph.nodes[problem.step].key}' {ended}"
        self.current = step
        self.warn(f"default_output has no value, so the step fails: {why}")

    def _end(self, step: int) -> None:
        self.open -= 1
        self.ended.append(step)

    # Dependents and starts

    def settle(self) -> None:
        """Follow every consequence: dependents of what ended, starts while there is room, the end of the run."""
        if self.state.status.is_final or (self.state.status is RunStatus.STALLED and not self._is_ending):
            return
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
        elif self._is_done():
            self._end_run()
        elif self.running == 0 and self.state.status is RunStatus.RUNNING:
            self._give_up_worker()

    @property
    def _is_ending(self) -> bool:
        return self.stopping not in (None, "release")

    def _is_done(self) -> bool:
        if self.open == 0:
            return True
        # With `needed`: nothing that is wanted is on its way, so the output waits for nothing.
        return self.base.graph.is_lazy and self.running == 0 and not self._is_under_way()

    def _is_under_way(self) -> bool:
        if self._has_ready():
            return True
        if any(step not in self.steps for step in (*self.base.waits, *self.base.waiting)):
            return True
        return any(not state.status.is_final for state in self.steps.values())

    def _count_down(self, step: int) -> None:
        if self._is_ending:
            return  # nothing follows any more
        if self.demand is not None:
            for who in self.demand.ended(step):
                self._ask(who)
            return
        node = self.base.graph.nodes[step]
        for dependent in node.condition_dependents:
            left = self.condition_remaining.get(dependent, self.base.condition_remaining[dependent]) - 1
            self.condition_remaining[dependent] = left
            if left == 0:
                self._judge_early(self.base.graph.nodes[dependent])
        remaining = self.remaining
        before = self.base.remaining
        for dependent in node.dependents:
            left = remaining.get(dependent, before[dependent]) - 1
            remaining[dependent] = left
            if left == 0:
                self.added.append(dependent)

    def _has_ready(self) -> bool:
        return self.added_taken < len(self.added) or self.taken < len(self.base.ready)

    def _may_start(self) -> bool:
        if self.stopping is not None or self.running >= self.base.graph.flow.max_concurrency:
            return False
        return self._has_ready()

    def _next_ready(self) -> int:
        if self.taken < len(self.base.ready):
            self.taken += 1
            # deque indexing is cheap near its ends, and this is the front.
            return self.base.ready[self.taken - 1]
        self.added_taken += 1
        return self.added[self.added_taken - 1]

    def _judge_early(self, node: Node) -> None:
        if self.status_of(node.index) is StepStatus.PENDING:
            try:
                self._skipped_by_condition(node)
            except NotAtHand:
                return
            except ExpressionError as error:
                self._fail(node.index, self._located(error), own=False)

    def _skipped_by_condition(self, node: Node) -> bool:
        self.current = node.index
        if node.skip_if is not None and node.skip_if.evaluate(self):
            self._skip(node.index, "skip_if is true")
            return True
        if node.when is not None and not node.when.evaluate(self):
            self._skip(node.index, "when is false")
            return True
        return False

    def _start(self, step: int) -> None:
        node = self.base.graph.nodes[step]
        state = self.step(step)
        if state.status not in (StepStatus.PENDING, StepStatus.AWAITING_RETRY):
            return
        try:
            if state.status is StepStatus.PENDING and state.attempt == 0:
                judged = node.condition_is_early or self.base.graph.is_lazy
                if not judged and self._skipped_by_condition(node):
                    return
                for earlier in node.after:
                    if self.status_of(earlier) in (StepStatus.FAILED, StepStatus.CANCELLED):
                        raise UpstreamFailed(earlier)
            value = self.evaluate(node.input)
        except NotAtHand:
            return
        except UpstreamFailed as failure:
            self._fail(step, self._upstream_error(failure.step), own=False)
            return
        except UpstreamSkipped as skip:
            root = self._root_of_skip(skip.step)
            self._skip(step, f"{_SKIPPED_BY[0]}{root}{_SKIPPED_BY[1]}", by=root)
            return
        except ExpressionError as error:
            self._fail(step, self._located(error), own=False)
            return
        # A worker lost charges no attempt: a released step starts again under the same number.
        attempt = max(state.attempt, 1) if state.status is StepStatus.PENDING else state.attempt + 1
        self.move(EventType.STEP_STARTED, step, None, attempt=attempt)
        self.perform.append(Perform(step, attempt, value, node.input_is_sensitive))

    def _located(self, error: ExpressionError) -> dict[str, Any]:
        """The error as it is stored, with the place in the author's text."""
        locate = self.base.graph.locate
        if locate is not None and error.place is not None:
            error.details.update(locate(error.place, error.details.get("expression")))
        return error.to_record()

    def _upstream_error(self, step: int) -> dict[str, Any]:
        """Names the step that failed by itself, however far up it is."""
        state = self.step(step)
        by = self.base.graph.nodes[step].key
        if state.error is not None and state.error.get("code") == "UPSTREAM_FAILED":
            by = state.error.get("details", {}).get("by", by)
        return {"code": "UPSTREAM_FAILED", "message": f"Step '{by}' failed", "details": {"by": by}}

    def _root_of_skip(self, step: int) -> str:
        """The key of the step that started a chain of skips."""
        reason = self.step(step).reason or ""
        if reason.startswith(_SKIPPED_BY[0]) and reason.endswith(_SKIPPED_BY[1]):
            return reason.removeprefix(_SKIPPED_BY[0]).removesuffix(_SKIPPED_BY[1])
        return self.base.graph.nodes[step].key

    # Demand (`evaluate: needed`)

    def _begin_demand(self) -> None:
        self.demand_base = Demand()
        self.demand = DemandDraft(self.demand_base)
        for node in self.base.graph.nodes:
            if node.step.must_execute:
                self._want(node.index)
        self._ask(OUTPUT)

    def _want(self, step: int) -> None:
        """Depth first without recursion: a chain of ten thousand steps is a template too."""
        assert self.demand is not None
        stack = [step]
        while stack:
            one = stack.pop()
            if not self.status_of(one).is_final and self.demand.want(one):
                stack.extend(self._asked(one))

    def _ask(self, who: int) -> None:
        for step in self._asked(who):
            self._want(step)

    def _asked(self, who: int) -> list[int]:
        """What `who` waits for now; a step that waits for nothing is ready."""
        assert self.demand is not None
        try:
            needs = self._output_needs() if who == OUTPUT else self._step_needs(self.base.graph.nodes[who])
        except NotAtHand:
            return []
        if needs.steps:
            return self.demand.wait(who, needs)
        if who != OUTPUT and self.status_of(who) is StepStatus.PENDING and self.step(who).attempt == 0:
            self.added.append(who)
        return []

    def _output_needs(self) -> Needed:
        graph = self.base.graph
        return self._open(graph.sinks) if graph.output is None else graph.output.needs(self)

    def _step_needs(self, node: Node) -> Needed:
        assert self.demand is not None
        state = self.step(node.index)
        if state.status.is_final or state.attempt > 0:
            return Needed(frozenset())
        judging = self._open(node.condition_dependencies)
        if judging.steps:
            return judging
        if (node.skip_if is not None or node.when is not None) and self.demand.judge(node.index):
            # Judged once, before anything else is wanted for it.
            self._judge_early(node)
            if self.status_of(node.index).is_final:
                return Needed(frozenset())
        needs = [self._open(node.after), node.input.needs(self)]
        if node.default is not None:
            needs.append(node.default.needs(self))
        return all_needed(needs)

    def _open(self, steps: frozenset[int] | tuple[int, ...]) -> Needed:
        return Needed(frozenset(step for step in steps if not self.status_of(step).is_final))

    # The end of a run

    def _end_run(self) -> None:
        if self._has_failed():
            self._end_open_steps(EventType.RUN_FAILED, None, self._run_error())
            return
        try:
            output = self._run_output()
        except NotAtHand:
            return
        except UpstreamSkipped:
            self._complete_run(None, output_skipped=True)
            return
        except UpstreamFailed as failure:
            lazy = self.base.graph.is_lazy
            error = self._run_error() if lazy else self._upstream_error(failure.step)
            self._end_open_steps(EventType.RUN_FAILED, None, error)
            return
        except ExpressionError as error:
            record = mask(self._located(error)) if self.base.has_secrets else self._located(error)
            self._end_open_steps(EventType.RUN_FAILED, None, record)
            return
        problem = self.base.graph.output_problem(output) if self.base.graph.output_problem is not None else None
        if problem is not None:
            self._end_open_steps(EventType.RUN_FAILED, None, {"code": "INVALID_OUTPUT", "message": problem})
            return
        self._complete_run(output, output_skipped=False)

    def _has_failed(self) -> bool:
        if not self.base.graph.is_lazy:
            return self.failed > 0
        nodes = self.base.graph.nodes
        return self.failed > 0 and any(
            node.step.must_execute and self.status_of(node.index) is StepStatus.FAILED for node in nodes
        )

    def _complete_run(self, output: Json, *, output_skipped: bool) -> None:
        self.output_text = jsontext.encode(output)
        self._end_open_steps(EventType.RUN_COMPLETED, {"output_skipped": True} if output_skipped else None, None)

    def _run_output(self) -> Json:
        graph = self.base.graph
        if graph.output is not None:
            return self.evaluate(graph.output)
        output = {}
        for step in graph.sinks:
            status = self.status_of(step)
            if status is StepStatus.COMPLETED:
                try:
                    output[graph.nodes[step].key] = self.output_of(step)
                except NotAtHand:
                    continue
            elif status is StepStatus.FAILED:
                raise UpstreamFailed(step)
        if self.missing:
            raise NotAtHand
        return output

    def _run_error(self) -> dict[str, Any]:
        """The first failure of its own, with the step's key and the count of failed steps in its details."""
        error = dict(self.state.error or {"code": "STEP_ERROR", "message": "A step failed"})
        details = dict(error.get("details") or {})
        details["failed"] = self.failed
        error["details"] = details
        return error

    def _end_stopped_run(self) -> None:
        match self.stopping:
            case "timeout":
                timeout_ms = self.base.graph.flow.timeout_ms
                message = f"The execution did not finish within {timeout_ms} ms"
                error = {"code": "WORKFLOW_TIMEOUT", "message": message, "details": {"timeout_ms": timeout_ms}}
                self._end_open_steps(EventType.RUN_TIMEOUT, None, error)
            case "fail_fast":
                self._end_open_steps(EventType.RUN_FAILED, None, self._run_error())
            case _:
                reason = self.state.reason
                self._end_open_steps(EventType.RUN_CANCELLED, {"reason": reason} if reason else None, None)

    def _end_open_steps(self, kind: EventType, payload: dict[str, Any] | None, error: dict[str, Any] | None) -> None:
        """The run's one final event, which ends whatever is open."""
        self.run_event(kind, payload, error)
        final = self.events[-1]
        if self.open:
            for index in range(len(self.base.steps)):
                state = self.step(index)
                if not state.status.is_final:
                    self.steps[index] = step_after_run_ended(state, final)
        self.open = 0
        self.release = True

    def _give_up_worker(self) -> None:
        """Nothing runs: the run was given back, or it waits for time, a signal or its children."""
        self.release = True
        if self.stopping == "release":
            self.run_event(EventType.RUN_RELEASED, {"reason": "worker stopping"})
            return
        waiting = [
            step
            for step in {*self.base.waits, *self.base.waiting, *self.steps}
            if self.status_of(step) in (StepStatus.AWAITING_RETRY, StepStatus.SLEEPING, StepStatus.WAITING)
        ]
        times = [at for step in waiting if (at := self.step(step).wake_at) is not None]
        if self.base.deadline is not None:
            times.append(self.base.deadline)
        self.wake_at = min(times, default=None)
        statuses = {self.status_of(step) for step in waiting}
        if StepStatus.AWAITING_RETRY in statuses:
            kind = EventType.RUN_RETRY
        else:
            kind = EventType.RUN_SLEEPING if StepStatus.SLEEPING in statuses else EventType.RUN_WAITING
        self.run_event(kind, {"wake_at": self.wake_at})


def _step_deadline(node: Node, state: StepState) -> int | None:
    """When the attempt times out, ms since 1970."""
    timeout_ms = node.step.timeout_ms
    return None if timeout_ms is None or state.started_at is None else state.started_at + timeout_ms
