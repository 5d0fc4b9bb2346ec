"""The execution at hand, or its step at hand, beside the list of executions where there is room: in words, as a graph,
by its events. What is not seen is not read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from textual import work
from textual.events import DescendantFocus

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord
from stepflow_tui.panes.graph import Graph
from stepflow_tui.panes.run_log import RunLog
from stepflow_tui.presentation.critical import critical_path
from stepflow_tui.presentation.description import describe, summarise
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.presentation.step import step_lines, step_title
from stepflow_tui.presentation.timeline_prediction import StepHistory
from stepflow_tui.screens.arranging import Arranging
from stepflow_tui.screens.log_keys import LogKeys
from stepflow_tui.session import MOST_OF_BODY, Session
from stepflow_tui.widgets.text import Text

WORDS = 6
"""Log lines of the step at hand."""
MANY_STEPS = 1000
"""From which on there is no graph: it is on the screen of the execution."""


class Beside(Arranging, LogKeys):
    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._run: RunRecord | None = None
        self._records: Sequence[StepRecord] = ()
        self._whole: RunRecord | None = None
        """With its input and output, if it was read."""
        self._is_wanted = self._is_reading = False
        self._history: StepHistory | None = None
        """That the detail told of."""
        self._told: object = None
        """What the detail is about."""

    @property
    def tells_step(self) -> bool:
        """The step at hand is what the keys are on."""
        return self.focused in (self.timeline, self.pane("graph"))

    def tell_beside(self, run: RunRecord | None, records: Sequence[StepRecord]) -> None:
        self._run, self._records = run, records
        self._show_graph()
        self.read_beside()

    def _show_graph(self) -> None:
        run, many = self._run, len(self._records)
        if graph := self.graph:
            rows = self.timeline.rows if many <= MANY_STEPS else []
            graph.border_title = "Graph" if run is None else f"Graph  {short_id(run.id)}"
            graph.tell(self.timeline.items, self.timeline.prediction)
            critical = critical_path([row.step for row in rows], self.now())
            graph.show(rows, critical, self.timeline.selected_key)
            if many > MANY_STEPS:
                graph.border_subtitle = f"{many:,} steps: enter, then ] has the graph"

    def on_timeline_learned(self) -> None:
        self._show_graph()
        if self.tells_step and self._run and self.session.step_histories.of(self._run) is not self._history:
            self.read_beside()

    def tick_graph(self) -> None:
        if graph := self.graph:
            graph.tell(self.timeline.items, self.timeline.prediction)
            graph.refresh_moved()

    @property
    def graph(self) -> Graph | None:
        pane = self.pane("graph")
        return pane if isinstance(pane, Graph) else None

    @property
    def event_pane(self) -> RunLog | None:
        pane = self.pane("events")
        return pane if isinstance(pane, RunLog) else None

    def note_beside(self, events: Sequence[WorkflowEvent]) -> None:
        if (pane := self.event_pane) is not None:
            pane.add(events)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        if self.is_mounted and event.widget in (self.timeline, self.pane("graph"), self.pane("executions")):
            self.read_beside()

    def pane_came(self, name: str) -> None:
        if name in ("graph", "detail", "events"):
            self.tell_beside(self._run, self._records)

    # Reading

    def read_beside(self) -> None:
        """What is asked for while it reads is read once more after."""
        if self.pane("detail") is None and self.pane("events") is None:
            return
        self._is_wanted = True
        if not self._is_reading:
            self._is_reading = True
            self._keep_reading()

    @work(group="beside")
    async def _keep_reading(self) -> None:
        try:
            while self._is_wanted:
                self._is_wanted = False
                await self.guarded(self._read())
        finally:
            self._is_reading = False

    async def _read(self) -> None:
        run, events = self._run, self.event_pane
        if events is not None and run is not None and events.run_id != run.id:
            await events.load(self.client, run.id)
        if isinstance(detail := self.pane("detail"), Text):
            key = self.step_at_hand if self.tells_step else None
            if run is None:
                detail.border_title = "Detail"
                detail.show(lambda width: [])
            elif key is not None:
                await self._tell_step(detail, run, key)
            else:
                await self._tell_run(detail, run)

    async def _tell_run(self, detail: Text, run: RunRecord) -> None:
        whole = self._whole
        if whole is None or (whole.id, whole.status.is_final) != (run.id, run.status.is_final):
            whole = self._whole = await self.client.get_run(run.id, largest=MOST_OF_BODY)
        told = msgspec.structs.replace(run, input=whole.input, output=whole.output)
        records, now, glyphs = self._records, self.now(), self.glyphs
        glyph, _ = glyphs.run(run.status)
        detail.border_title = safe(f"{short_id(run.id)} {run.template} {glyph} {run.status.value}").replace("[", "\\[")
        tell = describe if self.kind == "large" else summarise
        detail.show(lambda width: tell(told, records, now, width, glyphs))
        self._begin_detail(detail, run.id)

    async def _tell_step(self, detail: Text, run: RunRecord, key: str) -> None:
        attempts = await self.client.get_steps(run.id, step=key, attempts=True, largest=MOST_OF_BODY)
        words = await self.client.get_events(run.id, step=key, lines=True, limit=WORDS, newest=True, bodies=False)
        if not attempts:
            return
        now, glyphs = self.now(), self.glyphs
        detail.border_title = step_title(attempts[-1], glyphs).replace("[", "\\[")
        history = self._history = self.session.step_histories.of(run)

        def make(width: int) -> list[Line]:
            room = detail.size.height
            return step_lines(run, attempts, words, width, now, glyphs, unfolded=False, room=room, history=history)

        detail.show(make)
        self._begin_detail(detail, (run.id, key))

    def _begin_detail(self, detail: Text, about: object) -> None:
        if about != self._told:
            self._told = about
            detail.scroll_home(animate=False)
