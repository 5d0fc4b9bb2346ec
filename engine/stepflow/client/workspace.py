"""A workspace's files while people edit them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from stepflow.client.connection import Connection
from stepflow.errors import WorkflowEngineError
from stepflow.workspace.outcomes import (
    Back,
    Components,
    Gone,
    Mended,
    Outcome,
    Polling,
    Problem,
    Renamed,
    Round,
    Saved,
    Trouble,
    Unchanged,
)

__all__ = [
    "Back",
    "Components",
    "Gone",
    "Mended",
    "Outcome",
    "Polling",
    "Problem",
    "Renamed",
    "Round",
    "Saved",
    "Trouble",
    "Unchanged",
    "Workspace",
]


class Workspace(Connection):
    async def watch_workspace(self) -> AsyncGenerator[Round, None]:
        """Save its templates now and whenever one of their files changes, and tell what came of it, round by round;
        the first is about all of them. Executions stay pinned to the version they began with. Never ends."""
        from stepflow.workspace.watching import WorkspaceWatch

        if self.workspace is None:
            raise WorkflowEngineError(
                "NO_WORKSPACE", "There is no workspace to watch; `stepflow init` makes one, or name its folder"
            )
        watch = WorkspaceWatch(self._open_bridge, self.workspace, self._open_storage.url)
        async with aclosing(watch.rounds()) as rounds:
            async for one in rounds:
                yield one
