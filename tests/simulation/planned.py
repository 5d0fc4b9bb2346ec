"""Components that give what is planned: for a worker, where they answer at once, later or from a thread, and for a
simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stepflow.components.registry import Registry, builtin_registry
from stepflow.contracts.component import Component, ComponentContext, SkipStep
from stepflow.dsl.cases import Mock
from stepflow.errors import ComponentError
from stepflow.model.flow import Flow
from tests.simulation.flows import AT_ONCE, HANGS, IN_A_THREAD, LATER

Json = Any
Function = Callable[[Json, ComponentContext], Any]


def give(value: Json, context: ComponentContext) -> Json:
    """What the plan has for this attempt."""
    plan = context.metadata["plan"]
    one = plan[min(context.attempt, len(plan)) - 1]
    if "error" in one:
        raise ComponentError(one["error"]["code"], one["error"]["message"])
    if "skip" in one:
        raise SkipStep(one["skip"])
    return one["output"]


async def give_later(value: Json, context: ComponentContext) -> Json:
    for _ in range(len(context.step_id) + context.attempt):
        await asyncio.sleep(0)
    return give(value, context)


async def hang(value: Json, context: ComponentContext) -> Json:
    await asyncio.Event().wait()


def registry_for_workers() -> Registry:
    registry = builtin_registry()
    registry.register(Component(AT_ONCE, give, "inline", "Gives what is planned"))
    registry.register(Component(LATER, give_later, "async", "Gives it later"))
    registry.register(Component(IN_A_THREAD, give, "sync", "Gives it from a thread"))
    registry.register(Component(HANGS, hang, "async", "Never ends by itself"))
    return registry


def registry_for_simulations() -> Registry:
    """All at once: a simulation computes what is inside children, and is told how long it takes."""
    registry = builtin_registry()
    for path in (AT_ONCE, LATER, IN_A_THREAD):
        registry.register(Component(path, give, "inline", "Gives what is planned", pure=True))
    registry.register(Component(HANGS, lambda value, context: None, "inline", "Takes as long as is said", pure=True))
    return registry


def mocks_of(flow: Flow) -> Mapping[str, Sequence[Mock]]:
    """The plans of its steps, as a simulation is told of them."""
    return {
        step.key: [
            Mock(output=one.get("output"), error=one.get("error"), skip=one.get("skip"))
            for one in step.metadata["plan"]
        ]
        for step in flow.steps
        if "plan" in step.metadata
    }
