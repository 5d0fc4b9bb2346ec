"""Templates that are not performed: validated, linted, simulated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stepflow.client.connection import as_json
from stepflow.client.templates import Templates
from stepflow.errors import DSLValidationError
from stepflow.model import jsontext
from stepflow.model.flow import Flow
from stepflow.model.statuses import RunStatus, StepStatus

if TYPE_CHECKING:
    from stepflow.dsl.lint.linter import LintResult
    from stepflow.dsl.validate import ReadFlow
    from stepflow.simulate.planned import History
    from stepflow.simulate.report import Simulation as Simulation  # the screens have it from here
    from stepflow.simulate.simulator import Bar as Bar


class Checks(Templates):
    async def validate(self, dsl: str | Mapping[str, Any], file: str | None = None) -> ReadFlow:
        """The flow that a text says, or None; and everything that is wrong with it, each with its place in `file`."""
        workbench = await self.workbench()
        return await self._open_bridge.call(workbench.validate, dsl, file)

    async def lint(self, text: str, file: str | None = None) -> LintResult:
        """What is risky in a template, and how to do better."""
        workbench = await self.workbench()
        return await self._open_bridge.call(workbench.lint, text, file)

    async def simulate(
        self,
        template: str | Mapping[str, Any],
        input: Any = None,  # noqa: A002 - the word of the language
        *,
        version: int | None = None,
        variables: Mapping[str, Any] | None = None,
        mocks: Mapping[str, Any] | None = None,
        fail: Mapping[str, str] | None = None,
        from_history: bool = False,
    ) -> Simulation:
        """What an execution would do, without doing it: the same decisions on a virtual clock. `template`: a template's
        name, or a template itself, as a mapping or a text. `mocks`: outputs by step or component; `fail`: error codes
        by step; `from_history`: take the outputs of the last completed execution. Secrets need not be given.
        `TemplateNotFoundError`, `DSLValidationError`; `InvalidInputError` as `start_run`."""
        from stepflow.dsl.cases import Mock
        from stepflow.simulate.planned import Plan

        value = jsontext.decode(as_json({} if input is None else input, "input"))
        flow = await self._flow_of(template, version)
        history = await self.history(template if isinstance(template, str) and _is_name(template) else flow.name)
        plan = Plan(
            fail=fail or {},
            mocks={name: (Mock(output=output),) for name, output in (mocks or {}).items()},
            history=history,
            use_outputs=from_history,
        )
        workbench = await self.workbench()
        return await self._open_bridge.call(workbench.simulate, flow, value, plan, variables=variables)

    async def _flow_of(self, template: str | Mapping[str, Any], version: int | None) -> Flow:
        if isinstance(template, str) and _is_name(template):
            return (await self.get_template(template, version)).flow
        read = await self.validate(template)
        if read.flow is None:
            raise DSLValidationError(read.diagnostics)
        return read.flow

    async def history(self, template: str, executions: int = 20) -> History:
        """What the last completed executions of a template tell of its steps."""
        return await self._open_bridge.call(self._history, template, executions)

    def _history(self, template: str, executions: int) -> History:
        from stepflow.simulate.planned import History

        storage = self._open_storage
        runs, _ = storage.list_runs(executions, None, (RunStatus.COMPLETED,), template, False)
        durations: dict[str, list[int]] = {}
        outputs: dict[str, Any] = {}
        for run in runs:
            newest = run is runs[0]
            for step in storage.get_steps(run.id, bodies=newest, attempts=False):
                if step.status is StepStatus.COMPLETED and not step.reused and step.duration_ms is not None:
                    durations.setdefault(step.key, []).append(step.duration_ms)
                    if newest:
                        outputs[step.key] = step.output
        return History(durations, outputs, len(runs))


def _is_name(template: str) -> bool:
    """A template's name, not its text."""
    return not any(mark in template for mark in ("\n", "{", ": "))
