"""A list drawn line by line: only what is visible is ever made, however long it is.

Subclasses answer what stands in a row; rows are known by an id, so that the cursor stays on its row when others come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, Self

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from stepflow_tui.presentation.spans import Line, fit_line, with_found

STYLES = {
    "good": ("success", "none"),
    "bad": ("error", "bold"),
    "active": ("primary", "none"),
    "late": ("warning", "none"),
    "wait": ("accent", "none"),
    "quiet": ("secondary", "$quiet-style"),
    "off": ("secondary", "$quiet-style"),
    "dim": ("secondary", "$quiet-style"),
    "title": ("primary", "bold"),
}
"""What spans call a style, its colour in the theme, and how it stands out; `name-reverse` is the same in reverse video.
They are no component classes: Textual would work out each of them for each list again, which is a third of what it does
until the first paint."""


MOST_SELECTED = 10_000
"""Rows that are copied at most."""
SOUGHT_AT_ONCE = 500
"""Rows that are looked through before keys are heard again."""


@lru_cache(8192)
def _place_style(x: int, row: int) -> Style:
    return Style.from_meta({"offset": (x, row)})


def _with_places(strip: Strip, row: int) -> Strip:
    """`strip.apply_offsets`, by which the mouse finds what it marks, at half the price: the places are kept."""
    segments, x = [], 0
    for text, style, _ in strip:
        place = _place_style(x, row)
        segments.append(Segment(text, place if style is None else style + place))
        x += len(text)
    return Strip(segments, strip.cell_length)


class LineView(ScrollView, can_focus=True):
    COMPONENT_CLASSES: ClassVar[set[str]] = {"cursor", "cursor-blurred"}

    DEFAULT_CSS = """
    LineView { height: 1fr; background: $background; scrollbar-size: 1 1; }
    LineView > .cursor { background: $boost; text-style: $cursor-style; }
    LineView > .cursor-blurred { background: $surface; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("pagedown,ctrl+f", "page(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("ctrl+d", "half_page(1)", show=False),
        Binding("ctrl+u", "half_page(-1)", show=False),
        Binding("home,g", "first", show=False),
        Binding("end,G", "last", show=False),
    ]

    has_cursor = True
    header_lines = 0
    """Lines at the top that do not scroll."""

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, view: LineView) -> None:
            super().__init__()
            self.view = view

        @property
        def control(self) -> LineView:
            return self.view

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - as Textual calls it
        super().__init__(id=id)
        self.row_count = 0
        self.cursor = 0
        self.sought = ""
        """Words that are shown wherever they stand."""
        self._styles: dict[str, Style] = {}
        self._variables: dict[str, str] = {}
        """Of the theme from which these are."""
        self._plain: Style | None = None
        """What is behind all lines, while they are drawn."""
        self._drawn_lines: list[Strip] = []
        """The lines at the last tick, if nothing was drawn since."""
        self.show_horizontal_scrollbar = False

    # For subclasses

    def line_at(self, row: int, width: int) -> Line:
        """What stands in `row`."""
        raise NotImplementedError

    def header_at(self, width: int) -> Line:
        return []

    def may_move(self, row: int) -> bool:
        """It may look otherwise when nothing but time has changed."""
        return True

    def set_rows(self, count: int, cursor: int | None = None) -> None:
        """There are `count` rows now; the cursor belongs on row `cursor`, or stays where it is."""
        self.row_count = count
        self.resize_inside(Size(1, count + self.header_lines))
        wanted = self.cursor if cursor is None else cursor
        self.cursor = max(0, min(wanted, count - 1))
        if self.has_cursor:
            self._scroll_to_cursor()
        self.refresh()

    def resize_inside(self, size: Size) -> None:
        """What can be scrolled over has this size. Textual would lay out the whole screen for each line that comes,
        where nothing but the scrollbar is another."""
        if self._pruning:
            return  # it is being taken away: a scrollbar that came now would stay for ever
        if not self.is_mounted or self.styles.auto_dimensions:
            self.virtual_size = size
        elif size != self.virtual_size:
            self.set_reactive(LineView.virtual_size, size)
            self._scroll_update(size)  # which lays out where the scrollbar comes or goes

    # Finding

    @property
    def marked_rows(self) -> Sequence[int]:
        """Rows that somebody marked to find them again."""
        return ()

    @property
    def place_found(self) -> int:
        """The row from which it is looked further."""
        return self.cursor

    def go_to_found(self, row: int) -> None:
        self.move_to(row)

    def seek(self, words: str) -> None:
        """Show them; none: nothing is looked for any more."""
        self.sought = words
        self.refresh()

    async def next_found(self, by: int) -> bool:
        """Go to the next row that has the words, round and round; `by` 0: this one counts too. False: none has."""
        words, width, count = self.sought.lower(), self.scrollable_content_region.width, self.row_count
        at = self.place_found
        for step in range(0 if by == 0 else 1, count + (1 if by else 0)):
            row = (at + step * (by or 1)) % count
            if words in "".join(text for text, _ in self.line_at(row, width)).lower():
                self.go_to_found(row)
                return True
            if step % SOUGHT_AT_ONCE == SOUGHT_AT_ONCE - 1:
                await asyncio.sleep(0)
                if self.row_count != count or self.sought.lower() != words:
                    return False
        return False

    def go_to_mark(self, by: int) -> None:
        """To the next marked row, round and round."""
        at, rows = self.place_found, sorted(self.marked_rows)
        if rows and by > 0:
            self.go_to_found(next((row for row in rows if row > at), rows[0]))
        elif rows:
            self.go_to_found(next((row for row in reversed(rows) if row < at), rows[-1]))

    # Drawing

    def style_of(self, name: str) -> Style:
        """Of what is written, whatever lies behind it."""
        variables = self.app.theme_variables
        if variables is not self._variables:
            self._styles.clear()
            self._variables = variables
        style = self._styles.get(name)
        if style is None:
            if name.endswith("-reverse"):
                style = self.style_of(name.removesuffix("-reverse")) + Style(reverse=True)
            elif name in STYLES:
                colour, text_style = STYLES[name]
                if text_style.startswith("$"):
                    text_style = variables.get(text_style[1:], "none")
                style = Style(color=Color.parse(variables[colour]).rich_color) + Style.parse(text_style)
            else:
                style = self.get_component_rich_style(name)
            self._styles[name] = style
        return style

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Self:
        self._drawn_lines = []
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def refresh_moved(self) -> None:
        """Draw those lines again that look otherwise by now, after nothing but time has changed."""
        width, height = self.scrollable_content_region.size
        height = min(height, self.header_lines + self.row_count)
        before, top = self._drawn_lines, self.scroll_offset.y - self.header_lines
        is_known = len(before) == height
        now = [
            before[y] if is_known and y >= self.header_lines and not self.may_move(top + y) else self.render_line(y)
            for y in range(height)
        ]
        if not is_known:
            self.refresh()
        else:
            moved = [Region(0, y, width, 1) for y in range(height) if before[y] != now[y]]
            if moved:
                self.refresh(*moved)
        self._drawn_lines = now

    def render_lines(self, crop: Region) -> list[Strip]:
        self._plain = self.rich_style  # for these lines and no longer: it hangs on what lies behind
        try:
            return super().render_lines(crop)
        finally:
            self._plain = None

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        plain = self.rich_style if self._plain is None else self._plain
        if y < self.header_lines:
            return self._strip(self.header_at(width), width, plain)
        row = self.scroll_offset.y + y - self.header_lines
        if row >= self.row_count:
            return Strip([Segment(" " * width, plain)], width)
        selection = self.text_selection
        strip = self._row_strip(row, width, plain)
        if selection is not None and (span := selection.get_span(row)) is not None:
            begin, end = span
            style = self.screen.get_component_rich_style("screen--selection")
            end = width if end < 0 else end
            marked = strip.crop(begin, end).apply_style(Style(color=style.color, bgcolor=style.bgcolor))
            strip = Strip.join([strip.crop(0, begin), marked, strip.crop(end, width)])
        return _with_places(strip, row)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """What was marked with the mouse, as it stands there."""
        width = self.scrollable_content_region.width
        first, last = selection.start, selection.end
        begin_row = 0 if first is None else first.y
        end_row = self.row_count if last is None else min(last.y + 1, self.row_count)
        lines = []
        for row in range(begin_row, end_row)[:MOST_SELECTED]:
            text = "".join(piece for piece, _ in fit_line(self.line_at(row, width), width))
            begin, end = selection.get_span(row) or (0, 0)
            lines.append(text[begin : None if end < 0 else end].rstrip())
        return "\n".join(lines), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def _row_strip(self, row: int, width: int, plain: Style) -> Strip:
        line = self.line_at(row, width)
        if self.sought:
            line = with_found(line, self.sought)
        if self.has_cursor and row == self.cursor:
            behind = self.style_of("cursor" if self.has_focus else "cursor-blurred")
            over = Style(bgcolor=behind.bgcolor, bold=behind.bold, reverse=behind.reverse)
            return self._strip(line, width, plain, over)
        return self._strip(line, width, plain)

    def _strip(self, line: Line, width: int, plain: Style, over: Style | None = None) -> Strip:
        segments = []
        for text, name in fit_line(line, width):
            style = plain + self.style_of(name) if name else plain
            segments.append(Segment(text, style + over if over is not None else style))
        return Strip(segments, width).simplify()

    # Moving

    def move_to(self, row: int) -> None:
        row = max(0, min(row, self.row_count - 1))
        if row != self.cursor and self.row_count:
            before, self.cursor = self.cursor, row
            self._scroll_to_cursor()
            for changed in (before, row):
                self.refresh_line(changed + self.header_lines)
            self.post_message(self.Moved(self))

    def watch_show_vertical_scrollbar(self, is_shown: bool) -> None:
        """It does not hear of what was scrolled before it was there."""
        if is_shown:
            self.vertical_scrollbar.position = self.scroll_y

    def on_resize(self) -> None:
        """The first time too: before it there is nothing to scroll."""
        if self.has_cursor:
            self._scroll_to_cursor()

    def _scroll_to_cursor(self) -> None:
        height = self.scrollable_content_region.height - self.header_lines
        if height <= 0:
            return
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, force=True)

    @property
    def _page(self) -> int:
        return max(1, self.scrollable_content_region.height - self.header_lines - 1)

    def action_move(self, by: int) -> None:
        self.move_to(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.move_to(self.cursor + by * self._page)

    def action_half_page(self, by: int) -> None:
        self.move_to(self.cursor + by * max(1, self._page // 2))

    def action_first(self) -> None:
        self.move_to(0)

    def action_last(self) -> None:
        self.move_to(self.row_count - 1)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: object) -> None:
        y = getattr(event, "y", None)
        if isinstance(y, int) and self.has_cursor:
            self.move_to(self.scroll_offset.y + y - self.gutter.top - self.header_lines)
