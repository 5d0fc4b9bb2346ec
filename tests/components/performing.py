"""Performing one of our components as the engine does: its input is judged before, and what it gives after."""

from __future__ import annotations

import inspect
from typing import Any

from stepflow.components.registry import builtin_registry, check_input
from stepflow.contracts.component import AwaitChildren, AwaitEvent, ComponentContext, SleepUntil
from stepflow.contracts.outcomes import whole_check
from stepflow.model import jsontext

REGISTRY = builtin_registry()


def perform(path: str, value: Any, context: ComponentContext) -> Any:
    """Its output; awaitable where the component is."""
    component = REGISTRY.get(path)
    check_input(component, value)
    given = component.function(value, context)
    return _awaited(path, given) if inspect.iscoroutine(given) else judged(path, given)


async def _awaited(path: str, given: Any) -> Any:
    return judged(path, await given)


def judged(path: str, output: Any) -> Any:
    check = whole_check(REGISTRY.get(path), None)
    if check is not None and not isinstance(output, AwaitChildren | AwaitEvent | SleepUntil):
        assert check(jsontext.normalise(output)[0]) is None
    return output
