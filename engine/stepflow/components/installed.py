"""The components that installed packages offer, as entry points of the group `stepflow.components`.

Each names a component, a function marked with `@component`, a module (its marked functions), or a sequence of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from stepflow.components._offers import schema_problem
from stepflow.components._paths import check_path
from stepflow.components.decorator import component_of
from stepflow.contracts.component import Component
from stepflow.dsl.diagnostics import Diagnostic

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "stepflow.components"


def installed_components() -> tuple[list[Component], list[Diagnostic]]:
    """In order of the entry points' names, and what is wrong with those that cannot be had."""
    from importlib.metadata import entry_points

    found: dict[int, Component] = {}
    troubles: list[Diagnostic] = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        try:
            offered = list(_offered(entry.load()))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the border: whatever a package raises is told
            troubles.append(_trouble(entry, f"not available: {type(error).__name__}: {error}"))
            continue
        for made in offered:
            problem = schema_problem(made)
            if problem is not None:
                troubles.append(_trouble(entry, f"component '{made.path}' is not available: {problem}"))
            else:
                found[id(made)] = made  # also where a package and its module both name it
    return list(found.values()), troubles


def _offered(thing: Any) -> Iterator[Component]:
    """`TypeError`: it is, or holds, something else. `ValueError`: a path that is nobody's."""
    marked = component_of(thing)
    if isinstance(thing, Component):
        check_path(thing.path)
        yield thing
    elif marked is not None:
        yield marked
    elif isinstance(thing, ModuleType):
        functions = [made for made in map(component_of, vars(thing).values()) if made is not None]
        if not functions:
            raise TypeError(f"module {thing.__name__} has no function marked with @component")
        yield from functions
    elif isinstance(thing, list | tuple):
        for one in thing:
            yield from _offered(one)
    else:
        raise TypeError(
            f"a value of type {type(thing).__name__} is no component; name a component, a function marked with "
            "@component, a module of these, or a list"
        )


def _trouble(entry: EntryPoint, message: str) -> Diagnostic:
    package = f" of {entry.dist.name}" if entry.dist is not None else ""
    return Diagnostic(
        code="COMPONENT_PACKAGE",
        level="error",
        message=message,
        path=f"entry point {entry.name} = {entry.value}{package}",
        hint="ask the package's author, or uninstall it",
    )
