"""All executions at full width: more columns, sorted as one likes, and marks to do something with many at once."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType

from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow_tui.keymap import bindings
from stepflow_tui.panes.executions import Executions
from stepflow_tui.presentation.filters import filter_of_template
from stepflow_tui.remembering import Kept
from stepflow_tui.screens.marking import Marking
from stepflow_tui.screens.reloading import Reloading
from stepflow_tui.session import Session
from stepflow_tui.undoing import Chosen
from stepflow_tui.widgets.bar import Bar
from stepflow_tui.widgets.lines import LineView


class ExecutionsView(Reloading, Marking):
    view = "executions"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("executions")]

    def __init__(self, session: Session) -> None:
        super().__init__(session)

        self._list = Executions(self.client, self.glyphs, session.histories, full=True)

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield self._list
        yield Bar(id="footer")

    @property
    def executions(self) -> Executions:
        return self._list

    async def on_mount(self) -> None:
        self.executions.focus()
        wanted, self.session.wanted_filter = self.session.wanted_filter, None
        if wanted is not None:
            self.executions.choose(filter=wanted)
        elif self._kept is None and self.session.chosen is not None:
            await self.guarded(self._choose_again(*self.session.chosen))
        else:
            await self.guarded(self.take_up())
        self.reload_list()

    async def _choose_again(self, chosen: Chosen, cursor: str | None) -> None:
        """As it was left."""
        self.begin_as(Kept("executions", (), chosen.filter.text, chosen.sort, chosen.reverse, cursor))
        await self.take_up()
        self.executions.mark(await self.client.get_runs(list(chosen.marks)))

    def on_unmount(self) -> None:
        selected = self.executions.selected
        self.session.chosen = self.chosen, None if selected is None else selected.id

    def focus_main(self) -> None:
        self.executions.focus()

    # Reading

    def events_arrived(self, events: list[WorkflowEvent]) -> None:
        self.executions.note(events)
        if any(event.event_type != EventType.LOG for event in events):
            self.load_soon()

    def workers_changed(self) -> None:
        self.executions.listing.note(run.id for run in self.executions.runs if not run.status.is_final)
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

    # What is at hand

    @property
    def run_at_hand(self) -> RunRecord | None:
        return self.executions.selected

    @property
    def template_at_hand(self) -> str | None:
        return None if self.executions.selected is None else self.executions.selected.template

    async def show_run(self, run_id: str) -> None:
        await self.executions.load()
        self.executions.select(run_id)

    async def action_open(self) -> None:
        if self.executions.selected is not None:
            await self.show_above("run", self.executions.selected.id)
