"""An open storage, and the bridge over which coroutines wait for it."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from stepflow.contracts.clock import SystemClock
from stepflow.contracts.storage import Storage
from stepflow.errors import InvalidInputError, WorkflowEngineError
from stepflow.location import (
    database_of,
    find_database,
    find_workspace,
    open_storage,
    split_url,
    whole_path,
    why_only_read,
)
from stepflow.model import jsontext
from stepflow.runtime.direct import Direct

if TYPE_CHECKING:
    import asyncio

    from stepflow.runtime.bridge import Bridge


class Connection:
    def __init__(
        self,
        url: str | None = None,
        workspace: str | os.PathLike[str] | None = None,
        *,
        durability: str | None = None,
        read_only: bool = False,
        at_once: bool = False,
    ) -> None:
        """`at_once`: no event loop drives its coroutines; they never wait, and none can follow the log."""
        self.workspace: Path | None = find_workspace(workspace)
        self.url = find_database(url, self.workspace)
        self._durability = durability
        self._read_only = read_only
        self._at_once = at_once
        self._clock = SystemClock()
        self._storage: Storage | None = None
        self._bridge: Bridge | Direct | None = None
        self._reopening: asyncio.Future[None] | None = None

    @classmethod
    def only(cls, url: str | None, workspace: str | None, *, read_only: bool = False) -> Self:
        """On just these, of which one is given: neither the environment nor the folder where the user stands has a say.
        Without a workspace there is none."""
        folder = None if workspace is None else find_workspace(workspace)
        if url is None:
            assert folder is not None
            url = database_of(folder).value
        client = cls(url, folder, read_only=read_only)
        client.workspace = folder
        return client

    @property
    def database_file(self) -> Path:
        """Where it is, or would be. `StorageError`: the URL names none."""
        return whole_path(split_url(self.url)[0])

    @property
    def why_only_read(self) -> str | None:
        """Why the database can be read alone; None: it can be written, or made. `StorageError`: it cannot be seen."""
        return why_only_read(self.database_file)

    async def __aenter__(self) -> Self:
        self._storage = open_storage(
            self.url, durability=self._durability, workspace=self.workspace, read_only=self._read_only
        )
        self.url = self._storage.url
        self._bridge = self._bridge_to(self._storage)
        return self

    def _bridge_to(self, storage: Storage) -> Bridge | Direct:
        if self._at_once:
            return Direct(storage)
        from stepflow.runtime.bridge import Bridge

        return Bridge(storage)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """At the end of `async with`, or before it."""
        if self._reopening is not None:
            import asyncio

            await asyncio.wait([self._reopening])
        if self._storage is None:
            return
        self._open_bridge.close()
        self._storage.close()
        self._storage = self._bridge = None

    async def reopen(self) -> None:
        """Open the storage anew, which may be another file by now, and then close the one that was open: whoever
        follows it has to begin again. `StorageError`: it cannot be opened, and nothing has changed. One that is
        cancelled goes on, so that nothing stays open that nobody has."""
        import asyncio  # not for commands that need no event loop

        self._reopening = asyncio.ensure_future(self._reopen(self._reopening))
        self._reopening.add_done_callback(self._reopened)
        await asyncio.shield(self._reopening)

    def _reopened(self, done: asyncio.Future[None]) -> None:
        if self._reopening is done:
            self._reopening = None
        if not done.cancelled():
            done.exception()  # whoever asked may have given up

    async def _reopen(self, after: asyncio.Future[None] | None) -> None:
        import asyncio

        if after is not None:
            await asyncio.wait([after])
        before, bridge = self._open_storage, self._open_bridge
        storage = await asyncio.to_thread(
            open_storage, self.url, durability=self._durability, workspace=self.workspace, read_only=self._read_only
        )
        self._storage, self._bridge = storage, self._bridge_to(storage)
        await asyncio.to_thread(bridge.close)
        before.close()

    @property
    def _open_storage(self) -> Storage:
        if self._storage is None:
            raise WorkflowEngineError("CLIENT_CLOSED", "The client is not open; use `async with Client() as client:`")
        return self._storage

    @property
    def _open_bridge(self) -> Bridge | Direct:
        self._open_storage  # noqa: B018 - says so when the client is not open
        assert self._bridge is not None
        return self._bridge


def as_json(value: Any, what: str) -> str:
    try:
        return jsontext.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"The {what} is not JSON: {error}") from error
