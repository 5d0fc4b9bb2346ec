"""The first screen: templates, executions, the steps of the selected one, the live log.

It reads and asks; workers do the work. The first page is painted before anything else begins.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec
from textual import work
from textual.binding import BindingType

from stepflow.model.run import RunRecord
from stepflow_tui.keymap import Key, bindings
from stepflow_tui.panes.executions import Executions
from stepflow_tui.panes.fleet import FleetPane
from stepflow_tui.panes.graph import Graph
from stepflow_tui.panes.log import Log
from stepflow_tui.panes.recent_failures import RecentFailures
from stepflow_tui.panes.run_log import RunLog
from stepflow_tui.panes.saved_views import KeptViews, SavedView, SavedViews
from stepflow_tui.panes.templates import Templates
from stepflow_tui.panes.timeline import Timeline
from stepflow_tui.presentation.arrangement import Contents
from stepflow_tui.presentation.filters import Filter
from stepflow_tui.remembering import Kept
from stepflow_tui.screens.following import Following
from stepflow_tui.screens.marking import OF_THE_LIST, Marking
from stepflow_tui.session import Session
from stepflow_tui.widgets.bar import Question
from stepflow_tui.widgets.lines import LineView
from stepflow_tui.widgets.text import Text

LIKELY = 20
"""Lines that a list will fill, before it is known."""


class Dashboard(Following, Marking):
    view = "dashboard"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dashboard")]

    def __init__(self, session: Session, *, run: RunRecord | None = None) -> None:
        """`run`: the execution to begin on."""
        super().__init__(session)
        self._begin_on = run

    # Panes

    def make_pane(self, name: str) -> LineView:
        match name:
            case "templates":
                return Templates(self.glyphs, self.session.files, self.session.histories)
            case "executions":
                return Executions(self.client, self.glyphs, self.session.histories)
            case "timeline":
                return Timeline(self.session)
            case "fleet":
                return FleetPane(self.glyphs)
            case "failures":
                return RecentFailures(self.glyphs)
            case "kept":
                return KeptViews()
            case "detail":
                return Text(id="detail")
            case "graph":
                return Graph(self.glyphs, self.now, least_width=60)
            case "events":
                return RunLog("Events", id="events", lines=False)
            case _:
                return Log()

    def pane_came(self, name: str) -> None:
        super().pane_came(name)
        if isinstance(pane := self.pane(name), KeptViews):
            pane.show(self.kept_views)
        elif name in ("fleet", "failures"):
            self.count_soon()

    @property
    def contents(self) -> Contents:
        """Before anything was read: as much as there may be."""
        if not self._panes:
            return Contents(LIKELY, LIKELY, True, LIKELY, len(self.kept_views))
        failures = self.pane("failures")
        return Contents(
            templates=self.templates.row_count,
            executions=self.executions.row_count,
            is_begun=self.executions.row_count > 0 or bool(self.executions.listing.filter.terms),
            failures=failures.row_count if failures is not None else 0,
            kept=len(self.kept_views),
        )

    @property
    def templates(self) -> Templates:
        return self.query_one(Templates)

    @property
    def log_pane(self) -> Log:
        return self.query_one("#log", Log)

    # What moves

    @property
    def moves(self) -> bool:
        return self.timeline.ticks or self.executions.moves

    def tick(self) -> None:
        self.timeline.tick()
        self.tick_graph()
        self.executions.refresh_moved()

    def storage_came_back(self) -> None:
        """Whoever saw it reads all again."""

    # Moving

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        if message.view is self.executions:
            self._selection_changed()
        elif message.view is self.graph and self.graph.selected_key is not None:
            self.timeline.select(self.graph.selected_key)
            self.read_beside()
        elif message.view is self.timeline and self.tells_step:
            if self.graph is not None and self.timeline.selected_key is not None:
                self.graph.select(self.timeline.selected_key)
            self.read_beside()
        elif message.view is self.event_pane:
            self._read_older_events()
        elif message.view is self.log_pane:
            self._read_older()

    @work(group="selection", exclusive=True)
    async def _selection_changed(self) -> None:
        await self.guarded(self._load_steps())
        await self.guarded(self._load_around())

    async def _load_around(self) -> None:
        await self.executions.load_more()
        selected = self.executions.selected
        if self._log_of_selected and selected is not None and self.log_pane.run_id != selected.id:
            await self.log_pane.load(self.client, selected.id)

    @work(group="older")
    async def _read_older(self) -> None:
        await self.guarded(self.log_pane.load_older(self.client))

    @work(group="older events")
    async def _read_older_events(self) -> None:
        if self.event_pane is not None:
            await self.guarded(self.event_pane.load_older(self.client))

    async def action_back(self) -> None:
        if self.has_class("-zoomed"):
            self.unzoom()
        elif self.focused is not self.executions:
            self.executions.focus()
        elif self.executions.marks:
            with self.undoable():
                self.executions.mark(())
        elif self.executions.listing.filter.terms:
            self.choose(Filter())

    def reload_list(self) -> None:
        self._hurry.set()
        self._reload({"executions", "steps"})

    @property
    def seen_templates(self) -> list[str]:
        return [*super().seen_templates, *self.templates.seen_templates]

    def show_histories(self) -> None:
        super().show_histories()
        self.templates.refresh()

    def _set_view(self, name: str, view: SavedView | None) -> bool:
        is_kept = super()._set_view(name, view)
        self._show_kept()
        self.rearrange()
        return is_kept

    async def action_open(self) -> None:
        if self.focused is self.templates and self.templates.selected is not None:
            name = self.templates.selected.name
            run = next((run for run in self.executions.runs if run.template == name), None)
            if run is None:
                self.note(f"{name} has not run yet; r runs it")
                return
            self.executions.select(run.id)
            self.executions.focus()
        elif self.focused in self._beside:
            await self._open_beside(self.focused)
        elif self.focused is self.executions and self.timeline in self.seen_panes():
            self.timeline.focus()
        elif self.focused is self.timeline and await self.open_of_timeline():
            pass
        elif self.focused in (self.executions, self.timeline) and self.executions.selected is not None:
            await self.show_above("run", self.executions.selected.id, self.step_at_hand)

    @property
    def _beside(self) -> list[LineView]:
        """Panes that are ways to somewhere."""
        names = ("fleet", "failures", "kept", "detail", "graph", "events")
        return [pane for pane in map(self.pane, names) if pane is not None]

    async def _open_beside(self, pane: object) -> None:
        if isinstance(pane, FleetPane):
            await self.action_view("workers")
        elif isinstance(pane, RecentFailures):
            group = pane.selected_group
            self.session.wanted_failure = None if group is None else group.fingerprint
            await self.action_view("failures")
        elif isinstance(pane, KeptViews):
            if pane.selected is not None:
                await self.on_saved_views_chosen(SavedViews.Chosen(pane.selected))
        elif self.run_at_hand is not None:
            tab = "events" if pane is self.event_pane else "graph" if pane is self.graph else None
            await self.show_above("run", self.run_at_hand.id, self.step_at_hand, tab)

    async def on_recent_failures_opened(self) -> None:
        await self._open_beside(self.pane("failures"))

    @work(group="log", exclusive=True)
    async def action_toggle_log(self) -> None:
        selected = self.executions.selected
        if selected is None:
            self.note("No execution is selected; the log shows everything")
            return
        self._log_of_selected = not self._log_of_selected
        await self.guarded(self.log_pane.load(self.client, selected.id if self._log_of_selected else None))

    # As it was left

    def kept(self) -> Kept:
        zoomed = next((pane.id for pane in self.query(".zoomed").results(LineView)), None)
        return msgspec.structs.replace(super().kept(), zoomed=zoomed)

    async def take_up(self) -> None:
        zoomed = None if self._kept is None else self.pane(self._kept.zoomed or "")
        await super().take_up()
        if zoomed is not None:
            self.set_focus(zoomed)
            self.action_zoom()
            zoomed.focus()  # and once more, after the executions, which had it first

    # The pane that has the keys

    async def action_filter(self) -> None:
        """The executions; in another pane words are looked for."""
        if self.found_in in (None, self.executions):
            await super().action_filter()
        else:
            await self.action_find()

    def action_follow(self) -> None:
        (self.focused if isinstance(self.focused, Log) else self.executions).toggle_follow()

    @property
    def way_to_log(self) -> str:
        if self.log_pane in self.seen_panes() or self.has_class("-zoomed"):
            return "That is for the log: tab goes there"
        return "No room for the log: enter, then l"

    def why_not(self, key: Key) -> str | None:
        if key.id in OF_THE_LIST and self.focused is not self.executions:
            return "That is for the executions: esc goes there"
        return super().why_not(key)

    # What is at hand

    def focus_main(self) -> None:
        self.executions.focus()

    @property
    def run_at_hand(self) -> RunRecord | None:
        return self.executions.selected

    @property
    def template_at_hand(self) -> str | None:
        """The one under the cursor, or that of the selected execution."""
        if self.focused is self.templates and self.templates.selected is not None:
            return self.templates.selected.name
        if self.executions.selected is not None:
            return self.executions.selected.template
        return None if self.templates.selected is None else self.templates.selected.name

    @property
    def step_at_hand(self) -> str | None:
        shown, selected = self.timeline.run, self.executions.selected
        return self.timeline.selected_key if shown and selected and shown.id == selected.id else None

    @property
    def step_to_edit(self) -> str | None:
        return self.step_at_hand if self.tells_step else None

    async def line_to_edit(self, name: str) -> int:
        return 1 if self.focused is self.templates else await super().line_to_edit(name)

    async def show_run(self, run_id: str) -> None:
        await self.executions.load()
        self.executions.select(run_id)
        self._reload({"executions", "steps"})

    # Leaving

    async def action_leave(self) -> None:
        live = self.session.live_count
        process = self.session.worker_process
        if not live or process is None or not process.is_alive():
            self._leave()
            return
        many = "executions are" if live > 1 else "execution is"
        answers = {
            "enter": ("leave", "leave its worker in the background"),
            "w": ("wait", "wait for the end"),
            "s": ("stop", "stop it"),
        }
        question = Question(f"{live} {many} live.", answers)

        async def leave(answer: str) -> None:
            if answer == "stop":
                process.stop()
            if answer == "wait":
                self.note("Leaving when all have ended; q again to leave now")
                self.set_interval(0.5, self._leave_if_done)
                return
            self._leave()

        self.ask(question, leave)

    def _leave_if_done(self) -> None:
        if not self.session.live_count:
            self._leave()

    def _leave(self) -> None:
        self.app.exit(0)
