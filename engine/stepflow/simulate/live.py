"""Outcomes for the tests of templates: mocked where a case says so, else the component really performs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepflow.contracts.component import Component
from stepflow.contracts.outcomes import CheckOutput, error_fact, outcome_fact
from stepflow.dsl.cases import Mock
from stepflow.errors import ComponentNotFoundError
from stepflow.model.flow import Flow
from stepflow.simulate.context import FindTemplate, Flows, SimulatedContext
from stepflow.simulate.planned import CheckInput, mock_fact, mock_for
from stepflow.simulate.simulator import Attempt, Outcome


class LiveOutcomes:
    """Used as a context manager: it has an event loop of its own."""

    def __init__(
        self,
        mocks: Mapping[str, Sequence[Mock]],
        find_component: Callable[[str], Component | None],
        check_input: CheckInput,
        find_template: FindTemplate,
        *,
        base_dir: str | None,
        workspace: str | None,
    ) -> None:
        self._mocks = mocks
        self._find_component = find_component
        self._check_input = check_input
        self._flows = Flows(find_template)
        self._blobs: dict[str, str] = {}
        self._base_dir = base_dir
        self._workspace = workspace
        self._runner = asyncio.Runner()
        self.lines: list[str] = []
        """What the components logged."""

    def __enter__(self) -> LiveOutcomes:
        self._runner.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._runner.close()

    def component(self, path: str) -> Component | None:
        return self._find_component(path)

    def flow(self, number: int) -> Flow:
        return self._flows[number]

    def outcome(self, attempt: Attempt, check: CheckOutput | None) -> Outcome:
        mock = mock_for(self._mocks, attempt)
        if mock is not None:
            return Outcome(mock_fact(attempt, mock, check), source="mock")
        began = time.monotonic()
        try:
            component = self._find_component(attempt.step.component)
            if component is None:
                raise ComponentNotFoundError(attempt.step.component)
            self._check_input(component, attempt.input)
            result = self._runner.run(self._perform(component, attempt))
            fact = outcome_fact(attempt.index, attempt.attempt, result, check)
        except Exception as error:  # noqa: BLE001 - the border: an exception becomes a fact
            fact = error_fact(error, attempt.index, attempt.attempt)
        return Outcome(fact, round((time.monotonic() - began) * 1000), "performed")

    async def _perform(self, component: Component, attempt: Attempt) -> Any:
        context = SimulatedContext(
            attempt,
            self._flows,
            self._blobs,
            lambda one, message: self.lines.append(f"{one.step.key}: {message}"),
            self._base_dir,
            self._workspace,
        )
        timeout = None if attempt.step.timeout_ms is None else attempt.step.timeout_ms / 1000
        async with asyncio.timeout(timeout):
            if component.mode == "async":
                return await component.function(attempt.input, context)
            return await asyncio.to_thread(component.function, attempt.input, context)
