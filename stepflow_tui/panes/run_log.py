"""The log of one execution: what its steps said, or all its events; of one step, from a level on, as of an event."""

from __future__ import annotations

from collections.abc import Sequence

from stepflow.client import Client
from stepflow.model.event import FINAL_RUN_EVENTS, LEVELS, EventType, WorkflowEvent
from stepflow_tui.panes.log import PAGE, Log
from stepflow_tui.presentation.log import event_line
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.wrapping import wrap_line

_LINES = frozenset({EventType.LOG, EventType.LOG_TRUNCATED, EventType.CHILD_STARTED, *FINAL_RUN_EVENTS})
_OURS = frozenset(map(str, EventType))


class RunLog(Log):
    def __init__(self, name: str, *, id: str, lines: bool) -> None:  # noqa: A002 - as Textual calls it
        """`lines`: only what steps said, the starts of children, and the end."""
        super().__init__(id=id)
        self._title = name
        self._lines = lines
        self.level = LEVELS[0]
        self.step: str | None = None
        """Of this step alone."""
        self.until: int | None = None
        """As the log was after this event."""
        self.wraps = False
        self.has_times = True
        self._rows: list[tuple[int, int]] = []
        """Where events may have several: by row, the event and which line of it."""
        self._unfolded: dict[int, list[Line]] = {}
        """By seq, all that an event says, below its line."""
        self._heights: dict[int, int] = {}
        """By seq, for one width."""
        self._width = 0

    @property
    def place(self) -> int:
        return self._rows[self.cursor][0] if self._is_broken and self._rows else self.cursor

    @property
    def _is_broken(self) -> bool:
        """An event may have several rows."""
        return self.wraps or bool(self._unfolded)

    @property
    def marked_rows(self) -> Sequence[int]:
        if not self._is_broken:
            return super().marked_rows
        return [row for row, (place, part) in enumerate(self._rows) if not part and self._is_marked(place)]

    def _is_marked(self, place: int) -> bool:
        return self.events[place].seq in self.marked

    async def page(self, client: Client, before_seq: int | None) -> list[WorkflowEvent]:
        if before_seq is None and self.until is not None:
            before_seq = self.until + 1
        return await client.get_events(
            self.run_id,
            before_seq=before_seq,
            limit=PAGE,
            newest=True,
            lines=self._lines,
            step=self.step,
            level=None if self.level == LEVELS[0] else self.level,
            bodies=False,
        )

    def has(self, event: WorkflowEvent) -> bool:
        return (
            self.until is None
            and event.run_id == self.run_id
            and self.step in (None, event.step_key)
            and LEVELS.index(event.level) >= LEVELS.index(self.level)
            and (not self._lines or event.event_type in _LINES or event.event_type not in _OURS)
        )

    def title(self) -> str:
        step = "" if self.step is None else f"  {self.step} only".replace("[", "\\[")
        level = "" if self.level == LEVELS[0] else f"  {self.level} and graver"
        return f"{self._title}{step}{level}{'  wrapped' if self.wraps else ''}"

    def set_rows(self, count: int, cursor: int | None = None) -> None:
        """`count` events, `cursor` on one of them."""
        if not self._is_broken:
            super().set_rows(count, cursor)
            return
        width = self.scrollable_content_region.width or 80
        if width != self._width:
            self._width = width
            self._heights.clear()
        first: dict[int, int] = {}
        self._rows = []
        for place, event in enumerate(self.events):
            height = self._heights.get(event.seq)
            if height is None:
                height = self._heights[event.seq] = len(self._lines_of(place, width))
            first[place] = len(self._rows)
            self._rows += [(place, part) for part in range(height)]
        row = first.get(cursor) if cursor is not None else None
        if cursor == count - 1:
            row = len(self._rows) - 1
        super().set_rows(len(self._rows), row)

    def set_wraps(self, wraps: bool) -> None:
        place = self.place
        self.wraps = wraps
        self._heights.clear()
        self.set_rows(len(self.events), place)
        self._say_state()

    def toggle_unfolded(self, event: WorkflowEvent, says: list[Line]) -> None:
        """Show `says` below its line, or fold it again."""
        place = self.place
        if self._unfolded.pop(event.seq, None) is None:
            self._unfolded[event.seq] = says
        self._heights.clear()
        self.set_rows(len(self.events), place)
        self._say_state()

    def is_unfolded(self, event: WorkflowEvent) -> bool:
        return event.seq in self._unfolded

    def toggle_mark(self) -> None:
        place = self.place
        super().toggle_mark()
        self._heights.clear()  # a mark takes room
        self.set_rows(len(self.events), place)

    def set_times(self, has_times: bool) -> None:
        place = self.place
        self.has_times = has_times
        self._heights.clear()
        self.set_rows(len(self.events), place)

    def on_resize(self) -> None:
        if self._is_broken and self.scrollable_content_region.width != self._width:
            self.set_rows(len(self.events), self.place)
        super().on_resize()

    def _line(self, place: int, width: int) -> Line:
        event = self.events[place]
        line = event_line(event, width, with_run=False)
        if not self.has_times:
            line = line[1:]
        return self.with_mark(event, line if self._lines else [(f"{event.run_seq:>4} ", "dim"), *line])

    def _lines_of(self, place: int, width: int) -> list[Line]:
        line = self._line(place, width)
        says = self._unfolded.get(self.events[place].seq, [])
        return [*(wrap_line(line, width) if self.wraps else [line]), *says]

    def line_at(self, row: int, width: int) -> Line:
        if not self._is_broken:
            return self._line(row, width)
        place, part = self._rows[row]
        lines = self._lines_of(place, width)
        return lines[part] if part < len(lines) else []
