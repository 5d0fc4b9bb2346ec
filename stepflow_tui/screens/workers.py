"""The workers: who is alive, how much each holds and what it runs, what troubles it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType

from stepflow.model.run import RunRecord, WorkerRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.keymap import Key, bindings
from stepflow_tui.presentation.commands import AtHand, all_words_of, command_lines
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.presentation.workers import Held, Remark, Row, describe_worker, row_line, rows_of, under_way
from stepflow_tui.screens.finding import Finding
from stepflow_tui.widgets.bar import Bar, Question
from stepflow_tui.widgets.fresh_list import FreshList

LOOK_SECONDS = 2.0
HELD = (RunStatus.RUNNING, RunStatus.AWAITING_RETRY, RunStatus.SLEEPING, RunStatus.WAITING)
"""How executions stand that a worker may hold."""
MOST_LOOKED_AT = 200
"""Executions of each of them."""
MOST_READ, MOST_STEPS = 30, 1000
"""Executions of which it is read what they do, and steps that they may have for that."""
ABOUT_WORKERS = {"drain": "stop", "yank_worker": "copy", "describe_worker": "describe", "open_held": "open"}
"""Ids of keys that do something with the worker at hand, and what that is."""


class WorkerList(FreshList):
    BORDER_TITLE = "5 Workers"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(glyphs, id="workers")
        self.records: list[WorkerRecord] = []
        self.held: Mapping[str, Sequence[Held]] = {}
        """By the worker's id."""
        self.rows: list[Row] = []

    @property
    def selected(self) -> WorkerRecord | None:
        """The one under the cursor, or of what is there."""
        return worker_of(self.rows[self.cursor], self.records) if self.rows else None

    @property
    def selected_run(self) -> RunRecord | None:
        """The execution under the cursor; on a worker the first that it holds."""
        row = self.rows[self.cursor] if self.rows else None
        if isinstance(row, Held):
            return row.run
        own = () if self.selected is None else self.held.get(self.selected.id, ())
        return own[0].run if own else None

    def show(self, workers: list[WorkerRecord], held: Mapping[str, Sequence[Held]]) -> None:
        """The cursor stays where it is."""
        self.records, self.held = workers, held
        self._lay_out()
        alive = sum(worker.alive for worker in workers)
        self.tell(f"{alive} alive" if workers else "none: stepflow worker starts one")

    def _lay_out(self) -> None:
        before = _key(self.rows[self.cursor]) if self.rows else None
        width = self.scrollable_content_region.width or 80
        self.rows = rows_of(self.records, self.held, width, datetime.now(UTC), self._glyphs)
        at = next((place for place, row in enumerate(self.rows) if _key(row) == before), None)
        self.set_rows(len(self.rows), at)

    def on_resize(self) -> None:
        self._lay_out()
        super().on_resize()

    def line_at(self, row: int, width: int) -> Line:
        return row_line(self.rows[row], width, datetime.now(UTC), self._glyphs)


def worker_of(row: Row, workers: Sequence[WorkerRecord]) -> WorkerRecord | None:
    if isinstance(row, Held):
        return next((worker for worker in workers if worker.id == row.run.worker), None)
    return row.worker if isinstance(row, Remark) else row


def _key(row: Row) -> object:
    return row.run.id if isinstance(row, Held) else (row.worker.id, row.text) if isinstance(row, Remark) else row.id


class WorkersView(Finding):
    view = "workers"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("workers")]
    DEFAULT_CSS = "WorkersView.-lowest #queues { display: none; }"

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield WorkerList(self.glyphs)
        yield Bar(id="queues")
        yield Bar(id="footer")

    @property
    def pane(self) -> WorkerList:
        return self.query_one(WorkerList)

    async def on_mount(self) -> None:
        self.pane.focus()
        self._set_bar("queues", lambda width: [(" Queues come with many workers", "dim")])
        self.set_interval(LOOK_SECONDS, self._look)
        await self.guarded(self._load())

    async def reload(self) -> None:
        await self.guarded(self._load())

    def focus_main(self) -> None:
        self.pane.focus()

    def on_screen_resume(self) -> None:
        if self.is_mounted:
            self._look()

    @work(group="look", exclusive=True)
    async def _look(self) -> None:
        self.miss()  # they say nothing in the log
        if self.app.app_focus and self.app.screen is self:
            await self.guarded(self._load())

    async def _load(self) -> None:
        self.pane.freshness.begin()
        workers = await self.client.workers()
        held = await self._read_held(workers)
        self.pane.freshness.end()
        self.pane.say()
        if workers != self.pane.records or held != self.pane.held:
            self.pane.show(workers, held)
        elif any(held.values()):
            self.pane.refresh()  # how long they have run
        await self.session.look_at_workers()
        self.show_header()

    async def _read_held(self, workers: Sequence[WorkerRecord]) -> dict[str, list[Held]]:
        """By the worker's id, the newest first; those that begin the list with what they do."""
        held: dict[str, list[Held]] = {worker.id: [] for worker in workers if worker.held_runs}
        if not held:
            return held
        read, missing = 0, sum(worker.held_runs for worker in workers)
        for status in HELD:
            if missing <= 0:
                break
            for run in (await self.client.list_runs(MOST_LOOKED_AT, status=status, children=True)).items:
                if run.worker not in held:
                    continue
                reads = read < MOST_READ and run.steps_total <= MOST_STEPS
                read, missing = read + reads, missing - 1
                steps = await self.client.get_steps(run.id, bodies=False) if reads else []
                held[run.worker].append(Held(run, under_way(steps)))
        return held

    # What is at hand

    def why_not(self, key: Key) -> str | None:
        if reason := super().why_not(key):
            return reason
        worker = self.pane.selected
        if key.id in ABOUT_WORKERS and self.session.storage_trouble is not None and worker is None:
            return self.session.storage_trouble
        if key.id == "drain" and (worker is None or not worker.alive):
            return "There is no living worker to stop"
        if key.id in ABOUT_WORKERS and worker is None:
            return f"There is no worker to {ABOUT_WORKERS[key.id]}; stepflow worker starts one"
        if key.id == "open_held" and worker is not None and self.pane.selected_run is None:
            return f"{safe(worker.id)} holds no execution"
        return None

    @property
    def the_worker(self) -> WorkerRecord:
        """For what is only done where there is one (`why_not`)."""
        assert self.pane.selected is not None
        return self.pane.selected

    def command_line(self, key: Key) -> str | None:
        worker = self.pane.selected
        at = AtHand(worker=None if worker is None else worker.id)
        return command_lines(all_words_of(key.id, at), self.session.place)

    async def action_open(self) -> None:
        run = self.pane.selected_run
        assert run is not None  # as `why_not` says
        await self.show_above("run", run.id)

    async def action_describe(self) -> None:
        from stepflow_tui.panes.overlay import Overlay

        worker, now = self.the_worker, self.now()
        held = self.pane.held.get(worker.id, ())
        await self.query("#overlay").remove()
        overlay = Overlay(worker.id, lambda width: describe_worker(worker, held, now, width, self.glyphs), self.focused)
        await self.mount(overlay)

    def action_yank(self) -> None:
        worker = self.the_worker
        answers = {
            "i": ("id", "id"),
            "p": ("process id", "process id"),
            "c": ("command line", "command line that stops it"),
        }

        async def yank(what: str) -> None:
            line = command_lines(all_words_of("drain", AtHand(worker=worker.id)), self.session.place) or ""
            text = {"id": worker.id, "process id": str(worker.pid)}.get(what, line)
            self.note(f"Copied the {what} of {safe(worker.id)} by {self.copy(text)}")

        self.ask(Question(f"Copy of {safe(worker.id)}:", answers), yank)

    def action_stop_worker(self) -> None:
        worker = self.the_worker
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
