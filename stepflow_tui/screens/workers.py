"""The workers: who is alive, how much each holds, what troubles it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType

from stepflow.model.run import WorkerRecord
from stepflow_tui.keymap import Key, bindings
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.presentation.workers import worker_row
from stepflow_tui.screens.finding import Finding
from stepflow_tui.widgets.bar import Bar, Question
from stepflow_tui.widgets.lines import LineView

LOOK_SECONDS = 2.0


class WorkerList(LineView):
    BORDER_TITLE = "5 Workers"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(id="workers")
        self._glyphs = glyphs
        self.records: list[WorkerRecord] = []

    @property
    def selected(self) -> WorkerRecord | None:
        return self.records[self.cursor] if self.records else None

    def show(self, workers: list[WorkerRecord]) -> None:
        """The cursor stays on its worker."""
        selected = self.selected
        self.records = workers
        ids = [worker.id for worker in workers]
        self.set_rows(len(ids), ids.index(selected.id) if selected is not None and selected.id in ids else None)
        alive = sum(worker.alive for worker in workers)
        self.border_subtitle = f"{alive} alive" if workers else "none: stepflow worker starts one"

    def line_at(self, row: int, width: int) -> Line:
        return worker_row(self.records[row], width, datetime.now(UTC), self._glyphs)


class WorkersView(Finding):
    view = "workers"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("workers")]

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield WorkerList(self.glyphs)
        yield Bar(id="footer")

    @property
    def pane(self) -> WorkerList:
        return self.query_one(WorkerList)

    async def on_mount(self) -> None:
        self.pane.focus()
        self.set_interval(LOOK_SECONDS, self._look)
        await self.guarded(self._load())

    async def reload(self) -> None:
        await self.guarded(self._load())

    def focus_main(self) -> None:
        self.pane.focus()

    @work(group="look", exclusive=True)
    async def _look(self) -> None:
        if self.app.app_focus and self.app.screen is self:
            await self.guarded(self._load())

    async def _load(self) -> None:
        workers = await self.client.workers()
        if workers != self.pane.records:
            self.pane.show(workers)
        await self.session.look_at_workers()
        self.show_header()

    def why_not(self, key: Key) -> str | None:
        if reason := super().why_not(key):
            return reason
        worker = self.pane.selected
        if key.id == "drain" and (worker is None or not worker.alive):
            return "There is no living worker to stop"
        return None

    def action_stop_worker(self) -> None:
        worker = self.pane.selected
        assert worker is not None  # as `why_not` says
        holds = f", which holds {worker.held_runs}" if worker.held_runs else ""
        question = Question(f"Stop {safe(worker.id)}{holds}?", {"y": ("yes", "it gives its executions back")})

        async def stop(_: str) -> None:
            self.act(self._stop(worker))

        self.ask(question, stop)

    async def _stop(self, worker: WorkerRecord) -> None:
        self.note(f"Stopping {worker.id}")
        await self.client.stop_worker(worker)
        self.note(f"{worker.id} was stopped")
        await self._load()
