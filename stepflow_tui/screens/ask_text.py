"""One line that asks for words: a name, a number to be typed."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.message import Message
from textual.widgets import Input

from stepflow_tui.screens.ask import Asked, Entry


class AskText(Asked):
    class Given(Message):
        """None: nothing is to be done."""

        def __init__(self, text: str | None) -> None:
            super().__init__()
            self.text = text

    def __init__(self, title: str, proposed: str = "") -> None:
        super().__init__(title, None, "ask")
        self._proposed = proposed

    def compose(self) -> ComposeResult:
        yield from self.heading()
        yield Entry(self._proposed, id="input")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._give(event.value.strip())

    def action_close(self) -> None:
        self._give(None)

    def _give(self, text: str | None) -> None:
        """Once."""
        if not self.is_closed:
            self.is_closed = True
            self.post_message(self.Given(text))

    def on_entry_shortened(self, event: Entry.Shortened) -> None:
        event.stop()
        self.say(f"{self.title} (of {event.lines} lines the first was taken)")
