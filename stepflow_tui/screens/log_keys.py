"""A screen with a log beside its timeline: the keys for what of the log is shown, and how."""

from __future__ import annotations

from stepflow.model.event import LEVELS, WorkflowEvent
from stepflow_tui.panes.log import Log
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.step import event_detail
from stepflow_tui.screens.timing import Timing


class LogKeys(Timing):
    @property
    def log_at_hand(self) -> Log | None:
        """The one that its keys are for."""
        return self.focused if isinstance(self.focused, Log) else None

    @property
    def way_to_log(self) -> str:
        """What is said where none is at hand."""
        raise NotImplementedError

    def log_or_note(self) -> Log | None:
        pane = self.log_at_hand
        if pane is None:
            self.note(self.way_to_log)
        return pane

    def action_mark_line(self) -> None:
        if pane := self.log_or_note():
            pane.toggle_mark()

    async def action_wrap(self) -> None:
        if pane := self.log_or_note():
            pane.set_wraps(not pane.wraps)

    def action_times(self) -> None:
        if pane := self.log_or_note():
            pane.set_times(not pane.has_times)

    async def action_level(self) -> None:
        if pane := self.log_or_note():
            pane.level = LEVELS[(LEVELS.index(pane.level) + 1) % len(LEVELS)]
            await self.guarded(pane.load(self.client, pane.run_id))

    async def action_only_step(self) -> None:
        """The step of the line under the cursor, else the step at hand; then all again."""
        pane = self.log_or_note()
        if pane is None:
            return
        run = self.run_at_hand
        if pane.run_id is None:
            self.note("The log is of all: l shows that of one execution, S then of one step")
            return
        at = None if pane.selected is None else pane.selected.step_key
        if at is None and run is not None and run.id == pane.run_id:
            at = self.step_at_hand
        if at is None and pane.step is None:
            self.note(f"No step of {short_id(pane.run_id)} is at hand; j k go to a line of one")
            return
        pane.step = at if pane.step is None else None
        await self.guarded(pane.load(self.client, pane.run_id))

    async def action_fold(self) -> None:
        pane = self.log_at_hand
        if pane is None or pane.selected is None:
            await super().action_fold()
        else:
            await self.guarded(self.unfold_line(pane, pane.selected))

    async def unfold_line(self, pane: Log, event: WorkflowEvent) -> None:
        """All that it says, or no more than its line again; what is big of it is read only now."""
        says: list[Line] = []
        if not pane.is_unfolded(event):
            whole = await self.client.get_events(after_seq=event.seq - 1, limit=1)
            says = [[("    ", ""), *line] for line in event_detail(whole[0] if whole else event, self.glyphs)]
        pane.toggle_unfolded(event, says)
