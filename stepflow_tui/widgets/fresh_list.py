"""A list that says in its border how fresh it is."""

from __future__ import annotations

from textual.content import Content

from stepflow_tui.freshness import Freshness
from stepflow_tui.presentation.freshness import border_words, fresh_words
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.widgets.lines import LineView


class FreshList(LineView):
    def __init__(self, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002 - as Textual calls it
        super().__init__(id=id)
        self._glyphs = glyphs
        self.freshness = Freshness(self.say)
        self._told = ""
        self._below = ""

    @property
    def says_freshness(self) -> bool:
        return True

    def tell(self, said: str) -> None:
        """What there is to say of what is listed."""
        self._told = said
        self.say()

    def say(self) -> None:
        """In the border."""
        self.say_below(self._told)

    def say_below(self, said: str) -> None:
        """And how fresh it is."""
        read_at, is_live = self.freshness.read_at, self.freshness.is_live
        words = fresh_words(read_at, self._glyphs, is_live=is_live) if self.says_freshness else ""
        subtitle = border_words(said, words, self.outer_size.width or 80, self._glyphs, is_live=is_live)
        if subtitle != self._below:  # else all of it would be drawn again
            self._below = subtitle
            self.border_subtitle = Content(subtitle)

    def on_resize(self) -> None:
        self.say()

    def on_unmount(self) -> None:
        self.freshness.stop()
