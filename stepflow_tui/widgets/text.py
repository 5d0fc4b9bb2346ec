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
        self._found = -1

    @property
    def place_found(self) -> int:
        """From what is seen on, unless the place that was found last is seen."""
        top = self.scroll_offset.y
        return self._found if top <= self._found <= top + self._page else top

    def go_to_found(self, row: int) -> None:
        self._found = row
        if not self.scroll_offset.y <= row < self.scroll_offset.y + self._page:
            self.scroll_to(y=max(0, row - self._page // 2), animate=False)

    def show(self, make: Callable[[int], list[Line]]) -> None:
        """What `make` gives for a width."""
        self._make = make
        self._width = self.scrollable_content_region.width
        self._lines = make(self._width or 80)
        self.set_rows(len(self._lines))

    def make_anew(self) -> None:
        """With the signs as they are by now."""
        self.show(self._make)

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
