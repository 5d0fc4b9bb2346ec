"""What the background tells the screen."""

from __future__ import annotations

from textual.message import Message

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
