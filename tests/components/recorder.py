"""A component's context that remembers what it was told, and waiting for something that will be so."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stepflow.contracts.component import ComponentContext, FlowVersion, StepLogger
from stepflow.model.flow import Json

PATIENCE_SECONDS = 20.0


class Recorder:
    run_id = "exec_1"
    step_id = "build"
    attempt = 1
    idempotency_key = "exec_1/build"

    def __init__(self, base_dir: Path | None = None, workspace: Path | None = None) -> None:
        self.metadata: dict[str, Any] = {}
        self.base_dir = None if base_dir is None else str(base_dir)
        self.workspace = None if workspace is None else str(workspace)
        self.cancelled = threading.Event()
        self.sensitive = False
        self.logger = StepLogger(lambda level, message, fields: self.log(message, level, **fields))
        self.instant = 1_000_000
        self.logs: list[tuple[str, str, dict[str, Any]]] = []
        self.groups: list[tuple[str, int]] = []
        self.on_group: Callable[[int], Any] | None = None
        """Called (and awaited) before a started group counts as written down."""

    def log(self, message: str, level: str = "info", **fields: Any) -> None:
        self.logs.append((message, level, fields))

    def emit(self, event_type: str, payload: dict[str, Any] | None = None) -> None:
        raise AssertionError(f"no component of ours emits {event_type}")

    def heartbeat(self) -> Any:
        raise AssertionError("no component of ours beats")

    def put_blob(self, data: Json, blob_type: str = "data") -> Any:
        raise AssertionError("blobs need a storage")

    def get_blob(self, blob_id: str) -> Any:
        raise AssertionError("blobs need a storage")

    def start_child(self, template: str, input: Json = None) -> Any:  # noqa: A002 - the word of the language
        raise AssertionError("no component of ours starts a child and forgets it")

    async def resolve_flow(self, workflow: Json, template: str | None) -> FlowVersion:
        raise AssertionError("flows need a storage")

    def now(self) -> int:
        return self.instant

    async def process_group_started(self, group: int) -> None:
        if self.on_group is not None:
            await self.on_group(group)
        self.groups.append(("started", group))

    async def process_group_ended(self, group: int) -> None:
        await asyncio.sleep(0)
        self.groups.append(("ended", group))

    def lines(self, stream: str) -> list[str]:
        return [message for message, _, fields in self.logs if fields.get("stream") == stream]

    @property
    def group(self) -> int:
        return self.groups[0][1]


def _keeps_the_contract(recorder: Recorder) -> ComponentContext:
    return recorder


async def wait_until(state: Callable[[], Any], what: str = "") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not state():
        assert time.monotonic() < deadline, f"never so: {what or state}"
        await asyncio.sleep(0.005)
