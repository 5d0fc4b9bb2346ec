"""Which steps of an execution a new one may take over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from stepflow.core.graph import Node, build_graph
from stepflow.core.references import GivenReference, follow_named
from stepflow.core.secrets import with_marks
from stepflow.model.flow import Flow, Json
from stepflow.model.paths import Missing
from stepflow.model.run import StepRecord
from stepflow.model.statuses import StepStatus


class _Given(NamedTuple):
    input: Json
    variables: Mapping[str, Json]


def reusable_steps(
    old: Flow,
    new: Flow,
    steps: list[StepRecord],
    from_step: str | None,
    old_input: Json,
    new_input: Json,
    variables: Mapping[str, Json] | None,
) -> dict[int, int]:
    """The steps of `new` that may be taken over, each with its place in `old`: those that completed and are unchanged,
    as is all they depend on, parts of the input and defaults of variables too; not `from_step` nor what follows from
    it."""
    graph = build_graph(new)
    before = {step.key: step for step in steps}
    old_steps = {step.key: step for step in old.steps}
    old_given = _Given(old_input, with_marks(old, variables))
    new_given = _Given(new_input, with_marks(new, variables))

    def would_end_as_before(node: Node) -> bool:
        record = before.get(node.key)
        return (
            record is not None
            and _ended_well(record)
            and node.key != from_step
            and _is_same(old_steps.get(node.key), node.step)
            and all(_is_same(_part(old_given, one), _part(new_given, one)) for one in node.given)
        )

    stable: dict[int, bool] = {}
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
            stable[index] = would_end_as_before(node) and all(stable[one] for one in node.dependencies)
    place_of = {step.key: index for index, step in enumerate(old.steps)}
    return {
        node.index: place_of[node.key]
        for node in graph.nodes
        if stable[node.index] and before[node.key].status is StepStatus.COMPLETED
    }


def _is_same(one: object, other: object) -> bool:
    """As JSON: 1 is not true, nor 1.0."""
    return one == other and repr(one) == repr(other)


def _part(given: _Given, reference: GivenReference) -> Json:
    """What it refers to, in a list, or an empty one."""
    try:
        return [given.variables[reference] if isinstance(reference, str) else follow_named(given.input, *reference)]
    except (KeyError, Missing):
        return []


def _ended_well(step: StepRecord) -> bool:
    """Not by an error handler: what failed is tried again. What never started has given nothing to what completed."""
    if step.status is StepStatus.SKIPPED:
        return step.error is None
    if step.status is StepStatus.CANCELLED:
        return step.started_at is None
    return step.status is StepStatus.COMPLETED and not step.recovered and not step.withheld
