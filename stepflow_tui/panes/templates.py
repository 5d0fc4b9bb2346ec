"""The templates, and how the newest execution of each stands."""

from __future__ import annotations

from stepflow.client import Client
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow.model.template import Template
from stepflow_tui.histories import Histories
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.templates import NONE_YET, template_row
from stepflow_tui.watching import WatchedFiles
from stepflow_tui.widgets.fresh_list import FreshList

MOST = 1000


class Templates(FreshList):
    BORDER_TITLE = "3 Templates"

    def __init__(self, glyphs: Glyphs, files: WatchedFiles, histories: Histories) -> None:
        super().__init__(glyphs, id="templates")
        self._files = files
        self._histories = histories
        self.templates: list[Template] = []
        self._newest: dict[str, RunStatus] = {}

    @property
    def selected(self) -> Template | None:
        return self.templates[self.cursor] if self.templates else None

    async def load(self, client: Client) -> None:
        """Read them again, by name; the cursor stays on its template."""
        selected = self.selected
        self.freshness.begin()
        self.templates = sorted(await client.list_templates(MOST), key=lambda template: template.name)
        self.freshness.end()
        self.tell(f"{len(self.templates):,}" if self.templates else "")
        names = [template.name for template in self.templates]
        self.has_cursor = bool(names)
        row = names.index(selected.name) if selected and selected.name in names else None
        self.set_rows(len(names) or len(NONE_YET), row)

    def note_runs(self, runs: list[RunRecord]) -> None:
        """`runs`, newest first, as the executions pane has them."""
        newest: dict[str, RunStatus] = {}
        for run in runs:
            newest.setdefault(run.template, run.status)
        if newest != self._newest:
            self._newest = newest
            self.refresh()

    def line_at(self, row: int, width: int) -> Line:
        if not self.templates:
            return [(f" {NONE_YET[row]}", "dim")]
        template = self.templates[row]
        is_broken = bool(self._files.problem_of(template.file))
        history = self._histories.of(template.name)
        return template_row(template, self._newest.get(template.name), width, self._glyphs, is_broken, history)

    @property
    def seen_templates(self) -> list[str]:
        """Of the rows that are seen."""
        top = max(0, self.scroll_offset.y)
        return [template.name for template in self.templates[top : top + self.size.height]]
