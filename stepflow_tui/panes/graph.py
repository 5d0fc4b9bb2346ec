"""The steps of an execution as a graph: boxes where there is room and they are few, else an indented line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size

from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.graph import BOX_HEIGHT, Branch, Drawn, Layout, branches, draw_edges, layout
from stepflow_tui.presentation.nodes import box_line, box_width, branch_line, name_with_count, without_cells
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.timeline import Told
from stepflow_tui.presentation.timeline_folding import Row
from stepflow_tui.presentation.timeline_items import Items
from stepflow_tui.presentation.timeline_prediction import Prediction
from stepflow_tui.widgets.lines import LineView

MOST_BOXES = 40
LEAST_WIDTH = 100
PROGRESS, LEAST_FOR_PROGRESS = 22, 60
"""Cells for how far a step is, in the indented form, and of a line that has them."""


class Graph(LineView):
    BORDER_TITLE = "Graph"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "along(-1)", show=False),
        Binding("right", "along(1)", show=False),
    ]

    def __init__(self, glyphs: Glyphs, now: Callable[[], datetime], least_width: int = LEAST_WIDTH) -> None:
        """`least_width`: in which there are boxes."""
        super().__init__(id="graph")
        self._least_width = least_width
        self._glyphs = glyphs
        self._now = now
        self._rows: dict[str, Row] = {}
        self._items: Mapping[str, Items] = {}
        self._prediction: Prediction | None = None
        self._critical: tuple[str, ...] = ()
        self._links: tuple[tuple[str, tuple[str, ...]], ...] = ()
        self._layout: Layout | None = None
        self._drawn: Drawn | None = None
        self._branches: list[Branch] = []
        self._longest = 8
        """Of the names in the indented form, with what leads to them."""
        self._made_for: object = None
        self.selected_key: str | None = None

    @property
    def has_boxes(self) -> bool:
        return len(self._rows) <= MOST_BOXES and self.scrollable_content_region.width >= self._least_width - 4

    def show(self, rows: Sequence[Row], critical: Sequence[str], selected: str | None) -> None:
        """The steps, in the flow's order."""
        self._rows = {row.step.key: row for row in rows}
        self._critical = tuple(critical)
        self._links = tuple((key, row.step.depends_on) for key, row in self._rows.items())
        self.selected_key = selected if selected in self._rows else next(iter(self._rows), None)
        self._make()
        self.refresh()

    def tell(self, items: Mapping[str, Items], prediction: Prediction | None) -> None:
        """What is known beside the records; it is drawn with what else has moved."""
        self._items, self._prediction = items, prediction
        self._make()

    def _told(self, key: str) -> Told:
        expected = None if self._prediction is None else self._prediction.steps.get(key)
        return Told(key in self._critical, expected=expected, items=self._items.get(key))

    def _make(self) -> None:
        """What depends on the shape alone is made once."""
        widths = {key: box_width(key, self._items.get(key)) for key in self._rows} if self.has_boxes else {}
        made_for = (self.has_boxes, self._links, self._critical, self._glyphs.ascii_only, widths)
        if made_for == self._made_for:
            self._measure()
            return
        self._made_for = made_for
        steps = [row.step for row in self._rows.values()]
        self.has_cursor = not self.has_boxes
        if self.has_boxes:
            self._layout = layout(steps, widths)
            pairs = set(zip(self._critical, self._critical[1:], strict=False))
            self._drawn = draw_edges(self._layout, pairs, ascii_only=self._glyphs.ascii_only)
            self.row_count = self._layout.height
            self.virtual_size = Size(self._layout.width, self._layout.height)
        else:
            self._layout = self._drawn = None
            self._branches = branches(steps, self._critical, ascii_only=self._glyphs.ascii_only)
            self._measure()
            self.set_rows(len(self._branches))
        self._scroll_to_selected()
        layers = "" if self._layout is None else "  arrows move"
        self.border_subtitle = f"{len(steps):,} steps{layers}"

    def _measure(self) -> None:
        names = (
            len(one.prefix) + cell_len(name_with_count(one.key, self._items.get(one.key), self._glyphs))
            for one in self._branches[:500]
        )
        self._longest = max(names, default=8)

    def on_resize(self) -> None:
        self._make()
        super().on_resize()
        self._scroll_to_selected()

    # Drawing

    def line_at(self, row: int, width: int) -> Line:
        if self._layout is None or self._drawn is None:
            branch = self._branches[row]
            progress = PROGRESS if self._goes_on and width >= LEAST_FOR_PROGRESS else 0
            step_row, told = self._rows[branch.key], self._told(branch.key)
            return branch_line(branch, step_row, self._names(width), self._now(), self._glyphs, told, progress=progress)
        return without_cells(self._boxes_line(self._layout, self._drawn, row), int(self.scroll_offset.x))

    @property
    def _goes_on(self) -> bool:
        return self._prediction is not None or any(items.ended < items.total for items in self._items.values())

    def _names(self, width: int) -> int:
        return min(max(8, width // 2), self._longest + 1)

    def _boxes_line(self, laid: Layout, drawn: Drawn, row: int) -> Line:
        """What begins in which column, box or edge."""
        now = self._now()
        pieces: dict[int, Line] = {
            x: [(character, "title" if is_heavy else "dim")] for x, (character, is_heavy) in drawn.rows[row].items()
        }
        widths = dict.fromkeys(pieces, 1)
        for key, box in laid.boxes.items():
            if box.y <= row < box.y + BOX_HEIGHT:
                pieces[box.x] = box_line(
                    self._rows[key],
                    row - box.y,
                    box.width,
                    now,
                    self._glyphs,
                    self._told(key),
                    is_selected=key == self.selected_key,
                )
                widths[box.x] = box.width
        line: Line = []
        column = 0
        for x in sorted(pieces):
            if x > column:
                line.append((" " * (x - column), ""))
            line += pieces[x]
            column = x + widths[x]
        return line

    # Finding

    async def next_found(self, by: int) -> bool:
        """Of boxes a row has many: the next step whose name has the words."""
        words, keys = self.sought.lower(), list(self._rows)
        at = keys.index(self.selected_key) if self.selected_key in self._rows else 0
        for step in range(0 if by == 0 else 1, len(keys) + (1 if by else 0)):
            key = keys[(at + step * (by or 1)) % len(keys)]
            if words in key.lower():
                self._choose(key)
                return True
        return False

    # Moving

    def select(self, key: str) -> None:
        if key in self._rows and key != self.selected_key:
            self.selected_key = key
            self._scroll_to_selected()
            self.refresh()

    def _scroll_to_selected(self) -> None:
        if self.selected_key is None:
            return
        if self._layout is not None:
            box = self._layout.boxes[self.selected_key]
            self.scroll_to_region(Region(box.x, box.y, box.width, BOX_HEIGHT), animate=False, force=True)
        else:
            row = next((row for row, one in enumerate(self._branches) if one.key == self.selected_key), 0)
            self.cursor = row
            self._scroll_to_cursor()

    def _choose(self, key: str) -> None:
        if key != self.selected_key:
            self.select(key)
            self.post_message(self.Moved(self))

    def move_to(self, row: int) -> None:
        if self._layout is None:
            super().move_to(row)
            if self._branches:
                self.selected_key = self._branches[self.cursor].key

    def action_move(self, by: int) -> None:
        """Down or up among the boxes of a layer, and from the last to the next layer."""
        if self._layout is None or self.selected_key is None:
            super().action_move(by)
            return
        boxes = self._layout.boxes
        inside = sorted(boxes, key=lambda key: (boxes[key].x, boxes[key].y))
        place = inside.index(self.selected_key) + by
        if 0 <= place < len(inside):
            self._choose(inside[place])

    def action_page(self, by: int) -> None:
        if self._layout is None:
            super().action_page(by)
        else:
            self.scroll_relative(y=by * self._page, animate=False)

    def action_half_page(self, by: int) -> None:
        if self._layout is None:
            super().action_half_page(by)
        else:
            self.scroll_relative(y=by * max(1, self._page // 2), animate=False)

    def action_first(self) -> None:
        self._go_to_end(0)

    def action_last(self) -> None:
        self._go_to_end(-1)

    def _go_to_end(self, place: int) -> None:
        if self._layout is None:
            self.move_to(0 if place == 0 else self.row_count - 1)
        elif self._rows:
            boxes = self._layout.boxes
            self._choose(sorted(boxes, key=lambda key: (boxes[key].x, boxes[key].y))[place])

    def action_along(self, by: int) -> None:
        """To a step that depends on this one, or to one it depends on: the critical one first."""
        if self.selected_key is None:
            return
        if by < 0:
            near = [key for key in self._rows[self.selected_key].step.depends_on if key in self._rows]
        else:
            near = [key for key, row in self._rows.items() if self.selected_key in row.step.depends_on]
        if near:
            key = next((key for key in near if key in self._critical), near[0])
            if self._layout is None:
                self.move_to(next(row for row, one in enumerate(self._branches) if one.key == key))
            else:
                self._choose(key)

    def on_click(self, event: object) -> None:
        if self._layout is None or not isinstance(event, Click):
            super().on_click(event)
            return
        cell = (
            event.x - self.gutter.left + int(self.scroll_offset.x),
            event.y - self.gutter.top + int(self.scroll_offset.y),
        )
        for key, box in self._layout.boxes.items():
            if box.holds(cell):
                self._choose(key)
