"""The log of one execution: what its steps said, or all its events; also as of an event."""

from __future__ import annotations

from stepflow.client import Client
from stepflow.model.event import FINAL_RUN_EVENTS, EventType, WorkflowEvent
from stepflow_tui.panes.log import Log
from stepflow_tui.presentation.log import event_line
from stepflow_tui.presentation.spans import Line

_LINES = frozenset({EventType.LOG, EventType.LOG_TRUNCATED, EventType.CHILD_STARTED, *FINAL_RUN_EVENTS})
_OURS = frozenset(map(str, EventType))
MOST_PAGES_UP = 40
"""That are read to come to an event."""


class RunLog(Log):
    def __init__(self, name: str, *, id: str, lines: bool) -> None:  # noqa: A002 - as Textual calls it
        """`lines`: only what steps said, the starts of children, and the end."""
        super().__init__(id=id)
        self._title = name
        self.has_only_lines = lines
        self.until: int | None = None
        """As the log was after this event."""

    async def page(self, client: Client, before_seq: int | None) -> list[WorkflowEvent]:
        if before_seq is None and self.until is not None:
            before_seq = self.until + 1
        return await super().page(client, before_seq)

    @property
    def asked(self) -> tuple[object, ...]:
        return *super().asked, self.until

    def has(self, event: WorkflowEvent) -> bool:
        return (
            self.until is None
            and event.run_id == self.run_id
            and super().has(event)
            and (not self.has_only_lines or event.event_type in _LINES or event.event_type not in _OURS)
        )

    def title(self) -> str:
        return f"{self._title}{self.choices_in_words()}"

    def event_line(self, event: WorkflowEvent, width: int) -> Line:
        line = event_line(event, width, with_run=False)
        if not self.has_times:
            line = line[1:]
        return line if self.has_only_lines else [(f"{event.run_seq:>4} ", "dim"), *line]

    async def go_to_event(self, client: Client, seq: int) -> bool:
        """What is older is read until it is there. False: it is further up than is read at once, or not among them."""
        for _ in range(MOST_PAGES_UP):
            if self.is_whole or self.events[0].seq <= seq:
                break
            await self.read_above(client)
        place = next((place for place, event in enumerate(self.events) if event.seq == seq), None)
        if place is not None:
            self.set_rows(len(self.events), place)
            self._say_state()
        return place is not None
