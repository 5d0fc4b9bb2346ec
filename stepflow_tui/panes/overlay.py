"""A text above the panes, until it is closed: it scrolls, and can be looked through."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.widgets.find import Find
from stepflow_tui.widgets.text import Text

SAYS = "esc closes · / finds"


class Overlay(Vertical):
    DEFAULT_CSS = """
    Overlay { layer: above; dock: bottom; height: 100%; background: $background; }
    Overlay Text { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,d", "close", show=False),
        Binding("slash", "look", show=False),
        Binding("n", "next(1)", show=False),
        Binding("N", "next(-1)", show=False),
    ]

    def __init__(self, title: str, make: Callable[[int], list[Line]], before: Widget | None) -> None:
        """`before`: what had the keys, and gets them again."""
        super().__init__(id="overlay")
        self._title = title
        self._make = make
        self._before = before

    def compose(self) -> ComposeResult:
        yield Text(id="described")

    @property
    def text(self) -> Text:
        return self.query_one(Text)

    def on_mount(self) -> None:
        self.text.border_title = safe(self._title).replace("[", "\\[")
        self.text.border_subtitle = SAYS
        self.text.show(self._make)
        self.text.focus()

    async def action_look(self) -> None:
        if not self.query(Find):
            field = Find(self.text.sought)
            await self.mount(field)
            field.focus()

    async def on_find_asked(self, message: Find.Asked) -> None:
        message.stop()
        await self.query(Find).remove()
        self.text.focus()
        self.text.seek(message.text or "")
        await self._go(0)

    async def action_next(self, by: int) -> None:
        await self._go(by)

    async def _go(self, by: int) -> None:
        words = self.text.sought
        is_found = not words or await self.text.next_found(by)
        nothing = f"nothing has '{safe(words)}'".replace("[", "\\[")
        self.text.border_subtitle = SAYS if not words else "n N go on · esc closes" if is_found else nothing

    def action_close(self) -> None:
        """What had the keys before has them at once."""
        before = self._before if self._before is not None and self._before.is_mounted else None
        self.screen.set_focus(before)
        self.remove()
