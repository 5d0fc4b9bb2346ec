"""Looking for words in everything: executions, their steps, what they said; the newest first, as it is found."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import ClassVar

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.timer import Timer

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow_tui.keymap import bindings
from stepflow_tui.panes.found import KINDS, LINES, Found
from stepflow_tui.panes.saved_views import SavedView
from stepflow_tui.presentation.filters import Filter, FilterError, parse_filter
from stepflow_tui.presentation.search import State, found_line
from stepflow_tui.remembering import Kept
from stepflow_tui.screens.querying import Querying
from stepflow_tui.searching import MOST_FOUND, Search
from stepflow_tui.session import Session
from stepflow_tui.widgets.bar import Bar
from stepflow_tui.widgets.filter_field import FilterField
from stepflow_tui.widgets.tabs import Tabs

SHOWN_EVERY_SECONDS = 0.1
NOTHING_YET = "words, or a filter as err~503 since:7d"


class SearchView(Querying):
    view = "search"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("search")]
    DEFAULT_CSS = "SearchView FilterField { dock: none; }"

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.search = Search(Filter())
        self._looks = False
        self._shown_at = 0.0
        self._shown_any = False
        self._show_later: Timer | None = None
        self._kept: Kept | None = None
        """How it is to begin."""

    def kept(self) -> Kept:
        return msgspec.structs.replace(super().kept(), filter=self.search.filter.text)

    def begin_as(self, kept: Kept) -> None:
        self._kept = kept

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield FilterField("", self.session.past_filters, enter="looks for it", escape="stops it", id="query")
        yield Tabs(KINDS, id="tabs")
        yield Found(self.glyphs)
        yield Bar(id="footer")

    @property
    def found(self) -> Found:
        return self.query_one(Found)

    async def on_mount(self) -> None:
        self.set_focus(self.query_one(FilterField).field)
        self.found.tell(NOTHING_YET)
        self.name_templates()
        kept, self._kept = self._kept, None
        with suppress(FilterError):  # of another release
            if kept is not None and kept.filter and (wanted := parse_filter(kept.filter)).terms:
                self.open_view(SavedView("", wanted))
                self.found.focus()

    def events_arrived(self, events: list[WorkflowEvent]) -> None:
        """What was found is not looked for again by itself."""
        self.miss()

    def on_screen_resume(self) -> None:
        """While another screen lay above it heard of nothing."""
        if self.is_mounted:
            self.miss()

    async def reload(self) -> None:
        """Look for the same once more."""
        if self.search.filter.terms:
            self.look_for(self.search.filter)

    def focus_main(self) -> None:
        self.found.focus()

    def action_filter(self) -> None:
        self.set_focus(self.query_one(FilterField).field)

    # Looking

    def on_filter_field_given(self, message: FilterField.Given) -> None:
        if message.is_final and message.filter.terms:
            self.look_for(message.filter)
            self.found.focus()

    def look_for(self, wanted: Filter) -> None:
        self.search = Search(wanted)
        self._shown_any = False
        self.found.freshness.begin_anew()
        self._look(self.search)

    @work(group="search", exclusive=True)
    async def _look(self, search: Search) -> None:
        self._looks = True
        try:
            await self.guarded(search.look(self.client, self._seen))
        finally:
            if search is self.search:
                self._looks = False
                await self.guarded(self._end(search))

    async def _end(self, search: Search) -> None:
        if search.is_over:
            self.found.freshness.end()
        self._show()
        self._show_some()

    def _seen(self) -> None:
        """A piece more; what comes soon after is drawn with it."""
        wait = self._shown_at + SHOWN_EVERY_SECONDS - time.monotonic()
        if wait <= 0 or (not self._shown_any and any(self.search.counts)):
            self._show()
        elif self._show_later is None:
            self._show_later = self.set_timer(wait, self._show)

    def _show(self) -> None:
        if self._show_later is not None:
            self._show_later.stop()
            self._show_later = None
        self._shown_at = time.monotonic()
        search = self.search
        self._shown_any = any(search.counts)
        names = [f"{kind} {count:,}" for kind, count in zip(KINDS, search.counts, strict=False)]
        self.query_one(Tabs).rename([*names, *KINDS[len(names) :]])
        self.found.show(search)
        state: State = "over" if search.is_over else "looks" if self._looks else "stopped"
        said = found_line(search.counts, search.seconds, search.reach, MOST_FOUND, datetime.now(UTC), state)
        self.found.border_title = Content(f"6 Found  /{search.filter.text}")
        self.found.tell(said)

    def _show_some(self) -> None:
        """Another kind, where none of the one that is shown was found."""
        search, found = self.search, (self.search.runs, self.search.steps, self.search.lines)
        if search.is_over and not self.found.rows and any(found):
            self._show_kind(next(kind for kind, ones in enumerate(found) if ones))

    def _stop(self) -> bool:
        """Whether it looked for something."""
        looked, self._looks = self._looks, False
        self.workers.cancel_group(self, "search")
        return looked

    def on_filter_field_closed(self, message: FilterField.Closed) -> None:
        if not self._stop() and not self.search.filter.terms:
            self.app.call_later(self.action_view, "dashboard")
        else:
            self.found.focus()

    async def action_back(self) -> None:
        if not self._stop():
            await super().action_back()

    # Which kind

    def action_tab(self, by: int) -> None:
        self._show_kind((self.found.kind + by) % len(KINDS))

    def on_tabs_chosen(self, message: Tabs.Chosen) -> None:
        self._show_kind(message.place)

    def _show_kind(self, kind: int) -> None:
        self.found.show_kind(kind)
        self.query_one(Tabs).choose(kind)

    # What is at hand

    @property
    def run_at_hand(self) -> RunRecord | None:
        selected = self.found.selected
        return selected if selected is None or isinstance(selected, RunRecord) else selected.run

    @property
    def template_at_hand(self) -> str | None:
        return None if self.run_at_hand is None else self.run_at_hand.template

    async def show_run(self, run_id: str) -> None:
        await self.show_above("run", run_id)

    async def action_open(self) -> None:
        selected = self.found.selected
        if selected is None:
            self.note("Nothing is found yet")
        elif isinstance(selected, RunRecord):
            await self.show_above("run", selected.id)
        elif KINDS[self.found.kind] == LINES:
            line = str(selected.event.seq)
            await self.show_above("run", selected.run.id, selected.event.step_key, "log", line)
        else:
            await self.show_above("run", selected.run.id, selected.event.step_key)

    # Kept views

    @property
    def view_at_hand(self) -> SavedView:
        return SavedView("", self.search.filter)

    def open_view(self, view: SavedView) -> None:
        self.query_one(FilterField).set(view.filter.text)
        self.look_for(view.filter)
