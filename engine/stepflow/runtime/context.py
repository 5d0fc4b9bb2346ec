"""What a component may know and do while it performs: `contracts.component.ComponentContext`."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from stepflow.contracts.clock import Clock
from stepflow.contracts.storage import LogLine, ProcessGroup
from stepflow.model import jsontext
from stepflow.model.event import LEVELS, RESERVED_PREFIXES, EventType
from stepflow.runtime.bridge import Bridge
from stepflow.runtime.logs import LogBuffer
from stepflow.runtime.processes import boot_id, host_id, process_start_time


class Surroundings:
    """What all attempts of a worker share."""

    def __init__(self, bridge: Bridge, logs: LogBuffer, clock: Clock, worker: int, workspace: str | None) -> None:
        self.bridge = bridge
        self.logs = logs
        self.clock = clock
        self.worker = worker
        self.workspace = workspace
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()


class Context:
    def __init__(
        self,
        surroundings: Surroundings,
        run: int,
        run_id: str,
        step: int,
        step_id: str,
        attempt: int,
        metadata: dict[str, Any],
        base_dir: str | None,
    ) -> None:
        self._surroundings = surroundings
        self._run = run
        self._step = step
        self.run_id = run_id
        self.step_id = step_id
        self.attempt = attempt
        self.metadata = metadata
        self.base_dir = base_dir
        self.workspace = surroundings.workspace
        self.cancelled = threading.Event()
        self._groups: dict[int, ProcessGroup] = {}

    @property
    def idempotency_key(self) -> str:
        return f"{self.run_id}/{self.step_id}"

    def now(self) -> int:
        return self._surroundings.clock.now()

    def log(self, message: str, level: str = "info", **fields: Any) -> None:
        if level not in LEVELS:
            raise ValueError(f"'{level}' is not a level; use one of {', '.join(LEVELS)}")
        payload: dict[str, Any] = {"level": level, "message": str(message)}
        if fields:
            payload["fields"] = fields
        self._add(EventType.LOG, level, payload)

    def emit(self, event_type: str, payload: dict[str, Any] | None = None) -> None:
        if event_type.startswith(RESERVED_PREFIXES) or event_type in (EventType.LOG, EventType.LOG_TRUNCATED):
            raise ValueError(f"'{event_type}' is the engine's own; events of yours need another name")
        self._add(event_type, "info", payload or {})

    def _add(self, event_type: str, level: str, payload: dict[str, Any]) -> None:
        text = jsontext.encode(payload)  # what is not JSON is the component's mistake, here and now
        line = LogLine(self._run, self._step, self.attempt, self.now(), event_type, level, text)
        surroundings = self._surroundings
        if threading.get_ident() == surroundings.thread:
            surroundings.logs.add(line)
        else:
            surroundings.loop.call_soon_threadsafe(surroundings.logs.add, line)

    async def process_group_started(self, group: int) -> None:
        start_time = process_start_time(group) or 0
        record = ProcessGroup(self._run, self._step, self.attempt, host_id(), boot_id(), group, start_time)
        self._groups[group] = record
        surroundings = self._surroundings
        await surroundings.bridge.call(surroundings.bridge.storage.record_process_group, surroundings.worker, record)

    async def process_group_ended(self, group: int) -> None:
        record = self._groups.pop(group, None)
        if record is not None:
            bridge = self._surroundings.bridge
            await bridge.call(bridge.storage.forget_process_group, record)
