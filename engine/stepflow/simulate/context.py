"""What a component may know and do in a simulation: nothing that lasts."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable
from typing import Any

from stepflow.contracts.component import FlowVersion, StepLogger, check_depth
from stepflow.core.secrets import MASK
from stepflow.dsl.validate import read_flow
from stepflow.errors import ComponentError, DSLValidationError
from stepflow.model import jsontext
from stepflow.model.event import check_level, check_own_name
from stepflow.model.flow import Flow, Json
from stepflow.simulate.simulator import Attempt

FindTemplate = Callable[[str], Flow]
"""The newest flow of a template; `TemplateNotFoundError`."""


class Flows:
    """The flows that child runs are started of, by the number that stands for a version here."""

    def __init__(self, find_template: FindTemplate) -> None:
        self._find_template = find_template
        self._by_number: list[Flow] = []
        self._known: dict[str, FlowVersion] = {}

    def __getitem__(self, number: int) -> Flow:
        return self._by_number[number]

    def resolve(self, workflow: Json, template: str | None, kind: str) -> FlowVersion:
        key = f"template {template}" if template is not None else f"{kind} {jsontext.encode(workflow)}"
        found = self._known.get(key)
        if found is None:
            flow = self._find_template(template) if template is not None else _read(workflow)
            found = self._known[key] = FlowVersion(len(self._by_number), template or kind, len(flow.steps))
            self._by_number.append(flow)
        return found


def _read(workflow: Json) -> Flow:
    if not isinstance(workflow, str | dict):
        raise ComponentError("INVALID_INPUT", "A workflow is a mapping with 'steps', or the text of one")
    read = read_flow(workflow)
    if read.flow is None:
        raise DSLValidationError(read.diagnostics)
    return read.flow


class SimulatedContext:
    """`contracts.component.ComponentContext`, for one attempt."""

    def __init__(
        self,
        attempt: Attempt,
        flows: Flows,
        blobs: dict[str, str],
        log: Callable[[Attempt, str], None],
        base_dir: str | None = None,
        workspace: str | None = None,
    ) -> None:
        self._attempt = attempt
        self._flows = flows
        self._blobs = blobs
        self._log = log
        self.run_id = attempt.run_id
        self.step_id = attempt.step.key
        self.attempt = attempt.attempt
        self.idempotency_key = f"{attempt.run_id}/{attempt.step.key}"
        self.metadata = attempt.metadata
        self.sensitive = attempt.step.sensitive
        self.base_dir = base_dir
        self.workspace = workspace
        self.cancelled = threading.Event()
        self._thread = threading.get_ident()

    @property
    def logger(self) -> StepLogger:
        return StepLogger(lambda level, message, fields: self._say(message))

    def log(self, message: str, level: str = "info", **fields: Any) -> None:
        check_level(level)
        self._say(message)

    def _say(self, message: str) -> None:
        self._log(self._attempt, MASK if self.sensitive else str(message))

    def heartbeat(self) -> Any:
        if threading.get_ident() == self._thread:
            return asyncio.sleep(0)
        if self.cancelled.is_set():
            raise asyncio.CancelledError(f"step '{self.step_id}' must stop")
        return None

    def emit(self, event_type: str, payload: dict[str, Any] | None = None) -> None:
        check_own_name(event_type)
        self._log(self._attempt, event_type)

    def now(self) -> int:
        return self._attempt.now

    def put_blob(self, data: Json, blob_type: str = "data") -> Any:
        text = jsontext.encode(data)
        blob_id = hashlib.sha256(text.encode()).hexdigest()
        self._blobs[blob_id] = text
        return self._answer(blob_id)

    def get_blob(self, blob_id: str) -> Any:
        if blob_id not in self._blobs:
            raise ComponentError("BLOB_NOT_FOUND", f"There is no blob {blob_id}")
        return self._answer(jsontext.decode(self._blobs[blob_id]))

    def start_child(self, template: str, input: Json = None) -> Any:  # noqa: A002 - the word of the language
        self._flows.resolve(None, template, self._attempt.kind)
        return self._answer(f"{self.run_id}.{self.step_id}")

    def _answer(self, value: Json) -> Any:
        """Awaitable in the loop, plain in a thread."""

        async def answer() -> Json:
            return value

        return answer() if threading.get_ident() == self._thread else value

    async def resolve_flow(self, workflow: Json, template: str | None) -> FlowVersion:
        check_depth(self._attempt.depth)
        return self._flows.resolve(workflow, template, f"{self._attempt.kind}/{self.step_id}")

    async def process_group_started(self, group: int) -> None:
        """Nothing is written down: whoever simulates ends with it."""

    async def process_group_ended(self, group: int) -> None:
        """Nothing was written down."""
