"""What the dashboard does while it is there: it reads what it shows, follows the log and the files, and begins anew."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime
from typing import Literal

from textual import work
from textual.timer import Timer

from stepflow.client.workspace import Components, Round
from stepflow.errors import WorkflowEngineError
from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow_tui.live import MERGE_SECONDS, follow_log
from stepflow_tui.messages import EventsArrived, FilesChanged, StorageTrouble
from stepflow_tui.panes.failures import FAILED
from stepflow_tui.panes.log import Log
from stepflow_tui.panes.recent_failures import RecentFailures
from stepflow_tui.panes.saved_views import KeptViews
from stepflow_tui.panes.templates import Templates
from stepflow_tui.screens.beside import Beside
from stepflow_tui.screens.counting import Counting
from stepflow_tui.screens.filtering import Filtering
from stepflow_tui.screens.frame import Frame
from stepflow_tui.session import Session
from stepflow_tui.watching import note_of, watch_files

WATCH_SECONDS = 5.0
"""How often the workers are looked at while there is something to do."""
MANY_STEPS = 1000
SLOW_RELOAD_SECONDS = 1.0
NEWEST = 200
"""Executions that are read for the templates, where the list shows others."""
REST, MOST_REST_SECONDS = 5, 2.0
"""So many times as long as slow reading took, and no longer, nothing is read."""


class Following(Beside, Counting, Filtering):
    _begin_on: RunRecord | None
    """The execution to begin on."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._slow_reload: Timer | None = None
        self._reload_wanted: set[str] = set()
        self._reloading = False
        self._hurry = asyncio.Event()
        """Somebody waits for what is read."""
        self._log_of_selected = False
        self._seq = 0
        """The last event of the log that arrived."""
        self._file_is: Literal["same", "gone", "other"] = "same"

    @property
    def templates(self) -> Templates:
        raise NotImplementedError

    @property
    def log_pane(self) -> Log:
        raise NotImplementedError

    # Beginning

    async def on_mount(self) -> None:
        self.executions.focus()
        try:
            seq = await self.client.last_seq()
            if self._begin_on is not None:
                self.executions.begin_on(self._begin_on)
            else:
                await self.take_up()
            await self.templates.load(self.client)
            await self.executions.load(counts=False)
            selected = self.executions.selected
            if selected is None or selected.steps_total <= MANY_STEPS:
                await self._load_steps()
            else:
                self.timeline.clear("")
        except WorkflowEngineError as error:
            seq = 0
            self.note_trouble(error.message)
        self._show_kept()
        self.rearrange()
        self.call_after_refresh(self._begin, seq)

    def _show_kept(self) -> None:
        if isinstance(pane := self.pane("kept"), KeptViews):
            pane.show(self.kept_views)

    def _begin(self, seq: int) -> None:
        """After the first paint: the log, the worker, the follower; nor does anything begin anew before."""
        self.set_interval(WATCH_SECONDS, self._watch)
        self._seq = seq
        self.follow(seq)
        self._watch_files()
        above, self.session.kept_above = self.session.kept_above, []
        if above:
            self.app.call_later(self.guarded, self.open_kept(above))
        if self.session.troubles:
            self.note(self.session.troubles[0], "bad")
        self._after_first_paint()

    @work(group="begin")
    async def _after_first_paint(self) -> None:
        self._reload({"executions"})  # which counts them
        await self.guarded(self.log_pane.load(self.client, None))
        await self.guarded(self.ensure_worker())
        self.read_beside()
        self.count_soon()

    @work(group="files")
    async def _watch_files(self) -> None:
        """One for the whole app, where there is a workspace."""
        if self.client.workspace is not None and not self.session.read_only:
            await self.guarded(watch_files(self.client, self.post_message))

    @property
    def watches_files(self) -> bool:
        return self.session.files.is_watched

    def set_watching(self, watches: bool) -> None:
        if watches:
            self.session.files.is_watched = True
            self._watch_files()
        else:
            self.workers.cancel_group(self, "files")
            self.session.files.forget()
        self.templates.refresh()

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
        await follow_log(self.client, seq, self.post_message, self.session.taken)

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
            await self._look_after_workers()
            self._show_kept()
            self.count_soon()
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
        if seen is not None:
            seen.note_ends(message.events)

    def events_arrived(self, events: list[WorkflowEvent]) -> None:
        self._seq = events[-1].seq
        self.log_pane.add(events)
        told = [event for event in events if event.event_type != EventType.LOG]
        if told:
            self.executions.note(told)
            self.templates.note(told)
            self._note_failures(told)
            self.hear(told)
            self.session.histories.note(told)
            self.session.step_histories.note(told)
        self.timeline.note(events)
        self.note_beside(events)
        wanted: set[str] = set()
        selected = self.timeline.run
        for event in told:
            if event.event_type == EventType.TEMPLATE_SAVED:
                wanted.add("templates")
                self.templates.freshness.miss()
            else:
                wanted.add("executions")
                if selected is not None and event.run_id == selected.id:
                    wanted.add("steps")
        if "executions" in wanted:
            self.count_soon()
        if "steps" in wanted and len(self.timeline.rows) > MANY_STEPS:
            # Reading thousands of steps ten times a second would leave no time for keys.
            wanted.discard("steps")
            if self._slow_reload is None:
                self._slow_reload = self.set_timer(SLOW_RELOAD_SECONDS, self._reload_many_steps)
        self._reload(wanted)

    def _note_failures(self, events: list[WorkflowEvent]) -> None:
        failures = self.pane("failures")
        if isinstance(failures, RecentFailures) and any(event.event_type in FAILED for event in events):
            failures.freshness.miss()

    def on_templates_scrolled(self) -> None:
        self._reload({"executions"})

    def workers_changed(self) -> None:
        self.executions.listing.note(run.id for run in self.executions.runs if not run.status.is_final)
        self._reload({"executions", "steps"})

    def _reload_many_steps(self) -> None:
        self._slow_reload = None
        self._reload({"steps"})

    def on_storage_trouble(self, message: StorageTrouble) -> None:
        self.note_trouble(message.trouble)
        if message.trouble is None:
            self._reload({"executions", "templates", "steps"})

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
        """After reading, the longer the longer it took, unless somebody waits for it."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), max(MERGE_SECONDS, min(REST * took, MOST_REST_SECONDS)))

    async def _load(self, *, executions: bool = False, templates: bool = False, steps: bool = False) -> None:
        if templates:
            await self.templates.load(self.client)
        if executions:
            await self.executions.load()
            is_all = self.executions.listing.is_all
            newest = self.executions.runs if is_all else (await self.client.list_runs(NEWEST)).items
            await self.templates.note_runs(newest, self.client)
            await self.session.read_counts()
            self.show_header()
            self.tell_counts()
            self.read_histories()
            self.set_clock()
        if executions or templates:
            self.rearrange()
        if steps or (executions and self.timeline.run is None):
            await self._load_steps()

    async def _load_steps(self) -> None:
        selected = self.executions.selected
        if selected is None and self.executions.listing.filter.terms:
            self.timeline.clear("No execution matches.")
            self.tell_beside(None, ())
            return
        if selected is None:
            self.timeline.clear()
            self.tell_beside(None, ())
            return
        run = await self.client.get_run(selected.id, bodies=False)
        records = await self.client.get_steps(run.id, bodies=False, attempts=True)
        if self.executions.selected is not None and self.executions.selected.id == run.id:
            self.session.steps_read = run, records
            self.timeline.freshness.end()
            self.timeline.show(run, records)
            self.tell_beside(run, records)
            self.set_clock()

    async def _watch(self) -> None:
        """Whether the database is still the file that was opened, and somebody works on what there is to do; idle
        screens look at nothing else."""
        self.session.look_at_settings()
        found = self.session.look_at_file()
        # Trouble is looked after, too: a read that began before it was over may have said so after.
        if found != self._file_is or (found == "same" and self.session.storage_trouble is not None):
            self._file_is = found
            await self.reload()
            # What came back while it was read anew in vain is seen the next time.
            self._file_is = "same" if self.session.storage_trouble is None else found
        if not self.session.live_count:
            return
        await self._look_after_workers()

    async def look_at_workers(self) -> None:
        before = self.session.standing.workers
        await super().look_at_workers()
        if self.session.standing.workers != before:
            self.count_soon()

    async def _look_after_workers(self) -> None:
        before = self.session.standing.workers
        await self.look_at_workers()
        if self.session.standing.workers != before:
            self.workers_changed()
            seen = self._seen_frame
            if seen is not None and seen is not self:
                seen.workers_changed()
        if self.session.standing.workers == 0 and self.session.live_count:
            await self.ensure_worker()
