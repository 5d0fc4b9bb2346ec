"""Executions made of others: a new run that takes over what another has completed."""

from __future__ import annotations

from typing import Any

from stepflow.client.connection import Connection, as_json
from stepflow.contracts.storage import CreateRun
from stepflow.core.reuse import reusable_steps
from stepflow.dsl.starting import check_start
from stepflow.errors import WorkflowEngineError
from stepflow.model import jsontext
from stepflow.model.ids import new_run_id
from stepflow.model.statuses import RunStatus


class Redrives(Connection):
    async def retry(
        self,
        run: str,
        from_step: str | None = None,
        input: Any = None,  # noqa: A002 - the word of the language
        version: int | None = None,
    ) -> str:
        """A new run of a failed, cancelled or timed-out one; it takes over the steps that completed, unless they or
        what they depend on changed, follow `from_step`, or the input is another. Its id."""
        return await self._open_bridge.call(self._retry, run, from_step, input, version)

    def _retry(self, ref: str, from_step: str | None, new_input: Any, version: int | None) -> str:
        storage = self._open_storage
        run_id = storage.find_run(ref)
        record = storage.get_run(run_id)
        if record.status not in (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TIMED_OUT):
            way_out = "wait for its end or cancel it first" if not record.status.is_final else "run it anew instead"
            raise WorkflowEngineError("INVALID_STATE", f"Execution {run_id} is {record.status.value}; {way_out}")
        stored = storage.load_run(run_id)
        old = storage.template_version_by_id(stored.template_version)
        new = old if version is None else storage.get_template_version(old.name, version)
        value = record.input if new_input is None else new_input
        variables = None if stored.variables is None else jsontext.decode(stored.variables)
        check_start(new.flow, value, variables)
        reused: tuple[int, ...] = ()
        if new_input is None or value == record.input:
            reused = reusable_steps(
                old.flow, new.flow, storage.get_steps(run_id, bodies=False, attempts=False), from_step
            )
        create = CreateRun(
            id=new_run_id(),
            template_version=new.id,
            input=as_json(value, "input"),
            created_at=self._clock.now(),
            step_count=len(new.flow.steps),
            priority=record.priority,
            variables=stored.variables,
            metadata=stored.metadata,
            retry_of=run_id,
            reused=reused,
        )
        return str(storage.perform(create))
