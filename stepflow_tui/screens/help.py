"""All keys, from the one table."""

from __future__ import annotations

from collections.abc import Mapping

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Input

from stepflow_tui.keymap import MOVES, VIEWS, View, keys_of
from stepflow_tui.presentation.glyphs import RUN_GLYPHS
from stepflow_tui.presentation.spans import Line
from stepflow_tui.remapping import shown
from stepflow_tui.widgets.lines import LineView


def help_lines(view: View, changed: Mapping[str, str] | None = None) -> list[Line]:
    """`changed`: by id, the keys that are not those of the table."""
    changed = changed or {}
    lines: list[Line] = []
    for group in ("Act", "Look", "Move", "Leave"):
        lines.append([(group, "title")])
        keys = [key for key in keys_of(view) if key.group == group]
        lines += [[(f"  {shown(key, changed):<16}", "active"), (key.help, "")] for key in keys]
        if group == "Move":
            lines += [[(f"  {keys:<16}", "active"), (what, "")] for keys, what in MOVES]
        lines.append([])
    lines.append([("Screens", "title")])
    lines += [[(f"  {digit:<16}", "active"), (title, "")] for digit, (_, title, _) in VIEWS.items()]
    lines.append([])
    lines.append([("Signs", "title")])
    lines += [[(f"  {glyph}  ", style), (status.value, "")] for status, (glyph, _, style) in RUN_GLYPHS.items()]
    lines += [
        [],
        [("Text can be selected with the mouse while shift is held.", "dim")],
        [("/ searches, any other key closes this.", "dim")],
    ]
    return lines


class HelpLines(LineView):
    BORDER_TITLE = "Help"
    has_cursor = False

    def __init__(self, view: View, changed: Mapping[str, str]) -> None:
        super().__init__()
        self._all = help_lines(view, changed)
        self._lines = self._all

    def on_mount(self) -> None:
        self.set_rows(len(self._lines))
        self.focus()

    def search(self, wanted: str) -> None:
        """Only the lines in which all its words are, with the heading above them."""
        words = wanted.lower().split()
        heading: Line = []
        found: list[Line] = []
        for line in self._all:
            text = "".join(piece for piece, _ in line).lower()
            if len(line) == 1 and line[0][1] == "title":
                heading = line
            elif line and all(word in text for word in words):
                found += [heading, line] if heading and words else [line]
                heading = []
        self._lines = (found or [[("Nothing has these words.", "dim")]]) if words else self._all
        self.scroll_to(y=0, animate=False)
        self.set_rows(len(self._lines))

    def line_at(self, row: int, width: int) -> Line:
        return self._lines[row]

    def action_move(self, by: int) -> None:
        self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        self.scroll_relative(y=by * self.size.height, animate=False)


class Help(Screen[None]):
    DEFAULT_CSS = """
    Help HelpLines { border: round $primary; padding: 0 1; }
    Help Input, Help Input:focus { dock: bottom; height: 1; border: none; padding: 0 1; background: $boost; }
    """

    def __init__(self, view: View, changed: Mapping[str, str]) -> None:
        super().__init__()
        self._view = view
        self._changed = changed

    def compose(self) -> ComposeResult:
        yield HelpLines(self._view, self._changed)

    async def on_key(self, event: events.Key) -> None:
        if event.key in ("j", "k", "up", "down", "pageup", "pagedown", "home", "end"):
            return
        event.stop()
        fields = self.query(Input)
        if event.key == "slash" and not fields:
            field = Input(placeholder="words to search for; esc ends", select_on_focus=False)
            field.cursor_blink = False
            await self.mount(field)
            field.focus()
        elif fields and event.key == "escape":
            await fields.remove()
            self.query_one(HelpLines).search("")
            self.query_one(HelpLines).focus()
        elif not fields:
            self.dismiss()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one(HelpLines).search(event.value)
