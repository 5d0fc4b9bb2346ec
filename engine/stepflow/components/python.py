"""`/python/call`: a function of the user's, found by `module:name` beside the template or in an installed package."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from stepflow.components._failure import failure, invalid_input
from stepflow.components._imports import ModuleHiddenError, import_module, place_of
from stepflow.components._places import roots
from stepflow.contracts.component import Component, ComponentContext
from stepflow.dsl.diagnostics import did_you_mean
from stepflow.model import jsontext
from stepflow.model.flow import Json

CANCEL_POLL_SECONDS = 0.05

_functions: dict[tuple[str, tuple[Path, ...]], Callable[..., Any]] = {}


def call(value: dict[str, Any], context: ComponentContext) -> Json:
    """Runs in a thread, also an `async def`, in a loop of its own: what blocks in it does not stop the worker."""
    name = value["function"]
    args, kwargs = value.get("args") or [], value.get("kwargs") or {}
    function = _function(name, tuple(roots(context)))
    _check_arguments(name, function, args, kwargs)
    try:
        result = function(*args, **kwargs)
        if inspect.iscoroutine(result):
            result = _run_to_its_end(result, context)
    except SystemExit as error:
        raise failure("COMPONENT_FAILED", f"{name} called sys.exit({error.code!r})") from error
    try:
        return jsontext.normalise(result)[0]
    except (TypeError, ValueError, RecursionError) as error:
        raise failure("INVALID_OUTPUT", f"What {name} returned is not JSON: {error}") from None


def _function(name: str, folders: tuple[Path, ...]) -> Callable[..., Any]:
    function = _functions.get((name, folders))
    if function is None:
        function = _functions[name, folders] = _found(name, folders)
    return function


def _found(name: str, folders: tuple[Path, ...]) -> Callable[..., Any]:
    module_name, _, attributes = name.partition(":")
    looked = ", ".join(map(str, folders)) or "the installed packages alone: this template has no folder"
    try:
        found: Any = import_module(module_name, folders)
    except ModuleHiddenError as error:
        raise failure("FUNCTION_NOT_FOUND", str(error)) from None
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise _import_failure(module_name, error, folders) from error
        raise failure(
            "FUNCTION_NOT_FOUND", f"There is no module '{error.name}' for {name}; looked in {looked}"
        ) from None
    except (Exception, SystemExit) as error:
        raise _import_failure(module_name, error, folders) from error
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            hint = did_you_mean(attribute, [known for known in dir(found) if not known.startswith("_")])
            raise failure("FUNCTION_NOT_FOUND", f"There is no '{attribute}' in '{module_name}'{hint}")
        found = getattr(found, attribute)
    if not callable(found):
        raise failure("FUNCTION_NOT_FOUND", f"{name} is a {type(found).__name__}, not a function")
    function: Callable[..., Any] = found
    return function


def _import_failure(module: str, error: BaseException, folders: tuple[Path, ...]) -> Exception:
    file, line = place_of(error, folders)
    where = f" ({file}:{line})" if file else ""
    said = error.msg if isinstance(error, SyntaxError) else error
    return failure("IMPORT_FAILED", f"'{module}' could not be imported: {type(error).__name__}: {said}{where}")


def _check_arguments(name: str, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # some functions written in C do not say
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise invalid_input(f"{name}{signature}: {error}") from None


def _run_to_its_end(coroutine: Coroutine[Any, Any, Any], context: ComponentContext) -> Any:
    import asyncio

    async def watched() -> Any:
        task = asyncio.ensure_future(coroutine)
        while not task.done():
            await asyncio.wait([task], timeout=CANCEL_POLL_SECONDS)
            if context.cancelled.is_set():
                task.cancel()
        if task.cancelled():
            raise failure("COMPONENT_FAILED", "The function was stopped before it ended")
        return task.result()

    return asyncio.run(watched())


COMPONENTS: tuple[Component, ...] = (
    Component(
        path="/python/call",
        function=call,
        mode="sync",
        description="Calls a Python function, given as module:name",
        input_schema={
            "type": "object",
            "required": ["function"],
            "additionalProperties": False,
            "properties": {
                "function": {
                    "type": "string",
                    "pattern": r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$",
                    "description": "module:name, in a file beside the template, in the workspace, or installed",
                },
                "args": {"type": ["array", "null"]},
                "kwargs": {"type": ["object", "null"]},
            },
        },
        output_schema=True,
        example={"input": {"function": "statistics:median", "args": [[3, 1, 2]]}, "output": 2},
    ),
)
