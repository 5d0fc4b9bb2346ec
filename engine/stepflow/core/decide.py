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

from stepflow.core.facts import (
    CancelRequested,
    Claimed,
    DeadlineReached,
    Fact,
    Failed,
    ReleaseRequested,
    Slept,
    StepSkipped,
    Stopped,
    Succeeded,
    Woken,
)
from stepflow.core.graph import Node
from stepflow.core.retry import retry_delay_ms
from stepflow.core.run import Run, Stopping
from stepflow.core.transition import Event, RunState, StepState, run_after, step_after, step_after_run_ended
from stepflow.core.values import UpstreamFailed, UpstreamSkipped
from stepflow.errors import ExpressionError
from stepflow.model import jsontext
from stepflow.model.event import EventType
from stepflow.model.flow import Json
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.model.times import iso

MAX_LOSSES = 5
"""Workers lost in a row, without an outcome between, before a run stalls."""

_SKIPPED_BY = ("step '", "' was skipped")
"""Around the key of the step that started a chain of skips."""


class Perform(msgspec.Struct, frozen=True):
    """Perform this attempt, once the decision is durable."""

    step: int
    attempt: int
    input: Json
    sensitive: bool = False
    """Its input must not be shown."""


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
    release: bool
    """The run needs no worker now: it is final, waits, or was given back."""
    wake_at: int | None
    """When a released run has to be claimed again; None: by priority and age, or never."""
    draft: Draft


class Missing(msgspec.Struct, frozen=True):
    """Outputs of these steps are needed to decide."""

    steps: frozenset[int]


class _NotAtHand(Exception):
    """A value has to be read from the storage first."""


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
    run.state = decision.state
    run.stopping = draft.stopping
    run.open = draft.open
    run.failed = draft.failed
    for index, left in draft.remaining.items():
        run.remaining[index] = left
    for index, left in draft.condition_remaining.items():
        run.condition_remaining[index] = left
    for _ in range(draft.taken):
        run.ready.popleft()
    run.ready.extend(draft.added[draft.added_taken :])
    for index, step in decision.steps.items():
        _advance_step(run, index, step, draft.values)


def _advance_step(run: Run, index: int, step: StepState, values: Mapping[int, Json]) -> None:
    status = step.status
    run.steps[index] = step
    if status is StepStatus.RUNNING:
        run.running.add(index)
    else:
        run.running.discard(index)
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


class Draft:
    """A run with what has been decided so far laid over it. Also the scope in which values are evaluated."""

    __slots__ = (
        "_current",
        "added",
        "added_taken",
        "base",
        "condition_remaining",
        "ended",
        "events",
        "failed",
        "missing",
        "now",
        "open",
        "output_text",
        "outputs",
        "perform",
        "release",
        "remaining",
        "running",
        "state",
        "steps",
        "stop",
        "stopping",
        "taken",
        "values",
        "wake_at",
    )

    def __init__(self, run: Run, now: int) -> None:
        self.base = run
        self.now = now
        self.state = run.state
        self.steps: dict[int, StepState] = {}
        self.events: list[Event] = []
        self.remaining: dict[int, int] = {}
        self.condition_remaining: dict[int, int] = {}
        self.running = len(run.running)
        self.open = run.open
        self.failed = run.failed
        self.stopping: Stopping | None = run.stopping
        self.taken = 0
        self.added: list[int] = []
        self.added_taken = 0
        self.ended: deque[int] = deque()
        self.values: dict[int, Json] = {}
        self.outputs: dict[int, str] = {}
        self.output_text: str | None = None
        self.perform: list[Perform] = []
        self.stop: list[int] = []
        self.release = False
        self.wake_at: int | None = None
        self.missing: set[int] = set()
        self._current: int | None = None

    def decision(self) -> Decision:
        return Decision(
            state=self.state,
            steps=self.steps,
            events=self.events,
            outputs=self.outputs,
            output=self.output_text,
            perform=self.perform,
            stop=self.stop,
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
                    self._move(EventType.STEP_SLEEPING, step, {"wake_at": until})
                    self.running -= 1
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

    def _claimed(self) -> None:
        if self.state.status is RunStatus.RUNNING:
            self._run_event(EventType.RUN_RELEASED, {"reason": "worker lost", "lost": True})
        if self.state.losses >= MAX_LOSSES:
            self._stall()
            return
        if self.state.status is not RunStatus.QUEUED:
            self._run_event(EventType.RUN_QUEUED)
        if self.state.started_at is None:
            self._run_event(EventType.RUN_STARTED)
            for node in self.base.graph.nodes:
                if node.condition_is_early and not node.condition_dependencies:
                    self._judge_early(node)
        else:
            self._run_event(EventType.RUN_RESUMED)
        self._take_back_steps()
        self._go_on_stopping()
        for step, wake_at in self.base.waits.items():
            if wake_at <= self.now:
                self._wake(step)

    def _stall(self) -> None:
        for step in sorted(self.base.running):
            self._release_step(step, "worker lost")
        reason = (
            f"{self.state.losses} workers in a row died while performing it; cancel it, mend the cause, then retry it"
        )
        self._run_event(EventType.RUN_STALLED, {"reason": reason})
        self.release = True

    def _take_back_steps(self) -> None:
        """Steps that still say running were performed by a worker that is gone."""
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
        if state.status is StepStatus.AWAITING_RETRY:
            self.added.append(step)
        elif state.status is StepStatus.SLEEPING:
            value = {"until": iso(state.wake_at)}
            self.running += 1  # _complete counts it down
            self._complete(step, value, jsontext.encode(value))

    def _stop_all(self, why: Stopping) -> None:
        if self.stopping in (None, "release"):
            self.stopping = why
            self.stop.extend(step for step in sorted(self.base.running) if self.step(step).status is StepStatus.RUNNING)

    def _stopped(self, step: int, abandoned: bool) -> None:
        if self.stopping in (None, "release"):
            self._release_step(step, "worker stopping")
            return
        reason = "abandoned: it did not stop in time" if abandoned else self.stopping
        self._move(EventType.STEP_CANCELLED, step, {"reason": reason})
        self.running -= 1
        self._end(step)

    def _release_step(self, step: int, reason: str) -> None:
        self._move(EventType.STEP_RELEASED, step, {"reason": reason})
        self.running -= 1
        self.added.append(step)

    # Outcomes of steps

    def _complete(self, step: int, value: Json, text: str, *, recovered: bool = False) -> None:
        self._move(EventType.STEP_COMPLETED, step, {"recovered": True} if recovered else None)
        self.values[step] = value
        self.outputs[step] = text
        self.running -= 1
        self._end(step)

    def _skip(self, step: int, reason: str, by: str | None = None) -> None:
        was_running = self.step(step).status is StepStatus.RUNNING
        payload = {"reason": reason} if by is None else {"reason": reason, "by": by}
        self._move(EventType.STEP_SKIPPED, step, payload)
        if was_running:
            self.running -= 1
        self._end(step)

    def _fail(self, step: int, error: dict[str, Any], *, own: bool) -> None:
        """`own`: the attempt itself failed, so retry and on_error apply; else its input could not be made."""
        node = self.base.graph.nodes[step]
        state = self.step(step)
        was_running = state.status is StepStatus.RUNNING
        retry = node.step.retry
        if self.stopping not in ("cancel", "timeout", "fail_fast") and own:
            if retry is not None and state.attempt < retry.max_attempts and retry.covers(error["code"]):
                self._move(EventType.STEP_FAILED, step, {"handled": "retry"}, error)
                delay_ms = retry_delay_ms(retry, state.attempt, f"{self.base.id}/{node.key}/{state.attempt}")
                payload = {"attempt": state.attempt, "max_retries": retry.max_attempts - 1, "delay_ms": delay_ms}
                self._move(EventType.STEP_RETRY, step, payload)
                self.running -= 1
                return
            if self._handle_failure(node, error):
                return
        self._move(EventType.STEP_FAILED, step, None, error)
        self.failed += 1
        if was_running:
            self.running -= 1
        self._end(step)
        if self.base.graph.flow.fail_fast and self.stopping is None:
            self._stop_all("fail_fast")

    def _handle_failure(self, node: Node, error: dict[str, Any]) -> bool:
        """Apply `on_error`; False where it says `fail`, or its default has no value."""
        match node.step.on_error.action:
            case "skip":
                self._move(EventType.STEP_FAILED, node.index, {"handled": "skip"}, error)
                self._skip(node.index, f"failed: {error['message']}")
                return True
            case "continue":
                assert node.default is not None
                try:
                    value = self._evaluate(node.default, node.index)
                except _NotAtHand:
                    return True
                except (UpstreamFailed, UpstreamSkipped, ExpressionError):
                    return False
                self._move(EventType.STEP_FAILED, node.index, {"handled": "continue"}, error)
                self._complete(node.index, value, jsontext.encode(value), recovered=True)
                return True
            case "fail":
                return False

    def _end(self, step: int) -> None:
        self.open -= 1
        self.ended.append(step)

    # Dependents and starts

    def settle(self) -> None:
        """Follow every consequence: dependents of what ended, starts while there is room, the end of the run."""
        if self.state.status.is_final or self.state.status is RunStatus.STALLED:
            return
        while self.ended or self._may_start():
            if self.ended:
                self._count_down(self.ended.popleft())
            else:
                self._start(self._next_ready())
        if self.missing:
            return
        if self.stopping is not None and self.stopping != "release":
            if self.running == 0:
                self._end_stopped_run()
        elif self.open == 0:
            self._end_run()
        elif self.running == 0 and self.state.status is RunStatus.RUNNING:
            self._give_up_worker()

    def _count_down(self, step: int) -> None:
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

    def _may_start(self) -> bool:
        if self.stopping is not None or self.running >= self.base.graph.flow.max_concurrency:
            return False
        return self.added_taken < len(self.added) or self.taken < len(self.base.ready)

    def _next_ready(self) -> int:
        if self.taken < len(self.base.ready):
            self.taken += 1
            # deque indexing is cheap near its ends, and this is the front.
            return self.base.ready[self.taken - 1]
        self.added_taken += 1
        return self.added[self.added_taken - 1]

    def _judge_early(self, node: Node) -> None:
        if self.step(node.index).status is StepStatus.PENDING:
            try:
                self._skipped_by_condition(node)
            except _NotAtHand:
                return
            except ExpressionError as error:
                self._fail(node.index, error.to_record(), own=False)

    def _skipped_by_condition(self, node: Node) -> bool:
        self._current = node.index
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
                if not node.condition_is_early and self._skipped_by_condition(node):
                    return
                for earlier in node.after:
                    if self.status_of(earlier) in (StepStatus.FAILED, StepStatus.CANCELLED):
                        raise UpstreamFailed(earlier)
            value = self._evaluate(node.input, step)
        except _NotAtHand:
            return
        except UpstreamFailed as failure:
            self._fail(step, self._upstream_error(failure.step), own=False)
            return
        except UpstreamSkipped as skip:
            root = self._root_of_skip(skip.step)
            self._skip(step, f"{_SKIPPED_BY[0]}{root}{_SKIPPED_BY[1]}", by=root)
            return
        except ExpressionError as error:
            self._fail(step, error.to_record(), own=False)
            return
        # A worker lost charges no attempt: a released step starts again under the same number.
        attempt = max(state.attempt, 1) if state.status is StepStatus.PENDING else state.attempt + 1
        self._move(EventType.STEP_STARTED, step, None, attempt=attempt)
        self.running += 1
        self.perform.append(Perform(step, attempt, value, node.input_is_sensitive))

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

    # The end of a run

    def _end_run(self) -> None:
        if self.failed:
            self._end_failed()
            return
        try:
            output = self._run_output()
        except _NotAtHand:
            return
        except UpstreamSkipped:
            self._complete_run(None, output_skipped=True)
            return
        except UpstreamFailed as failure:
            self._run_event(EventType.RUN_FAILED, None, self._upstream_error(failure.step))
            self.release = True
            return
        except ExpressionError as error:
            self._run_event(EventType.RUN_FAILED, None, error.to_record())
            self.release = True
            return
        problem = self.base.graph.output_problem(output) if self.base.graph.output_problem is not None else None
        if problem is not None:
            self._run_event(EventType.RUN_FAILED, None, {"code": "INVALID_OUTPUT", "message": problem})
            self.release = True
            return
        self._complete_run(output, output_skipped=False)

    def _complete_run(self, output: Json, *, output_skipped: bool) -> None:
        self.output_text = jsontext.encode(output)
        self._run_event(EventType.RUN_COMPLETED, {"output_skipped": True} if output_skipped else None)
        self.release = True

    def _run_output(self) -> Json:
        graph = self.base.graph
        if graph.output is not None:
            return self._evaluate(graph.output, None)
        output = {}
        for step in graph.sinks:
            if self.status_of(step) is StepStatus.COMPLETED:
                try:
                    output[graph.nodes[step].key] = self.output_of(step)
                except _NotAtHand:
                    continue
        if self.missing:
            raise _NotAtHand
        return output

    def _end_failed(self) -> None:
        self._run_event(EventType.RUN_FAILED, None, self._run_error())
        self.release = True

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
        self._run_event(kind, payload, error)
        final = self.events[-1]
        for index in range(len(self.base.steps)):
            state = self.step(index)
            if not state.status.is_final:
                self.steps[index] = step_after_run_ended(state, final)
        self.open = 0
        self.release = True

    def _give_up_worker(self) -> None:
        """Nothing runs: the run was given back, or it waits for time."""
        self.release = True
        if self.stopping == "release":
            self._run_event(EventType.RUN_RELEASED, {"reason": "worker stopping"})
            return
        waits: dict[int, int] = {step: at for step, at in self.base.waits.items() if step not in self.steps}
        waits.update(
            (index, state.wake_at)
            for index, state in self.steps.items()
            if state.wake_at is not None and state.status is not StepStatus.RUNNING
        )
        times = list(waits.values())
        if self.base.deadline is not None:
            times.append(self.base.deadline)
        self.wake_at = min(times, default=None)
        statuses = {self.step(step).status for step in waits}
        if StepStatus.AWAITING_RETRY in statuses:
            kind = EventType.RUN_RETRY
        else:
            kind = EventType.RUN_SLEEPING if StepStatus.SLEEPING in statuses else EventType.RUN_WAITING
        self._run_event(kind, {"wake_at": self.wake_at})

    # Events

    def step(self, index: int) -> StepState:
        state = self.steps.get(index)
        return self.base.steps[index] if state is None else state

    def _move(
        self,
        kind: EventType,
        step: int,
        payload: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
        attempt: int | None = None,
    ) -> None:
        state = self.step(step)
        if error is not None and kind is EventType.STEP_FAILED and "step_key" not in (error.get("details") or {}):
            details = {**(error.get("details") or {}), "step_key": self.base.graph.nodes[step].key}
            error = {**error, "details": details}
        event = Event(kind, self.now, step, state.attempt if attempt is None else attempt, payload, error)
        self.events.append(event)
        self.steps[step] = step_after(state, event)
        if self.state.losses or kind is EventType.STEP_FAILED:
            self.state = run_after(self.state, event)

    def _run_event(
        self, kind: EventType, payload: dict[str, Any] | None = None, error: dict[str, Any] | None = None
    ) -> None:
        event = Event(kind, self.now, None, 0, payload, error)
        self.events.append(event)
        self.state = run_after(self.state, event)

    # The scope of values and conditions

    def _evaluate(self, value: Any, step: int | None) -> Json:
        if value.constant:
            return value.evaluate(self)
        self._current = step
        try:
            return value.evaluate(self)
        except _NotAtHand:
            # Whatever else this value needs is asked for at once.
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
            return self.values[step] if step in self.values else self.base.values[step]
        except KeyError:
            self.missing.add(step)
            raise _NotAtHand from None

    def error_of(self, step: int) -> dict[str, Any] | None:
        return self.step(step).error

    def warn(self, message: str) -> None:
        self.events.append(Event(EventType.LOG, self.now, self._current, 0, {"level": "warn", "message": message}))
