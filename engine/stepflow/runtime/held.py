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
        "collecting",
        "depth",
        "fence",
        "inbox",
        "is_asked",
        "is_busy",
        "is_lost",
        "number",
        "run",
        "secrets",
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
        self.depth = stored.depth
        variables = {} if stored.variables is None else jsontext.decode(stored.variables)
        value = jsontext.decode(stored.input)
        begins = stored.is_child and stored.state.started_at is None
        self.run = Run(
            template.graph,
            stored.id,
            stored.state,
            stored.steps,
            input=value,
            variables=variables,
            signals=stored.signals,
            input_problem=template.input_problem(value, variables) if begins else None,
        )
        self.run.holds_large = len(stored.input) >= jsontext.LARGE
        self.secrets = {name: variables[name] for name in template.secrets if name in variables}
        """Where to find each: `env:NAME`, `file:PATH`."""
        self.collecting: set[int] = set()
        """Groups of children whose end is being decided."""
        self.inbox: list[Fact] = []
        self.attempts: dict[int, Attempt] = {}
        self.is_busy = False
        """A decision is being made or committed; facts wait in the inbox."""
        self.is_asked = False
        """Somebody asked something of it while it was busy."""
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
