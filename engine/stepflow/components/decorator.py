"""`@component("/user/load")`: makes a function of the user's a component."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from stepflow.components._paths import check_path
from stepflow.contracts.component import Component, ComponentContext, Function
from stepflow.model.flow import Json

MARK = "__stepflow_component__"

F = TypeVar("F", bound=Callable[..., Any])


def component(
    path: str,
    input_schema: Json = None,
    output_schema: Json = None,
    description: str | None = None,
    example: Json = None,
) -> Callable[[F], F]:
    """Offer a `def` (called in a thread) or `async def` function of `(input)` or `(input, ctx)` as component `path`.

    The function itself stays as it is. Without a `description`, the first line of its docstring is taken.
    `ValueError`: the path cannot be a user's. `TypeError`: the function takes something else.
    """
    check_path(path)

    def mark(function: F) -> F:
        made = Component(
            path=path,
            function=_with_context(function),
            mode="async" if inspect.iscoroutinefunction(function) else "sync",
            description=description or _first_line(function),
            input_schema=input_schema,
            output_schema=output_schema,
            example=example,
        )
        setattr(function, MARK, made)
        return function

    return mark


def component_of(thing: object) -> Component | None:
    """The component that `thing` was marked as."""
    made = getattr(thing, MARK, None) if inspect.isfunction(thing) else None
    return made if isinstance(made, Component) else None


def _with_context(function: Callable[..., Any]) -> Function:
    """`function` as it is called: with input and context."""
    if _asks_for_context(function):
        return function
    if inspect.iscoroutinefunction(function):

        async def call_async(value: Json, context: ComponentContext) -> Any:
            return await function(value)

        return call_async

    def call(value: Json, context: ComponentContext) -> Any:
        return function(value)

    return call


def _asks_for_context(function: Callable[..., Any]) -> bool:
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    asked = [p for p in positional if p.default is p.empty]
    others = [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if not positional or len(asked) > 2 or others:
        raise TypeError(f"{function.__name__}() must take (input) or (input, ctx) to be a component")
    return len(asked) == 2 or (len(positional) > 1 and positional[1].name in ("ctx", "context"))


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or function.__name__.replace("_", " ")).splitlines()[0]
