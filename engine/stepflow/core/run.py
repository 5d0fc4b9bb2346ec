"""A run in memory: its stored state and what follows from it (counters, the ready queue), so that deciding costs what a
fact touches and not what the run is big.

Everything derived is derived again when a run is loaded; nothing here is stored but `state` and `steps`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Literal

from stepflow.core.graph import Graph
from stepflow.core.transition import PENDING_STEP, RunState, StepState
from stepflow.model.flow import Json
from stepflow.model.statuses import StepStatus

Stopping = Literal["cancel", "timeout", "fail_fast", "release"]


class Run:
    """Changed only by `decide.advance`, with a decision that is durable."""

    __slots__ = (
        "condition_remaining",
        "failed",
        "graph",
        "id",
        "input",
        "open",
        "ready",
        "remaining",
        "running",
        "state",
        "steps",
        "stopping",
        "users",
        "values",
        "variables",
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
    ) -> None:
        self.graph = graph
        self.id = run_id
        self.state = state
        self.steps: list[StepState] = [steps.get(i, PENDING_STEP) for i in range(len(graph.nodes))]
        self.input = input
        self.variables: Mapping[str, Json] = variables or {}
        self.values: dict[int, Json] = {}
        """Outputs at hand; decide asks for the others."""
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
            i for i, step in enumerate(self.steps) if step.status is StepStatus.PENDING and self.remaining[i] == 0
        )
        self.running = {i for i, step in enumerate(self.steps) if step.status is StepStatus.RUNNING}
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
