"""One line that asks for words: a name, a number to be typed."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from stepflow_tui.presentation.spans import safe


class AskText(Horizontal):
    class Given(Message):
        """None: nothing is to be done."""

        def __init__(self, text: str | None) -> None:
            super().__init__()
            self.text = text

    def __init__(self, title: str, proposed: str = "") -> None:
        super().__init__(id="ask")
        self._title = title
        self._proposed = proposed

    def compose(self) -> ComposeResult:
        yield Static(f" {safe(self._title)} ", markup=False)
        field = Input(self._proposed, id="input", select_on_focus=False)
        field.cursor_blink = False
        yield field

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Given(event.value.strip()))

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            self.post_message(self.Given(None))
