"""Which steps start: those whose dependencies have ended, and with `evaluate: needed` only what is wanted."""

from __future__ import annotations

from stepflow.core.demand import OUTPUT, Demand, DemandDraft
from stepflow.core.effects import Perform
from stepflow.core.graph import Node
from stepflow.core.outcomes import SKIPPED_BY, Outcomes
from stepflow.core.overlay import NotAtHand
from stepflow.core.parts import Needed, all_needed
from stepflow.core.run import Run
from stepflow.core.scope import UpstreamFailed, UpstreamSkipped
from stepflow.errors import ExpressionError
from stepflow.model.event import EventType
from stepflow.model.statuses import RunStatus, StepStatus


class Starts(Outcomes):
    __slots__ = (
        "added",
        "added_taken",
        "condition_remaining",
        "demand",
        "demand_base",
        "perform",
        "remaining",
        "taken",
    )

    def __init__(self, run: Run, now: int) -> None:
        super().__init__(run, now)
        self.perform: list[Perform] = []
        self.remaining: dict[int, int] = {}
        self.condition_remaining: dict[int, int] = {}
        self.taken = 0
        """Of the run's ready queue."""
        self.added: list[int] = []
        """To the ready queue."""
        self.added_taken = 0
        self.demand_base = run.demand
        self.demand = None if run.demand is None else DemandDraft(run.demand)

    @property
    def _is_ending(self) -> bool:
        return self.stopping not in (None, "release")

    @property
    def _is_paused(self) -> bool:
        return self.state.status is RunStatus.PAUSED

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
        if self.stopping is not None or self.running >= self.base.graph.flow.max_concurrency or self._is_paused:
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
        if state.wake_at is not None and state.wake_at > self.now:
            return  # it was woken twice, and failed again in between
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
            self._skip(step, f"{SKIPPED_BY[0]}{root}{SKIPPED_BY[1]}", by=root)
            return
        except ExpressionError as error:
            self._fail(step, self._located(error), own=False)
            return
        # A worker lost charges no attempt: a released step starts again under the same number.
        attempt = max(state.attempt, 1) if state.status is StepStatus.PENDING else state.attempt + 1
        self.move(EventType.STEP_STARTED, step, None, attempt=attempt)
        self.perform.append(Perform(step, attempt, value, node.input_is_sensitive))

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
