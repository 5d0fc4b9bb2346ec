"""Log lines and custom events on their way to the log: gathered for a moment, then written together.

Nobody waits for them; they are durable within 100 ms, and before the decision that follows them.
"""

from __future__ import annotations

import asyncio
from typing import Any

from stepflow.contracts.storage import AppendLogs, LogLine
from stepflow.errors import WorkflowEngineError
from stepflow.model import jsontext
from stepflow.model.event import EventType
from stepflow.runtime.bridge import Bridge

GATHER_SECONDS = 0.05
RETRY_SECONDS = 1.0
MAX_LINES = 100_000
MAX_BYTES = 50 * 1024 * 1024
"""Of one step; more is dropped, and `log.truncated` says so."""


class LogBuffer:
    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._loop = asyncio.get_running_loop()
        self._lines: list[LogLine] = []
        self._timer: asyncio.TimerHandle | None = None
        self._used: dict[tuple[int, int | None], list[int]] = {}

    def add(self, line: LogLine) -> None:
        """From the loop's thread."""
        used = self._used.setdefault((line.run, line.step), [0, 0])
        if used[0] > MAX_LINES or used[1] > MAX_BYTES:
            return
        used[0] += 1
        used[1] += len(line.payload)
        if used[0] > MAX_LINES or used[1] > MAX_BYTES:
            payload = jsontext.encode({"max_lines": MAX_LINES, "max_bytes": MAX_BYTES})
            line = LogLine(line.run, line.step, line.attempt, line.at, EventType.LOG_TRUNCATED, "warn", payload)
        self._lines.append(line)
        if self._timer is None:
            self._timer = self._loop.call_later(GATHER_SECONDS, self.flush)

    def forget(self, run: int) -> None:
        """The run is no longer held."""
        for key in [key for key in self._used if key[0] == run]:
            del self._used[key]

    def flush(self) -> None:
        """Hand over what was gathered; whatever is submitted after it comes after it in the log."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            lines, self._lines = tuple(self._lines), []
            self._submit(AppendLogs(lines))

    def _submit(self, logs: AppendLogs) -> None:
        def done(_: Any, error: BaseException | None) -> None:
            if isinstance(error, WorkflowEngineError):
                # The storage is in trouble; the lines wait for it as outcomes do.
                self._loop.call_later(RETRY_SECONDS, self._submit, logs)
            elif error is not None:
                raise error

        self._bridge.submit(logs, done)
