"""All executions at full width: more columns, sorted as one likes, and marks to do something with many at once."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType

from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow_tui.keymap import Key, bindings
from stepflow_tui.listing import SORTS
from stepflow_tui.panes.executions import Executions
from stepflow_tui.presentation.filters import filter_of_template
from stepflow_tui.screens.bulk import ALL_AT_ONCE, Bulk
from stepflow_tui.screens.filtering import Filtering
from stepflow_tui.screens.frame import Frame
from stepflow_tui.screens.reloading import Reloading
from stepflow_tui.session import Session
from stepflow_tui.widgets.bar import Bar, Question
from stepflow_tui.widgets.lines import LineView

MOST_MARKED = 2000


class ExecutionsView(Reloading, Filtering, Bulk):
    view = "executions"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("executions")]

    def __init__(self, session: Session) -> None:
        super().__init__(session)

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield Executions(self.client, self.glyphs, self.session.histories, full=True)
        yield Bar(id="footer")

    async def on_mount(self) -> None:
        self.executions.focus()
        wanted, self.session.wanted_filter = self.session.wanted_filter, None
        if wanted is not None:
            self.executions.choose(filter=wanted)
        else:
            await self.guarded(self.take_up())
        self.reload_list()

    def focus_main(self) -> None:
        self.executions.focus()

    # Reading

    def events_arrived(self, events: list[WorkflowEvent]) -> None:
        self.executions.note(events)
        if any(event.event_type != EventType.LOG for event in events):
            self.load_soon()

    async def reload(self) -> None:
        self.executions.choose()
        await super().reload()

    def on_screen_resume(self) -> None:
        self.executions.listing.note(run.id for run in self.executions.runs if not run.status.is_final)

    async def load(self) -> None:
        await self.executions.load()
        await self.session.read_counts()
        self.show_header()
        self.read_histories()
        self.set_clock()

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        self._read_more()

    @work(group="more", exclusive=True)
    async def _read_more(self) -> None:
        await self.guarded(self._load_more())

    async def _load_more(self) -> None:
        await self.executions.load_more()

    # What moves

    @property
    def moves(self) -> bool:
        return self.executions.moves

    def tick(self) -> None:
        self.executions.refresh_moved()

    def show_histories(self) -> None:
        super().show_histories()
        self.set_clock()

    def action_follow(self) -> None:
        self.executions.toggle_follow()

    async def action_history(self) -> None:
        self.choose(filter_of_template(self.the_template))

    # Sorting

    def action_sort(self) -> None:
        answers: dict[str, tuple[str, str]] = {sort[0]: (sort, sort) for sort in SORTS}

        async def sort(by: str) -> None:
            self.choose(self.executions.listing.filter, next(one for one in SORTS if one == by))

        self.ask(Question("Sort by", answers), sort)

    def action_reverse(self) -> None:
        self.choose(self.executions.listing.filter, reverse=not self.executions.listing.reverse)

    # Marks

    def action_mark(self) -> None:
        with self.undoable():
            self.executions.toggle_mark()

    def action_mark_range(self) -> None:
        with self.undoable():
            self.executions.mark_range()

    @work(group="marks", exclusive=True)
    async def action_mark_all(self) -> None:
        """All that match; where they are marked already, none."""
        await self.guarded(self._mark_all())

    async def _mark_all(self) -> None:
        pane = self.executions
        if pane.runs and all(run.id in pane.marks for run in pane.runs):
            with self.undoable():
                pane.mark(())
            return
        while pane.listing.has_more and len(pane.runs) < MOST_MARKED:
            self.note(f"{len(pane.runs):,} match so far …")
            await pane.read_below()
        with self.undoable():
            pane.mark(pane.runs[:MOST_MARKED])
        more = ", and there are more" if pane.listing.has_more or len(pane.runs) > MOST_MARKED else ""
        self.note(f"Marked {len(pane.marks):,}{more}; esc takes the marks away")

    # What is at hand

    @property
    def run_at_hand(self) -> RunRecord | None:
        return self.executions.selected

    @property
    def template_at_hand(self) -> str | None:
        return None if self.executions.selected is None else self.executions.selected.template

    @property
    def marked(self) -> list[RunRecord]:
        return list(self.executions.marks.values())

    def action_cancel(self) -> None:
        if self.marked:
            self.cancel_all(self.marked)
        else:
            super().action_cancel()

    def action_terminate(self) -> None:
        if self.marked:
            self.terminate_all(self.marked)
        else:
            super().action_terminate()

    def action_retry(self) -> None:
        if self.marked:
            self.retry_all(self.marked)
        else:
            super().action_retry()

    def action_pause(self) -> None:
        if self.marked:
            self.pause_all(self.marked)
        else:
            super().action_pause()

    async def action_diff(self) -> None:
        """Of two marked ones, the older before the newer; without marks from the last that completed."""
        marked = sorted(run.id for run in self.marked)
        if len(marked) == 2:
            await self.show_above("diff", *marked)
        elif marked:
            self.note(f"{len(marked):,} are marked; two can be compared")
        else:
            await super().action_diff()

    async def show_run(self, run_id: str) -> None:
        await self.executions.load()
        self.executions.select(run_id)

    def why_not(self, key: Key) -> str | None:
        if self.marked and key.id in ALL_AT_ONCE:
            return Frame.why_not(self, key)
        return super().why_not(key)

    async def action_open(self) -> None:
        if self.executions.selected is not None:
            await self.show_above("run", self.executions.selected.id)

    def action_problem(self, direction: int) -> None:
        if not self.executions.next_problem(direction):
            self.note("No other execution failed" if direction > 0 else "None above failed")
