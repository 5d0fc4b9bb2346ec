"""A storage for coroutines that are driven without an event loop: each verb is done where it is awaited, and nothing
waits. asyncio alone costs a command a fifth of its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from stepflow.contracts.storage import Storage, Write

T = TypeVar("T")


class Direct:
    """In the place of a `Bridge`. Following the log needs that one."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def close(self) -> None:
        pass  # it has no threads

    async def perform(self, write: Write) -> Any:
        return self.storage.perform(write)

    async def call(self, verb: Callable[..., T], *arguments: Any, **options: Any) -> T:
        return verb(*arguments, **options)
