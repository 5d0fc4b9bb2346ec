"""A simulation as people and programs read it: path, skipped steps, output, predicted durations, critical path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from stepflow.contracts.component import Component
from stepflow.model.flow import Flow, Json
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.simulate.context import FindTemplate
from stepflow.simulate.planned import CheckInput, Plan, PlannedOutcomes
from stepflow.simulate.simulator import Bar, Simulated, simulate

SLOW = 0.95


class Prediction(msgspec.Struct, frozen=True):
    median_ms: int
    p95_ms: int
    critical_path: tuple[str, ...]
    """The steps that the end waited for, one after the other."""
    executions: int
    """Of history that it was made from."""
    slow_ms: Mapping[str, int] = {}
    """By step, how long it takes when everything takes as long as at p95."""


class Simulation(msgspec.Struct, frozen=True):
    success: bool
    """The execution would be completed."""
    status: RunStatus
    duration_ms: int
    path: tuple[str, ...]
    """What ran, in order of start."""
    skipped: Mapping[str, str]
    """Reasons, by step."""
    output: Json
    output_skipped: bool
    error: dict[str, Any] | None
    predicted: Prediction
    steps: tuple[Bar, ...]
    """All of the flow, in its order."""

    @property
    def step_count(self) -> int:
        """How many ran."""
        return len(self.path)


def make_simulation(
    flow: Flow,
    value: Json,
    plan: Plan,
    *,
    variables: Mapping[str, Json] | None,
    find_component: Callable[[str], Component | None],
    check_input: CheckInput,
    find_template: FindTemplate,
    begin: int,
) -> Simulation:
    def once(what: Plan) -> Simulated:
        outcomes = PlannedOutcomes(what, find_component, check_input, find_template)
        return simulate(flow, value, outcomes, variables=variables, begin=begin)

    run = once(plan)
    slow = once(msgspec.structs.replace(plan, percentile=SLOW)) if plan.history.durations_ms else run
    prediction = Prediction(
        run.duration_ms,
        slow.duration_ms,
        tuple(run.critical_path),
        plan.history.executions,
        {bar.key: took for bar in slow.steps.values() if (took := bar.took_ms) is not None},
    )
    return Simulation(
        success=run.status is RunStatus.COMPLETED,
        status=run.status,
        duration_ms=run.duration_ms,
        path=tuple(run.path),
        skipped={bar.key: bar.reason or "" for bar in run.steps.values() if bar.status is StepStatus.SKIPPED},
        output=run.output,
        output_skipped=run.output_skipped,
        error=run.error,
        predicted=prediction,
        steps=tuple(run.steps.values()),
    )
