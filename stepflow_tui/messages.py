"""What the background tells the screen."""

from __future__ import annotations

from textual.message import Message

from stepflow.client.workspace import Round
from stepflow.model.event import WorkflowEvent


class EventsArrived(Message):
    """A batch of the log, in its order."""

    def __init__(self, events: list[WorkflowEvent]) -> None:
        super().__init__()
        self.events = events


class StorageTrouble(Message):
    """The storage cannot be read; None: it can be again."""

    def __init__(self, trouble: str | None) -> None:
        super().__init__()
        self.trouble = trouble


class FilesChanged(Message):
    """A round of watching the workspace's files."""

    def __init__(self, round: Round) -> None:  # noqa: A002 - as the client calls it
        super().__init__()
        self.round = round


class RefreshAsked(Message):
    """All is to be read again, from the database as it is now."""


class ProfileAsked(Message):
    """Another storage is to be shown, by the name of its profile; empty: that which it began with."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
