"""Performing one attempt of a step. It never raises: whatever happens becomes a fact.

Inline components answer at once. Others are tasks (sync ones in threads) that can be stopped; what does not end within
10 s of being told is abandoned, and its result refused.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stepflow.contracts.component import Component, SkipStep, SleepUntil
from stepflow.core.decide import Perform
from stepflow.core.facts import Fact, Failed, Slept, StepSkipped, Stopped, Succeeded
from stepflow.errors import StepTimeoutError, WorkflowEngineError
from stepflow.model import jsontext
from stepflow.model.flow import Json, Step
from stepflow.runtime.context import Context

ABANDON_SECONDS = 10.0

CheckInput = Callable[[Component, Json], None]
CheckOutput = Callable[[Json], str | None]


class Attempt:
    """An attempt that is being performed in a task. Its fact is reported once."""

    def __init__(
        self, task: asyncio.Task[Fact], context: Context, perform: Perform, report: Callable[[Fact], None]
    ) -> None:
        self._task = task
        self._context = context
        self._perform = perform
        self._report: Callable[[Fact], None] | None = report
        task.add_done_callback(lambda ended: self._say(ended.result()))

    def stop(self) -> None:
        """Tell it to end. If it does not, it is abandoned, and what it says later is not heard."""
        self._context.cancelled.set()
        self._task.cancel()
        loop = asyncio.get_running_loop()
        loop.call_later(ABANDON_SECONDS, self._say, Stopped(self._perform.step, self._perform.attempt, abandoned=True))

    def _say(self, fact: Fact) -> None:
        report, self._report = self._report, None
        if report is not None:
            report(fact)


class Performer:
    def __init__(self, check_input: CheckInput, threads: int) -> None:
        self._check_input = check_input
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="stepflow-step")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def perform_inline(
        self, component: Component, context: Context, perform: Perform, check: CheckOutput | None
    ) -> Fact:
        """The fact of an instant component."""
        try:
            self._check_input(component, perform.input)
            return _succeeded(perform, component.function(perform.input, context), check)
        except Exception as error:  # noqa: BLE001 - the border: an exception becomes a fact
            return _fact_of(error, perform)

    def start(
        self,
        component: Component,
        context: Context,
        perform: Perform,
        step: Step,
        check: CheckOutput | None,
        report: Callable[[Fact], None],
    ) -> Attempt:
        """Perform it in a task; `report` gets its fact on the loop."""
        task = asyncio.get_running_loop().create_task(
            self._perform(component, context, perform, step, check), name=f"{context.run_id}/{context.step_id}"
        )
        return Attempt(task, context, perform, report)

    async def _perform(
        self, component: Component, context: Context, perform: Perform, step: Step, check: CheckOutput | None
    ) -> Fact:
        try:
            self._check_input(component, perform.input)
            timeout = None if step.timeout_ms is None else step.timeout_ms / 1000
            try:
                async with asyncio.timeout(timeout) as limit:
                    result = await self._call(component, context, perform.input)
            except TimeoutError:
                if not limit.expired():
                    raise
                assert step.timeout_ms is not None
                raise StepTimeoutError(step.key, step.timeout_ms) from None
            return _succeeded(perform, result, check)
        except asyncio.CancelledError:
            return Stopped(perform.step, perform.attempt)
        except Exception as error:  # noqa: BLE001 - the border: an exception becomes a fact
            return _fact_of(error, perform)

    async def _call(self, component: Component, context: Context, value: Json) -> Any:
        if component.mode == "async":
            return await component.function(value, context)
        future = asyncio.get_running_loop().run_in_executor(self._threads, component.function, value, context)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            context.cancelled.set()
            if future.cancel():
                raise  # it had not begun
            # A thread cannot be killed: it sees `cancelled`, or it is abandoned and its result refused.
            future.add_done_callback(lambda late: late.cancelled() or late.exception())
            await asyncio.wait([future], timeout=ABANDON_SECONDS)
            raise


def _succeeded(perform: Perform, result: Any, check: CheckOutput | None) -> Fact:
    if isinstance(result, SleepUntil):
        return Slept(perform.step, perform.attempt, result.instant)
    try:
        value, text = jsontext.normalise(result)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"The output is not JSON: {error}"
        return Failed(perform.step, perform.attempt, {"code": "INVALID_OUTPUT", "message": message})
    if check is not None:
        problem = check(value)
        if problem is not None:
            return Failed(perform.step, perform.attempt, {"code": "INVALID_OUTPUT", "message": problem})
    return Succeeded(perform.step, perform.attempt, value, text)


def _fact_of(error: Exception, perform: Perform) -> Fact:
    if isinstance(error, SkipStep):
        return StepSkipped(perform.step, perform.attempt, jsontext.storable(error.reason))
    if isinstance(error, WorkflowEngineError):
        return Failed(perform.step, perform.attempt, error.to_record())
    message = str(error) or type(error).__name__
    details = {"type": type(error).__name__, "stack": "".join(traceback.format_exception(error)[-20:])}
    return Failed(perform.step, perform.attempt, {"code": "COMPONENT_FAILED", "message": message, "details": details})
