"""The loop of a simulation: decide, take each step's outcome, go on at the next moment at which something happens.

A month of sleep costs nothing: time is a number. Children are simulated inside their parent, in as many lanes as may
run at once.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort
from collections.abc import Mapping
from typing import Protocol

import msgspec

from stepflow.contracts.component import Component, EndedChild
from stepflow.contracts.outcomes import CheckOutput, Ended, children_fact, whole_check
from stepflow.contracts.storage import EndedChildren
from stepflow.core.decide import Decision, Missing, advance, decide
from stepflow.core.effects import Perform, StartChildren
from stepflow.core.facts import (
    Awaiting,
    ChildrenStarted,
    Claimed,
    DeadlineReached,
    Fact,
    Failed,
    Signalled,
    Slept,
    Stopped,
    Woken,
)
from stepflow.core.graph import Graph, build_graph
from stepflow.core.run import Run
from stepflow.core.transition import RunState, StepState
from stepflow.dsl.schemas import check_value, output_check
from stepflow.errors import StepTimeoutError
from stepflow.model import jsontext
from stepflow.model.event import EventType
from stepflow.model.flow import Flow, Json, Step
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.simulate.causes import Causes


class Attempt(msgspec.Struct, frozen=True):
    """What is to be performed."""

    step: Step
    index: int
    attempt: int
    input: Json
    run_id: str
    kind: str
    """The template's name; of a flow inside another, `parent/step`."""
    depth: int
    now: int
    metadata: dict[str, Json]
    """The flow's with the step's over it."""


class Outcome(msgspec.Struct, frozen=True):
    fact: Ended
    duration_ms: int = 0
    """Of the attempt, its wait included: for children at least that long; for a signal, until it comes."""
    source: str = ""
    """Where it comes from: `mock`, `history`, `example` …"""
    is_answered: bool = False
    """The signal that it waits for comes."""


class Outcomes(Protocol):
    def outcome(self, attempt: Attempt, check: CheckOutput | None) -> Outcome: ...

    def component(self, path: str) -> Component | None: ...

    def flow(self, number: int) -> Flow:
        """That a `FlowVersion` named which a component was given."""


class Bar(msgspec.Struct):
    """A step as it was simulated. Times in ms from the beginning."""

    key: str
    component: str
    status: StepStatus
    started_at: int | None = None
    finished_at: int | None = None
    attempts: int = 0
    source: str = ""
    reason: str | None = None
    error: dict[str, Json] | None = None
    output: Json = None

    @property
    def took_ms(self) -> int | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


class Simulated(msgspec.Struct):
    status: RunStatus
    output: Json
    output_skipped: bool
    error: dict[str, Json] | None
    duration_ms: int
    steps: dict[str, Bar]
    """In the flow's order."""
    path: list[str]
    """What ran, in order of start."""
    critical_path: list[str] = []
    """What the end waited for, one after the other: dependencies, slots, retries."""


def simulate(
    flow: Flow,
    value: Json,
    outcomes: Outcomes,
    *,
    variables: Mapping[str, Json] | None = None,
    begin: int = 0,
    run_id: str = "exec_simulated",
    kind: str = "",
    depth: int = 0,
) -> Simulated:
    """`begin`: the moment at which it starts, ms since 1970."""
    return _Simulator(flow, value, outcomes, variables or {}, begin, run_id, kind or flow.name, depth).run()


class _Simulator:
    def __init__(
        self,
        flow: Flow,
        value: Json,
        outcomes: Outcomes,
        variables: Mapping[str, Json],
        begin: int,
        run_id: str,
        kind: str,
        depth: int,
    ) -> None:
        self._outcomes = outcomes
        self._begin = begin
        self._kind = kind
        self._depth = depth
        self._checks: dict[int, CheckOutput] = {
            index: output_check(step.output_schema, hidden=step.sensitive)
            for index, step in enumerate(flow.steps)
            if step.output_schema is not None
        }
        output_problem = None if flow.output_schema is None else output_check(flow.output_schema)
        self._graph: Graph = build_graph(flow, output_problem=output_problem, step_problems=self._checks)
        problems = [] if flow.input_schema is None else check_value(flow.input_schema, value)
        self._run = Run(
            self._graph,
            run_id,
            RunState(),
            {},
            input=value,
            variables=variables,
            input_problem=f"Invalid input: {'; '.join(problems)}" if problems else None,
        )
        self._now = begin
        self._heap: list[tuple[int, int, Fact]] = []
        self._serial = 0
        self._signals = 0
        self._waits_until: dict[int, int] = {}
        """The end of the wait of a step, as its outcome says."""
        self._values: dict[int, Json] = {}
        self._sources: dict[int, str] = {}
        self._path: list[int] = []
        self._causes = Causes(self._graph)
        self._output: Json = None
        self._deadline_is_set = False

    def run(self) -> Simulated:
        facts: list[Fact] = [Claimed()]
        while True:
            decision = decide(self._run, facts, self._now)
            if isinstance(decision, Missing):
                self._run.values.update((step, self._values[step]) for step in decision.steps)
                continue
            self._take(decision)
            if decision.state.status.is_final or not self._heap:
                return self._result()
            # Whoever is released waits, and is claimed again when something happens.
            facts = [Claimed()] if decision.release else []
            self._now = max(self._now, self._heap[0][0])
            while self._heap and self._heap[0][0] <= self._now:
                facts.append(heapq.heappop(self._heap)[2])

    def _take(self, decision: Decision) -> None:
        self._causes.note(decision.events, self._run.steps)
        advance(self._run, decision)
        for step in decision.outputs:
            self._values[step] = decision.draft.values[step]
        for event in decision.events:
            if event.type == EventType.STEP_STARTED and event.step is not None and event.attempt == 1:
                self._path.append(event.step)
        if decision.output is not None:
            self._output = jsontext.decode(decision.output)
        for perform in decision.perform:
            self._perform(perform)
        for step in decision.stop:
            self._at(self._now, Stopped(step, self._run.steps[step].attempt))
        for start in decision.children:
            self._start_children(start)
        for step, state in decision.steps.items():
            if state.wake_at is not None and not state.status.is_final:
                self._at(state.wake_at, Woken(step))
        deadline = self._run.deadline
        if deadline is not None and not self._deadline_is_set:
            self._deadline_is_set = True
            self._at(deadline, DeadlineReached())

    def _at(self, moment: int, fact: Fact) -> None:
        self._serial += 1
        heapq.heappush(self._heap, (moment, self._serial, fact))

    def _perform(self, perform: Perform) -> None:
        step = self._graph.nodes[perform.step].step
        attempt = Attempt(
            step=step,
            index=perform.step,
            attempt=perform.attempt,
            input=perform.input,
            run_id=self._run.id,
            kind=self._kind,
            depth=self._depth,
            now=self._now,
            metadata={**self._graph.flow.metadata, **step.metadata},
        )
        outcome = self._outcomes.outcome(attempt, self._checks.get(perform.step))
        self._sources[perform.step] = outcome.source
        fact, end = outcome.fact, self._now + outcome.duration_ms
        if isinstance(fact, Slept | Awaiting | ChildrenStarted):
            # It waits without a slot, and the decision says how long at most.
            self._at(self._now, fact)
            self._waits_until[perform.step] = end
            if outcome.is_answered and isinstance(fact, Awaiting):
                self._signals += 1
                self._at(end, Signalled(self._signals, fact.name, None))
        elif step.timeout_ms is not None and outcome.duration_ms > step.timeout_ms:
            error = StepTimeoutError(step.key, step.timeout_ms).to_record()
            self._at(self._now + step.timeout_ms, Failed(perform.step, perform.attempt, error))
        else:
            self._at(end, fact)

    def _start_children(self, start: StartChildren) -> None:
        step = self._graph.nodes[start.step].step
        component = self._outcomes.component(step.component)
        assert component is not None, step.component
        children, end = self._children(start, step)
        self._serial += 1
        ended = EndedChildren(self._serial, start.step, start.attempt, start.children.spec, tuple(children))
        end = max(end, self._waits_until.get(start.step, 0))
        check = whole_check(component, self._checks.get(start.step), hidden=step.sensitive)
        self._at(end, children_fact(component, ended, check))

    def _children(self, start: StartChildren, step: Step) -> tuple[list[EndedChild], int]:
        """How they ended, and when the last one did."""
        wanted = start.children
        flow = self._outcomes.flow(wanted.template_version)
        lanes = [self._now] * min(wanted.max_concurrency, len(wanted.inputs))
        ended: list[EndedChild] = []
        failures: list[int] = []
        for item, text in enumerate(wanted.inputs):
            begin = heapq.heappop(lanes)
            tolerated = wanted.tolerated_failures
            if tolerated is not None and bisect_right(failures, begin) > tolerated:
                heapq.heappush(lanes, begin)
                break
            one = simulate(
                flow,
                jsontext.decode(text),
                self._outcomes,
                begin=begin,
                run_id=f"{self._run.id}.{step.key}.{item}",
                kind=wanted.kind,
                depth=self._depth + 1,
            )
            end = begin + one.duration_ms
            heapq.heappush(lanes, end)
            if one.status is not RunStatus.COMPLETED:
                insort(failures, end)
            run_id = f"{self._run.id}.{step.key}.{item}"
            ended.append(EndedChild(run_id, one.status, one.output, one.output_skipped, one.error))
        return ended, max(lanes, default=self._now)

    def _result(self) -> Simulated:
        state = self._run.state
        nodes = self._graph.nodes
        bars = {node.key: self._bar(node.index, self._run.steps[node.index]) for node in nodes}
        return Simulated(
            status=state.status,
            output=self._output,
            output_skipped=state.output_skipped,
            error=state.error,
            duration_ms=self._now - self._begin,
            steps=bars,
            path=[nodes[index].key for index in self._path],
            critical_path=self._causes.critical_path(self._run.steps),
        )

    def _bar(self, index: int, state: StepState) -> Bar:
        step = self._graph.nodes[index].step
        return Bar(
            key=step.key,
            component=step.component,
            status=state.status,
            started_at=None if state.started_at is None else state.started_at - self._begin,
            finished_at=None if state.finished_at is None else state.finished_at - self._begin,
            attempts=state.attempt,
            source=self._sources.get(index, ""),
            reason=state.reason,
            error=state.error,
            output=self._values.get(index),
        )
