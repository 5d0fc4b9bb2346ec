"""One line of text: the header, the footer, a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from textual import events
from textual.message import Message

from stepflow_tui.presentation.spans import Line, cells, fit
from stepflow_tui.widgets.lines import LineView

LEAST_TEXT = 12
"""Cells of a question that stay, however many its answers take."""


class Bar(LineView, can_focus=False):
    """A line that others set."""

    DEFAULT_CSS = "Bar { height: 1; background: $panel; }"
    has_cursor = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - as Textual calls it
        super().__init__(id=id)
        self._make: Callable[[int], Line] = lambda width: []
        self._shown: Line | None = None
        self.set_rows(1)

    def show(self, make: Callable[[int], Line]) -> None:
        """Draw what `make` gives for a width; nothing is written when it is what stands there already."""
        self._make = make
        line = make(self.size.width or 80)
        if line != self._shown:
            self._shown = line
            self.redraw()

    def line_at(self, row: int, width: int) -> Line:
        return self._make(width)


class Question(Bar, can_focus=True):
    """Asks in its line; one key answers, any other one means no."""

    DEFAULT_CSS = "Question { height: 1; background: $boost; dock: bottom; }"

    class Answered(Message):
        def __init__(self, answer: str | None) -> None:
            super().__init__()
            self.answer = answer
            """The key's meaning; None: no."""

    def __init__(self, text: str, answers: Mapping[str, tuple[str, str]]) -> None:
        """`answers`: key -> what it means, how it reads."""
        super().__init__(id="question")
        self._answers = answers
        self._text: Callable[[int], str] = lambda room: text
        self._typed: str | None = None
        """What was typed of `yes`; None: one key answers."""
        self.show(self._line)

    def tell(self, text: Callable[[int], str]) -> None:
        """More is known of what it asks: `text` gives it for so many cells."""
        self._text = text
        self._say()

    def must_be_typed(self) -> None:
        """Where it is only yes or no, ask for the whole word."""
        if list(self._answers) == ["y"]:
            self._type("")

    def _type(self, typed: str) -> None:
        self._typed = typed
        self._say()

    def _say(self) -> None:
        self.show(self._line)

    def _line(self, width: int) -> Line:
        """What answers it is always seen; its text is cut first."""
        keys: Line = []
        if self._typed is not None:
            keys += [(" type yes: ", ""), (f"{self._typed}_ ", "active")]
        else:
            for key, (_, reads) in self._answers.items():
                keys += [(f" {key} ", "active"), (f"{reads} ", "")]
        other: Line = [(" any other key: no", "dim")]
        room = width - cells(keys) - 2
        text = self._text(max(room - cells(other), LEAST_TEXT))
        if cells([(text, "")]) > max(room - cells(other), 0):
            other = []
            text = self._text(max(room, LEAST_TEXT))
        length = min(cells([(text, "")]), max(room, LEAST_TEXT))
        return [(f" {fit(text, length)} ", "title"), *keys, *other]

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        if self._typed is not None:
            typed = self._typed + (event.character or "")
            if event.character and "yes".startswith(typed) and typed != "yes":
                self._type(typed)
                return
            self.post_message(self.Answered(self._answers["y"][0] if typed == "yes" else None))
            return
        answer = self._answers.get(event.key)
        self.post_message(self.Answered(answer[0] if answer else None))
