"""What stands beside a template's text, one at a time: its problems, its versions, what differs, a simulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from stepflow.dsl.diagnostics import Diagnostic
from stepflow.model.template import TemplateVersion
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.problems import problem_row
from stepflow_tui.presentation.simulation import Picture
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.templates import problem_lines
from stepflow_tui.presentation.versions import VersionRow, diff_line, first_differences, version_row
from stepflow_tui.widgets.lines import LineView
from stepflow_tui.widgets.wide import WideView, longest_of

if TYPE_CHECKING:
    from stepflow.client.checks import Simulation


class Tab(LineView):
    name_of_tab: ClassVar[str]
    empty = ""
    """Said where there is nothing."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id=self.name_of_tab.lower())
        self._glyphs = glyphs
        self._hint = ""

    @property
    def hint(self) -> str:
        """What can be done with what is selected."""
        return self._hint

    @property
    def label(self) -> str:
        """As it stands among the others."""
        return self.name_of_tab

    def fill(self, count: int, cursor: int | None = None, hint: str = "") -> None:
        """There are `count` rows; where there are none, what is said instead takes one."""
        self.is_empty = not count
        self._hint = hint
        self.set_rows(max(1, count), cursor)

    is_empty = True

    def line_at(self, row: int, width: int) -> Line:
        return [(f" {self.empty}", "dim")] if self.is_empty else self.row_at(row, width)

    def row_at(self, row: int, width: int) -> Line:
        raise NotImplementedError


class Problems(Tab):
    name_of_tab = "Problems"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        self.problems: Sequence[Diagnostic] = ()
        self._selected_lines: list[Line] = []
        """Of the one under the cursor, all that is said of it; the others have a line each."""

    @property
    def label(self) -> str:
        return f"Problems {len(self.problems)}" if self.problems else "Problems"

    @property
    def hint(self) -> str:
        return "" if self.selected is None else "⏎ goes there"

    @property
    def selected(self) -> Diagnostic | None:
        return self.problems[self.cursor] if self.problems else None

    def show(self, problems: Sequence[Diagnostic], empty: str = "No problems") -> None:
        """The cursor stays on its problem. `empty`: what is said where there is none."""
        before = self.selected
        self.problems = problems
        self.empty = empty
        row = problems.index(before) if before is not None and before in problems else self.cursor
        self._lay_out(min(row, max(0, len(problems) - 1)))

    def _lay_out(self, selected: int) -> None:
        width = self.scrollable_content_region.width
        self._selected_lines = problem_lines(self.problems[selected], width, self._glyphs) if self.problems else []
        self.fill(len(self.problems) + max(0, len(self._selected_lines) - 1), selected)
        last = selected + len(self._selected_lines) - 1
        height = self.scrollable_content_region.height
        if height and last >= self.scroll_offset.y + height:
            self.scroll_to(y=min(selected, last - height + 1), animate=False, force=True)

    def _index_of(self, row: int) -> int:
        """Of the problem that stands in it."""
        return row if row <= self.cursor else max(self.cursor, row - max(0, len(self._selected_lines) - 1))

    def on_resize(self) -> None:
        super().on_resize()
        self._lay_out(self.cursor)

    def action_move(self, by: int) -> None:
        self.go_to(self.cursor + by)

    def move_to(self, row: int) -> None:
        self.go_to(self._index_of(row))

    def go_to(self, index: int) -> None:
        index = max(0, min(index, len(self.problems) - 1))
        if index != self.cursor and self.problems:
            self._lay_out(index)
            self.post_message(self.Moved(self))

    def row_at(self, row: int, width: int) -> Line:
        inside = row - self.cursor
        if 0 <= inside < len(self._selected_lines):
            return self._selected_lines[inside]
        return problem_row(self.problems[self._index_of(row)], self._glyphs)


class Versions(Tab):
    name_of_tab = "Versions"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        self.rows: Sequence[VersionRow] = ()
        self.newest: int | None = None
        self._runs: Mapping[int, int] = {}

    @property
    def label(self) -> str:
        return "Versions" if self.newest is None else f"Versions {self.newest}"

    @property
    def selected(self) -> TemplateVersion | None:
        return self.rows[self.cursor].version if self.rows else None

    def before(self, version: int) -> TemplateVersion | None:
        return next((row.version for row in self.rows if row.version.version == version - 1), None)

    def show(self, rows: Sequence[VersionRow], runs: Mapping[int, int], empty: str = "") -> None:
        """The cursor stays on its version, or on the newest. `empty`: what is said where there is none."""
        before = self.selected if self.cursor else None
        self.rows, self._runs, self.empty = rows, runs, empty
        numbers = [row.version.version for row in rows]
        row = numbers.index(before.version) if before is not None and before.version in numbers else 0
        some = f" · the newest {len(rows)}" if rows and rows[-1].version.version > 1 else ""
        self.fill(len(rows), row, f"⏎ what changed · r runs it{some}" if rows else "")

    def row_at(self, row: int, width: int) -> Line:
        one = self.rows[row]
        return version_row(one, self._runs.get(one.version.version, 0), datetime.now(UTC))


class SourceDiff(Tab, WideView):
    name_of_tab = "Diff"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        self._lines: Sequence[str] = ()
        self._differ: Mapping[int, int] = {}
        """By place, where a line differs from the one that came for it."""
        self._title: Line = []

    def show(self, title: str, lines: Sequence[str], empty: str) -> None:
        self._title, self._lines, self.empty = [(title, "title")], lines, empty
        self._differ = first_differences(lines)
        self.left, self.longest = 0, longest_of(lines)
        self.fill(len(lines) + 1 if lines else 0, 0, "D the other side")

    def row_at(self, row: int, width: int) -> Line:
        if row == 0:
            return self._title
        text = self._lines[row - 1]
        if self.left:
            return self.in_sight(diff_line(text))
        return diff_line(text, width, self._differ.get(row - 1, 0))


class Simulated(Tab):
    name_of_tab = "Simulation"
    empty = "s simulates: path, predicted durations, output, nothing is really done"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        self.picture: Picture | None = None
        self.fill(0)

    def show(self, simulation: Simulation | None, title: str) -> None:
        self.picture = None if simulation is None else Picture(simulation, self._glyphs)
        self.fill(0 if self.picture is None else self.picture.line_count, 0, title)

    def row_at(self, row: int, width: int) -> Line:
        assert self.picture is not None
        return self.picture.line(row, width)
