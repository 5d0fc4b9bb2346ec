"""How a run ends, or why it is let go of when nothing of it runs."""

from __future__ import annotations

from typing import Any

from stepflow.core.overlay import NotAtHand
from stepflow.core.run import Run
from stepflow.core.scope import UpstreamFailed, UpstreamSkipped
from stepflow.core.secrets import mask
from stepflow.core.transition import step_after_run_ended
from stepflow.core.waits import Waits
from stepflow.errors import ExpressionError
from stepflow.model import jsontext
from stepflow.model.event import EventType
from stepflow.model.flow import Json
from stepflow.model.statuses import StepStatus


class Endings(Waits):
    __slots__ = ("output_text", "release", "wake_at")

    def __init__(self, run: Run, now: int) -> None:
        super().__init__(run, now)
        self.output_text: str | None = None
        self.release = False
        self.wake_at: int | None = None

    def _is_done(self) -> bool:
        if self.open == 0:
            return True
        # With `needed`: nothing that is wanted is on its way, so the output waits for nothing.
        return self.base.graph.is_lazy and self.running == 0 and not self._is_under_way()

    def _is_under_way(self) -> bool:
        if self._has_ready():
            return True
        if any(step not in self.steps for step in (*self.base.waits, *self.base.waiting)):
            return True
        return any(not state.status.is_final for state in self.steps.values())

    def _end_run(self) -> None:
        if self._has_failed():
            self._end_open_steps(EventType.RUN_FAILED, None, self._run_error())
            return
        try:
            output = self._run_output()
        except NotAtHand:
            return
        except UpstreamSkipped:
            self._complete_run(None, output_skipped=True)
            return
        except UpstreamFailed as failure:
            lazy = self.base.graph.is_lazy
            error = self._run_error() if lazy else self._upstream_error(failure.step)
            self._end_open_steps(EventType.RUN_FAILED, None, error)
            return
        except ExpressionError as error:
            record = mask(self._located(error)) if self.base.has_secrets else self._located(error)
            self._end_open_steps(EventType.RUN_FAILED, None, record)
            return
        problem = self.base.graph.output_problem(output) if self.base.graph.output_problem is not None else None
        if problem is not None:
            self._end_open_steps(EventType.RUN_FAILED, None, {"code": "INVALID_OUTPUT", "message": problem})
            return
        self._complete_run(output, output_skipped=False)

    def _has_failed(self) -> bool:
        if not self.base.graph.is_lazy:
            return self.failed > 0
        nodes = self.base.graph.nodes
        return self.failed > 0 and any(
            node.step.must_execute and self.status_of(node.index) is StepStatus.FAILED for node in nodes
        )

    def _complete_run(self, output: Json, *, output_skipped: bool) -> None:
        self.output_text = jsontext.encode(output)
        self._end_open_steps(EventType.RUN_COMPLETED, {"output_skipped": True} if output_skipped else None, None)

    def _run_output(self) -> Json:
        graph = self.base.graph
        if graph.output is not None:
            return self.evaluate(graph.output)
        output = {}
        for step in graph.sinks:
            status = self.status_of(step)
            if status is StepStatus.COMPLETED:
                try:
                    output[graph.nodes[step].key] = self.output_of(step)
                except NotAtHand:
                    continue
            elif status is StepStatus.FAILED:
                raise UpstreamFailed(step)
        if self.missing:
            raise NotAtHand
        return output

    def _run_error(self) -> dict[str, Any]:
        """The first failure of its own, with the step's key and the count of failed steps in its details."""
        error = dict(self.state.error or {"code": "STEP_ERROR", "message": "A step failed"})
        details = dict(error.get("details") or {})
        details["failed"] = self.failed
        error["details"] = details
        return error

    def _end_stopped_run(self) -> None:
        match self.stopping:
            case "timeout":
                timeout_ms = self.base.graph.flow.timeout_ms
                message = f"The execution did not finish within {timeout_ms} ms"
                error = {"code": "WORKFLOW_TIMEOUT", "message": message, "details": {"timeout_ms": timeout_ms}}
                self._end_open_steps(EventType.RUN_TIMEOUT, None, error)
            case "fail_fast":
                self._end_open_steps(EventType.RUN_FAILED, None, self._run_error())
            case _:
                reason = self.state.reason
                self._end_open_steps(EventType.RUN_CANCELLED, {"reason": reason} if reason else None, None)

    def _end_open_steps(self, kind: EventType, payload: dict[str, Any] | None, error: dict[str, Any] | None) -> None:
        """The run's one final event, which ends whatever is open."""
        self.run_event(kind, payload, error)
        final = self.events[-1]
        if self.open:
            for index in range(len(self.base.steps)):
                state = self.step(index)
                if not state.status.is_final:
                    self.steps[index] = step_after_run_ended(state, final)
        self.open = 0
        self.release = True

    def _give_up_worker(self) -> None:
        """Nothing runs: the run was given back, is paused, or waits for time, a signal or its children."""
        self.release = True
        if self._is_paused:
            self.wake_at = self.base.deadline  # which goes on
            return
        if self.stopping == "release":
            self.run_event(EventType.RUN_RELEASED, {"reason": "worker stopping"})
            return
        waiting = [
            step
            for step in {*self.base.waits, *self.base.waiting, *self.steps}
            if self.status_of(step) in (StepStatus.AWAITING_RETRY, StepStatus.SLEEPING, StepStatus.WAITING)
        ]
        times = [at for step in waiting if (at := self.step(step).wake_at) is not None]
        if self.base.deadline is not None:
            times.append(self.base.deadline)
        self.wake_at = min(times, default=None)
        statuses = {self.status_of(step) for step in waiting}
        if StepStatus.AWAITING_RETRY in statuses:
            kind = EventType.RUN_RETRY
        else:
            kind = EventType.RUN_SLEEPING if StepStatus.SLEEPING in statuses else EventType.RUN_WAITING
        self.run_event(kind, {"wake_at": self.wake_at})
