"""Which steps of an execution a new one may take over."""

from __future__ import annotations

from stepflow.core.graph import build_graph
from stepflow.errors import WorkflowEngineError
from stepflow.model.flow import Flow
from stepflow.model.run import StepRecord
from stepflow.model.statuses import StepStatus


def reusable_steps(old: Flow, new: Flow, steps: list[StepRecord], from_step: str | None) -> tuple[int, ...]:
    """Steps of `new` that may be taken over: completed, unchanged, and so is all they depend on; not `from_step` nor
    what follows from it."""
    graph = build_graph(new)
    if from_step is not None and all(step.key != from_step for step in new.steps):
        raise WorkflowEngineError("STEP_NOT_FOUND", f"'{from_step}' is not a step of the template")
    before = {step.key: step for step in steps}
    old_steps = {step.key: step for step in old.steps}
    stable: dict[int, bool] = {}
    """Whether a step and all it depends on are unchanged and would end as they did."""
    for start in range(len(graph.nodes)):
        # Depth first without recursion: a chain of ten thousand steps is a template too.
        stack = [start]
        while stack:
            index = stack[-1]
            node = graph.nodes[index]
            waiting = [one for one in node.dependencies if one not in stable] if index not in stable else []
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            record = before.get(node.key)
            stable[index] = (
                record is not None
                and _ended_well(record)
                and node.key != from_step
                and old_steps.get(node.key) == node.step
                and all(stable[one] for one in node.dependencies)
            )
    return tuple(
        node.index for node in graph.nodes if stable[node.index] and before[node.key].status is StepStatus.COMPLETED
    )


def _ended_well(step: StepRecord) -> bool:
    """Not by an error handler: what failed is tried again. What never started has given nothing to what completed."""
    if step.status is StepStatus.SKIPPED:
        return step.error is None
    if step.status is StepStatus.CANCELLED:
        return step.started_at is None
    return step.status is StepStatus.COMPLETED and not step.recovered
