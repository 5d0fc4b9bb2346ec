"""A list drawn line by line: only what is visible is ever made, however long it is.

Subclasses answer what stands in a row; rows are known by an id, so that the cursor stays on its row when others come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.filter import ANSIToTruecolor, DimFilter, LineFilter, Monochrome, NoColor
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


OF_STYLES = (ANSIToTruecolor, DimFilter, Monochrome, NoColor)
"""Filters that look at styles alone."""
WHATEVER = Color(0, 0, 0)
"""Behind what is written, for filters of that."""
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


def _reversed(segment: Segment) -> Segment:
    """Seen in every theme, and by who sees no colours."""
    style = segment.style or Style()
    return Segment(segment.text, style + Style(reverse=not style.reverse))


class Drawing(NamedTuple):
    """What is drawn into: the size of what is seen, and what of it is marked with the mouse."""

    width: int
    height: int
    selection: Selection | None


class Edge(NamedTuple):
    """What is around the lines: how many lines above and below, and what is left and right of each."""

    is_simple: bool
    """Nothing lies over all of it that only Textual knows how to draw."""
    size: Size
    """With it."""
    top: int
    bottom: int
    left: tuple[Segment, ...]
    right: tuple[Segment, ...]
    plain: Style
    filters: tuple[LineFilter, ...]
    """Of what is written; those of colours are in the styles already."""

    def around(self, line: Strip) -> Strip:
        """`line` up to the scrollbar, where there is one, and then to the edge."""
        left, right = self.left, self.right
        rest = self.size.width - len(left) - line.cell_length - len(right)
        if rest > 0:
            right = (Segment(" " * rest, self.plain), *right)
        elif rest < 0:
            line = line.crop(0, line.cell_length + rest)
        segments = list(line)
        for one in self.filters:
            segments = one.apply(segments, WHATEVER)
        return Strip([*left, *segments, *right], self.size.width)


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
        self._inks: dict[tuple[str, str], Style] = {}
        """By the name of a style and of what lies over it."""
        self._variables: dict[str, str] = {}
        """Of the theme from which these are."""
        self._filters: Sequence[LineFilter] = ()
        """Through which they went."""
        self._edge: Edge | None = None
        self._strips: list[Strip | None] = []
        """As they were drawn, with the edge; None: those that look otherwise by now."""
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
        self.redraw()

    def redraw(self) -> None:
        """All of its lines; the edge, with what it says, stays."""
        self.refresh(*((self.size.region,) if self.size else ()))

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
        self._look_at_theme()
        style = self._styles.get(name)
        if style is None:
            if name.endswith("-reverse"):
                style = self.style_of(name.removesuffix("-reverse")) + Style(reverse=True)
            elif name in STYLES:
                colour, text_style = STYLES[name]
                if text_style.startswith("$"):
                    text_style = self._variables.get(text_style[1:], "none")
                style = Style(color=Color.parse(self._variables[colour]).rich_color) + Style.parse(text_style)
            else:
                style = self.get_component_rich_style(name)
            self._styles[name] = style
        return style

    def _look_at_theme(self) -> None:
        filters = self.get_line_filters()
        if self.app.theme_variables is not self._variables or filters != self._filters:
            self._variables, self._filters = self.app.theme_variables, filters
            self._forget_styles()

    def _forget_styles(self) -> None:
        self._styles.clear()
        self._forget_drawn()

    def _forget_drawn(self) -> None:
        """And what is around it, which may be otherwise too."""
        self._inks.clear()
        self._edge = None
        self._strips = []

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._forget_styles()

    def _set_dirty(self, *regions: Region) -> None:
        super()._set_dirty(*regions)
        if not regions:
            self._forget_drawn()
        for region in regions:
            for y in region.translate(self.content_offset).line_range:
                if 0 <= y < len(self._strips):
                    self._strips[y] = None

    def refresh_moved(self) -> None:
        """Draw those lines again that look otherwise by now, after nothing but time has changed."""
        if self._edge is None or self._edge.size != self.outer_size or not self._strips:
            self.refresh()
            return
        top, first = self._edge.top, self.scroll_offset.y - self.header_lines
        drawing = self._drawing()
        moved: dict[int, Strip] = {}
        for y in range(min(self.header_lines + self.row_count, drawing.height, len(self._strips) - top)):
            before = self._strips[top + y]
            if before is None or (y >= self.header_lines and not self.may_move(first + y)):
                continue  # it is drawn anyway, or stands still
            now = self._edge.around(self.line_in(y, drawing))
            if now != before:
                moved[y] = now
        if moved:
            self.refresh(*(Region(0, y, drawing.width, 1) for y in moved))
            for y, line in moved.items():
                self._strips[top + y] = line

    def _drawing(self) -> Drawing:
        self._look_at_theme()
        width, height = self.scrollable_content_region.size
        return Drawing(width, height, self.text_selection)

    def render_lines(self, crop: Region) -> list[Strip]:
        """What of it has not changed is as it was; of what has, Textual draws the edge alone. It would work out for
        each line what is behind it and around it, which is half of the work."""
        if self.parent is None:
            return [Strip.blank(crop.width)] * crop.height  # it was taken away a moment ago
        self._look_at_theme()
        width, height = self.outer_size
        if self._edge is None or self._edge.size != self.outer_size:
            self._edge = self._edge_now()
            self._strips = []
        if not self._edge.is_simple:
            return super().render_lines(crop)
        if not self._strips:
            self._strips = [None] * height
        lines = self._strips
        top, bottom = self._edge.top, height - self._edge.bottom
        drawing: Drawing | None = None
        strips = []
        for y in crop.line_range:
            strip = lines[y] if y < height else None
            if strip is None and top <= y < bottom:
                drawing = drawing or self._drawing()
                strip = lines[y] = self._edge.around(self.line_in(y - top, drawing))
            elif strip is None:
                (strip,) = super().render_lines(Region(0, y, width, 1))
                if y < height:
                    lines[y] = strip
            strips.append(strip)
        if crop.column_span != (0, width):
            return [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def _edge_now(self) -> Edge:
        """Taken from a line that Textual has drawn."""
        styles, size = self.styles, self.outer_size
        gutter = styles.gutter  # without the scrollbar
        is_simple = (
            styles.padding == (0, 0, 0, 0)
            and self.opacity == styles.text_opacity == 1
            and not styles.tint.a
            and not any(edge for edge, _ in styles.outline)
            and not styles.has_rule("hatch")
            and size.width > gutter.width
        )
        left: tuple[Segment, ...] = ()
        right: tuple[Segment, ...] = ()
        if is_simple and size.height > gutter.height and (gutter.left or gutter.right):
            (line,) = super().render_lines(Region(0, gutter.top, size.width, 1))
            segments = tuple(line)
            left, right = segments[: gutter.left], segments[len(segments) - gutter.right :]
        filters = tuple(one for one in self._filters if not isinstance(one, OF_STYLES))
        return Edge(is_simple, size, gutter.top, gutter.bottom, left, right, self._ink("", ""), filters)

    def render_line(self, y: int) -> Strip:
        """With the places by which the mouse finds what it marks, for whoever asks for a line alone."""
        line = self.line_in(y, self._drawing())
        return line if y < self.header_lines else _with_places(line, self.scroll_offset.y + y - self.header_lines)

    def line_in(self, y: int, drawing: Drawing) -> Strip:
        """What stands in line `y` of what is seen."""
        width = drawing.width
        if y < self.header_lines:
            return self._strip(self.header_at(width), width)
        row = self.scroll_offset.y + y - self.header_lines
        if row >= self.row_count:
            return self._strip([], width)
        line = self.line_at(row, width)
        if self.sought:
            line = with_found(line, self.sought)
        over = ""
        if self.has_cursor and row == self.cursor:
            over = "cursor" if self.has_focus else "cursor-blurred"
        strip = self._strip(line, width, over)
        if drawing.selection is not None and (span := drawing.selection.get_span(row)) is not None:
            begin, end = span
            end = width if end < 0 else end
            marked = Strip([_reversed(segment) for segment in strip.crop(begin, end)])
            strip = Strip.join([strip.crop(0, begin), marked, strip.crop(end, width)])
        return strip

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

    def _strip(self, line: Line, width: int, over: str = "") -> Strip:
        """`over`: the style of what lies over all of it."""
        segments: list[Segment] = []
        text, before = "", ""
        for piece, name in fit_line(line, width):
            if name != before and text:
                segments.append(Segment(text, self._ink(before, over)))
                text = ""
            text, before = text + piece, name
        if text:
            segments.append(Segment(text, self._ink(before, over)))
        return Strip(segments, width)

    def _ink(self, name: str, over: str) -> Style:
        """Of a span of this style, as it is written at last."""
        ink = self._inks.get((name, over))
        if ink is None:
            ink = self.rich_style + self.style_of(name) if name else self.rich_style
            if over:
                behind = self.style_of(over)
                ink += Style(bgcolor=behind.bgcolor, bold=behind.bold, reverse=behind.reverse)
            background = self.background_colors[1]
            for one in self._filters:
                ink = one.apply([Segment(" ", ink)], background)[0].style or ink
            self._inks[name, over] = ink
        return ink

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
