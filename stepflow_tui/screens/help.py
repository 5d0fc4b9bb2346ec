"""All keys, from the one table."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen

from stepflow_tui.keymap import MOVES, VIEWS, View, keys_of
from stepflow_tui.presentation.glyphs import RUN_GLYPHS
from stepflow_tui.presentation.spans import Line
from stepflow_tui.widgets.lines import LineView


def help_lines(view: View) -> list[Line]:
    lines: list[Line] = []
    for group in ("Act", "Look", "Move", "Leave"):
        lines.append([(group, "title")])
        lines += [[(f"  {key.shown:<16}", "active"), (key.help, "")] for key in keys_of(view) if key.group == group]
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
        [("Text can be selected with the mouse while shift is held. ", "dim"), ("Any key closes this.", "dim")],
    ]
    return lines


class HelpLines(LineView):
    BORDER_TITLE = "Help"
    has_cursor = False

    def __init__(self, view: View) -> None:
        super().__init__()
        self._lines = help_lines(view)

    def on_mount(self) -> None:
        self.set_rows(len(self._lines))
        self.focus()

    def line_at(self, row: int, width: int) -> Line:
        return self._lines[row]

    def action_move(self, by: int) -> None:
        self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        self.scroll_relative(y=by * self.size.height, animate=False)


class Help(Screen[None]):
    DEFAULT_CSS = "Help HelpLines { border: round $primary; padding: 0 1; }"

    def __init__(self, view: View) -> None:
        super().__init__()
        self._view = view

    def compose(self) -> ComposeResult:
        yield HelpLines(self._view)

    def on_key(self, event: events.Key) -> None:
        if event.key not in ("j", "k", "up", "down", "pageup", "pagedown", "home", "end"):
            event.stop()
            self.dismiss()
