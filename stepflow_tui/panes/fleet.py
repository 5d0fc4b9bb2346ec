"""How the whole fares, where the dashboard has room for it."""

from __future__ import annotations

from datetime import UTC, datetime

from stepflow_tui.presentation.fleet import Fleet, fleet_lines
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.widgets.text import Text


class FleetPane(Text):
    BORDER_TITLE = "5 Fleet"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="fleet")
        self._glyphs = glyphs
        self.fleet: Fleet | None = None

    def tell(self, fleet: Fleet) -> None:
        """Nothing is drawn where it is as it was."""
        if fleet != self.fleet:
            self.fleet = fleet
            self.show(self._told_lines)

    def _told_lines(self, width: int) -> list[Line]:
        assert self.fleet is not None
        return fleet_lines(self.fleet, width, datetime.now(UTC), self._glyphs)
