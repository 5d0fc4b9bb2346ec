"""Executions made of others: a new run that takes over what another has completed."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from stepflow.client.connection import Connection, as_json
from stepflow.contracts.storage import CreateRun
from stepflow.errors import WorkflowEngineError
from stepflow.model import jsontext
from stepflow.model.ids import new_run_id
from stepflow.model.run import RunRecord

Version = int | Literal["latest"] | None
"""Of the template; None: the one that the old run has."""


class Redrive(msgspec.Struct, frozen=True):
    """What a new run of another would be."""

    run_id: str
    """The run it is made of."""
    template: str
    version: int
    reused: tuple[str, ...]
    """Keys of the steps that are taken over, in the flow's order."""
    performed: tuple[str, ...]
    """Keys of all others."""
    create: CreateRun


class Redrives(Connection):
    async def retry(
        self,
        run: str,
        from_step: str | None = None,
        input: Any = None,  # noqa: A002 - the word of the language
        version: Version = None,
    ) -> str:
        """A new run of a failed, cancelled or timed-out one; it takes over the steps that completed, unless they or
        what they depend on (steps, or the input and variables they refer to) changed, or follow `from_step`. Its id."""
        return await self._open_bridge.call(self._redrive, run, from_step, input, version, True)

    async def fork(
        self,
        run: str,
        from_step: str | None = None,
        input: Any = None,  # noqa: A002 - the word of the language
        version: Version = None,
    ) -> str:
        """The same for any run, living or completed. What the living one completes later is its own."""
        return await self._open_bridge.call(self._redrive, run, from_step, input, version, False)

    async def plan_redrive(
        self,
        run: str,
        from_step: str | None = None,
        input: Any = None,  # noqa: A002 - the word of the language
        version: Version = None,
    ) -> Redrive:
        """What `fork`, and `retry` where it may, would take over and what it would perform."""
        return await self._open_bridge.call(self._plan_redrive, run, from_step, input, version)

    def _redrive(self, ref: str, from_step: str | None, new_input: Any, version: Version, ended_only: bool) -> str:
        plan = self._plan_redrive(ref, from_step, new_input, version)
        if ended_only:
            _check_is_retried(self._open_storage.get_run(plan.run_id))
        return str(self._open_storage.perform(plan.create))

    def _plan_redrive(self, ref: str, from_step: str | None, new_input: Any, version: Version) -> Redrive:
        # Only those who start something wait for the engine's core and the schemas to be imported.
        from stepflow.core.reuse import reusable_steps
        from stepflow.dsl.diagnostics import did_you_mean
        from stepflow.dsl.starting import check_start

        storage = self._open_storage
        record = storage.get_run(storage.find_run(ref))
        stored = storage.load_run(record.id)
        old = storage.template_version_by_id(stored.template_version)
        if version is None:
            new = old
        else:
            new = storage.get_template_version(old.name, None if version == "latest" else version)
        keys = [step.key for step in new.flow.steps]
        if from_step is not None and from_step not in keys:
            message = f"'{from_step}' is not a step of '{new.name}'{did_you_mean(from_step, keys)}"
            raise WorkflowEngineError("STEP_NOT_FOUND", message)
        value = record.input if new_input is None else jsontext.decode(as_json(new_input, "input"))
        variables = None if stored.variables is None else jsontext.decode(stored.variables)
        check_start(new.flow, value, variables)
        steps = storage.get_steps(record.id, bodies=False, attempts=False)
        reused = reusable_steps(old.flow, new.flow, steps, from_step, record.input, value, variables)
        create = CreateRun(
            id=new_run_id(),
            template_version=new.id,
            input=as_json(value, "input"),
            created_at=self._clock.now(),
            step_count=len(keys),
            priority=record.priority,
            variables=stored.variables,
            metadata=stored.metadata,
            retry_of=record.id,
            reused=reused,
        )
        return Redrive(
            run_id=record.id,
            template=new.name,
            version=new.version,
            reused=tuple(key for index, key in enumerate(keys) if index in reused),
            performed=tuple(key for index, key in enumerate(keys) if index not in reused),
            create=create,
        )


def _check_is_retried(run: RunRecord) -> None:
    if run.status.may_be_retried:
        return
    way_out = "run it anew, or fork it" if run.status.is_final else "wait for its end, cancel it first, or fork it"
    raise WorkflowEngineError("INVALID_STATE", f"Execution {run.id} is {run.status.value}; {way_out}")
