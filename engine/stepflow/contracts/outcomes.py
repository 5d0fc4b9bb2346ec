"""From what a component gave, or raised, to the fact about its step: the border where an exception becomes a value."""

from __future__ import annotations

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
from stepflow.errors import ComponentError, WorkflowEngineError
from stepflow.model import jsontext
from stepflow.model.flow import Json

CheckOutput = Callable[[Json], str | None]
MAX_DETAILS = 2000
"""Characters of an error's details that are not JSON."""

Ended = Succeeded | Failed | StepSkipped | Slept | Awaiting | ChildrenStarted


def children_fact(component: Component, ended: EndedChildren, check: CheckOutput | None) -> Collected:
    """What a step makes of the ends of its children."""
    then: Ended
    try:
        if component.finish is None:
            raise ComponentError(
                "INVALID_OUTPUT", f"{component.path} started children and has no `finish` for their ends"
            )
        then = outcome_fact(ended.step, ended.attempt, component.finish(ended.spec, ended.children), check)
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
    if isinstance(error, SkipStep):
        return StepSkipped(step, attempt, jsontext.storable(error.reason))
    if isinstance(error, WorkflowEngineError):
        return Failed(step, attempt, _record(error))
    message = str(error) or type(error).__name__
    details = {"type": type(error).__name__, "stack": "".join(traceback.format_exception(error)[-20:])}
    return Failed(step, attempt, {"code": "COMPONENT_FAILED", "message": message, "details": details})


def _record(error: WorkflowEngineError) -> dict[str, Any]:
    """The error as it is stored: where a component gave it details that are not JSON, with their text."""
    record = error.to_record()
    try:
        return dict(jsontext.normalise(record)[0])
    except (TypeError, ValueError, RecursionError):
        text = jsontext.storable(repr(error.details)[:MAX_DETAILS])
        return {"code": str(error.code), "message": jsontext.storable(str(error.message)), "details": {"text": text}}
