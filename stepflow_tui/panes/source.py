"""The text of a template, with the problems where they are. Only lines that are seen are coloured."""

from __future__ import annotations

from collections.abc import Sequence

from stepflow.dsl.diagnostics import Diagnostic
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.source import coloured, lines_of, source_gutter, worst
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.widgets.wide import WideView, longest_of


class Source(WideView):
    BORDER_TITLE = "Source"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="source")
        self._glyphs = glyphs
        self.text = ""
        self._of: object = None
        self._lines: list[str] = []
        self._levels: dict[int, str] = {}
        self._problems: Sequence[Diagnostic] = ()

    @property
    def line(self) -> int:
        """Of the cursor, from 1."""
        return self.cursor + 1

    def show(self, of: object, title: str, text: str) -> None:
        """`of`: what it is the text of; the cursor stays while that is the same."""
        is_other, self._of = of != self._of, of
        self.border_title = title.replace("[", "\\[")
        if is_other:
            self.left = 0
            self.mark(())
        if text != self.text or is_other:
            self.text = text
            self._lines = lines_of(text) if text else []
            self.longest = longest_of(self._lines)
            self.set_rows(len(self._lines), 0 if is_other else None)

    def mark(self, problems: Sequence[Diagnostic]) -> None:
        """Show where these are."""
        self._problems = problems
        self._levels = worst(list(problems))
        self.say_problem()
        self.refresh()

    def say_problem(self) -> None:
        """What is wrong with the line under the cursor."""
        said = next((one.message for one in self._problems if one.line == self.line), "")
        subtitle = safe(said).replace("[", "\\[") if said else ""
        if self.border_subtitle != subtitle:
            self.border_subtitle = subtitle

    def go_to(self, line: int) -> None:
        self.move_to(line - 1)
        self.say_problem()

    def move_to(self, row: int) -> None:
        super().move_to(row)
        self.say_problem()

    def line_at(self, row: int, width: int) -> Line:
        number = row + 1
        digits = max(3, len(str(self.row_count)))
        gutter = source_gutter(number, digits, self._levels.get(number), self._glyphs)
        return [*gutter, *self.in_sight(coloured(self._lines[row]))]
