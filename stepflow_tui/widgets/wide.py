"""A list whose lines may be longer than there is room: left and right bring what is beside into sight."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size

from stepflow_tui.presentation.spans import Line
from stepflow_tui.widgets.lines import LineView

CELLS = 16
"""At once."""


class WideView(LineView):
    left = 0
    """Cells that are out of sight on the left."""
    longest = 0
    """Cells of the longest line."""

    def action_scroll_right(self) -> None:
        self._to(self.left + CELLS)

    def action_scroll_left(self) -> None:
        self._to(self.left - CELLS)

    def _to(self, left: int) -> None:
        self.left = max(0, min(left, self.longest - CELLS))
        self.refresh()

    def in_sight(self, line: Line) -> Line:
        """The part of `line` that is not out of sight on the left."""
        hidden = self.left
        rest: Line = []
        for text, style in line:
            length = cell_len(text)
            if hidden >= length:
                hidden -= length
                continue
            if hidden:
                # A character of two cells may stand across the edge: a blank is left of it.
                gone = set_cell_size(text, hidden)
                kept = text[len(gone) :] if text.startswith(gone) else " " + text[len(gone.rstrip()) + 1 :]
                text, hidden = kept, 0
            rest.append((text, style))
        return rest


def longest_of(lines: Iterable[str]) -> int:
    return max((cell_len(line) for line in lines), default=0)
