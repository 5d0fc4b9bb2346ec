"""From what a component gave, or raised, to the fact about its step: the border where an exception becomes a value."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

from stepflow.contracts.component import AwaitChildren, AwaitEvent, Component, SkipStep, SleepUntil
from stepflow.contracts.storage import EndedChildren
from stepflow.core.facts import (
    Awaiting,
    Children,
    ChildrenStarted,
    Collected,
    Failed,
    Slept,
    StepSkipped,
    Succeeded,
)
from stepflow.dsl.schemas import output_check
from stepflow.errors import ComponentError, WorkflowEngineError
from stepflow.model import jsontext
from stepflow.model.flow import Json

CheckOutput = Callable[[Json], str | None]
MAX_DETAILS = 2000
"""Characters of an error's details that are not JSON."""

Ended = Succeeded | Failed | StepSkipped | Slept | Awaiting | ChildrenStarted


def call(path: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of component `path` gives. It raises nothing that would end more than its step."""
    try:
        return function(*arguments)
    except BaseException as error:
        _refuse_fatal(path, error)
        raise


async def call_async(path: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """As `call`, of a coroutine function; `CancelledError` where its task was cancelled."""
    try:
        return await function(*arguments)
    except BaseException as error:
        if not (isinstance(error, asyncio.CancelledError) and _is_cancelled()):
            _refuse_fatal(path, error)
        raise


def _is_cancelled() -> bool:
    """Or else the component only lets through that something it waited for was."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _refuse_fatal(path: str, error: BaseException) -> None:
    """`SystemExit` and its like would end the worker with all its runs, `CancelledError` would look as if the attempt
    had been stopped, and a `StopIteration` (`next()` on what is empty) is carried by no future."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return
    name = type(error).__name__
    how = f"called sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"raised {name}"
    failed = ComponentError("COMPONENT_FAILED", f"{path} {how}")
    failed.details.update(_details(error))
    raise failed from error


def whole_check(component: Component, of_step: CheckOutput | None, *, hidden: bool = False) -> CheckOutput | None:
    """Of what a component gives in a step: by its own schema, then by the step's. `hidden`: the output is not quoted
    in what is said of it."""
    if component.output_schema is None or component.output_schema is True:
        return of_step
    of_component = output_check(component.output_schema, f"The output of {component.path}", hidden=hidden)
    if of_step is None:
        return of_component

    def check(value: Json) -> str | None:
        problem = of_component(value)
        return of_step(value) if problem is None else problem

    return check


def children_fact(component: Component, ended: EndedChildren, check: CheckOutput | None) -> Collected:
    """What a step makes of the ends of its children."""
    then: Ended
    try:
        if component.finish is None:
            raise ComponentError(
                "INVALID_OUTPUT", f"{component.path} started children and has no `finish` for their ends"
            )
        output = call(component.path, component.finish, ended.spec, ended.children)
        then = outcome_fact(ended.step, ended.attempt, output, check)
    except Exception as error:  # noqa: BLE001 - the border: an exception becomes a fact
        then = error_fact(error, ended.step, ended.attempt)
    if isinstance(then, Slept | Awaiting):
        message = f"{component.path} waited for something else when its children had ended"
        then = Failed(ended.step, ended.attempt, {"code": "INVALID_OUTPUT", "message": message})
    return Collected(ended.group, then)


def outcome_fact(step: int, attempt: int, result: Any, check: CheckOutput | None) -> Ended:
    if isinstance(result, SleepUntil):
        return Slept(step, attempt, result.instant)
    if isinstance(result, AwaitEvent):
        return Awaiting(step, attempt, result.name, result.until, result.message)
    try:
        if isinstance(result, AwaitChildren):
            return ChildrenStarted(step, attempt, _children(result))
        value, text = jsontext.normalise(result)
    except (TypeError, ValueError, RecursionError) as error:
        return Failed(step, attempt, {"code": "INVALID_OUTPUT", "message": f"The output is not JSON: {error}"})
    if len(text) > jsontext.MAX_CHARACTERS:
        message = f"The output is {jsontext.too_long(len(text))}"
        return Failed(step, attempt, {"code": "INVALID_OUTPUT", "message": message})
    problem = None if check is None else check(value)
    if problem is not None:
        return Failed(step, attempt, {"code": "INVALID_OUTPUT", "message": problem})
    return Succeeded(step, attempt, value, text)


def _children(wanted: AwaitChildren) -> Children:
    return Children(
        template_version=wanted.flow.id,
        kind=wanted.flow.kind,
        step_count=wanted.flow.step_count,
        inputs=tuple(jsontext.encode(one) for one in wanted.inputs),
        max_concurrency=wanted.max_concurrency,
        spec=wanted.spec,
        tolerated_failures=wanted.tolerated_failures,
    )


def error_fact(error: Exception, step: int, attempt: int) -> StepSkipped | Failed:
    try:
        return _told(error, step, attempt)
    except Exception:  # noqa: BLE001 - an error that cannot even be told must not hang its step
        return Failed(step, attempt, {"code": "COMPONENT_FAILED", "message": type(error).__name__})


def _told(error: Exception, step: int, attempt: int) -> StepSkipped | Failed:
    if isinstance(error, SkipStep):
        return StepSkipped(step, attempt, jsontext.storable(error.reason))
    if isinstance(error, WorkflowEngineError):
        return Failed(step, attempt, _record(error))
    return Failed(step, attempt, {"code": "COMPONENT_FAILED", "message": _said(error), "details": _details(error)})


def _said(error: Exception) -> str:
    """Its message; of a `KeyError` that is a key and nothing more."""
    name, text = type(error).__name__, str(error)
    return f"{name}: {text}" if text and isinstance(error, KeyError) else text or name


def _details(error: BaseException) -> dict[str, Any]:
    return {"type": type(error).__name__, "stack": "".join(traceback.format_exception(error)[-20:])}


def _record(error: WorkflowEngineError) -> dict[str, Any]:
    """The error as it is stored: where a component gave it details that are not JSON, with their text."""
    record = error.to_record()
    try:
        return dict(jsontext.normalise(record)[0])
    except (TypeError, ValueError, RecursionError):
        text = jsontext.storable(_described(error.details)[:MAX_DETAILS])
        return {"code": str(error.code), "message": jsontext.storable(str(error.message)), "details": {"text": text}}


def _described(details: dict[str, Any]) -> str:
    try:
        return repr(details)
    except RecursionError:
        return "nested too deep to be shown"
