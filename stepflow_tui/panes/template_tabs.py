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
from stepflow_tui.presentation.versions import VersionRow, diff_line, version_row
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

    @property
    def label(self) -> str:
        return f"Problems {len(self.problems)}" if self.problems else "Problems"

    @property
    def hint(self) -> str:
        """What to do about the problem, of which the line may have no room."""
        return "" if self.selected is None else self.selected.hint or "⏎ goes there"

    @property
    def selected(self) -> Diagnostic | None:
        return self.problems[self.cursor] if self.problems else None

    def show(self, problems: Sequence[Diagnostic], *, has_looked: bool = True) -> None:
        """The cursor stays on its problem."""
        before = self.selected
        self.problems = problems
        self.empty = "No problems" if has_looked else "…"
        row = problems.index(before) if before is not None and before in problems else None
        self.fill(len(problems), row)

    def row_at(self, row: int, width: int) -> Line:
        return problem_row(self.problems[row], self._glyphs)


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

    def show(self, rows: Sequence[VersionRow], runs: Mapping[int, int]) -> None:
        """The cursor stays on its version, or on the newest."""
        before = self.selected if self.cursor else None
        self.rows, self._runs = rows, runs
        numbers = [row.version.version for row in rows]
        row = numbers.index(before.version) if before is not None and before.version in numbers else 0
        self.fill(len(rows), row, "⏎ what changed · r runs it")

    def row_at(self, row: int, width: int) -> Line:
        one = self.rows[row]
        return version_row(one, self._runs.get(one.version.version, 0), datetime.now(UTC))


class SourceDiff(Tab, WideView):
    name_of_tab = "Diff"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs)
        self._lines: Sequence[str] = ()
        self._title: Line = []

    def show(self, title: str, lines: Sequence[str], empty: str) -> None:
        self._title, self._lines, self.empty = [(title, "title")], lines, empty
        self.left, self.longest = 0, longest_of(lines)
        self.fill(len(lines) + 1 if lines else 0, 0, "D the other side")

    def row_at(self, row: int, width: int) -> Line:
        return self._title if row == 0 else self.in_sight(diff_line(self._lines[row - 1]))


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
