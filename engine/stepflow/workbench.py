"""What can be done with a template without performing it: validate, lint, fix, simulate, and run its tests.

No storage is needed. Components of the workspace are loaded when a template names one that is not ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stepflow.components.registry import Registry, builtin_registry, check_input
from stepflow.contracts.component import Component
from stepflow.dsl.lint.linter import LintResult, fix_text, lint_flow
from stepflow.dsl.lint.view import ComponentFacts
from stepflow.dsl.validate import ReadFlow, read_flow
from stepflow.errors import TemplateNotFoundError
from stepflow.model.flow import Flow, Json
from stepflow.model.times import now_ms
from stepflow.simulate.cases import CaseResult, cases_of, run_case
from stepflow.simulate.planned import Plan
from stepflow.simulate.report import Simulation, make_simulation

FindTemplate = Callable[[str], Flow]


def _no_template(name: str) -> Flow:
    raise TemplateNotFoundError(name, "; there is no storage to look into")


class Workbench:
    """`warn` is told of components of the workspace that cannot be had; `find_template` finds the flows of templates
    that others run."""

    def __init__(
        self,
        workspace: Path | None,
        warn: Callable[[str], None] = lambda message: None,
        find_template: FindTemplate = _no_template,
    ) -> None:
        self._workspace = workspace
        self._warn = warn
        self._find_template = find_template
        self._ours = builtin_registry()
        self._all: Registry | None = None

    @property
    def registry(self) -> Registry:
        """Ours, and the workspace's."""
        if self._all is None:
            self._all = Registry.for_workspace(self._workspace, self._warn)
        return self._all

    def _registry_for(self, flow: Flow | None) -> Registry:
        known = flow is None or all(component in self._ours for component in flow.components)
        return self._ours if known or self._workspace is None else self.registry

    def _registry_of_text(self, dsl: str | Mapping[str, Any], file: str | None) -> Registry:
        return self._registry_for(read_flow(dsl, file=file).flow)

    def validate(self, dsl: str | Mapping[str, Any], file: str | None = None) -> ReadFlow:
        read = read_flow(dsl, file=file, components=self._ours.paths)
        if self._workspace is None or not any(found.code in _UNKNOWN for found in read.diagnostics):
            return read
        return read_flow(dsl, file=file, components=self.registry.paths)

    def lint(self, text: str, file: str | None = None) -> LintResult:
        return lint_flow(text, file=file, components=_facts(self._registry_of_text(text, file)))

    def fix(self, text: str, file: str | None = None) -> tuple[str, int]:
        """The text with everything put right that is certain, and how much that was."""
        return fix_text(text, file=file, components=_facts(self._registry_of_text(text, file)))

    def simulate(
        self, flow: Flow, value: Json, plan: Plan | None = None, *, variables: Mapping[str, Json] | None = None
    ) -> Simulation:
        """What an execution would do: the same decisions on a virtual clock, without side effects."""
        return make_simulation(
            flow,
            value,
            plan or Plan(),
            variables=variables,
            find_component=_finder(self._registry_for(flow)),
            check_input=check_input,
            find_template=self._find_template,
            begin=now_ms(),
        )

    def test(self, flow: Flow, base_dir: str | None) -> list[CaseResult]:
        """Run the cases of `tests:`: real decisions on a virtual clock, and real components where no case mocks
        them."""
        return [
            run_case(
                flow,
                case,
                find_component=_finder(self._registry_for(flow)),
                check_input=check_input,
                find_template=self._find_template,
                base_dir=base_dir,
                workspace=None if self._workspace is None else str(self._workspace),
                begin=now_ms(),
            )
            for case in cases_of(flow)
        ]


_UNKNOWN = ("E150", "W151")


def _finder(registry: Registry) -> Callable[[str], Component | None]:
    return lambda path: registry.get(path) if path in registry else None


def _facts(registry: Registry) -> Mapping[str, ComponentFacts]:
    return {
        component.path: ComponentFacts(external=component.external, output_schema=component.output_schema)
        for component in registry
    }
