"""A flow made ready to run: who waits for whom, and every value and condition compiled once.

Steps are indexes from here on; keys are for people and for the storage's border.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from stepflow.core.references import GivenReference
from stepflow.core.scope import Place
from stepflow.core.values import Condition, Value, compile_condition, compile_value
from stepflow.model.flow import Flow, Json, Step

Locate = Callable[[Place, str | None], dict[str, Any]]
"""Where in the author's text the value at a place stands, and the expression in it: `path`, and `file line column`
where they are known."""


FindProblem = Callable[[Json], str | None]
"""What is wrong with a value; None: nothing."""


FALLS_BACK_TO_DATA = "/builtin/load_file"
"""Paths that are not found in its output are looked up in the output's `data`."""


class Node(msgspec.Struct):
    """One step of a graph."""

    index: int
    key: str
    step: Step
    input: Value
    skip_if: Condition | None
    when: Condition | None
    default: Value | None
    """The output `on_error: continue` completes it with."""
    after: tuple[int, ...]
    """Steps it only comes after (`depends_on`, `order: sequential`)."""
    dependencies: frozenset[int]
    """All steps that must be final before it is ready."""
    condition_dependencies: frozenset[int]
    given: tuple[GivenReference, ...]
    """The parts of the run's input, and the variables, that it refers to."""
    input_is_sensitive: bool
    """It refers to the output of a sensitive step, so it is shown no more than that."""
    condition_is_early: bool
    """Its condition can be judged before all its dependencies are final."""
    output_problem: FindProblem | None
    """What is wrong with its output by its `output_schema`; what a worker performs was judged there."""
    dependents: list[int] = []
    """Steps that have this one among their dependencies."""
    condition_dependents: list[int] = []
    """Steps with an early condition that refers to this one."""


class Graph(msgspec.Struct):
    flow: Flow
    nodes: list[Node]
    output: Value | None
    output_steps: frozenset[int]
    """Steps whose outputs the run's output needs."""
    sinks: tuple[int, ...]
    """Steps nobody depends on: the run's output where the flow does not say another."""
    output_problem: FindProblem | None = None
    """What is wrong with a run's output by the flow's `output_schema`."""
    locate: Locate | None = None

    @property
    def is_lazy(self) -> bool:
        """Only what the output and `must_execute` need is done."""
        return self.flow.evaluate == "needed"

    def dependencies_of(self, index: int) -> tuple[str, ...]:
        return tuple(self.nodes[i].key for i in sorted(self.nodes[index].dependencies))


def build_graph(
    flow: Flow,
    *,
    output_problem: FindProblem | None = None,
    step_problems: Mapping[int, FindProblem] | None = None,
    locate: Locate | None = None,
) -> Graph:
    """Compile `flow`, which `dsl.validate` has accepted."""
    index_of = {step.key: index for index, step in enumerate(flow.steps)}
    fallback = frozenset(i for i, step in enumerate(flow.steps) if step.component == FALLS_BACK_TO_DATA)
    nodes: list[Node] = []
    for index, step in enumerate(flow.steps):
        place: Place = ("steps", index)
        value = compile_value(step.input, index_of, fallback_data=fallback, place=(*place, "input"))
        skip_if, when = (
            None if raw is None else compile_condition(raw, index_of, fallback_data=fallback, place=(*place, name))
            for name, raw in (("skip_if", step.skip_if), ("when", step.when))
        )
        default = None
        if step.on_error.action == "continue":
            place = (*place, "on_error", "default_output")
            default = compile_value(step.on_error.default_output, index_of, fallback_data=fallback, place=place)
        after = tuple(index_of[key] for key in step.depends_on)
        if flow.order == "sequential" and index > 0 and index - 1 not in after:
            after = (*after, index - 1)
        conditions = (skip_if.steps if skip_if else frozenset()) | (when.steps if when else frozenset())
        dependencies = value.steps | conditions | frozenset(after) | (default.steps if default else frozenset())
        has_condition = skip_if is not None or when is not None
        nodes.append(
            Node(
                index=index,
                key=step.key,
                step=step,
                input=value,
                skip_if=skip_if,
                when=when,
                default=default,
                after=after,
                dependencies=dependencies,
                condition_dependencies=conditions,
                given=tuple(one for part in (value, skip_if, when, default) if part for one in part.given),
                input_is_sensitive=any(flow.steps[i].sensitive for i in value.steps),
                condition_is_early=has_condition and conditions != dependencies,
                output_problem=(step_problems or {}).get(index),
                dependents=[],
                condition_dependents=[],
            )
        )
    for node in nodes:
        for dependency in node.dependencies:
            nodes[dependency].dependents.append(node.index)
        if node.condition_is_early:
            for dependency in node.condition_dependencies:
                nodes[dependency].condition_dependents.append(node.index)
    output = None
    if flow.has_output:
        output = compile_value(flow.output, index_of, fallback_data=fallback, place=("output",))
    sinks = tuple(node.index for node in nodes if not node.dependents)
    return Graph(
        flow=flow,
        nodes=nodes,
        output=output,
        output_steps=output.steps if output is not None else frozenset(sinks),
        sinks=sinks,
        output_problem=output_problem,
        locate=locate,
    )
