"""All keys, from the one table."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Input

from stepflow.model.statuses import RunStatus
from stepflow_tui.keymap import MOVES, TO_COME, VIEWS, View, keys_of
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, fit_line
from stepflow_tui.remapping import MOVING, shown
from stepflow_tui.widgets.lines import LineView

KEYS = 14
"""Cells of the longest names of keys."""
TWO_COLUMNS = 150
"""Cells from which on the list has them."""
BETWEEN = 2
SCROLLING = MOVING - {"escape", "ctrl+c"}


def help_lines(view: View, changed: Mapping[str, str] | None = None, glyphs: Glyphs | None = None) -> list[Line]:
    """`changed`: by id, the keys that are not those of the table."""
    changed, glyphs = changed or {}, glyphs or Glyphs()
    lines: list[Line] = []
    for group in ("Act", "Look", "Move", "Leave"):
        keys = [key for key in keys_of(view) if key.group == group and key.id not in TO_COME]
        if not keys and group != "Move":
            continue
        lines.append([(group, "title")])
        lines += [
            [(f"  {glyphs.plain(shown(key, changed)):<{KEYS}}", "active"), (glyphs.plain(key.help), "")] for key in keys
        ]
        if group == "Move":
            lines += [[(f"  {glyphs.plain(names):<{KEYS}}", "active"), (what, "")] for names, what in MOVES]
        lines.append([])
    lines.append([("Screens", "title")])
    screens = {digit: title for digit, (_, title, _) in VIEWS.items()}
    screens |= {shown(key, changed): key.help for key in keys_of(view) if key.id in TO_COME}
    lines += [[(f"  {digit:<{KEYS}}", "active"), (title, "")] for digit, title in sorted(screens.items())]
    lines.append([])
    lines.append([("Signs", "title")])
    lines += [[(f"  {glyphs.run(status)[0]}  ", glyphs.run(status)[1]), (status.value, "")] for status in RunStatus]
    lines += [
        [],
        [("Text can be selected with the mouse while shift is held.", "dim")],
        [("/ searches, any other key closes this.", "dim")],
    ]
    return lines


def side_by_side(lines: list[Line], width: int) -> list[Line]:
    """In two columns, the second from the heading on that is nearest to the middle."""
    headings = [row for row, line in enumerate(lines) if row and len(line) == 1 and line[0][1] == "title"]
    if not headings:
        return lines
    begin = min(headings, key=lambda row: abs(row - len(lines) / 2))
    column, nothing = (width - BETWEEN) // 2, Line()
    pairs = zip_longest(lines[:begin], lines[begin:], fillvalue=nothing)
    return [[*fit_line(left, column), (" " * BETWEEN, ""), *right] for left, right in pairs]


class HelpLines(LineView):
    BORDER_TITLE = "Help"
    has_cursor = False

    def __init__(self, view: View, changed: Mapping[str, str], glyphs: Glyphs) -> None:
        super().__init__()
        self._all = help_lines(view, changed, glyphs)
        self._lines = self._all

    def on_mount(self) -> None:
        self._show(self._all)
        self.focus()

    def on_resize(self) -> None:
        if self._lines is not self._found:
            self._show(self._all)

    _found: list[Line] | None = None

    def _show(self, lines: list[Line]) -> None:
        width = self.scrollable_content_region.width
        self._lines = side_by_side(lines, width) if width >= TWO_COLUMNS and lines is self._all else lines
        self.set_rows(len(self._lines))

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
        self._found = (found or [[("Nothing has these words.", "dim")]]) if words else None
        self.scroll_to(y=0, animate=False)
        self._show(self._found or self._all)

    def line_at(self, row: int, width: int) -> Line:
        return self._lines[row]

    def action_move(self, by: int) -> None:
        self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        self.scroll_relative(y=by * self.size.height, animate=False)

    def action_half_page(self, by: int) -> None:
        self.scroll_relative(y=by * max(1, self.size.height // 2), animate=False)

    def action_first(self) -> None:
        self.scroll_home(animate=False)

    def action_last(self) -> None:
        self.scroll_end(animate=False)


class Help(Screen[None]):
    DEFAULT_CSS = """
    Help HelpLines {
      border: round $primary; padding: 0 1;
      scrollbar-background: $background; scrollbar-background-hover: $background;
      scrollbar-background-active: $background;
      scrollbar-color: $boost; scrollbar-color-hover: $secondary; scrollbar-color-active: $secondary;
    }
    Help Input, Help Input:focus { dock: bottom; height: 1; border: none; padding: 0 1; background: $boost; }
    """

    def __init__(self, view: View, changed: Mapping[str, str], glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._view = view
        self._changed = changed

    def compose(self) -> ComposeResult:
        yield HelpLines(self._view, self._changed, self._glyphs)

    async def on_key(self, event: events.Key) -> None:
        if event.key in SCROLLING:
            return
        event.stop()
        fields = self.query(Input)
        if event.key == "slash" and not fields:
            field = Input(placeholder="words to search for; esc ends", select_on_focus=False)
            field.cursor_blink = False
            await self.mount(field)
            self.set_focus(field)
        elif fields and event.key == "escape":
            await fields.remove()
            self.query_one(HelpLines).search("")
            self.query_one(HelpLines).focus()
        elif not fields and self.app.screen is self:  # `is_current` is also the one beneath
            self.dismiss()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one(HelpLines).search(event.value)
