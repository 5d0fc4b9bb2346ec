"""The least that the screen can be measured against: ten lines of Textual in which a key moves a mark, or a list of
lines that takes what comes ten times a second (`python -m benchmarks.bare [FILE OF LINES THAT GROWS]`)."""

from __future__ import annotations

import sys
from collections import deque
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.scroll_view import ScrollView
from textual.strip import Strip

BEGUN = "bare begins"
MARKED, PLAIN = Style(bgcolor="blue"), Style()


class Lines(ScrollView, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [("j", "move(1)"), ("k", "move(-1)")]

    def __init__(self) -> None:
        super().__init__()
        self.lines = deque([BEGUN, *(f"line {number}" for number in range(30))], maxlen=2000)
        self.cursor = self.taken = 0

    def render_line(self, y: int) -> Strip:
        seen = min(len(self.lines), self.size.height)
        text = self.lines[len(self.lines) - seen + y] if y < seen else ""
        return Strip([Segment(text[: self.size.width].ljust(self.size.width), MARKED if y == self.cursor else PLAIN)])

    def take(self) -> None:
        with open(sys.argv[1]) as file:
            file.seek(self.taken)
            new = file.readlines()
            self.taken = file.tell()
        if new:
            self.lines.extend(line.rstrip() for line in new)
            self.refresh()

    def action_move(self, by: int) -> None:
        self.cursor += by
        self.refresh()


class Bare(App[None]):
    def compose(self) -> ComposeResult:
        yield Lines()

    def on_mount(self) -> None:
        lines = self.query_one(Lines)
        lines.focus()
        if len(sys.argv) > 1:
            self.set_interval(0.1, lines.take)


if __name__ == "__main__":
    Bare().run()
