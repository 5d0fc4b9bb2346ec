"""What stands where something will be asked, until what that needs is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

if TYPE_CHECKING:
    from stepflow_tui.screens.ask import Asked

SOON_SECONDS = 0.2
"""After this it says that it reads."""


class Coming(Widget, can_focus=True):
    """It keeps what is typed for what will be asked."""

    DEFAULT_CSS = "Coming { height: 0; background: $boost; dock: bottom; }"

    class GivenUp(Message):
        """It need not be asked any more."""

    def __init__(self) -> None:
        super().__init__(id="coming")
        self._kept: list[events.Key | events.Paste] = []
        self.is_given_up = False

    def on_mount(self) -> None:
        self.set_timer(SOON_SECONDS, self._say_so)

    def _say_so(self) -> None:
        self.styles.height = 1

    def render(self) -> RenderResult:
        return Content(" Reading what it needs … esc no")

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        if event.key in ("escape", "ctrl+c"):
            self.is_given_up = True
            self._kept.clear()
            self.post_message(self.GivenUp())
        elif not self.is_given_up:
            self._kept.append(event)

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self._kept.append(event)

    def give_way(self, asked: Asked) -> None:
        """To what is there now; it takes what was typed so far, in its order, before anything else."""
        # When the focus, which it is given twice, is its own for good.
        self.app.call_later(self.call_later, self._give_way, asked)

    async def _give_way(self, asked: Asked) -> None:
        while self._kept and not asked.is_closed:
            await asked.take(self._kept.pop(0))
        if self.message_queue_size:
            self.call_later(self._give_way, asked)  # more was typed meanwhile
            return
        if self.is_attached and self.screen.focused is self and not asked.is_closed:
            self.screen.set_focus(asked.editor)
        self.remove()
