"""One line of tabs: which is shown, and a click on another."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.message import Message

from stepflow_tui.presentation.spans import Line
from stepflow_tui.widgets.bar import Bar

HINT = "   [ ] tabs"


class Tabs(Bar):
    class Chosen(Message):
        def __init__(self, place: int) -> None:
            super().__init__()
            self.place = place

    def __init__(self, titles: Sequence[str], *, id: str) -> None:  # noqa: A002 - as Textual calls it
        super().__init__(id=id)
        self._titles = titles
        self.shown = 0
        self.choose(0)

    def rename(self, titles: Sequence[str]) -> None:
        self._titles = titles
        self.show(self._line)

    def choose(self, place: int) -> None:
        self.shown = place
        self.show(self._line)

    def _pieces(self, width: int) -> list[str]:
        """Where all have no room, only the one that is shown has its whole title."""
        long = [f"[{title}]" if place == self.shown else f" {title} " for place, title in enumerate(self._titles)]
        if sum(map(cell_len, long)) + 1 <= width:
            return long
        room = (width - 1 - cell_len(long[self.shown])) // max(1, len(long) - 1) - 1
        return [
            piece if place == self.shown else f"{self._titles[place][: max(1, room)]} "
            for place, piece in enumerate(long)
        ]

    def _line(self, width: int) -> Line:
        line: Line = [(" ", "")]
        for place, piece in enumerate(self._pieces(width)):
            line.append((piece, "title" if place == self.shown else "dim"))
        if sum(cell_len(text) for text, _ in line) + len(HINT) <= width:
            line.append((HINT, "dim"))
        return line

    def on_click(self, event: object) -> None:
        if not isinstance(event, events.Click):
            return
        at = 1
        for place, piece in enumerate(self._pieces(self.size.width)):
            at += cell_len(piece)
            if event.x < at:
                self.post_message(self.Chosen(place))
                return
