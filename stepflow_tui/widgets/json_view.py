"""A value that folds, as JSON or YAML, with a search in it."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from textual.binding import Binding, BindingType

from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.json_tree import Form, JsonTree, Path, Row, json_row, matches
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.widgets.lines import LineView

AT_ONCE = 5000
"""Values that are searched before the screen may do something else."""
MOST_MATCHES = 10_000


class JsonView(LineView):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "unfold", show=False),
        Binding("left", "fold", show=False),
    ]

    def __init__(self, glyphs: Glyphs, *, id: str | None = None) -> None:  # noqa: A002 - as Textual calls it
        super().__init__(id=id)
        self._glyphs = glyphs
        self.form: Form = "json"
        self.document = JsonTree({})
        self._kept: tuple[list[Path], Path | None] | None = None
        """What was unfolded of the value that was put away, and where the cursor stood."""
        self._found: list[Path] = []
        self._at = 0
        """In what was found."""
        self._needle = ""

    @property
    def selected(self) -> Row | None:
        return self.document.row_at(self.cursor) if self.document.row_count else None

    def show(self, value: dict[str, Any]) -> None:
        """What was unfolded, and where the cursor stood, stays where it is there too."""
        if value == self.document.value:
            return
        unfolded, at = self._kept or self._as_it_stands()
        self._kept = None
        self.document = JsonTree(value)
        now_open = set(self.document.unfolded())
        for path in unfolded:
            if path not in now_open:
                self._try_to_unfold(path)
        row = self.cursor if at is None else self._row_of(at)
        self.set_rows(self.document.row_count, row)
        self._found, self._needle = [], ""
        self._say()

    def put_away(self) -> None:
        """The value is not seen and takes no room; where it is unfolded, and the cursor stands, is kept for it."""
        if self._kept is None:
            self._kept = self._as_it_stands()
        self.document = JsonTree({})
        self._found, self._needle = [], ""
        self.set_rows(0)

    def _as_it_stands(self) -> tuple[list[Path], Path | None]:
        at = self.selected
        return list(self.document.unfolded()), None if at is None else at.path

    def _try_to_unfold(self, path: Path) -> None:
        try:
            self.document.unfold(path)
        except (KeyError, IndexError, ValueError, TypeError):
            pass  # the value is another now

    def _row_of(self, path: Path) -> int | None:
        try:
            return self.document.row_of(path)
        except (KeyError, IndexError, ValueError, TypeError):
            return None

    def line_at(self, row: int, width: int) -> Line:
        return json_row(self.document.row_at(row), self.form, self._glyphs)

    def set_form(self, form: Form) -> None:
        self.form = form
        self.refresh()
        self._say()

    def _say(self) -> None:
        said = self.form.upper()
        if self._needle:
            at = f"{self._at + 1:,} of {len(self._found):,}" if self._found else "nothing"
            said = f"/{safe(self._needle)}  {at}  {said}".replace("[", "\\[")
        if self.border_subtitle != said:
            self.border_subtitle = said

    # Folding

    def toggle(self) -> None:
        at = self.selected
        if at is None:
            return
        if at.is_piece or at.is_open:
            self._fold_at(at.path)
        elif at.folds:
            self.action_unfold()

    def action_unfold(self) -> None:
        """Or into what is unfolded."""
        at = self.selected
        if at is None or not at.folds:
            return
        if at.is_open:
            self.move_to(self.cursor + 1)
            return
        self.document.unfold(at.path)
        self.set_rows(self.document.row_count)

    def action_fold(self) -> None:
        """Or up to what it stands in."""
        at = self.selected
        if at is None:
            return
        if at.is_piece or at.is_open:
            self._fold_at(at.path)
        elif len(at.path) > 1:
            self.move_to(self.document.row_of(at.path[:-1]))

    def _fold_at(self, path: Path) -> None:
        self.document.fold(path)
        self.set_rows(self.document.row_count, self.document.row_of(path))

    # Searching

    async def search(self, needle: str) -> int:
        """Go to the first place that has it; how many there are. Another search, or another value, ends it."""
        self._needle, self._found = needle, []
        tree, wanted = self.document, needle.lower()
        if not wanted:
            self._say()
            return 0
        found: list[Path] = []
        for number, (path, value) in enumerate(tree.walk(), 1):
            if matches(path, value, wanted):
                found.append(path)
                if len(found) >= MOST_MATCHES:
                    break
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
                if self._needle != needle or self.document is not tree:
                    return 0
        self._found, self._at = found, 0
        self._go_to_match()
        return len(found)

    def next_match(self, by: int) -> bool:
        """Round and round; False: nothing was found."""
        if self._found:
            self._at = (self._at + by) % len(self._found)
            self._go_to_match()
        return bool(self._found)

    def _go_to_match(self) -> None:
        if self._found:
            path = self._found[self._at]
            if path[:-1]:
                self.document.unfold(path[:-1])
            self.set_rows(self.document.row_count, self.document.row_of(path))
        self._say()
