"""The live event log: the newest lines of everything, or of one execution; scrolling back reads older ones."""

from __future__ import annotations

from collections.abc import Sequence

from stepflow.client import Client
from stepflow.model.event import WorkflowEvent
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.log import event_line
from stepflow_tui.presentation.spans import Line
from stepflow_tui.widgets.lines import LineView

KEEP = 2000
PAGE = 500
OLDER_WITHIN = 20


class Log(LineView):
    BORDER_TITLE = "Log"

    def __init__(self, *, id: str = "log") -> None:  # noqa: A002 - as Textual calls it
        super().__init__(id=id)
        self.run_id: str | None = None
        """The execution it is about; None: all."""
        self.events: list[WorkflowEvent] = []
        self._begins_at_first = False
        self.marked: set[int] = set()
        """Events that somebody marked, by seq."""
        self._reading = False
        self._is_held = False

    @property
    def follows(self) -> bool:
        """The cursor is on the newest line, and nobody holds it there: new ones are followed."""
        return not self._is_held and self.cursor >= self.row_count - 1

    def toggle_follow(self) -> None:
        self._is_held = self.follows
        if not self._is_held:
            self.move_to(self.row_count - 1)
        self._say_state()

    @property
    def is_whole(self) -> bool:
        """Nothing older is to be read."""
        return self._begins_at_first or not self.events

    @property
    def place(self) -> int:
        """Of the event under the cursor."""
        return self.cursor

    async def page(self, client: Client, before_seq: int | None) -> list[WorkflowEvent]:
        """The newest of what it shows, or the newest before `before_seq`."""
        return await client.get_events(self.run_id, before_seq=before_seq, limit=PAGE, newest=True, bodies=False)

    def has(self, event: WorkflowEvent) -> bool:
        """It is of what it shows."""
        return self.run_id in (None, event.run_id)

    async def load(self, client: Client, run_id: str | None) -> None:
        """Show the newest lines of `run_id`, or of all."""
        self.run_id = run_id
        events = await self.page(client, None)
        if self.run_id != run_id:
            return  # another one was asked for meanwhile
        self.events = events
        self._begins_at_first = len(events) < PAGE
        self.set_rows(len(events), len(events) - 1)
        self._say_state()

    async def load_older(self, client: Client) -> None:
        """Read lines before the first if the cursor is near it."""
        if self.cursor <= OLDER_WITHIN:
            await self.read_above(client)

    async def read_above(self, client: Client) -> None:
        """Read lines before the first."""
        if self.is_whole or self._reading:
            return
        self._reading = True
        run_id = self.run_id
        try:
            older = await self.page(client, self.events[0].seq)
        finally:
            self._reading = False
        if self.run_id == run_id:
            self._begins_at_first = len(older) < PAGE
            place = self.place
            self.events = [*older, *self.events]
            self.set_rows(len(self.events), len(older) + place)

    def add(self, events: Sequence[WorkflowEvent]) -> None:
        """New lines; the view goes with them if it stood at the end."""
        last = self.events[-1].seq if self.events else 0
        new = [event for event in events if event.seq > last and self.has(event)]
        if not new:
            return
        follows = self.follows
        cursor = self.place
        self.events += new
        if follows and len(self.events) > KEEP:
            del self.events[: len(self.events) - KEEP]
            self._begins_at_first = False
        if follows:
            cursor = len(self.events) - 1
        self.set_rows(len(self.events), cursor)
        self._say_state()

    def _say_state(self) -> None:
        title = self.title()
        if self.border_title != title:
            self.border_title = title
        subtitle = "follows" if self.follows else "f follows"
        if self.border_subtitle != subtitle:
            self.border_subtitle = subtitle

    def title(self) -> str:
        return f"Log  {'all' if self.run_id is None else short_id(self.run_id)}"

    def move_to(self, row: int) -> None:
        self._is_held &= max(0, min(row, self.row_count - 1)) == self.cursor
        super().move_to(row)
        self._say_state()

    def action_last(self) -> None:
        self._is_held = False
        super().action_last()

    # Marks

    @property
    def selected(self) -> WorkflowEvent | None:
        """The event under the cursor."""
        return self.events[self.place] if self.events else None

    def toggle_mark(self) -> None:
        if self.selected is not None:
            self.marked ^= {self.selected.seq}
            self.refresh()

    @property
    def marked_rows(self) -> Sequence[int]:
        return [row for row, event in enumerate(self.events) if event.seq in self.marked] if self.marked else ()

    def with_mark(self, event: WorkflowEvent, line: Line) -> Line:
        """Before every line, as soon as one is marked."""
        if not self.marked:
            return line
        return [("* " if event.seq in self.marked else "  ", "active"), *line]

    def line_at(self, row: int, width: int) -> Line:
        event = self.events[row]
        return self.with_mark(event, event_line(event, width, with_run=self.run_id is None))
