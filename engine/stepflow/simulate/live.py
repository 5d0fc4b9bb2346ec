"""Outcomes for the tests of templates: mocked where a case says so, else the component really performs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from stepflow.contracts.component import Component
from stepflow.contracts.outcomes import CheckOutput, call, call_async, error_fact, outcome_fact, whole_check
from stepflow.core.facts import Failed, StepSkipped, Succeeded
from stepflow.dsl.cases import Mock
from stepflow.errors import ComponentNotFoundError, StepTimeoutError
from stepflow.model import jsontext
from stepflow.model.flow import Flow, Json
from stepflow.simulate.context import FindTemplate, Flows, SimulatedContext
from stepflow.simulate.planned import CheckInput, mock_fact, mock_for
from stepflow.simulate.simulator import Attempt, Outcome


class Secrets(Protocol):
    def reveal(self, value: Json) -> Json:
        """With the secrets in place of their marks."""

    def hide(self, value: Json) -> Json:
        """Without the secrets that were revealed."""

    def taken_out(self, value: Json) -> tuple[Json, tuple[str, ...]]:
        """As an output is kept without them, and the names of those that were in it."""


class LiveOutcomes:
    """Asked in a thread; what is performed is performed on `loop`, which must not wait for that thread."""

    def __init__(
        self,
        mocks: Mapping[str, Sequence[Mock]],
        find_component: Callable[[str], Component | None],
        check_input: CheckInput,
        find_template: FindTemplate,
        *,
        secrets: Secrets,
        base_dir: str | None,
        workspace: str | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._mocks = mocks
        self._find_component = find_component
        self._check_input = check_input
        self._flows = Flows(find_template)
        self._secrets = secrets
        self._blobs: dict[str, str] = {}
        self._base_dir = base_dir
        self._workspace = workspace
        self._loop = loop
        self._performing: concurrent.futures.Future[Any] | None = None
        self._is_stopped = False
        self.lines: list[str] = []
        """What the components logged."""

    def stop(self) -> None:
        """End what is performed; whoever asks for an outcome gets `concurrent.futures.CancelledError`."""
        self._is_stopped = True
        if self._performing is not None:
            self._performing.cancel()

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
            result = self._performed(component, attempt)
            check = whole_check(component, check, hidden=attempt.step.sensitive)
            fact = outcome_fact(attempt.index, attempt.attempt, result, check)
        except concurrent.futures.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - the border: an exception becomes a fact
            fact = error_fact(error, attempt.index, attempt.attempt)
        match fact:
            case Succeeded(step, number, output):
                kept, names = self._secrets.taken_out(output)
                if names:
                    fact = Succeeded(step, number, *jsontext.normalise(kept))
            case Failed(step, number, wrong):
                fact = Failed(step, number, self._secrets.hide(wrong))
            case StepSkipped(step, number, reason):
                fact = StepSkipped(step, number, self._secrets.hide(reason))
        return Outcome(fact, round((time.monotonic() - began) * 1000), "performed")

    def _performed(self, component: Component, attempt: Attempt) -> Any:
        value = self._secrets.reveal(attempt.input)
        self._check_input(component, value)
        self._performing = asyncio.run_coroutine_threadsafe(self._perform(component, attempt, value), self._loop)
        if self._is_stopped:
            self._performing.cancel()
        return self._performing.result()

    async def _perform(self, component: Component, attempt: Attempt, value: Json) -> Any:
        context = SimulatedContext(attempt, self._flows, self._blobs, self._log, self._base_dir, self._workspace)
        timeout_ms = attempt.step.timeout_ms
        try:
            async with asyncio.timeout(None if timeout_ms is None else timeout_ms / 1000) as limit:
                if component.mode == "async":
                    return await call_async(component.path, component.function, value, context)
                return await _in_thread(component, value, context)
        except TimeoutError:
            if timeout_ms is None or not limit.expired():
                raise
            raise StepTimeoutError(attempt.step.key, timeout_ms) from None

    def _log(self, attempt: Attempt, message: str) -> None:
        self.lines.append(f"{attempt.step.key}: {self._secrets.hide(message)}")


async def _in_thread(component: Component, value: Json, context: SimulatedContext) -> Any:
    """A thread cannot be killed: one that goes on when its time is over is left alone, and ends with the process."""
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def perform() -> None:
        future.set_running_or_notify_cancel()
        try:
            future.set_result(call(component.path, component.function, value, context))
        except BaseException as error:  # noqa: BLE001 - carried to whoever awaits it
            future.set_exception(error)

    threading.Thread(target=perform, name=f"stepflow-{context.step_id}", daemon=True).start()
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        context.cancelled.set()
        raise
