"""A worker that is killed: after its n-th commit, or around its n-th effect. Runs in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from stepflow.components.registry import Registry, builtin_registry
from stepflow.contracts.component import Component
from stepflow.errors import ComponentError
from stepflow.storages.sqlite import SQLiteStorage
from stepflow.storages.sqlite.writer import Writer
from stepflow.worker import make_worker


class Death(msgspec.Struct, frozen=True):
    """When to die: `after_commit`, `before_effect` or `after_effect` number `count`; `never`."""

    when: str = "never"
    count: int = 0


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Effects:
    """A file to which each performed step adds its name."""

    def __init__(self, file: Path, death: Death) -> None:
        self._file = file
        self._death = death
        self._count = 0

    def add(self, key: str) -> None:
        self._count += 1
        if self._death == Death("before_effect", self._count):
            die()
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{key}\n".encode())
        os.close(descriptor)
        if self._death == Death("after_effect", self._count):
            die()


def registry_with_effects(file: Path, death: Death) -> Registry:
    effects = Effects(file, death)

    def effect(value: dict[str, Any], context: Any) -> Any:
        effects.add(value["key"])
        return {"key": value["key"]}

    def flaky(value: dict[str, Any], context: Any) -> Any:
        effects.add(value["key"])
        if context.attempt <= value["fails"]:
            raise ComponentError("FLAKY", f"attempt {context.attempt} fails")
        return {"attempt": context.attempt}

    def large(value: dict[str, Any], context: Any) -> Any:
        effects.add(value["key"])
        return value["key"] * 100_000

    def fails(value: dict[str, Any], context: Any) -> Any:
        effects.add(value["key"])
        raise ComponentError("BROKEN", "always fails")

    registry = builtin_registry()
    registry.register(Component("/test/effect", effect, "inline", "Writes its key to a file"))
    registry.register(Component("/test/flaky", flaky, "sync", "Fails a few times"))
    registry.register(Component("/test/large", large, "sync", "Gives more than a row holds"))
    registry.register(Component("/test/fails", fails, "inline", "Fails"))
    return registry


def count_commits(death: Death) -> None:
    """Make the writer of this process count its commits, and die right after the fatal one."""
    commits = 0
    transact = Writer._try_group

    def try_group(self: Writer, waiting: Any) -> Any:
        nonlocal commits
        outcome = transact(self, waiting)
        commits += 1
        if death == Death("after_commit", commits):
            die()
        return outcome

    Writer._try_group = try_group  # type: ignore[method-assign]


async def work(storage: SQLiteStorage, registry: Registry) -> None:
    """Until nothing is left to do."""
    worker = make_worker(storage, registry, lease=timedelta(seconds=3))
    task = asyncio.create_task(worker.run())
    while not task.done() and (worker.held_count or storage.unfinished_runs()):
        await asyncio.sleep(0.005)
    await worker.stop(0)
    await task


def live(database: str, effects: str, death: Death) -> None:
    """What the process does."""
    os.environ["EFFECTS"] = effects
    count_commits(death)
    storage = SQLiteStorage(database, durability="normal")
    asyncio.run(work(storage, registry_with_effects(Path(effects), death)))
    storage.close()
