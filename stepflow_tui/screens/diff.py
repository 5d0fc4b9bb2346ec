"""Two executions, their steps side by side: what took longer, what ended otherwise, which values are others."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from stepflow_tui.keymap import bindings
from stepflow_tui.presentation.differences import (
    Pair,
    diff_title,
    difference_lines,
    longest_ms,
    pair_row,
    pairs_of,
)
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.screens.finding import Finding
from stepflow_tui.session import Place, Session
from stepflow_tui.widgets.bar import Bar
from stepflow_tui.widgets.lines import LineView
from stepflow_tui.widgets.text import Text


class Pairs(LineView):
    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="pairs")
        self._glyphs = glyphs
        self.pairs: list[Pair] = []
        self._longest = 0
        self._names = 8

    @property
    def selected(self) -> Pair | None:
        return self.pairs[self.cursor] if self.pairs else None

    def show(self, pairs: list[Pair]) -> None:
        """The cursor stays on its step."""
        name = None if self.selected is None else self.selected.key
        self.pairs = pairs
        self._longest = longest_ms(pairs)
        self._names = max(len(pair.name) for pair in pairs[:500])
        self.set_rows(len(pairs), next((row for row, pair in enumerate(pairs) if pair.key == name), 0))
        differing = sum(pair.differs for pair in pairs)
        self.border_subtitle = f"{differing:,} of {len(pairs):,} differ" if differing else "nothing differs"

    def line_at(self, row: int, width: int) -> Line:
        names = max(8, min(self._names, width // 4))
        return pair_row(self.pairs[row], names, self._longest, width, self._glyphs)


class DiffView(Finding):
    view = "diff"
    CSS_PATH = "diff.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("diff")]

    def __init__(self, session: Session, before: str, after: str) -> None:
        """Ids of executions."""
        super().__init__(session)
        self._before = before
        self._after = after

    @property
    def place(self) -> Place:
        return "diff", (self._before, self._after)

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield Pairs(self.glyphs)
        yield Text(id="changes")
        yield Bar(id="footer")

    @property
    def pane(self) -> Pairs:
        return self.query_one(Pairs)

    @property
    def changes(self) -> Text:
        return self.query_one(Text)

    async def on_mount(self) -> None:
        self.pane.focus()
        await self.guarded(self._read())

    async def reload(self) -> None:
        await self.guarded(self._read())

    async def _read(self) -> None:
        difference = await self.client.diff(self._before, self._after)
        before = await self.client.get_steps(self._before, bodies=False, attempts=True)
        after = await self.client.get_steps(self._after, bodies=False, attempts=True)
        self.pane.border_title = diff_title(difference.before, difference.after, self.glyphs)
        self.pane.show(pairs_of(difference, before, after))
        self._show_changes()

    def _show_changes(self) -> None:
        pair = self.pane.selected
        if pair is not None:
            self.changes.border_title = pair.name.replace("[", "\\[")
            self.changes.show(lambda width: difference_lines(pair, width, self.glyphs))

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        if message.view is self.pane:
            self._show_changes()

    def focus_main(self) -> None:
        self.pane.focus()

    def action_next_pane(self) -> None:
        to_changes = self.focused is self.pane
        self.set_class(to_changes, "-changes")
        (self.changes if to_changes else self.pane).focus()

    def action_problem(self, direction: int) -> None:
        rows = [row for row, pair in enumerate(self.pane.pairs) if pair.differs]
        if direction > 0:
            row = next((row for row in rows if row > self.pane.cursor), None)
        else:
            row = next((row for row in reversed(rows) if row < self.pane.cursor), None)
        if row is None:
            self.note("Nothing below differs" if direction > 0 else "Nothing above differs")
        else:
            self.pane.move_to(row)

    async def action_open(self) -> None:
        pair = self.pane.selected
        if pair is not None:
            await self.show_above("run", self._before if pair.after is None else self._after, pair.key)

    async def action_back(self) -> None:
        if self.focused is self.changes:
            self.action_next_pane()
        else:
            await self.action_leave()

    async def action_leave(self) -> None:
        await self.go_beneath()
