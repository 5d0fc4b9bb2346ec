"""What failed in the last day, a line for each fingerprint, where the dashboard has room for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.message import Message

from stepflow.model.run import RunRecord
from stepflow_tui.panes.failures import Failures
from stepflow_tui.presentation.fingerprints import Group, short_group_row
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line


class RecentFailures(Failures):
    BORDER_TITLE = "7 Failures 24 h"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs, ())

    class Opened(Message):
        """A group was clicked."""

    def show(self, runs: Sequence[RunRecord], begin: datetime | None) -> None:
        super().show(runs, begin)
        many = "s" if len(self.groups) > 1 else ""
        self.tell(f"{len(runs):,} in {len(self.groups):,} group{many}" if runs else "")

    def line_at(self, row: int, width: int) -> Line:
        one = self.rows[row]
        assert isinstance(one, Group)  # none is unfolded here
        return short_group_row(one, width, self._glyphs)

    def on_click(self, event: object) -> None:
        super().on_click(event)
        if self.rows:
            self.post_message(self.Opened())
