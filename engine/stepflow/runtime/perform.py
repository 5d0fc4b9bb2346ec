"""Performing one attempt of a step. It never raises: whatever happens becomes a fact.

Inline components answer at once. Others are tasks (sync ones in threads) that can be stopped; what does not end within
10 s of being told is abandoned, and its result refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stepflow.contracts.component import Component
from stepflow.contracts.outcomes import CheckOutput, call, call_async, error_fact, outcome_fact
from stepflow.core.effects import Perform
from stepflow.core.facts import Fact, Stopped
from stepflow.errors import StepTimeoutError
from stepflow.model.flow import Json, Step
from stepflow.runtime.context import Context

ABANDON_SECONDS = 10.0

CheckInput = Callable[[Component, Json], None]


class Attempt:
    """An attempt that is being performed in a task. Its fact is reported once."""

    def __init__(
        self, task: asyncio.Task[Fact], context: Context, perform: Perform, report: Callable[[Fact], None]
    ) -> None:
        self._task = task
        self._context = context
        self._perform = perform
        self._report: Callable[[Fact], None] | None = report
        task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Tell it to end. If it does not, it is abandoned, and what it says later is not heard."""
        self._context.cancelled.set()
        self._task.cancel()
        loop = asyncio.get_running_loop()
        loop.call_later(ABANDON_SECONDS, self._say, Stopped(self._perform.step, self._perform.attempt, abandoned=True))

    def _ended(self, task: asyncio.Task[Fact]) -> None:
        try:
            fact = task.result()
        except asyncio.CancelledError:  # it was told to stop before it began
            fact = Stopped(self._perform.step, self._perform.attempt)
        self._say(fact)

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
            value = context.revealed(perform.input)
            self._check_input(component, value)
            result = call(component.path, component.function, value, context)
            context.check(result)
            return context.masked(outcome_fact(perform.step, perform.attempt, result, check))
        except Exception as error:  # noqa: BLE001 - the border: an exception becomes a fact
            return context.masked(error_fact(error, perform.step, perform.attempt))

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
            value = context.revealed(perform.input)
            self._check_input(component, value)
            timeout = None if step.timeout_ms is None else step.timeout_ms / 1000
            try:
                async with asyncio.timeout(timeout) as limit:
                    result = await self._call(component, context, value)
            except TimeoutError:
                if not limit.expired():
                    raise
                assert step.timeout_ms is not None
                raise StepTimeoutError(step.key, step.timeout_ms) from None
            context.check(result)
            return context.masked(outcome_fact(perform.step, perform.attempt, result, check))
        except asyncio.CancelledError:
            return Stopped(perform.step, perform.attempt)
        except Exception as error:  # noqa: BLE001 - the border: an exception becomes a fact
            return context.masked(error_fact(error, perform.step, perform.attempt))

    async def _call(self, component: Component, context: Context, value: Json) -> Any:
        if component.mode == "async":
            return await call_async(component.path, component.function, value, context)
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads, call, component.path, component.function, value, context)
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
