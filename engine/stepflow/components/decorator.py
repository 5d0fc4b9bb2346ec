"""`@component("/user/load")`: makes a function of the user's a component."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from stepflow.components._parameters import Parameters, read_parameters
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
    override: bool = False,
) -> Callable[[F], F]:
    """Offer a `def` (called in a thread) or `async def` function as component `path`.

    It takes `(input)` or `(input, ctx)`, with the input as it is; or parameters that are named and annotated, like
    `(user_id: str, limit: int = 10)`; or one annotated with a dataclass, msgspec struct, TypedDict or pydantic model,
    which is made from the input. A parameter named `ctx` or `context` gets the context (`ComponentContext`).

    The function itself stays as it is. Without a `description`, the first line of its docstring is taken; without an
    `input_schema`, what its annotations say. An output that violates `output_schema` fails the step. With `override` it
    takes the place of a component that has the path already (not of `/builtin/…`). `ValueError`: the path cannot be a
    user's. `TypeError`: the function takes something else.
    """
    check_path(path)

    def mark(function: F) -> F:
        parameters = read_parameters(function, path)
        made = Component(
            path=path,
            function=_called_with(function, parameters),
            mode="async" if inspect.iscoroutinefunction(function) else "sync",
            description=description or _first_line(function),
            input_schema=parameters.schema if input_schema is None else input_schema,
            output_schema=output_schema,
            example=example,
            override=override,
            origin=_origin(function),
        )
        setattr(function, MARK, made)
        return function

    return mark


def component_of(thing: object) -> Component | None:
    """The component that `thing` was marked as."""
    made = getattr(thing, MARK, None) if inspect.isfunction(thing) else None
    return made if isinstance(made, Component) else None


def _called_with(function: Callable[..., Any], parameters: Parameters) -> Function:
    """`function` as it is called: with input and context."""
    if inspect.iscoroutinefunction(function):

        async def call_async(value: Json, context: ComponentContext) -> Any:
            positional, named = parameters.arguments(value, context)
            return await function(*positional, **named)

        return call_async

    def call(value: Json, context: ComponentContext) -> Any:
        positional, named = parameters.arguments(value, context)
        return function(*positional, **named)

    return call


def _origin(function: Callable[..., Any]) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or function.__name__.replace("_", " ")).splitlines()[0]
