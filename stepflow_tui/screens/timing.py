"""A screen with a timeline: its keys for the part of the time that is seen, and for what is folded."""

from __future__ import annotations

from stepflow_tui.keymap import Key
from stepflow_tui.panes.timeline import Timeline
from stepflow_tui.screens.acting import Acting

OF_TIMELINE = ("closer", "further", "fit", "later", "earlier", "critical")
"""Ids of the keys that nothing but a timeline has."""


class Timing(Acting):
    @property
    def timeline(self) -> Timeline:
        return self.query_one(Timeline)

    def why_not(self, key: Key) -> str | None:
        if reason := super().why_not(key):
            return reason
        if key.id in OF_TIMELINE and self.focused is not self.timeline:
            return "That is for the timeline: go to it with tab"
        return None

    def on_timeline_learned(self) -> None:
        self.show_header()
        self.set_clock()

    async def action_fold(self) -> None:
        if self.focused is not self.timeline:
            self.note("That is for the steps: go to them with tab")
        elif not self.timeline.fold():
            self.note("Nothing is folded here")

    def action_magnify(self, by: int) -> None:
        if not self.timeline.magnify(by):
            self.note("It cannot be seen closer" if by > 0 else "All of the time is seen")

    def action_pan(self, by: int) -> None:
        timeline = self.timeline
        if timeline.zoom is None:
            self.note("All of the time is seen; + shows a smaller part of it")
        elif not timeline.pan(by):
            self.note("Nothing is after it" if by > 0 else "Nothing is before it")

    def action_critical_only(self) -> None:
        if not self.timeline.toggle_critical():
            self.note("Every step that began is on the critical path")

    async def open_of_timeline(self) -> bool:
        """What is under its cursor: an item as an execution, a fold unfolded. False: a step is."""
        item = self.timeline.item_at_hand
        if item is not None:
            await self.show_above("run", item.run_id)
        return item is not None or (self.timeline.is_fold_at_hand and self.timeline.fold())
