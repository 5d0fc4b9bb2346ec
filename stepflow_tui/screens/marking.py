"""What a screen with a list of executions can do with it beside filtering: sort it, mark some of it, and do something
with all that are marked."""

from __future__ import annotations

from collections.abc import Sequence

from textual import work

from stepflow.model.run import RunRecord
from stepflow_tui.keymap import Key
from stepflow_tui.listing import SORTS
from stepflow_tui.screens.bulk import ALL_AT_ONCE, Bulk, Does
from stepflow_tui.screens.filtering import Filtering
from stepflow_tui.screens.frame import Frame
from stepflow_tui.widgets.bar import Question

MOST_MARKED = 2000
OF_THE_LIST = ("mark", "mark_range", "mark_all")
"""Ids of keys that are for the row under the cursor of the list."""


class Marking(Filtering, Bulk):
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

    # What is done with all that are marked

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
            self.note(f"{len(marked):,} {'are' if len(marked) > 1 else 'is'} marked; two can be compared")
        else:
            await super().action_diff()

    def _ask_for_all(
        self, what: str, done: str, wanted: Sequence[RunRecord], of: Sequence[RunRecord], does: Does, few: int
    ) -> None:
        """Those that the filter hides, or that are further below, are not acted on unsaid."""
        shown = {run.id for run in self.executions.runs}
        hidden = sum(run.id not in shown for run in wanted)
        super()._ask_for_all(f"{hidden:,} not shown: {what}" if hidden else what, done, wanted, of, does, few)

    def why_not(self, key: Key) -> str | None:
        if self.marked and key.id in ALL_AT_ONCE:
            return Frame.why_not(self, key)
        return super().why_not(key)
