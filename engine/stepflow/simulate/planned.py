"""Outcomes without side effects: told, mocked, computed where that needs nothing from outside, remembered, or made up.

Failures asked for beat mocks, which beat the step's `simulate:`, which beats what a pure component computes, which
beats the last successful execution, which beats the component's example, which beats a value of the output's schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from stepflow.contracts.component import Component
from stepflow.contracts.outcomes import CheckOutput, Ended, call, error_fact, outcome_fact, whole_check
from stepflow.core.facts import Awaiting, ChildrenStarted, Failed, Slept, StepSkipped
from stepflow.core.secrets import mask
from stepflow.dsl.cases import Mock, error_record
from stepflow.errors import WorkflowEngineError
from stepflow.model.flow import Flow, Json
from stepflow.model.stats import percentile_ms
from stepflow.model.times import parse_duration
from stepflow.simulate.context import FindTemplate, Flows, SimulatedContext
from stepflow.simulate.example import example_of
from stepflow.simulate.simulator import Attempt, Outcome

CheckInput = Callable[[Component, Json], None]


class History(msgspec.Struct, frozen=True):
    """What earlier executions of a template tell."""

    durations_ms: Mapping[str, Sequence[int]] = {}
    """By step, of completed attempts."""
    outputs: Mapping[str, Json] = {}
    """By step, of the last completed execution."""
    executions: int = 0


class Plan(msgspec.Struct, frozen=True):
    """What a simulation is told."""

    fail: Mapping[str, str] = {}
    """Codes of the errors that steps are to fail with, in every attempt."""
    mocks: Mapping[str, Sequence[Mock]] = {}
    """By step or component: one for each attempt, the last for all that follow."""
    history: History = History()
    use_outputs: bool = False
    """Outputs of the last completed execution are taken."""
    percentile: float = 0.5
    """Of the durations that history tells."""


class PlannedOutcomes:
    def __init__(
        self,
        plan: Plan,
        find_component: Callable[[str], Component | None],
        check_input: CheckInput,
        find_template: FindTemplate,
    ) -> None:
        self._plan = plan
        self._find_component = find_component
        self._check_input = check_input
        self._flows = Flows(find_template)
        self._blobs: dict[str, str] = {}

    def component(self, path: str) -> Component | None:
        return self._find_component(path)

    def flow(self, number: int) -> Flow:
        return self._flows[number]

    def outcome(self, attempt: Attempt, check: CheckOutput | None) -> Outcome:
        outcome = self._outcome(attempt, check)
        given = (attempt.step.simulate or {}).get("duration")
        if given is not None and isinstance(outcome.fact, Slept):
            until = attempt.now + parse_duration(given)
            return msgspec.structs.replace(outcome, fact=msgspec.structs.replace(outcome.fact, until=until))
        return msgspec.structs.replace(outcome, duration_ms=self._duration_ms(attempt))

    def _outcome(self, attempt: Attempt, check: CheckOutput | None) -> Outcome:
        step = attempt.step
        told = self._told(attempt)
        if told is not None:
            mock, source = told
            return Outcome(mock_fact(attempt, mock, check), source=source)
        component = self._find_component(step.component)
        if component is not None and (component.pure or component.finish is not None):
            computed = self._computed(component, attempt, check)
            if computed is not None:
                return computed
        if self._plan.use_outputs and attempt.depth == 0 and step.key in self._plan.history.outputs:
            return Outcome(_given(attempt, self._plan.history.outputs[step.key], check), source="history")
        if component is not None and isinstance(component.example, dict) and "output" in component.example:
            return Outcome(_given(attempt, component.example["output"], check), source="example")
        schema = step.output_schema
        if schema is None and component is not None:
            schema = component.output_schema
        if schema is None and component is None:
            return Outcome(_given(attempt, None, check), source="nothing known")
        return Outcome(_given(attempt, example_of(schema), check), source="schema")

    def _told(self, attempt: Attempt) -> tuple[Mock, str] | None:
        step = attempt.step
        if attempt.depth == 0 and step.key in self._plan.fail:
            error = {"code": self._plan.fail[step.key], "message": "told to fail"}
            return Mock(error=error), "told to fail"
        mock = mock_for(self._plan.mocks, attempt)
        if mock is not None:
            return mock, "mock"
        given: dict[str, Any] = step.simulate or {}
        if given.get("error") is not None:
            return Mock(error=error_record(given["error"], "SIMULATED", "simulated")), "simulate"
        if "output" in given:
            return Mock(output=given["output"]), "simulate"
        return None

    def _computed(self, component: Component, attempt: Attempt, check: CheckOutput | None) -> Outcome | None:
        """None: nobody outside would answer."""
        context = SimulatedContext(attempt, self._flows, self._blobs, lambda one, message: None)
        try:
            value = mask(attempt.input)  # secrets are not read
            self._check_input(component, value)
            result = call(component.path, component.function, value, context)
            if component.mode == "async":
                result = _without_waiting(result)
            check = whole_check(component, check, hidden=attempt.step.sensitive)
            fact = outcome_fact(attempt.index, attempt.attempt, result, check)
            if isinstance(fact, Awaiting):
                return Outcome(fact, source="assumed", is_answered=True)
            return Outcome(fact, source="children" if isinstance(fact, ChildrenStarted) else "computed")
        except Exception as error:  # noqa: BLE001 - the border: an exception becomes a fact
            return Outcome(error_fact(error, attempt.index, attempt.attempt), source="computed")

    def _duration_ms(self, attempt: Attempt) -> int:
        given = (attempt.step.simulate or {}).get("duration")
        if given is not None:
            return parse_duration(given)
        known = self._plan.history.durations_ms.get(attempt.step.key) if attempt.depth == 0 else None
        return percentile_ms(known or (), self._plan.percentile) or 0


def mock_for(mocks: Mapping[str, Sequence[Mock]], attempt: Attempt) -> Mock | None:
    """By its step, at the top, else by its component, anywhere."""
    keys = (attempt.step.key, attempt.step.component) if attempt.depth == 0 else (attempt.step.component,)
    for key in keys:
        listed = mocks.get(key)
        if listed:
            return listed[min(attempt.attempt, len(listed)) - 1]
    return None


def mock_fact(attempt: Attempt, mock: Mock, check: CheckOutput | None) -> Ended:
    if mock.error is not None:
        return Failed(attempt.index, attempt.attempt, mock.error)
    if mock.skip is not None:
        return StepSkipped(attempt.index, attempt.attempt, mock.skip)
    return _given(attempt, mock.output, check)


def _given(attempt: Attempt, value: Json, check: CheckOutput | None) -> Ended:
    return outcome_fact(attempt.index, attempt.attempt, value, check)


def _without_waiting(doing: Any) -> Any:
    """The result of a coroutine that never waits."""
    try:
        doing.send(None)
    except StopIteration as stop:
        return stop.value
    doing.close()
    raise WorkflowEngineError("SIMULATION", "A pure component must not wait")
