"""What every screen with a list of executions can do with it: filter it, and show how earlier ones went."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from textual import work
from textual.timer import Timer

from stepflow_tui.listing import Sort
from stepflow_tui.panes.executions import Executions
from stepflow_tui.panes.saved_views import SavedView
from stepflow_tui.presentation.filters import Filter, FilterError, parse_filter
from stepflow_tui.remembering import Kept
from stepflow_tui.screens.querying import Querying
from stepflow_tui.session import Session
from stepflow_tui.undoing import Chosen, Undo
from stepflow_tui.widgets.filter_field import FilterField


class Filtering(Querying):
    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._wants_histories = False
        self._reads_histories = False
        self._later_histories: Timer | None = None
        self._undo = Undo()
        self._kept: Kept | None = None
        """How it is to begin."""
        self._before_typing: Chosen | None = None

    @property
    def executions(self) -> Executions:
        return self.query_one(Executions)

    def reload_list(self) -> None:
        """Read the executions again."""
        raise NotImplementedError

    async def on_mount(self) -> None:
        self.executions.watched = self.session.watched
        self.executions.predictions = self.session.predictions

    # As it was left

    def kept(self) -> Kept:
        chosen, selected = self.chosen, self.executions.selected
        return msgspec.structs.replace(
            super().kept(),
            filter=chosen.filter.text,
            sort=chosen.sort,
            reverse=chosen.reverse,
            cursor=None if selected is None else selected.id,
        )

    def begin_as(self, kept: Kept) -> None:
        self._kept = kept

    async def take_up(self) -> None:
        """Before the executions are read."""
        kept, self._kept = self._kept, None
        if kept is None:
            return
        try:
            wanted = parse_filter(kept.filter)
        except FilterError:
            wanted = Filter()  # of another release
        self.executions.choose(filter=wanted, sort=kept.sort, reverse=kept.reverse)
        for run in await self.client.get_runs([kept.cursor] if kept.cursor else []):
            if run.parent_run_id is None and wanted.matches(run, self.now()):
                self.executions.begin_on(run)

    # The filter

    async def action_filter(self) -> None:
        if not self.query("#filter"):
            self._before_typing = self.chosen
            await self.mount(FilterField(self.executions.listing.filter.text, self.session.past_filters))
        self.set_focus(self.query_one(FilterField).field)  # at once: what is typed next is no key of the screen
        self.name_templates()

    async def on_filter_field_given(self, message: FilterField.Given) -> None:
        if message.is_final:
            await self._close_filter()
        self._choose(message.filter)
        self._typed(is_final=message.is_final)

    async def on_filter_field_closed(self, message: FilterField.Closed) -> None:
        await self._close_filter()
        self._choose(Filter())
        self._typed(is_final=True)

    def _typed(self, *, is_final: bool) -> None:
        """All that was typed is taken back at once."""
        if is_final and self._before_typing is not None:
            self._undo.note(self._before_typing, self.chosen)
            self._before_typing = None

    async def _close_filter(self) -> None:
        await self.query("#filter").remove()
        self.focus_main()

    @property
    def chosen(self) -> Chosen:
        """What is listed and marked."""
        pane = self.executions
        listing = pane.listing
        return Chosen(listing.filter, listing.sort, listing.reverse, dict(pane.marks))

    @contextmanager
    def undoable(self) -> Iterator[None]:
        """What is changed inside can be taken back."""
        before = self.chosen
        yield
        self._undo.note(before, self.chosen)

    def action_undo(self, by: int) -> None:
        now = self.chosen
        to = self._undo.back(now) if by < 0 else self._undo.on(now)
        if to is None:
            self.note("No filter and no mark to take back" if by < 0 else "Nothing was taken back")
            return
        if to.listed != now.listed:
            self.executions.choose(filter=to.filter, sort=to.sort, reverse=to.reverse)
            self.reload_list()
        self.executions.mark(to.marks.values())
        self.note(to.said)

    def choose(self, wanted: Filter, sort: Sort | None = None, reverse: bool | None = None) -> None:
        with self.undoable():
            self._choose(wanted, sort, reverse)

    def _choose(self, wanted: Filter, sort: Sort | None = None, reverse: bool | None = None) -> None:
        listing = self.executions.listing
        if (wanted, sort or listing.sort, reverse) != (listing.filter, listing.sort, None):
            self.executions.choose(filter=wanted, sort=sort, reverse=reverse)
            self.reload_list()

    async def action_back(self) -> None:
        if self.executions.marks:
            with self.undoable():
                self.executions.mark(())
        elif self.executions.listing.filter.terms:
            self.choose(Filter())
        else:
            await super().action_back()

    async def action_problem(self, direction: int) -> None:
        await self.guarded(self._go_to_problem(direction))

    async def _go_to_problem(self, direction: int) -> None:
        said = await self.executions.next_problem(direction)
        if said is None and direction < 0:
            said = "None above failed"
        elif said is None:
            listing = self.executions.listing
            read = f" of the {len(listing.runs):,} that were read" if listing.has_more and not listing.is_by_age else ""
            said = f"No other execution{read} failed, waits or runs"
        if said:
            self.note(said)

    @property
    def view_at_hand(self) -> SavedView:
        listing = self.executions.listing
        return SavedView("", listing.filter, listing.sort, listing.reverse)

    def open_view(self, view: SavedView) -> None:
        self.choose(view.filter, view.sort, view.reverse)

    # Histories

    def on_executions_scrolled(self) -> None:
        self.read_histories()

    def on_executions_miscounted(self) -> None:
        self.reload_list()

    def read_histories(self) -> None:
        """Of what is seen; what comes to be seen meanwhile is read after."""
        self._wants_histories = True
        if not self._reads_histories:
            self._reads_histories = True
            self._do_read_histories()

    @work(group="histories")
    async def _do_read_histories(self) -> None:
        try:
            while self._wants_histories:
                self._wants_histories = False
                await self.guarded(self._read_histories())
        finally:
            self._reads_histories = False

    async def _read_histories(self) -> None:
        histories = self.session.histories
        if await histories.read(self.seen_templates):
            self.show_histories()
        wait = histories.due_in(self.seen_templates)
        if wait is not None and self._later_histories is None:
            self._later_histories = self.set_timer(max(wait, 0.01), self._read_histories_later)

    def _read_histories_later(self) -> None:
        self._later_histories = None
        self.read_histories()

    @property
    def seen_templates(self) -> list[str]:
        return self.executions.seen_templates

    def show_histories(self) -> None:
        self.executions.refresh()
