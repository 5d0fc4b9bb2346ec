"""One line of tabs: which is shown, and a click on another."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.message import Message

from stepflow_tui.presentation.spans import Line
from stepflow_tui.widgets.bar import Bar

HINT = "   [ ] tabs"
MORE = ("‹", "›")
"""On that side there are more, which have no room; a click goes to the next of them."""


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

    def _pieces(self, width: int) -> list[tuple[int, str]]:
        """With their places. Where not all have room, those around the one that is shown, and signs of there being
        more."""
        texts = [f"[{title}]" if place == self.shown else f" {title} " for place, title in enumerate(self._titles)]
        sizes = [cell_len(text) for text in texts]
        first = last = self.shown
        room = width - 1 - sizes[self.shown] - (2 * len(MORE[0]) if sum(sizes) + 1 > width else 0)
        grows = True
        while grows:
            grows = False
            if last + 1 < len(texts) and sizes[last + 1] <= room:
                last, room, grows = last + 1, room - sizes[last + 1], True
            if first > 0 and sizes[first - 1] <= room:
                first, room, grows = first - 1, room - sizes[first - 1], True
        pieces: list[tuple[int, str]] = [(place, texts[place]) for place in range(first, last + 1)]
        if first > 0:
            pieces.insert(0, (first - 1, MORE[0]))
        if last + 1 < len(texts):
            pieces.append((last + 1, MORE[1]))
        return pieces

    def _line(self, width: int) -> Line:
        line: Line = [(" ", "")]
        for place, piece in self._pieces(width):
            line.append((piece, "active" if piece in MORE else "title" if place == self.shown else "dim"))
        if sum(cell_len(text) for text, _ in line) + len(HINT) <= width:
            line.append((HINT, "dim"))
        return line

    def on_click(self, event: object) -> None:
        if not isinstance(event, events.Click):
            return
        at = 1
        for place, piece in self._pieces(self.size.width):
            at += cell_len(piece)
            if event.x < at:
                self.post_message(self.Chosen(place))
                return
