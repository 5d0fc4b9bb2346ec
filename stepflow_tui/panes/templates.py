"""The templates, and how the newest execution of each stands."""

from __future__ import annotations

from collections.abc import Container, Iterable

from textual.message import Message

from stepflow.client import Client
from stepflow.model.event import WorkflowEvent
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

    class Scrolled(Message):
        """Templates are seen of which it is not known how their newest execution stands."""

    def __init__(self, glyphs: Glyphs, files: WatchedFiles, histories: Histories) -> None:
        super().__init__(glyphs, id="templates")
        self._files = files
        self._histories = histories
        self.templates: list[Template] = []
        self._newest: dict[str, RunStatus] = {}
        self._known: Container[str] = ()
        """Templates that have one among the newest."""
        self._happened: set[str] = set()
        """Templates whose executions stand otherwise than when they were asked for."""
        self._older: dict[str, RunStatus | None] = {}
        """How the newest execution stands of templates that have none among the newest; None: there is none."""

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

    @property
    def _unknown(self) -> list[str]:
        return [name for name in self.seen_templates if name not in self._known and name not in self._older]

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._unknown:
            self.post_message(self.Scrolled())

    def on_resize(self) -> None:
        if self._unknown:
            self.post_message(self.Scrolled())

    def note(self, events: Iterable[WorkflowEvent]) -> None:
        """The newest executions of some stand otherwise now."""
        for event in events:
            if event.event_type.startswith("run."):
                self._happened.add(event.kind)
                self._older.pop(event.kind, None)

    async def note_runs(self, runs: Iterable[RunRecord], client: Client) -> None:
        """`runs`: the newest; of templates that are seen and have none among them the newest is read."""
        newest: dict[str, RunStatus] = {}
        for run in runs:
            newest.setdefault(run.template, run.status)
        self._known = newest.keys()
        for name in self._unknown:
            self._happened.discard(name)
            page = await client.list_runs(1, template=name)
            if name not in self._happened:
                self._older[name] = page.items[0].status if page.items else None
        newest = {**{name: status for name, status in self._older.items() if status is not None}, **newest}
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
