"""Lines to be read: no cursor, the keys that move scroll."""

from __future__ import annotations

from collections.abc import Callable

from stepflow_tui.presentation.spans import Line
from stepflow_tui.widgets.lines import LineView


class Text(LineView):
    has_cursor = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - as Textual calls it
        super().__init__(id=id)
        self._make: Callable[[int], list[Line]] = lambda width: []
        self._lines: list[Line] = []
        self._width = 0

    def show(self, make: Callable[[int], list[Line]]) -> None:
        """What `make` gives for a width."""
        self._make = make
        self._width = self.scrollable_content_region.width
        self._lines = make(self._width or 80)
        self.set_rows(len(self._lines))

    def line_at(self, row: int, width: int) -> Line:
        return self._lines[row]

    def on_resize(self) -> None:
        if self.scrollable_content_region.width != self._width:
            self.show(self._make)

    def action_move(self, by: int) -> None:
        self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        self.scroll_relative(y=by * self._page, animate=False)

    def action_half_page(self, by: int) -> None:
        self.scroll_relative(y=by * max(1, self._page // 2), animate=False)

    def action_first(self) -> None:
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        self.scroll_end(animate=False)
