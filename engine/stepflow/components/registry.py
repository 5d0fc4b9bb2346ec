"""Which components there are: ours, and what a workspace or a program adds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from stepflow.components._failure import failure
from stepflow.components._paths import canonical, check_path
from stepflow.contracts.component import Component
from stepflow.discovery import discover
from stepflow.dsl.diagnostics import Diagnostic, did_you_mean
from stepflow.dsl.schemas import Validator, lasting_validator, problems
from stepflow.errors import ComponentError, ComponentNotFoundError
from stepflow.model.flow import Json
from stepflow.settings import read_settings

OFFERING_NOTHING = {"registry", "decorator", "workspace", "installed", "stdio"}

MAX_PROBLEMS = 5


class Registry:
    """Components by their path. `/builtins/x` is `/builtin/x`."""

    def __init__(self, components: Iterable[Component] = ()) -> None:
        self._by_path = {component.path: component for component in components}

    @classmethod
    def for_workspace(cls, workspace: Path | None, warn: Callable[[str], None]) -> Registry:
        """Ours, those of installed packages, of the workspace's `components/`, and of the programs that its
        `stepflow.toml` names. `warn` is told of everything that cannot be had, and of what those programs say later.
        `WorkflowEngineError`: that file cannot be read, which may turn some of them off."""
        from stepflow.components.installed import installed_components

        registry = builtin_registry()
        registry._add_all(*installed_components(), warn)
        if workspace is not None:
            from stepflow.components.stdio import stdio_components
            from stepflow.components.workspace import load_components

            registry._add_all(*load_components(workspace), warn)
            registry._add_all(*stdio_components(workspace, warn), warn)
            settings = read_settings(workspace)
            for trouble in settings.unknown:
                warn(trouble)
            registry = registry.without(settings.turned_off(registry.by_path))
        return registry

    def without(self, paths: Collection[str]) -> Registry:
        """What it has but for these."""
        return Registry(one for one in self if one.path not in paths)

    def _add_all(
        self, components: Iterable[Component], troubles: Iterable[Diagnostic], warn: Callable[[str], None]
    ) -> None:
        for trouble in troubles:
            warn(": ".join(filter(None, (trouble.place, trouble.path, trouble.message))))
        for component in components:
            try:
                self.register(component)
            except ValueError as error:
                warn(": ".join(filter(None, (component.origin, str(error)))))

    def get(self, path: str) -> Component:
        component = self._by_path.get(path) or self._by_path.get(canonical(path))
        if component is None:
            raise ComponentNotFoundError(path, did_you_mean(path, self._by_path))
        return component

    def __contains__(self, path: str) -> bool:
        return path in self._by_path or canonical(path) in self._by_path

    def __iter__(self) -> Iterator[Component]:
        return (self._by_path[path] for path in self.paths)

    def __len__(self) -> int:
        return len(self._by_path)

    @property
    def paths(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted(self._by_path))

    @property
    def by_path(self) -> Mapping[str, Component]:
        return self._by_path

    def register(self, component: Component, override: bool = False) -> None:
        """Add a user's component. `ValueError`: its path is ours, is taken, or is not a path."""
        check_path(component.path)
        if component.path in self._by_path and not (override or component.override):
            raise ValueError(f"There is already a component '{component.path}'; override=True takes its place")
        self._by_path[component.path] = component


def builtin_registry() -> Registry:
    """A new registry of the components that come with StepFlow."""
    return Registry(_builtin_components())


@cache
def _builtin_components() -> tuple[Component, ...]:
    return discover("stepflow.components", "COMPONENTS", Component, besides=OFFERING_NOTHING)


def check_input(component: Component, value: Json) -> None:
    """`ComponentError` INVALID_INPUT if `value` violates the component's input schema."""
    if component.input_schema is None or component.input_schema is True:
        return
    validator = _validator(component)
    if not validator.is_valid(value):
        raise _violation(component, validator, value)


def _validator(component: Component) -> Validator:
    try:
        return lasting_validator(component.input_schema)
    except ValueError as error:
        raise failure("INVALID_INPUT", f"The input schema of {component.path} is not a JSON Schema: {error}") from None


def _violation(component: Component, validator: Validator, value: Json) -> ComponentError:
    found = list(problems(validator, value, component.input_schema))
    said = [f"{path}: {message}" if path else message for path, message in found[:MAX_PROBLEMS]]
    if len(found) > MAX_PROBLEMS:
        said.append(f"and {len(found) - MAX_PROBLEMS} more")
    errors = [{"path": path, "message": message} for path, message in found[:MAX_PROBLEMS]]
    return failure("INVALID_INPUT", f"Input of {component.path}: {'; '.join(said)}", errors=errors)
