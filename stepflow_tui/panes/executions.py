"""The executions, newest first: what they are, how they stand, what is wrong. Reads pages as they are scrolled to."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime

from textual.content import Content
from textual.message import Message
from textual.strip import Strip

from stepflow.client import Client
from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow_tui.histories import Histories
from stepflow_tui.listing import Listing, Sort, Sought
from stepflow_tui.presentation.executions import execution_row, list_title, titles_row
from stepflow_tui.presentation.filters import Filter
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.history import expected, is_working
from stepflow_tui.presentation.run_problems import STATUSES, kind_of, said_of
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.timeline_prediction import Prediction, Usual, share_done, when_of
from stepflow_tui.presentation.timeline_problems import Kind, next_place
from stepflow_tui.widgets.fresh_list import FreshList
from stepflow_tui.widgets.lines import Drawing

MORE_WITHIN = 50
"""Rows before the end at which the next page is read."""

MOST_COMPARED = 50
"""Templates whose histories are read to tell what is late."""
LATE = "late"


class Executions(FreshList):
    BORDER_TITLE = "2 Executions"

    class Scrolled(Message):
        """Other rows are seen, perhaps of templates whose history is not known."""

    class Miscounted(Message):
        """It is to be loaded again, so that it is counted."""

    def __init__(self, client: Client, glyphs: Glyphs, histories: Histories, *, full: bool = False) -> None:
        """`full`: with all columns, and their titles."""
        super().__init__(glyphs, id="executions")
        self._histories = histories
        self._full = full
        self.header_lines = 1 if full else 0
        self._client = client
        self.listing = Listing(client)
        self.runs: list[RunRecord] = []
        self.marks: dict[str, RunRecord] = {}
        self._marked_last: str | None = None
        self._apart: RunRecord | None = None
        """One that was asked for and is on none of the pages that were read: it stands below them."""
        self.watched: Container[str] = ()
        """Ids of executions that somebody watches."""
        self.predictions: Mapping[str, tuple[Prediction, Usual | None]] = {}
        """By id, what the timelines that are seen say of them."""
        self.follows = False
        """The cursor stays on the first row, whichever execution comes to stand there."""
        self._title = ""
        self._came_to: tuple[str, Kind] | None = None
        """The execution that the last key for problems led to, and as what."""
        self._counts_later = False

    @property
    def selected(self) -> RunRecord | None:
        return self.runs[self.cursor] if self.runs else None

    def begin_on(self, run: RunRecord) -> None:
        """Select it, on whichever page it is."""
        self._apart = run
        self._show(self.listing.runs, run)

    # Reading

    def choose(self, *, filter: Filter | None = None, sort: Sort | None = None, reverse: bool | None = None) -> None:  # noqa: A002 - the word of the screens
        """Another list, to be loaded: from its first row."""
        self.listing.choose(filter=filter, sort=sort, reverse=reverse)
        self._apart = None
        self.cursor = 0
        self.freshness.miss()

    async def load(self, *, counts: bool = True) -> None:
        """Read the newest page again; older pages that were read stay. The cursor stays on its execution. `counts`: how
        many there are, too."""
        selected = self.selected
        self.freshness.begin()
        await self.listing.refresh(None if selected is None else selected.id, counts=counts)
        self.freshness.end()
        if self._apart is not None and not self._apart.status.is_final:
            self._apart = next(iter(await self._client.get_runs([self._apart.id])), self._apart)
        self._show(self.listing.runs, self.selected)
        if self.selected is not None and (selected is None or self.selected != selected):
            self.post_message(self.Moved(self))
        if self.listing.count_waits is not None and not self._counts_later:
            self._counts_later = True
            self.set_timer(self.listing.count_waits + 0.01, self._count_again)

    def _count_again(self) -> None:
        self._counts_later = False
        self.post_message(self.Miscounted())

    async def load_more(self) -> None:
        """Read the next page if the cursor is near the end of what was read."""
        if self.listing.has_more and self.cursor >= len(self.runs) - MORE_WITHIN:
            await self.read_below()

    async def read_below(self) -> None:
        await self.listing.more()
        self._show(self.listing.runs, self.selected)

    def note(self, events: Iterable[WorkflowEvent]) -> None:
        """Something happened; it is loaded afterwards."""
        ids = [event.run_id for event in events if event.event_type != EventType.LOG and event.run_id]
        if ids:
            self.freshness.miss()
            self.listing.note(ids)

    def toggle_follow(self) -> None:
        self.move_to(0)
        self.follows = not self.follows
        self.say()

    def _show(self, listed: list[RunRecord], selected: RunRecord | None) -> None:
        """With the one that stands apart, unless it is among them by now; the cursor on `selected`."""
        if self._apart is not None and all(run.id != self._apart.id for run in listed):
            listed = [*listed, self._apart]
        else:
            self._apart = None
        self.runs = listed
        row = 0 if self.follows else None
        if selected is not None and not self.follows:
            row = next((index for index, run in enumerate(listed) if run.id == selected.id), None)
        self.set_rows(len(listed), row)
        for run in listed:
            if run.id in self.marks:
                self.marks[run.id] = run
        self.say()

    # Moving

    def move_to(self, row: int) -> None:
        if row > 0 and self.follows:
            self.follows = False
            self.say()
        super().move_to(row)
        if self.row_count == 0 or (row >= self.row_count - 1 and self.listing.has_more):
            self.post_message(self.Moved(self))  # there may be more below the last one

    def select(self, run_id: str) -> None:
        for index, run in enumerate(self.runs):
            if run.id == run_id:
                self.move_to(index)
                return

    # Problems

    async def next_problem(self, direction: int) -> str | None:
        """Go to what is next to be looked after, also where it was not read yet; what is to be said of it, or None:
        there is none."""
        if direction > 0:
            working = dict.fromkeys(run.template for run in self.runs if is_working(run))
            await self._histories.read(list(working)[:MOST_COMPARED])
        before, here, at = Kind.FAILED, self.selected, self.cursor if self.runs else -1
        if self._came_to is not None and here is not None and self._came_to[0] == here.id:
            before = self._came_to[1]
        rows = self.listing.runs if self.listing.may_seek else self.runs
        now = datetime.now(UTC)
        kinds = [kind_of(run, is_late=self._is_late(run, now)) for run in rows]
        places = [(kind, row) for row, kind in enumerate(kinds) if kind is not None]
        found = next_place(places, (before, at), direction)
        kind, sought = await self._beyond(before, None if found is None else found[0], direction)
        if not sought.is_all:
            further = "; the same key looks further" if direction > 0 else ""
            return f"None of {sought.looked_at:,} more that were looked at matches{further}"
        run = sought.run
        if run is None and found is not None:
            kind, run = found[0], rows[found[1]]
        if run is None and direction > 0 and Kind.FAILED in kinds[: max(0, at)]:
            read = "" if self.listing.may_seek or not self.listing.has_more else f" of the {len(rows):,} that were read"
            return f"No execution below{read} failed, and no other waits or runs"
        if run is None:
            return None
        self._came_to = run.id, kind
        row = next((row for row, one in enumerate(self.runs) if one.id == run.id), None)
        if row is not None:
            self.move_to(row)
        else:
            self.follows = False
            self.begin_on(run)
            self.post_message(self.Moved(self))
        said = said_of(kind, before)
        is_bounded = self.listing.has_more and not self.listing.is_by_age
        return f"Of the {len(rows):,} that were read: {said}" if said and is_bounded else said

    def _is_late(self, run: RunRecord, now: datetime) -> bool:
        predicted = self.predictions.get(run.id)
        if predicted is not None:
            return when_of(run, *predicted, now)[1] == LATE
        return expected(self._histories.of(run.template), run, now)[1] == LATE

    async def _beyond(self, at: Kind, read: Kind | None, direction: int) -> tuple[Kind, Sought]:
        """The next that was not read, if it comes before one of the kind `read`, which was. All above what was read is
        known, and which are late only of what was read."""
        here = self.selected
        is_apart = here is not None and self.cursor >= len(self.listing.runs)
        if not self.listing.may_seek:
            return at, Sought()
        for kind in STATUSES if direction > 0 else reversed(STATUSES):
            own = here if kind is at and is_apart else None

            def fits(run: RunRecord, kind: Kind = kind) -> bool:
                return kind_of(run) is kind and (here is None or run.id != here.id)

            if direction > 0:
                if kind < at or (read is not None and kind >= read):
                    continue
                sought = await self.listing.seek(STATUSES[kind], fits, None if own is None else own.id)
            else:
                if kind > at or (kind is at and own is None) or (read is not None and kind < read):
                    continue
                sought = await self.listing.seek_back(STATUSES[kind], fits, own)
            if sought.run is not None or not sought.is_all:
                return kind, sought
        return at, Sought()

    def on_resize(self) -> None:
        self.post_message(self.Scrolled())
        self.say()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self.post_message(self.Scrolled())

    @property
    def seen(self) -> list[RunRecord]:
        """In the rows that are seen."""
        top = max(0, self.scroll_offset.y)
        return self.runs[top : top + self.size.height]

    @property
    def seen_templates(self) -> list[str]:
        return [run.template for run in self.seen]

    # Marks

    def toggle_mark(self) -> None:
        """Of the selected one; the cursor goes on."""
        run = self.selected
        if run is None:
            return
        if self.marks.pop(run.id, None) is None:
            self.marks[run.id] = run
            self._marked_last = run.id
        self.say()
        self.refresh()
        self.move_to(self.cursor + 1)

    def mark_range(self) -> None:
        """From the one that was marked last to the selected one."""
        last = next((row for row, run in enumerate(self.runs) if run.id == self._marked_last), self.cursor)
        for run in self.runs[min(last, self.cursor) : max(last, self.cursor) + 1]:
            self.marks[run.id] = run
            self._marked_last = run.id
        self.say()
        self.refresh()

    def mark(self, runs: Iterable[RunRecord]) -> None:
        """These and no others."""
        self.marks = {run.id: run for run in runs}
        self.say()
        self.refresh()

    # Drawing

    def say(self) -> None:
        """In the border: what is listed, how many, how fresh."""
        width, listed, marked = self.size.width or 80, self.listing.listed, len(self.marks)
        title, said = list_title(listed, marked, width, self._glyphs, follows=self.follows)
        if title != self._title:  # else all of it would be drawn again
            self._title = title
            self.border_title = Content(title)
        self.say_below(said)

    def line_in(self, y: int, drawing: Drawing) -> Strip:
        if not self.runs and y == self.header_lines and self.freshness.read_at is not None:
            return self._strip(self._nothing(), drawing.width)
        return super().line_in(y, drawing)

    def _nothing(self) -> Line:
        listing = self.listing
        if self.freshness.is_cut_off:
            return [(" It cannot be read; what is wrong stands above", "bad")]
        if listing.has_more:
            return [(f" None of the {listing.looked_at:,} looked at matches: G looks further, esc shows all", "dim")]
        if listing.filter.terms:
            return [(" No execution matches: esc shows all", "dim")]
        return [(" Nothing has run yet", "dim")]

    @property
    def moves(self) -> bool:
        """Whether any that is seen looks otherwise as time goes by."""
        return any(is_working(run) or run.wake_at is not None for run in self.seen)

    def may_move(self, row: int) -> bool:
        return row < len(self.runs) and not self.runs[row].status.is_final

    def header_at(self, width: int) -> Line:
        return titles_row(width, self.listing.sort, self._glyphs, reverse=self.listing.reverse)

    def line_at(self, row: int, width: int) -> Line:
        run = self.runs[row]
        history, is_marked = self._histories.of(run.template), run.id in self.marks
        now = datetime.now(UTC)
        predicted = self.predictions.get(run.id)
        return execution_row(
            run,
            width,
            now,
            self._glyphs,
            history,
            full=self._full,
            is_marked=is_marked,
            is_watched=run.id in self.watched,
            when=None if predicted is None else when_of(run, *predicted, now),
            share=None if predicted is None else share_done(run, predicted[0].seconds_left(now), now),
        )
