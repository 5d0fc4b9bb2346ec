"""What may be asked of an execution that is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepflow.client.connection import Connection, as_json
from stepflow.contracts.storage import Commit
from stepflow.errors import LeaseLostError, StaleRunError
from stepflow.model.run import awaited_signal
from stepflow.model.statuses import RunStatus, StepStatus

if TYPE_CHECKING:
    from stepflow.core.facts import Fact

CANCEL_TRIES = 5


class Requests(Connection):
    async def cancel(self, run: str, reason: str | None = None) -> bool:
        """Ask for its end. Its worker stops what runs; without a living worker it is cancelled here and now.
        False: it had ended already."""
        return await self._open_bridge.call(self._cancel, run, reason)

    def _cancel(self, ref: str, reason: str | None) -> bool:
        # Only those who cancel wait for the engine's core to be imported.
        from stepflow.core.decide import Missing, decide
        from stepflow.core.facts import CancelRequested, Claimed
        from stepflow.core.graph import build_graph
        from stepflow.core.run import Run
        from stepflow.runtime.processes import boot_id, host_id, kill_group

        storage = self._open_storage
        run_id = storage.find_run(ref)
        if not storage.request_cancel(run_id, reason, self._clock.now()):
            return False
        for _ in range(CANCEL_TRIES):
            stored = storage.load_run(run_id)
            if stored.worker is not None:
                storage.free_dead_workers(self._clock.monotonic(), boot_id())
                stored = storage.load_run(run_id)
            if stored.worker is not None or stored.state.status.is_final:
                return True  # a living worker has it and sees the request
            for group in storage.process_groups([stored.number]):
                if (group.host, group.boot_id) == (host_id(), boot_id()):
                    kill_group(group.group, group.start_time)
                storage.forget_process_group(group)
            flow = storage.template_version_by_id(stored.template_version).flow
            run = Run(build_graph(flow), stored.id, stored.state, stored.steps)
            facts: list[Fact] = [CancelRequested(stored.state.reason)]
            if stored.state.status is RunStatus.RUNNING or run.running:
                facts = [Claimed()]  # of a dead worker: its steps are released first
            decision = decide(run, facts, self._clock.now())
            assert not isinstance(decision, Missing), "ending a run reads no outputs"
            commit = Commit(stored.number, run_id, None, stored.fence, stored.version, decision, decision.open_steps)
            try:
                storage.perform(commit)
            except (LeaseLostError, StaleRunError):
                continue  # a worker took it in this moment; look again
            for child in storage.open_children(run_id):
                self._cancel(child, "its parent was cancelled")
            return True
        return True

    async def signal(self, run: str, name: str, data: Any = None) -> bool:
        """Give a signal to an execution: the steps that wait for it go on. False: none does now, and it is kept for
        the first that will. `WorkflowEngineError` INVALID_STATE: it has ended."""
        storage = self._open_storage
        text = as_json(data, "data")

        def give() -> bool:
            run_id = storage.find_run(run)
            steps = storage.get_steps(run_id, bodies=False, attempts=False)
            storage.signal(run_id, name, text, self._clock.now())
            return any(step.status is StepStatus.WAITING and awaited_signal(step.awaits) == name for step in steps)

        return await self._open_bridge.call(give)

    async def pause(self, run: str) -> bool:
        """Start nothing more of it, nor of its children. Steps that run finish, its timeout goes on. False: it is
        paused already. `WorkflowEngineError` INVALID_STATE: it has ended, or is stalled or being cancelled."""
        storage, now = self._open_storage, self._clock.now()
        return await self._open_bridge.call(lambda: storage.pause(storage.find_run(run), now))

    async def resume(self, run: str) -> bool:
        """Let a paused run go on, and its paused children; or a stalled one, whose cause was mended. False: it is
        neither. `WorkflowEngineError` INVALID_STATE: it has ended."""
        storage, now = self._open_storage, self._clock.now()
        return await self._open_bridge.call(lambda: storage.resume(storage.find_run(run), now))
