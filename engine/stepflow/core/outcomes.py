"""How a step ends in a decision: completed, skipped, failed and tried again, handled by `on_error`, or stopped."""

from __future__ import annotations

from collections import deque
from typing import Any

from stepflow.core.graph import Node
from stepflow.core.overlay import NotAtHand, Overlay
from stepflow.core.retry import retry_delay_ms
from stepflow.core.run import Run, Stopping
from stepflow.core.scope import UpstreamFailed, UpstreamSkipped
from stepflow.core.transition import CHILDREN
from stepflow.errors import ExpressionError
from stepflow.model import jsontext
from stepflow.model.event import EventType
from stepflow.model.flow import Json
from stepflow.model.statuses import StepStatus

SKIPPED_BY = ("step '", "' was skipped")
"""Around the key of the step that started a chain of skips."""


class Outcomes(Overlay):
    __slots__ = ("dropped", "ended", "failed", "open", "outputs", "stop", "stopping")

    def __init__(self, run: Run, now: int) -> None:
        super().__init__(run, now)
        self.open = run.open
        self.failed = run.failed
        self.ended: deque[int] = deque()
        """Steps whose dependents have not been looked at."""
        self.outputs: dict[int, str] = {}
        self.stopping: Stopping | None = run.stopping
        self.stop: list[int] = []
        self.dropped: list[int] = []

    def _complete_with(self, step: int, value: Json) -> None:
        """Of a step that waited: nobody has judged its output yet."""
        find_problem = self.base.graph.nodes[step].output_problem
        problem = None if find_problem is None else find_problem(value)
        if problem is None:
            self._complete(step, value, jsontext.encode(value))
        else:
            self._fail(step, {"code": "INVALID_OUTPUT", "message": problem}, own=True)

    def _complete(self, step: int, value: Json, text: str, *, recovered: bool = False) -> None:
        self.move(EventType.STEP_COMPLETED, step, {"recovered": True} if recovered else None)
        self.values[step] = value
        self.outputs[step] = text
        self.holds_large = self.holds_large or len(text) >= jsontext.LARGE
        self._end(step)

    def _skip(self, step: int, reason: str, by: str | None = None) -> None:
        payload = {"reason": reason} if by is None else {"reason": reason, "by": by}
        self.move(EventType.STEP_SKIPPED, step, payload)
        self._end(step)

    def _fail(self, step: int, error: dict[str, Any], *, own: bool) -> None:
        """`own`: the attempt itself failed, so retry and on_error apply; else its input could not be made."""
        node = self.base.graph.nodes[step]
        state = self.step(step)
        retry = node.step.retry
        if state.awaits == CHILDREN:
            self.dropped.append(step)
        if self.stopping not in ("cancel", "timeout", "fail_fast") and own:
            if retry is not None and state.attempt < retry.max_attempts and retry.covers(error["code"]):
                self._hand_over(step, "retry", error)
                delay_ms = retry_delay_ms(retry, state.attempt, f"{self.base.id}/{node.key}/{state.attempt}")
                payload = {"attempt": state.attempt, "max_retries": retry.max_attempts - 1, "delay_ms": delay_ms}
                self.move(EventType.STEP_RETRY, step, payload)
                return
            if self._handle_failure(node, error):
                return
        self.move(EventType.STEP_FAILED, step, None, error)
        self.failed += 1
        self._end(step)
        if self.base.graph.flow.fail_fast and self.stopping is None:
            self._stop_all("fail_fast")

    def _hand_over(self, step: int, handler: str, error: dict[str, Any]) -> None:
        """The attempt failed, and what handles it says what becomes of the step."""
        self.move(EventType.STEP_FAILED, step, {"handled": handler}, error)

    def _handle_failure(self, node: Node, error: dict[str, Any]) -> bool:
        """Apply `on_error`; False where it says `fail`, or its default has no value."""
        match node.step.on_error.action:
            case "skip":
                self._hand_over(node.index, "skip", error)
                self._skip(node.index, f"failed: {self.step(node.index).error['message']}")  # type: ignore[index]  # it has just been given one
                return True
            case "continue":
                assert node.default is not None
                try:
                    value = self.evaluate(node.default)
                except NotAtHand:
                    return True
                except (UpstreamFailed, UpstreamSkipped, ExpressionError) as problem:
                    self._warn_of_default(node.index, problem)
                    return False
                self._hand_over(node.index, "continue", error)
                self._complete(node.index, value, jsontext.encode(value), recovered=True)
                return True
            case "fail":
                return False

    def _warn_of_default(self, step: int, problem: UpstreamFailed | UpstreamSkipped | ExpressionError) -> None:
        why = str(problem)
        if not isinstance(problem, ExpressionError):
            ended = "has failed" if isinstance(problem, UpstreamFailed) else "was skipped"
            why = f"step '{self.base.graph.nodes[problem.step].key}' {ended}"
        self.current = step
        self.warn(f"default_output has no value, so the step fails: {why}")

    def _end(self, step: int) -> None:
        self.open -= 1
        self.ended.append(step)

    def _stop_all(self, why: Stopping) -> None:
        if self.stopping in (None, "release"):
            self.stopping = why
            self.stop.extend(step for step in sorted(self.base.running) if self.step(step).status is StepStatus.RUNNING)

    def _located(self, error: ExpressionError) -> dict[str, Any]:
        """The error as it is stored, with the place in the author's text."""
        locate = self.base.graph.locate
        if locate is not None and error.place is not None:
            error.details.update(locate(error.place, error.details.get("expression")))
        return error.to_record()

    def _upstream_error(self, step: int) -> dict[str, Any]:
        """Names the step that failed by itself, however far up it is."""
        state = self.step(step)
        by = self.base.graph.nodes[step].key
        if state.error is not None and state.error.get("code") == "UPSTREAM_FAILED":
            by = state.error.get("details", {}).get("by", by)
        return {"code": "UPSTREAM_FAILED", "message": f"Step '{by}' failed", "details": {"by": by}}

    def _root_of_skip(self, step: int) -> str:
        """The key of the step that started a chain of skips."""
        reason = self.step(step).reason or ""
        if reason.startswith(SKIPPED_BY[0]) and reason.endswith(SKIPPED_BY[1]):
            return reason.removeprefix(SKIPPED_BY[0]).removesuffix(SKIPPED_BY[1])
        return self.base.graph.nodes[step].key
