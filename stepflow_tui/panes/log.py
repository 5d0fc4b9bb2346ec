"""The live event log: the newest lines of everything, or of one execution, or of one of its steps; from a level on;
scrolling back reads older ones."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from stepflow.client import Client
from stepflow.model.event import LEVELS, WorkflowEvent
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.log import event_line
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.wrapping import wrap_line
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
        self.has_only_lines = False
        """What steps said, the starts of children, and ends."""
        self._reading = False
        self._is_held = False
        self.level = LEVELS[0]
        """The least grave that is shown."""
        self.step: str | None = None
        """Of this step alone."""
        self.wraps = False
        self.has_times = True
        self._begins = [0]
        """Where events may have several rows: the first of each, and how many there are."""
        self._unfolded: dict[int, list[Line]] = {}
        """By seq, all that an event says, below its line."""
        self._heights: dict[int, int] = {}
        """By seq, for one width."""
        self._width = 0

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
        return self._place_of(self.cursor) if self._is_broken and self.events else self.cursor

    def _place_of(self, row: int) -> int:
        return bisect_right(self._begins, row) - 1

    @property
    def _is_broken(self) -> bool:
        """An event may have several rows."""
        return self.wraps or bool(self._unfolded)

    async def page(self, client: Client, before_seq: int | None) -> list[WorkflowEvent]:
        """The newest of what it shows, or the newest before `before_seq`."""
        return await client.get_events(
            self.run_id,
            before_seq=before_seq,
            limit=PAGE,
            newest=True,
            lines=self.has_only_lines,
            step=self.step,
            level=None if self.level == LEVELS[0] else self.level,
            bodies=False,
        )

    @property
    def asked(self) -> tuple[object, ...]:
        """What it is to show."""
        return self.run_id, self.step, self.level

    def has(self, event: WorkflowEvent) -> bool:
        """It is of what it shows."""
        if self.run_id is not None and event.run_id != self.run_id:
            return False
        if self.step is not None and event.step_key != self.step:
            return False
        return self.level == LEVELS[0] or LEVELS.index(event.level) >= LEVELS.index(self.level)

    async def load(self, client: Client, run_id: str | None) -> None:
        """Show the newest lines of `run_id`, or of all."""
        is_other = self.run_id not in (None, run_id)
        if is_other:
            self.step = None  # it was one of that execution
        self.run_id = run_id
        asked = self.asked
        self._say_state()
        events = await self.page(client, None)
        if self.asked != asked:
            return  # another one was asked for meanwhile
        self._begins_at_first = len(events) < PAGE
        last = events[-1].seq if events else 0
        self.events = [*events, *(event for event in self.events if event.seq > last and self.has(event))]
        kept = {event.seq for event in self.events} if self._unfolded else set()
        self._unfolded = {seq: says for seq, says in self._unfolded.items() if seq in kept}
        self.set_rows(len(self.events), len(self.events) - 1)
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
        asked, first = self.asked, self.events[0].seq
        try:
            older = await self.page(client, first)
        finally:
            self._reading = False
        if self.asked == asked and self.events and self.events[0].seq == first:
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
            self._drop(len(self.events) - KEEP)
        if follows:
            cursor = len(self.events) - 1
        self.set_rows(len(self.events), cursor)
        self._say_state()

    def _drop(self, count: int) -> None:
        """The oldest."""
        if self._is_broken:
            for event in self.events[:count]:
                self._heights.pop(event.seq, None)
                self._unfolded.pop(event.seq, None)
        del self.events[:count]
        self._begins_at_first = False

    def _say_state(self) -> None:
        title = self.title()
        if self.border_title != title:
            self.border_title = title
        subtitle = "follows" if self.follows else "f follows"
        if self.border_subtitle != subtitle:
            self.border_subtitle = subtitle

    def title(self) -> str:
        return f"Log  {'all' if self.run_id is None else short_id(self.run_id)}{self.choices_in_words()}"

    def choices_in_words(self) -> str:
        """For its border: what of it is shown, and how, where that is not as it began."""
        step = "" if self.step is None else f"  {self.step} only".replace("[", "\\[")
        level = "" if self.level == LEVELS[0] else f"  ≥{self.level.upper()}"
        return f"{step}{level}{'  wrapped' if self.wraps else ''}"

    def move_to(self, row: int) -> None:
        self._is_held &= max(0, min(row, self.row_count - 1)) == self.cursor
        super().move_to(row)
        self._say_state()

    def action_last(self) -> None:
        self._is_held = False
        super().action_last()

    # Rows

    def set_rows(self, count: int, cursor: int | None = None) -> None:
        """`count` events, `cursor` on one of them."""
        if not self._is_broken:
            super().set_rows(count, cursor)
            return
        width = self.scrollable_content_region.width or 80
        if width != self._width:
            self._width = width
            self._heights.clear()
        known, heights = self._heights, []
        for place, event in enumerate(self.events):
            height = known.get(event.seq)
            if height is None:
                height = known[event.seq] = len(self._lines_of(place, width))
            heights.append(height)
        self._begins = list(accumulate(heights, initial=0))
        rows = self._begins[-1]
        if cursor is not None:
            cursor = rows - 1 if cursor == count - 1 else self._begins[max(0, cursor)]
        super().set_rows(rows, cursor)

    def set_wraps(self, wraps: bool) -> None:
        place = self.place
        self.wraps = wraps
        self._heights.clear()
        self.set_rows(len(self.events), place)
        self._say_state()

    def set_times(self, has_times: bool) -> None:
        place = self.place
        self.has_times = has_times
        self._heights.clear()
        self.set_rows(len(self.events), place)

    def toggle_unfolded(self, event: WorkflowEvent, says: list[Line]) -> None:
        """Show `says` below its line, or fold it again."""
        if all(one.seq != event.seq for one in self.events):
            return  # it was let go of while all that it says was read
        place = self.place
        if self._unfolded.pop(event.seq, None) is None:
            self._unfolded[event.seq] = says
        self._heights.pop(event.seq, None)
        self.set_rows(len(self.events), place)
        self._say_state()

    def is_unfolded(self, event: WorkflowEvent) -> bool:
        return event.seq in self._unfolded

    def on_resize(self) -> None:
        if self._is_broken and self.scrollable_content_region.width != self._width:
            self.set_rows(len(self.events), self.place)
        super().on_resize()

    # Marks

    @property
    def selected(self) -> WorkflowEvent | None:
        """The event under the cursor."""
        return self.events[self.place] if self.events else None

    def toggle_mark(self) -> None:
        if self.selected is None:
            return
        place = self.place
        had_marks = bool(self.marked)
        self.marked ^= {self.selected.seq}
        if bool(self.marked) != had_marks:
            self._heights.clear()  # marks take room, in every line
        self.set_rows(len(self.events), place)

    @property
    def marked_rows(self) -> Sequence[int]:
        if not self.marked:
            return ()
        places = [place for place, event in enumerate(self.events) if event.seq in self.marked]
        return [self._begins[place] for place in places] if self._is_broken else places

    def with_mark(self, event: WorkflowEvent, line: Line) -> Line:
        """Before every line, as soon as one is marked."""
        if not self.marked:
            return line
        return [("* " if event.seq in self.marked else "  ", "active"), *line]

    # Drawing

    def event_line(self, event: WorkflowEvent, width: int) -> Line:
        line = event_line(event, width, with_run=self.run_id is None)
        return line if self.has_times else line[1:]

    def _lines_of(self, place: int, width: int) -> list[Line]:
        event = self.events[place]
        line = self.with_mark(event, self.event_line(event, width))
        says = self._unfolded.get(event.seq, [])
        return [*(wrap_line(line, width) if self.wraps else [line]), *says]

    def line_at(self, row: int, width: int) -> Line:
        if not self._is_broken:
            event = self.events[row]
            return self.with_mark(event, self.event_line(event, width))
        place = self._place_of(row)
        lines, part = self._lines_of(place, width), row - self._begins[place]
        return lines[part] if part < len(lines) else []
