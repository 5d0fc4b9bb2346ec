"""The panes of the dashboard at any size: which there are, how large each is, which has the keys, which has it all."""

from __future__ import annotations

from collections.abc import Iterator

from textual.app import ComposeResult
from textual.widget import Widget

from stepflow_tui.panes.saved_views import SavedView, read_views
from stepflow_tui.presentation.arrangement import Arrangement, Contents, Kind, arrange
from stepflow_tui.screens.frame import Frame
from stepflow_tui.session import Session
from stepflow_tui.widgets.bar import Bar
from stepflow_tui.widgets.lines import LineView
from stepflow_tui.widgets.still import StillHorizontal, StillVertical

COLUMNS: dict[Kind, dict[str, tuple[str, ...]]] = {
    "small": {"left": ("templates",), "middle": ("executions",), "right": ()},
    "medium": {
        "left": ("templates", "fleet", "failures"),
        "middle": ("executions", "detail"),
        "right": (),
    },
    "large": {
        "left": ("templates", "fleet", "failures", "kept"),
        "middle": ("executions", "graph"),
        "right": ("detail", "events"),
    },
}
"""Above the timeline, from left to right, each from top to bottom."""


ALWAYS = "templates"
"""There even where it is not seen: it is asked which template is at hand."""


class Arranging(Frame):
    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._panes: dict[str, LineView] = {}
        self._arrangement = Arrangement("small", (), {})

    def make_pane(self, name: str) -> LineView:
        """One that comes to be seen."""
        raise NotImplementedError

    def pane_came(self, name: str) -> None:
        """It is empty so far."""

    @property
    def contents(self) -> Contents:
        raise NotImplementedError

    @property
    def kind(self) -> Kind:
        """Of the size."""
        return self._arrangement.kind

    def pane(self, name: str) -> LineView | None:
        """None: there is no room for it at this size."""
        return self._panes.get(name)

    @property
    def kept_views(self) -> list[SavedView]:
        return read_views(self.session.config.table("views"))

    # Placing

    def compose(self) -> ComposeResult:
        self._arrangement = arrange(*self.app.size, self.contents, self.session.breakpoints)
        self._say_kind()
        yield Bar(id="header")
        with StillHorizontal(id="top"):
            for column in ("left", "middle", "right"):
                with StillVertical(id=column):
                    yield from self._make_panes(self._names_in(column))
        yield from self._make_panes(("timeline", "log"))
        yield Bar(id="footer")

    def _make_panes(self, names: tuple[str, ...]) -> Iterator[LineView]:
        for name in names:
            pane = self._panes[name] = self.make_pane(name)
            yield pane

    def _names_in(self, column: str) -> tuple[str, ...]:
        names = COLUMNS[self._arrangement.kind][column]
        return tuple(name for name in names if name in (ALWAYS, *self._arrangement.panes))

    def _say_kind(self) -> None:
        self.set_class(self._arrangement.kind != "small", "-roomy")
        self.set_class(self._arrangement.kind == "large", "-large")
        self.set_class(ALWAYS not in self._arrangement.panes, "-bare")
        is_bare, focused = ALWAYS not in self._arrangement.panes, self.focused
        if is_bare and focused is not None and focused is self._panes.get(ALWAYS):
            self.focus_main()

    def on_resize(self) -> None:
        self.rearrange()

    def rearrange(self) -> None:
        """After the size or what there is to show became another."""
        wanted = arrange(*self.size, self.contents, self.session.breakpoints)
        if wanted != self._arrangement:
            is_other = (wanted.kind, wanted.panes) != (self._arrangement.kind, self._arrangement.panes)
            self._arrangement = wanted
            if is_other:
                self._place()
            self.size_panes()

    def _place(self) -> None:
        self._say_kind()
        for column in ("left", "middle", "right"):
            box = self.query_one(f"#{column}")
            names = self._names_in(column)
            for pane in [pane for pane in box.children if pane.id not in names]:
                self._take_away(pane)
            before: Widget | None = None
            for name in names:
                pane_there = self._panes.get(name)
                if pane_there is None or pane_there.parent is not box:
                    (made,) = self._make_panes((name,))
                    box.mount(made, after=before) if before is not None else box.mount(made, before=0)
                    pane_there = made
                    self.call_after_refresh(self.pane_came, name)
                before = pane_there

    def _take_away(self, pane: Widget) -> None:
        if self._panes.get(pane.id or "") is pane:
            del self._panes[pane.id or ""]
        if pane.has_focus:
            self.focus_main()
        pane.remove()

    def size_panes(self) -> None:
        if self.has_class("-zoomed"):
            return
        heights = self._arrangement.heights
        for name, widget in (("top", self.query_one("#top")), *self._panes.items()):
            widget.styles.width = None
            widget.styles.height = heights.get(name)

    # Which has the keys

    def seen_panes(self) -> list[LineView]:
        """In the order in which they are read."""
        panes = [self._panes[name] for name in self._arrangement.panes if name in self._panes]
        return [pane for pane in panes if pane.display and pane.region.height > 0]

    def action_next_pane(self) -> None:
        self._to_pane(1)

    def action_previous_pane(self) -> None:
        self._to_pane(-1)

    def _to_pane(self, by: int) -> None:
        if self.has_class("-zoomed"):
            self.unzoom()
        panes = self.seen_panes()
        if not panes:
            return  # there is room for none
        focused = self.focused
        index = panes.index(focused) if isinstance(focused, LineView) and focused in panes else 0
        panes[(index + by) % len(panes)].focus()

    def action_zoom(self) -> None:
        if self.has_class("-zoomed"):
            self.unzoom()
            return
        pane = self.focused
        if isinstance(pane, LineView):
            self.add_class("-zoomed")
            whole: Widget | None = pane
            while whole is not None and whole is not self:
                whole.add_class("zoomed")
                whole.styles.width = whole.styles.height = "1fr"
                whole = whole.parent if isinstance(whole.parent, Widget) else None

    def unzoom(self) -> None:
        self.remove_class("-zoomed")
        for widget in self.query(".zoomed"):
            widget.remove_class("zoomed")
            widget.styles.width = widget.styles.height = None
        self.size_panes()
