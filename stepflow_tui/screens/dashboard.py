"""The first screen: templates, executions, the steps of the selected one, the live log.

It reads and asks; workers do the work. The first page is painted before anything else begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import ClassVar, Literal

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.timer import Timer

from stepflow.client.workspace import Components, Round
from stepflow.errors import WorkflowEngineError
from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.keymap import bindings
from stepflow_tui.live import follow_log
from stepflow_tui.messages import EventsArrived, FilesChanged, StorageTrouble
from stepflow_tui.panes.executions import Executions
from stepflow_tui.panes.log import Log
from stepflow_tui.panes.templates import Templates
from stepflow_tui.panes.timeline import Timeline
from stepflow_tui.presentation.filters import Filter
from stepflow_tui.screens.filtering import Filtering
from stepflow_tui.screens.frame import Frame
from stepflow_tui.session import Session
from stepflow_tui.watching import note_of, watch_files
from stepflow_tui.widgets.bar import Bar, Question
from stepflow_tui.widgets.lines import LineView

WATCH_SECONDS = 5.0
"""How often the workers are looked at while there is something to do."""
MANY_STEPS = 1000
SLOW_RELOAD_SECONDS = 1.0
QUICK_SECONDS = 0.02
REST, MOST_REST_SECONDS = 5, 2.0
"""So many times as long as slow reading took, and no longer, nothing is read."""


class Dashboard(Filtering):
    view = "dashboard"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("dashboard")]

    def __init__(self, session: Session, *, run: RunRecord | None = None) -> None:
        """`run`: the execution to begin on."""
        super().__init__(session)
        self._begin_on = run
        self._slow_reload: Timer | None = None
        self._reload_wanted: set[str] = set()
        self._reloading = False
        self._hurry = asyncio.Event()
        """Somebody waits for what is read."""
        self._log_of_selected = False
        self._seq = 0
        """The last event of the log that arrived."""
        self._file_is: Literal["same", "gone", "other"] = "same"

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        with Horizontal(id="top"):
            yield Templates(self.glyphs, self.session.files, self.session.histories)
            yield Executions(self.client, self.glyphs, self.session.histories)
        yield Timeline(self.glyphs)
        yield Log()
        yield Bar(id="footer")

    # Panes

    @property
    def templates(self) -> Templates:
        return self.query_one(Templates)

    @property
    def executions(self) -> Executions:
        return self.query_one(Executions)

    @property
    def timeline(self) -> Timeline:
        return self.query_one(Timeline)

    @property
    def log_pane(self) -> Log:
        return self.query_one(Log)

    # Beginning

    async def on_mount(self) -> None:
        self.executions.focus()
        try:
            seq = await self.client.last_seq()
            if self._begin_on is not None:
                self.executions.begin_on(self._begin_on)
            await self._load(executions=True, templates=True)
        except WorkflowEngineError as error:
            seq = 0
            self.note_trouble(error.message)
        self.call_after_refresh(self._begin, seq)

    def _begin(self, seq: int) -> None:
        """After the first paint: the log, the worker, the follower; nor does anything begin anew before."""
        self.set_interval(WATCH_SECONDS, self._watch)
        self._seq = seq
        self.follow(seq)
        self._watch_files()
        if self.session.troubles:
            self.note(self.session.troubles[0], "bad")
        self._after_first_paint()

    @work(group="begin")
    async def _after_first_paint(self) -> None:
        await self.guarded(self.log_pane.load(self.client, None))
        await self.guarded(self.ensure_worker())

    @work(group="files")
    async def _watch_files(self) -> None:
        """One for the whole app, where there is a workspace."""
        if self.client.workspace is not None and not self.session.read_only:
            await self.guarded(watch_files(self.client, self.post_message))

    def on_files_changed(self, message: FilesChanged) -> None:
        note = note_of(self.session.files.take(message.round, datetime.now(UTC)))
        self.templates.refresh()
        seen = self._seen_frame
        if seen is not None:
            if note is not None:
                seen.note(*note)
            seen.files_changed()
        self._renew_worker(message.round)

    def _renew_worker(self, one: Round) -> None:
        """Ours has the Python of when it began: while nothing is live it gives way to the next one."""
        process = self.session.worker_process
        changed = any(isinstance(outcome, Components) and not outcome.is_first for outcome in one.outcomes)
        if changed and process is not None and process.is_alive() and not self.session.live_count:
            process.stop()

    @work(group="follow", exclusive=True)
    async def follow(self, seq: int) -> None:
        await follow_log(self.client, seq, self.post_message)

    # Beginning anew

    async def reload(self) -> None:
        """With the database as it is now, which may be another file."""
        is_other = self.session.look_at_file() != "same"
        self.workers.cancel_group(self, "follow")
        try:
            await self.session.reconnect()
            self._seq = await self.client.last_seq()
            if is_other:
                self.executions.choose()
            await self._load(executions=True, templates=True, steps=True)
            await self.log_pane.load(self.client, self.log_pane.run_id if self._log_of_selected else None)
            self.note_trouble(None)
        except WorkflowEngineError as error:
            self.note_trouble(error.message)
        self.follow(self._seq)

    # What arrives

    @property
    def _seen_frame(self) -> Frame | None:
        """The screen that is to hear of it, once its panes are there."""
        seen = self.app.screen
        return seen if isinstance(seen, Frame) and seen.is_mounted else None

    def on_events_arrived(self, message: EventsArrived) -> None:
        self.events_arrived(message.events)
        seen = self._seen_frame
        if seen is not None and seen is not self:
            seen.events_arrived(message.events)

    def events_arrived(self, events: list[WorkflowEvent]) -> None:
        self._seq = events[-1].seq
        self.log_pane.add(events)
        self.executions.note(events)
        self.session.histories.note(events)
        wanted: set[str] = set()
        selected = self.timeline.run
        for event in events:
            if event.event_type == EventType.TEMPLATE_SAVED:
                wanted.add("templates")
            elif event.event_type != EventType.LOG:
                wanted.add("executions")
                if selected is not None and event.run_id == selected.id:
                    wanted.add("steps")
        if "steps" in wanted and self.timeline.row_count > MANY_STEPS:
            # Reading thousands of steps ten times a second would leave no time for keys.
            wanted.discard("steps")
            if self._slow_reload is None:
                self._slow_reload = self.set_timer(SLOW_RELOAD_SECONDS, self._reload_many_steps)
        self._reload(wanted)

    def _reload_many_steps(self) -> None:
        self._slow_reload = None
        self._reload({"steps"})

    def on_storage_trouble(self, message: StorageTrouble) -> None:
        self.note_trouble(message.trouble)
        if message.trouble is None:
            self._reload({"executions", "templates", "steps"})
        seen = self._seen_frame
        if seen is not None and seen is not self:
            seen.show_header()

    def _reload(self, wanted: set[str]) -> None:
        """Read these panes again; what is asked for while it reads is read once more after."""
        self._reload_wanted |= wanted
        if self._reload_wanted and not self._reloading:
            self._reloading = True
            self._do_reload()

    @work(group="reload")
    async def _do_reload(self) -> None:
        try:
            while self._reload_wanted:
                wanted, self._reload_wanted = self._reload_wanted, set()
                self._hurry.clear()
                begun = time.monotonic()
                await self.guarded(self._load(**dict.fromkeys(wanted, True)))
                await self._rest(time.monotonic() - begun)
        finally:
            self._reloading = False

    async def _rest(self, took: float) -> None:
        """After reading that took long, unless somebody waits for it."""
        if took < QUICK_SECONDS:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), min(REST * took, MOST_REST_SECONDS))

    async def _load(self, *, executions: bool = False, templates: bool = False, steps: bool = False) -> None:
        if templates:
            await self.templates.load(self.client)
        if executions:
            await self.executions.load()
            is_all = self.executions.listing.is_all
            self.templates.note_runs(self.executions.runs if is_all else (await self.client.list_runs(200)).items)
            await self.session.read_counts()
            self.show_header()
            self.read_histories()
        if steps or (executions and self.timeline.run is None):
            await self._load_steps()

    async def _load_steps(self) -> None:
        selected = self.executions.selected
        if selected is None and self.executions.listing.filter.terms:
            self.timeline.clear("No execution matches.")
            return
        if selected is None:
            self.timeline.clear()
            return
        run = await self.client.get_run(selected.id)
        records = await self.client.get_steps(run.id, bodies=False, attempts=True)
        if self.executions.selected is not None and self.executions.selected.id == run.id:
            self.timeline.show(run, records)
            self.set_clock()

    # What moves

    @property
    def moves(self) -> bool:
        return self.timeline.ticks

    def tick(self) -> None:
        self.timeline.refresh()
        if any(run.status is RunStatus.RUNNING for run in self.executions.runs[:50]):
            self.executions.refresh()

    async def _watch(self) -> None:
        """Whether the database is still the file that was opened, and somebody works on what there is to do; idle
        screens look at nothing else."""
        found = self.session.look_at_file()
        # Trouble is looked after, too: a read that began before it was over may have said so after.
        if found != self._file_is or (found == "same" and self.session.storage_trouble is not None):
            self._file_is = found
            await self.reload()
            # What came back while it was read anew in vain is seen the next time.
            self._file_is = "same" if self.session.storage_trouble is None else found
        if not self.session.live_count:
            return
        await self.look_at_workers()
        if self.session.standing.workers == 0:
            await self.ensure_worker()

    # Moving

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        if message.view is self.executions:
            self._selection_changed()
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

    def _visible_panes(self) -> list[LineView]:
        panes: list[LineView] = [self.templates, self.executions, self.timeline, self.log_pane]
        return [pane for pane in panes if pane.display and pane.region.height > 0]

    def action_next_pane(self) -> None:
        self._to_pane(1)

    def action_previous_pane(self) -> None:
        self._to_pane(-1)

    def _to_pane(self, by: int) -> None:
        if self.has_class("-zoomed"):
            self._unzoom()
        panes = self._visible_panes()
        focused = self.focused
        index = panes.index(focused) if isinstance(focused, LineView) and focused in panes else 0
        panes[(index + by) % len(panes)].focus()

    def action_zoom(self) -> None:
        if self.has_class("-zoomed"):
            self._unzoom()
            return
        pane = self.focused
        if isinstance(pane, LineView):
            self.add_class("-zoomed")
            pane.add_class("zoomed")
            if pane.parent is not self:
                self.query_one("#top").add_class("zoomed")

    def _unzoom(self) -> None:
        self.remove_class("-zoomed")
        for widget in self.query(".zoomed"):
            widget.remove_class("zoomed")

    async def action_back(self) -> None:
        if self.has_class("-zoomed"):
            self._unzoom()
        elif self.focused is not self.executions:
            self.executions.focus()
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

    async def action_open(self) -> None:
        if self.focused is self.templates and self.templates.selected is not None:
            name = self.templates.selected.name
            run = next((run for run in self.executions.runs if run.template == name), None)
            if run is None:
                self.note(f"{name} has not run yet; r runs it")
                return
            self.executions.select(run.id)
            self.executions.focus()
        elif self.focused is self.executions and self.timeline in self._visible_panes():
            self.timeline.focus()
        elif self.focused in (self.executions, self.timeline) and self.executions.selected is not None:
            await self.show_above("run", self.executions.selected.id, self.step_at_hand)

    def action_problem(self, direction: int) -> None:
        if not self.executions.next_problem(direction):
            self.note("No other execution failed" if direction > 0 else "None above failed")

    @work(group="log", exclusive=True)
    async def action_toggle_log(self) -> None:
        selected = self.executions.selected
        if selected is None:
            self.note("No execution is selected; the log shows everything")
            return
        self._log_of_selected = not self._log_of_selected
        await self.guarded(self.log_pane.load(self.client, selected.id if self._log_of_selected else None))

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
