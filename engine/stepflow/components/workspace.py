"""The components of a workspace: the functions in its `components/*.py` that are marked with `@component`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from stepflow.components._imports import importing_from, place_of
from stepflow.components._offers import schema_problem
from stepflow.components.decorator import component_of
from stepflow.contracts.component import Component
from stepflow.dsl.diagnostics import Diagnostic

FOLDER = "components"


def load_components(workspace: Path) -> tuple[list[Component], list[Diagnostic]]:
    """What the workspace offers, in order of its files, and what is wrong with files that could not be imported.

    Files whose name begins with `_` are for the others to import (`from components._shared import …`).
    """
    components: list[Component] = []
    troubles: list[Diagnostic] = []
    workspace = workspace.resolve()
    for file in sorted((workspace / FOLDER).glob("*.py")):
        if file.name.startswith("_"):
            continue
        try:
            module = _imported(file, workspace)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the border: whatever a user's file raises is told
            troubles.append(_import_trouble(file, workspace, error))
            continue
        for made, line in _offered(module):
            problem = schema_problem(made)
            if problem is None:
                components.append(made)
            else:
                troubles.append(_trouble(f"component '{made.path}' is not available: {problem}", file, line))
    return components, troubles


def _imported(file: Path, workspace: Path) -> ModuleType:
    name = f"{FOLDER}.{file.stem}"
    with importing_from([workspace]):
        imported = sys.modules.get(name)
        if imported is not None and imported.__file__ == str(file):
            return imported  # by a file that came before
        specification = importlib.util.spec_from_file_location(name, file)
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        sys.modules[name] = module
        try:
            specification.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return module


def _offered(module: ModuleType) -> list[tuple[Component, int]]:
    """The components that were written in this file, with their lines; not those it imported from another."""
    found: dict[int, tuple[Component, int]] = {}
    for thing in vars(module).values():
        made = component_of(thing)
        if made is not None and thing.__module__ == module.__name__:
            found[id(made)] = made, thing.__code__.co_firstlineno
    return list(found.values())


def _import_trouble(file: Path, workspace: Path, error: BaseException) -> Diagnostic:
    said = str(error.msg if isinstance(error, SyntaxError) else error)
    where, line = place_of(error, [workspace])
    message = f"components of {file.name} are not available: {type(error).__name__}: {said}"
    return _trouble(message, Path(where) if where else file, line)


def _trouble(message: str, file: Path, line: int) -> Diagnostic:
    return Diagnostic(
        code="COMPONENT_FILE",
        level="error",
        message=message,
        file=str(file),
        line=line,
        column=1 if line else 0,
        hint="correct the file, then start the worker again",
    )
