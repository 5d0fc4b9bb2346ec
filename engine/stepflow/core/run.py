"""A run in memory: its stored state and what follows from it (counters, the ready queue), so that deciding costs what a
fact touches and not what the run is big.

Everything derived is derived again when a run is loaded; nothing here is stored but `state` and `steps`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Literal

from stepflow.core.demand import Demand
from stepflow.core.facts import Signalled
from stepflow.core.graph import Graph
from stepflow.core.secrets import with_marks
from stepflow.core.transition import PENDING_STEP, RunState, StepState
from stepflow.model.flow import Json
from stepflow.model.statuses import StepStatus

Stopping = Literal["cancel", "timeout", "fail_fast", "release"]


class Run:
    """Changed only by `decide.advance`, with a decision that is durable."""

    __slots__ = (
        "condition_remaining",
        "demand",
        "failed",
        "graph",
        "has_secrets",
        "heard",
        "holds_large",
        "id",
        "input",
        "input_problem",
        "open",
        "ready",
        "remaining",
        "running",
        "signals",
        "state",
        "steps",
        "stopping",
        "users",
        "values",
        "variables",
        "waiting",
        "waits",
    )

    def __init__(
        self,
        graph: Graph,
        run_id: str,
        state: RunState,
        steps: Mapping[int, StepState],
        *,
        input: Json = None,  # noqa: A002 - the word of the language
        variables: Mapping[str, Json] | None = None,
        signals: Iterable[Signalled] = (),
        input_problem: str | None = None,
    ) -> None:
        self.graph = graph
        self.id = run_id
        self.state = state
        self.steps: list[StepState] = [steps.get(i, PENDING_STEP) for i in range(len(graph.nodes))]
        self.input = input
        self.input_problem = input_problem
        """Why a child cannot begin: its input violates its flow's schema."""
        self.has_secrets = bool(graph.flow.secrets)
        self.variables: Mapping[str, Json] = with_marks(graph.flow, variables)
        self.signals = list(signals)
        """Received, and waited for by no step so far."""
        self.heard = max((signal.number for signal in self.signals), default=0)
        """The last signal's number: the storage may tell of one again before its end is durable."""
        self.demand: Demand | None = None
        """With `evaluate: needed`: since the run was claimed."""
        self.values: dict[int, Json] = {}
        """Outputs at hand; decide asks for the others."""
        self.holds_large = False
        """An output, or the input, is so long that what is put together of it has to be measured."""
        self.stopping: Stopping | None = None
        self._derive()

    def _derive(self) -> None:
        nodes = self.graph.nodes
        final = [step.status.is_final for step in self.steps]
        self.remaining = [len(node.dependencies) for node in nodes]
        self.condition_remaining = [len(node.condition_dependencies) for node in nodes]
        self.users = [len(node.dependents) for node in nodes]
        """Open dependents of each step: at zero nobody needs its value any more."""
        for node in nodes:
            if final[node.index]:
                for dependent in node.dependents:
                    self.remaining[dependent] -= 1
                for dependent in node.condition_dependents:
                    self.condition_remaining[dependent] -= 1
                for dependency in node.dependencies:
                    self.users[dependency] -= 1
        self.ready: deque[int] = deque(
            i
            for i, step in enumerate(self.steps)
            if step.status is StepStatus.PENDING
            and (step.attempt > 0 if self.graph.is_lazy else self.remaining[i] == 0)
        )
        self.running = {i for i, step in enumerate(self.steps) if step.status is StepStatus.RUNNING}
        self.waiting = {i for i, step in enumerate(self.steps) if step.status is StepStatus.WAITING}
        """For a signal or children."""
        self.waits = {
            i: step.wake_at
            for i, step in enumerate(self.steps)
            if step.wake_at is not None and not final[i] and step.status is not StepStatus.RUNNING
        }
        self.open = final.count(False)
        self.failed = sum(step.status is StepStatus.FAILED for step in self.steps)

    @property
    def deadline(self) -> int | None:
        """When the run times out, ms since 1970; None before its first start or without a timeout."""
        timeout_ms = self.graph.flow.timeout_ms
        started_at = self.state.started_at
        return None if timeout_ms is None or started_at is None else started_at + timeout_ms
