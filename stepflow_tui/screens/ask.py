"""One line that asks for JSON, prefilled; what is wrong with it is said where it was typed."""

from __future__ import annotations

import json
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from stepflow_tui.presentation.spans import safe


class AskInput(Horizontal):
    class Given(Message):
        def __init__(self, text: str, value: Any) -> None:
            super().__init__()
            self.text = text
            self.value = value

    class Closed(Message):
        """Nothing is to be done."""

    def __init__(self, title: str, proposed: str) -> None:
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
        try:
            value = json.loads(event.value or "{}")
        except json.JSONDecodeError as error:
            self.query_one(Static).update(f" Not JSON: {error.msg}, column {error.colno} ", layout=True)
            self.query_one(Input).cursor_position = max(0, error.colno - 1)
            return
        self.post_message(self.Given(event.value, value))

    async def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            self.post_message(self.Closed())
            await self.remove()
