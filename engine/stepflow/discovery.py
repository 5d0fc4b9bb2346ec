"""Finds the things a package offers: adding a file adds the thing.

Each module of the package says what it offers in one constant. A module that forgets it is a defect and fails at load;
sub-packages and modules whose name begins with `_` offer nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection
from typing import TypeVar

Thing = TypeVar("Thing")


class ForgottenConstantError(Exception):
    """A module in a folder of things does not say what it offers: a defect of that module."""


def discover(package: str, constant: str, kind: type[Thing], *, besides: Collection[str] = ()) -> tuple[Thing, ...]:
    """What the modules of `package` offer in `constant`, a tuple of `kind` each, in order of the modules' names.

    `besides` names the modules of the package that are not asked. Every other module is imported, so what is heavy to
    import belongs inside their functions.
    """
    folders = importlib.import_module(package).__path__
    found: list[Thing] = []
    for module in sorted(pkgutil.iter_modules(folders), key=lambda module: module.name):
        if not module.ispkg and not module.name.startswith("_") and module.name not in besides:
            found.extend(_offered(f"{package}.{module.name}", constant, kind))
    return tuple(found)


def _offered(name: str, constant: str, kind: type[Thing]) -> tuple[Thing, ...]:
    module = importlib.import_module(name)
    offered = getattr(module, constant, None)
    if not isinstance(offered, tuple) or not all(isinstance(thing, kind) for thing in offered):
        what = "defines no" if offered is None else "has something else as its"
        raise ForgottenConstantError(
            f"{module.__file__} {what} {constant}: a module of {name.rpartition('.')[0]} says what it offers as "
            f"`{constant}: tuple[{kind.__name__}, ...]`; one that offers nothing begins with an underscore"
        )
    return offered
