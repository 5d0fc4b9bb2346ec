"""Filters that were kept under a name, to be opened again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.message import Message

from stepflow_tui.listing import SORTS, Sort
from stepflow_tui.presentation.filters import Filter, FilterError, parse_filter
from stepflow_tui.presentation.spans import Line, fit_name, safe
from stepflow_tui.widgets.lines import LineView

MOST_ROWS = 8


class SavedView(msgspec.Struct, frozen=True):
    name: str
    filter: Filter
    sort: Sort = "created"
    reverse: bool = False
    trouble: str | None = None
    """Why it cannot be opened."""


def read_views(table: Mapping[str, Any]) -> list[SavedView]:
    """As the person's file has them, wrong ones too."""
    return [_read_view(name, value) for name, value in table.items()]


def _read_view(name: str, value: Any) -> SavedView:
    """`name = "status:failed"`, or a table with `filter`, `sort` and `reverse`."""
    given = value if isinstance(value, dict) else {"filter": value}
    text, sort = given.get("filter", ""), given.get("sort", "created")
    if not isinstance(text, str) or sort not in SORTS:
        return SavedView(name, Filter(), trouble=f"it takes filter, and sort: {', '.join(SORTS)}")
    try:
        return SavedView(name, parse_filter(text), sort, given.get("reverse") is True)
    except FilterError as error:
        return SavedView(name, Filter(text), trouble=error.message)


def written_view(view: SavedView) -> Any:
    """As the file has it."""
    if (view.sort, view.reverse) == ("created", False):
        return view.filter.text
    return {"filter": view.filter.text, "sort": view.sort, "reverse": view.reverse}


class SavedViews(LineView):
    DEFAULT_CSS = "SavedViews { dock: bottom; }"
    BORDER_TITLE = "Kept views"
    BORDER_SUBTITLE = "enter opens · delete forgets · esc"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", show=False),
        Binding("delete,backspace", "forget", show=False),
        Binding("escape,apostrophe,q", "close", show=False),
    ]

    class Chosen(Message):
        """None: none was."""

        def __init__(self, view: SavedView | None) -> None:
            super().__init__()
            self.view = view

    class Forget(Message):
        def __init__(self, view: SavedView) -> None:
            super().__init__()
            self.view = view

    def __init__(self, views: list[SavedView]) -> None:
        super().__init__(id="views")
        self.views = views

    def on_mount(self) -> None:
        self.styles.height = min(len(self.views), MOST_ROWS) + 2
        self.set_rows(len(self.views))
        self.focus()

    def line_at(self, row: int, width: int) -> Line:
        return _view_line(self.views[row], width)

    def action_open(self) -> None:
        self.post_message(self.Chosen(self.views[self.cursor]))

    def action_forget(self) -> None:
        self.post_message(self.Forget(self.views[self.cursor]))

    def action_close(self) -> None:
        self.post_message(self.Chosen(None))


class KeptViews(LineView):
    """The same, where the dashboard has room for them."""

    BORDER_TITLE = "' Kept views"

    def __init__(self) -> None:
        super().__init__(id="kept")
        self.views: list[SavedView] = []

    @property
    def selected(self) -> SavedView | None:
        return self.views[self.cursor] if self.views else None

    def show(self, views: list[SavedView]) -> None:
        if views != self.views:
            self.views = views
            self.set_rows(len(views))

    def line_at(self, row: int, width: int) -> Line:
        return _view_line(self.views[row], width)


def _view_line(view: SavedView, width: int) -> Line:
    line: Line = [(" " + fit_name(safe(view.name), max(8, min(24, width // 3))) + " ", "")]
    if view.trouble is not None:
        return [*line, (safe(view.trouble), "bad")]
    line.append((safe(view.filter.text) or "everything", "dim"))
    if (view.sort, view.reverse) != ("created", False):
        line.append((f"  by {view.sort}{', reversed' if view.reverse else ''}", "dim"))
    return line
