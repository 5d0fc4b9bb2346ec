"""One line that asks what to search for."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widgets import Input


class Find(Input):
    DEFAULT_CSS = "Find, Find:focus { dock: bottom; height: 1; border: none; padding: 0 1; background: $boost; }"

    class Asked(Message):
        def __init__(self, text: str | None) -> None:
            super().__init__()
            self.text = text
            """None: nothing is searched for."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text, placeholder="search; esc ends", id="find")
        self.cursor_blink = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Asked(self.value))

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            self.post_message(self.Asked(None))
