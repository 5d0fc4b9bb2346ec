"""A run that this worker holds: its state, the facts that wait, the attempts that run."""

from __future__ import annotations

import asyncio

from stepflow.contracts.storage import StoredRun
from stepflow.core.facts import Fact
from stepflow.core.run import Run
from stepflow.model import jsontext
from stepflow.runtime.perform import Attempt
from stepflow.runtime.templates import LoadedTemplate


class Held:
    __slots__ = (
        "_tasks",
        "attempts",
        "fence",
        "inbox",
        "is_busy",
        "is_lost",
        "number",
        "run",
        "template",
        "version",
        "worker",
    )

    def __init__(self, stored: StoredRun, template: LoadedTemplate, worker: int) -> None:
        self.number = stored.number
        self.fence = stored.fence
        self.version = stored.version
        self.worker = worker
        self.template = template
        self.run = Run(
            template.graph,
            stored.id,
            stored.state,
            stored.steps,
            input=jsontext.decode(stored.input),
            variables=None if stored.variables is None else jsontext.decode(stored.variables),
        )
        self.inbox: list[Fact] = []
        self.attempts: dict[int, Attempt] = {}
        self.is_busy = False
        """A decision is being made or committed; facts wait in the inbox."""
        self.is_lost = False
        """Another worker has it; what still reports is not heard."""
        self._tasks: set[asyncio.Task[None]] = set()

    def stop(self, step: int) -> None:
        attempt = self.attempts.get(step)
        if attempt is not None:
            attempt.stop()

    def keep(self, task: asyncio.Task[None]) -> None:
        """The loop only holds tasks weakly."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
