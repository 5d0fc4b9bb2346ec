"""What can be done with a template without performing it: validate, lint, fix, simulate, run its tests, and say to
editors what may stand in it.

No storage is needed. Components of the workspace are loaded when a template names one that is not ours, or when one
that may have another in its place is to be performed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from stepflow.components.registry import Registry, builtin_registry, check_input
from stepflow.contracts.component import Component
from stepflow.core.secrets import with_secrets_named
from stepflow.dsl.cases import Case
from stepflow.dsl.lint.linter import LintResult, fix_text, lint_flow
from stepflow.dsl.lint.view import ComponentFacts
from stepflow.dsl.starting import check_start
from stepflow.dsl.validate import UNKNOWN_COMPONENT, ReadFlow, read_flow
from stepflow.errors import TemplateNotFoundError
from stepflow.model.flow import Flow, Json
from stepflow.model.times import now_ms
from stepflow.runtime.secrets import Secrets
from stepflow.settings import read_settings
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
        self._turned_off = read_settings(workspace).turned_off(builtin_registry().by_path)
        self._ours = builtin_registry().without(self._turned_off)
        self._all: Registry | None = None

    @property
    def registry(self) -> Registry:
        """Ours, and the workspace's."""
        if self._all is None:
            with _leaving_no_bytecode():
                self._all = Registry.for_workspace(self._workspace, self._warn)
        return self._all

    def _find_component(self, path: str) -> Component | None:
        registry = self._ours if path.startswith("/builtin/") else self.registry
        return registry.get(path) if path in registry else None

    def _registry_of_text(self, text: str, file: str | None) -> Registry:
        read = read_flow(text, file=file, components=self._ours.by_path, turned_off=self._turned_off)
        return self.registry if _names_others(read) else self._ours

    def validate(self, dsl: str | Mapping[str, Any], file: str | None = None) -> ReadFlow:
        read = read_flow(dsl, file=file, components=self._ours.by_path, turned_off=self._turned_off)
        if not _names_others(read):
            return read
        return read_flow(dsl, file=file, components=self.registry.by_path, turned_off=self._turned_off)

    def lint(self, text: str, file: str | None = None) -> LintResult:
        components = _facts(self._registry_of_text(text, file))
        return lint_flow(text, file=file, components=components, turned_off=self._turned_off)

    def fix(self, text: str, file: str | None = None) -> tuple[str, int]:
        """The text with everything put right that is certain, and how much that was."""
        return fix_text(text, file=file, components=_facts(self._registry_of_text(text, file)))

    def schema(self) -> Json:
        """The JSON Schema of a template, with the input of ours and of the workspace's components."""
        from stepflow.dsl.schema.template import template_schema

        return template_schema(self.registry)

    def simulate(
        self, flow: Flow, value: Json, plan: Plan | None = None, *, variables: Mapping[str, Json] | None = None
    ) -> Simulation:
        """What an execution would do: the same decisions on a virtual clock, without side effects. Secret variables
        need not be given. `InvalidInputError` where an execution would not even start."""
        named = with_secrets_named(flow, variables)
        check_start(flow, value, named)
        return make_simulation(
            flow,
            value,
            plan or Plan(),
            variables=named,
            find_component=self._find_component,
            check_input=check_input,
            find_template=self._find_template,
            begin=now_ms(),
        )

    async def test(self, flow: Flow, base_dir: str | None) -> list[CaseResult]:
        """Run the cases of `tests:`: real decisions on a virtual clock, and real components where no case mocks
        them."""
        return [await self._run_case(flow, case, base_dir) for case in cases_of(flow)]

    async def _run_case(self, flow: Flow, case: Case, base_dir: str | None) -> CaseResult:
        # A secret that the case does not give is not looked for: only a step that is performed needs it.
        given = {name: case.variables.get(name, "") for name in flow.secrets}
        return await run_case(
            flow,
            msgspec.structs.replace(case, variables=with_secrets_named(flow, case.variables)),
            secrets=Secrets(given, self._workspace),
            find_component=self._find_component,
            check_input=check_input,
            find_template=self._find_template,
            base_dir=base_dir,
            workspace=None if self._workspace is None else str(self._workspace),
            begin=now_ms(),
        )


@contextmanager
def _leaving_no_bytecode() -> Iterator[None]:
    """Importing writes nothing beside what is imported."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


_NOT_OURS = (UNKNOWN_COMPONENT, "W151", "E153")


def _names_others(read: ReadFlow) -> bool:
    """It names a component that is not ours, or gives one an input that only another in its place can take."""
    return any(found.code in _NOT_OURS for found in read.diagnostics)


def _facts(registry: Registry) -> Mapping[str, ComponentFacts]:
    return {
        component.path: ComponentFacts(
            external=component.external,
            input_schema=component.input_schema,
            output_schema=component.output_schema,
        )
        for component in registry
    }
