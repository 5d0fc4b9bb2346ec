"""One execution, alone: its timeline, graph, log, events, values and attempts, and the step under the cursor in full.

It follows the log, and goes back in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import msgspec
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType

from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.paths import write_path
from stepflow.model.run import BodyPart, RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.keymap import RUN_TABS, bindings
from stepflow_tui.panes.attempts import Attempts
from stepflow_tui.panes.graph import Graph
from stepflow_tui.panes.run_log import RunLog
from stepflow_tui.panes.run_timeline import RunTimeline
from stepflow_tui.presentation.critical import critical_path
from stepflow_tui.presentation.json_text import read_json
from stepflow_tui.presentation.json_tree import as_text, large_of
from stepflow_tui.presentation.run import run_header
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.presentation.step import event_detail, step_lines, step_title
from stepflow_tui.presentation.timeline_prediction import StepHistory
from stepflow_tui.remembering import Kept
from stepflow_tui.screens.log_keys import LogKeys
from stepflow_tui.screens.travelling import Travelling
from stepflow_tui.session import MOST_OF_BODY, Place, Session
from stepflow_tui.widgets.bar import Bar, Question
from stepflow_tui.widgets.find import Find
from stepflow_tui.widgets.json_view import JsonView
from stepflow_tui.widgets.lines import LineView
from stepflow_tui.widgets.still import StillContainer
from stepflow_tui.widgets.tabs import Tabs
from stepflow_tui.widgets.text import Text

TABS, TITLES = tuple(RUN_TABS), tuple(RUN_TABS.values())
WORDS = 6
"""Log lines of the step at hand."""
REST = 4
"""Times as long as reading took nothing is read again."""
MOST_REST_SECONDS = 2.0


class RunView(LogKeys, Travelling):
    view = "run"
    CSS_PATH = "run.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("run")]

    def __init__(
        self,
        session: Session,
        run_id: str,
        step: str | None = None,
        tab: str | None = None,
        line: str | None = None,
    ) -> None:
        """`step`, `tab`: those to begin on; `line`: that of the log, by its event's seq."""
        super().__init__(session, run_id)
        self.step_key = step
        self.run: RunRecord | None = None
        """As it is shown, perhaps of the past."""
        self.present: RunRecord | None = None
        self._records: list[StepRecord] = []
        self._steps: list[StepRecord] = []
        self._critical: tuple[str, ...] = ()
        self._tab = TABS.index(tab) if tab in TABS else 0
        self._line = line
        """Of the log, to go to as soon as that is read."""
        self._unfolds = False
        self._told: object = None
        """What the detail is about."""
        self._values_about: object = None
        self._wanted = self._reading = False
        self._history: StepHistory | None = None
        """That the detail told of."""
        self._begins = step is None
        """It was not read yet which step to begin on."""

    @property
    def place(self) -> Place:
        return "run", (self.run_id, self.step_key, TABS[self._tab])

    def kept(self) -> Kept:
        return msgspec.structs.replace(super().kept(), zoomed="main" if self.has_class("-zoomed") else None)

    def begin_as(self, kept: Kept) -> None:
        if kept.zoomed == "main":
            self.add_class("-zoomed")

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield Tabs(TITLES, id="tabs")
        with StillContainer(id="body"):
            with StillContainer(id="main"):
                yield RunTimeline(self.session, self.now)
                yield Graph(self.glyphs, self.now)
                yield RunLog("Log", id="log", lines=True)
                yield RunLog("Events", id="events", lines=False)
                yield JsonView(self.glyphs, id="values")
                yield Attempts(self.glyphs, self.now)
            yield Text(id="detail")
        yield Bar(id="scrubber")
        yield Bar(id="footer")

    # Panes

    @property
    def timeline(self) -> RunTimeline:
        return self.query_one(RunTimeline)

    @property
    def graph(self) -> Graph:
        return self.query_one(Graph)

    @property
    def values(self) -> JsonView:
        return self.query_one(JsonView)

    @property
    def attempts(self) -> Attempts:
        return self.query_one(Attempts)

    @property
    def detail(self) -> Text:
        return self.query_one("#detail", Text)

    @property
    def log_pane(self) -> RunLog:
        return self.query_one("#log", RunLog)

    @property
    def event_pane(self) -> RunLog:
        return self.query_one("#events", RunLog)

    @property
    def pane(self) -> LineView:
        """Of the tab that is shown."""
        return self.query_one(f"#{TABS[self._tab]}", LineView)

    # Reading

    async def on_mount(self) -> None:
        self.values.border_title = "Input/Output"
        self._choose_tab(self._tab)
        known = self.session.steps_read
        if known is not None and known[0].id == self.run_id:
            self._take(*known)  # it is seen at once, however many steps it has
        self.reload_all()

    async def reload(self) -> None:
        await self.guarded(self._read())

    def reload_all(self) -> None:
        """What is asked for while it reads is read once more after."""
        self._wanted = True
        if not self._reading:
            self._reading = True
            self._keep_reading()

    @work(group="reading")
    async def _keep_reading(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._wanted:
                self._wanted = False
                begun = loop.time()
                await self.guarded(self._read())
                if self._wanted and self.past is None:
                    # Reading ten thousand steps without a pause would leave no time for keys.
                    await asyncio.sleep(min(MOST_REST_SECONDS, REST * (loop.time() - begun)))
        finally:
            self._reading = False

    async def _read(self) -> None:
        run_id, past = self.run_id, self.past
        if past is None:
            run = await self.client.get_run(run_id, bodies=False)
            records = await self.client.get_steps(run_id, bodies=False, attempts=True)
        else:
            run, records = await self.client.look_back(run_id, past.seq)
        if run_id != self.run_id or past is not self.past:
            return  # another one, or another moment, was asked for meanwhile
        self.timeline.freshness.end()
        self._take(run, records)
        self._begins = False
        await self._fill_slowly()

    def _take(self, run: RunRecord, records: list[StepRecord]) -> None:
        """What was read of the moment that is shown."""
        pane = self.pane
        if self.run is not None and isinstance(pane, RunTimeline | Graph | Attempts):
            self.step_key = pane.selected_key or self.step_key  # which it says, too, but perhaps not yet
        if self._begins and not self.timeline.is_chosen:
            self.step_key = None  # what is known may be from before it failed
        self.run = run
        if self.past is None:
            self.present = run
            self.session.steps_read = run, records
        self._records = records
        self._steps = list({record.key: record for record in records}.values())
        self._critical = critical_path(self._steps, self.now())
        self._fill("timeline")  # also unseen: it knows when all will end, and what to begin on
        self.step_key = self.step_key or self.timeline.selected_key
        if TABS[self._tab] != "timeline":
            self._fill(TABS[self._tab])
        self.show_header()
        self.set_clock()

    def _fill(self, tab: str) -> None:
        """What needs no reading of its own."""
        if self.run is None:
            return
        match tab:
            case "timeline":
                whole = None if self.past is None else self.present
                begins = self._begins and not self.timeline.is_chosen
                self.timeline.show_all(self.run, self._records, self._critical, whole, begins=begins)
            case "graph":
                self._tell_graph()
                self.graph.show(self.timeline.rows, self._critical, self.step_key)
            case "attempts":
                self.attempts.show(self._records)
        self._select_step()

    async def _fill_slowly(self) -> None:
        """The rest of the tab that is shown, and the step at hand."""
        tab = TABS[self._tab]
        if tab in ("log", "events"):
            pane = self.query_one(f"#{tab}", RunLog)
            until = None if self.past is None else self.past.seq
            if pane.run_id != self.run_id or pane.until != until:
                pane.until = until
                await pane.load(self.client, self.run_id)
            if self._line is not None and pane is self.log_pane:
                line, self._line = int(self._line), None
                if not await pane.go_to_event(self.client, line):
                    self.note("That line is further up; / looks for its words")
        await self._read_detail()

    @work(group="detail", exclusive=True)
    async def _show_detail(self) -> None:
        await self.guarded(self._read_detail())

    async def _read_detail(self) -> None:
        match TABS[self._tab]:
            case "events":
                await self._read_event()
            case "values":
                await self._read_values()
            case _:
                await self._read_step()

    async def _read_step(self) -> None:
        run, key, past = self.run, self.step_key, self.past
        if run is None or key is None:
            return
        told = await self.client.get_steps(run.id, step=key, attempts=True, largest=MOST_OF_BODY)
        words = await self.client.get_events(
            run.id,
            step=key,
            lines=True,
            limit=WORDS,
            newest=True,
            before_seq=None if past is None else past.seq + 1,
            bodies=False,
        )
        if (run, key, past) != (self.run, self.step_key, self.past) or TABS[self._tab] in ("events", "values"):
            return
        attempts = _as_then(told, [one for one in self._records if one.key == key])
        if not attempts:
            return
        unfolds, now = self._unfolds, self.now()
        history = self._history = self.session.step_histories.of(run)
        title = step_title(attempts[-1], self.glyphs)

        def make(width: int) -> list[Line]:
            room = self.detail.size.height
            return step_lines(
                run, attempts, words, width, now, self.glyphs, unfolded=unfolds, room=room, history=history
            )

        self._tell(title, make, key)

    async def _read_event(self) -> None:
        at = self.event_pane.selected
        if at is None:
            return
        found = await self.client.get_events(self.run_id, after_seq=at.seq - 1, limit=1, largest=MOST_OF_BODY)
        if found and TABS[self._tab] == "events":
            title = f"#{found[0].run_seq:,} {safe(found[0].event_type)}"
            self._tell(title, lambda width: event_detail(found[0], self.glyphs), found[0].seq)

    def _tell(self, title: str, make: Callable[[int], list[Line]], what: object) -> None:
        """In the detail; from its first line, where it is about something else than before."""
        self.detail.border_title = title.replace("[", "\\[")
        self.detail.show(make)
        if what != self._told:
            self._told = what
            self.detail.scroll_home(animate=False)

    async def _read_values(self) -> None:
        run, key, past = self.run, self.step_key, self.past
        then = [one for one in self._records if one.key == key]
        if run is None or key is None or not then:
            return
        about = (run.id, run.status, key, then[-1].attempt, then[-1].status, past)
        if about == self._values_about:
            return  # they never change without these
        step = then[-1]
        of_run: dict[str, Any] = {"input": None, "output": None}
        of_step: dict[str, Any] = {"input": None, "output": None}
        wanted: list[tuple[dict[str, Any], BodyPart, str | None]] = [(of_run, "input", None)]
        if step.attempt:
            wanted.append((of_step, "input", key))
        if step.status is StepStatus.COMPLETED:
            wanted.append((of_step, "output", key))
        if run.status is RunStatus.COMPLETED:
            wanted.append((of_run, "output", None))
        # The same value is often input and output of a step, and in the output of the execution: a large one is kept
        # once. It takes twice its room while it is read, so they are read one after the other.
        known = large_of(self.values.document.value)
        for told, part, of in wanted:
            body = await self.client.get_body(run.id, part, step=of, attempt=step.attempt)
            if (run, key, past) != (self.run, self.step_key, self.past) or TABS[self._tab] != "values":
                return
            if body is not None:
                told[part] = await asyncio.to_thread(read_json, body, known)
                known += large_of({part: told[part]})
            del body
        if (run, key, past) != (self.run, self.step_key, self.past) or TABS[self._tab] != "values":
            return
        for told, error in ((of_run, run.error), (of_step, step.error)):
            if error is not None:
                told["error"] = error
        self._values_about = about
        self.values.show({**of_run, "steps": {key: of_step}})

    # Header

    def show_header(self) -> None:
        if self.run is None or self.session.storage_trouble is not None:
            super().show_header()
            return
        run = self.run
        self._set_bar("header", lambda width: self._header_line(run, width))

    def _header_line(self, run: RunRecord, width: int) -> Line:
        now = self.now()
        prediction = self.timeline.prediction
        left = None if prediction is None else prediction.seconds_left(now)
        return run_header(run, self._steps, self._critical, left, width, now, self.glyphs)

    # What arrives

    def workers_changed(self) -> None:
        if self.past is None:
            self.reload_all()

    def events_arrived(self, events: list[WorkflowEvent]) -> None:
        self.timeline.note(events)
        mine = [event for event in events if event.run_id == self.run_id]
        if not mine:
            return
        self.event_count = mine[-1].run_seq
        if self.past is not None:
            return
        if self.run is None:
            self.reload_all()  # what is being read may be from before
            return
        self.log_pane.add(mine)
        self.event_pane.add(mine)
        if any(event.event_type != EventType.LOG for event in mine):
            self.reload_all()
        elif TABS[self._tab] != "values":  # which log lines never change
            self._show_detail()

    def on_screen_resume(self) -> None:
        """What happened while another screen was seen."""
        if self.run is not None:
            for pane in (self.log_pane, self.event_pane):
                pane.run_id = None
            self.timeline.look_again()
            self.reload_all()

    # What moves

    @property
    def moves(self) -> bool:
        is_live = self.past is None and self.run is not None and not self.run.status.is_final
        return is_live and self.timeline.ticks

    def on_timeline_learned(self) -> None:
        if TABS[self._tab] == "graph":
            self._fill("graph")
        if self.run is None or TABS[self._tab] in ("events", "values"):
            return
        if self.session.step_histories.of(self.run) is not self._history:
            self._show_detail()

    def _tell_graph(self) -> None:
        self.graph.tell(self.timeline.items, self.timeline.prediction)

    def tick(self) -> None:
        self.show_header()
        self.timeline.tick()
        self._tell_graph()
        if TABS[self._tab] in ("graph", "attempts"):
            self.pane.refresh_moved()

    # Moving

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        view = message.view
        if isinstance(view, RunTimeline | Graph | Attempts):
            self.step_key = view.selected_key
            self._show_detail()
        elif isinstance(view, RunLog):
            self._read_older(view)
            if view is self.event_pane:
                self._show_detail()

    @work(group="older")
    async def _read_older(self, pane: RunLog) -> None:
        await self.guarded(pane.load_older(self.client))

    def _select_step(self) -> None:
        """The cursor of the tab that is shown stands on the step at hand."""
        pane = self.pane
        if isinstance(pane, RunTimeline | Graph | Attempts) and self.step_key not in (None, pane.selected_key):
            pane.select(self.step_key)

    async def action_tab(self, by: int) -> None:
        await self._to_tab((self._tab + by) % len(TABS))

    async def open_tab(self, run_id: str, step: str | None, tab: str) -> None:
        """It is the one that is open."""
        await self._to_tab(TABS.index(tab))

    async def on_tabs_chosen(self, message: Tabs.Chosen) -> None:
        await self._to_tab(message.place)

    async def _to_tab(self, place: int) -> None:
        self._choose_tab(place)
        self._fill(TABS[place])
        await self.guarded(self._fill_slowly())

    def _choose_tab(self, place: int) -> None:
        self.pane.remove_class("shown")
        if TABS[self._tab] == "values" != TABS[place]:
            self.values.put_away()
            self._values_about = None
        self._tab = place
        self.pane.add_class("shown")
        self.set_class(TABS[place] == "values", "-values")
        self.remove_class("-zoomed-detail")
        self.query_one(Tabs).choose(place)
        self.pane.focus()

    def focus_main(self) -> None:
        self.pane.focus()

    def action_next_pane(self) -> None:
        """There are two: it is the same either way."""
        if self.focused is self.detail:
            self.remove_class("-zoomed-detail")
            self.pane.focus()
        elif not self.has_class("-values"):
            self._to_detail()

    action_previous_pane = action_next_pane

    def _to_detail(self) -> None:
        if self.has_class("-lowest") or self.has_class("-zoomed"):
            self.add_class("-zoomed-detail")
        self.detail.focus()

    def action_zoom(self) -> None:
        if self.has_class("-zoomed-detail") or self.has_class("-zoomed"):
            self.remove_class("-zoomed-detail", "-zoomed")
        else:
            self.add_class("-zoomed-detail" if self.focused is self.detail else "-zoomed")

    async def action_back(self) -> None:
        if self.focused is self.detail:
            self.action_next_pane()
        elif self.has_class("-zoomed"):
            self.remove_class("-zoomed")
        elif self.past is not None:
            await self.go_live()
        else:
            await self.action_leave()

    async def action_leave(self) -> None:
        await self.go_beneath()

    async def action_open(self) -> None:
        pane = self.pane
        if isinstance(pane, JsonView):
            pane.toggle()
        elif pane is self.log_pane and pane.selected is not None and pane.selected.step_key is not None:
            self.step_key = pane.selected.step_key
            await self._to_tab(TABS.index("timeline"))
        elif self.focused is self.timeline and await self.open_of_timeline():
            pass
        elif self.focused is not self.detail:
            self._to_detail()

    def action_problem(self, direction: int) -> None:
        timeline, sees_items = self.timeline, TABS[self._tab] == "timeline"
        if not sees_items and self.step_key is not None:
            timeline.select(self.step_key)
        stop = timeline.next_problem(direction, with_items=sees_items)
        if stop is None:
            self.note("No step below failed, waits or runs" if direction > 0 else "No step above failed")
            return
        self.step_key = timeline.selected_key
        self._select_step()
        self._show_detail()
        if stop.said:
            self.note(stop.said)

    # The log

    async def action_toggle_log(self) -> None:
        await self._to_tab(TABS.index("log"))

    @property
    def log_at_hand(self) -> RunLog | None:
        pane = self.pane
        return pane if isinstance(pane, RunLog) else None

    @property
    def way_to_log(self) -> str:
        return "That is for the log and the events; l goes there"

    def action_follow(self) -> None:
        pane = self.log_or_note()
        if pane is not None and self.past is not None:
            self.note("In the past nothing comes; esc goes back to now")
        elif pane is not None:
            pane.toggle_follow()

    async def has_more_to_look_through(self, view: LineView) -> bool:
        if not isinstance(view, RunLog) or view.is_whole:
            return False
        await self.guarded(view.read_above(self.client))
        return self.session.storage_trouble is None

    async def action_wrap(self) -> None:
        if self.past is not None:
            self.faster()
        else:
            await super().action_wrap()

    # Values

    async def action_inspect(self) -> None:
        if TABS[self._tab] == "values":
            self.values.set_form("yaml" if self.values.form == "json" else "json")
        else:
            await self._to_tab(TABS.index("values"))

    async def action_fold(self) -> None:
        pane = self.focused
        if TABS[self._tab] == "values":
            self.values.toggle()
        elif isinstance(pane, RunLog) and pane.selected is not None:
            await self.guarded(self.unfold_line(pane, pane.selected))
        elif pane is not self.timeline or not self.timeline.fold():
            self._unfolds = not self._unfolds
            self._show_detail()

    async def on_find_asked(self, message: Find.Asked) -> None:
        if self._seeks_in is not self.values:
            return  # as everywhere
        message.prevent_default()
        await self.query(Find).remove()
        self.focus_main()
        if message.text is not None:
            self._search(message.text)

    @work(group="search", exclusive=True)
    async def _search(self, text: str) -> None:
        if not await self.values.search(text) and text:
            self.note(f"Nothing has '{text}'")

    def action_match(self, by: int) -> None:
        if self.found_in is not self.values:
            super().action_match(by)
        elif not self.values.next_match(by):
            self.note("Nothing was found; / searches")

    def action_yank(self) -> None:
        at = self.values.selected
        if self.focused is not self.values or at is None:
            super().action_yank()
            return

        async def yank(what: str) -> None:
            if what == "path":
                way = self.copy(write_path(at.path))
            else:
                way = self.copy(as_text(self.values.document.at(at.path), self.values.form))
            self.note(f"Copied the {what} by {way}")

        answers = {"p": ("path", "its path"), "v": ("value", "its value")}
        self.ask(Question(f"Copy of {safe(write_path(at.path))}:", answers), yank)

    # What is at hand

    @property
    def run_at_hand(self) -> RunRecord | None:
        return self.present

    @property
    def template_at_hand(self) -> str | None:
        return None if self.present is None else self.present.template

    @property
    def step_at_hand(self) -> str | None:
        return self.step_key

    async def show_run(self, run_id: str) -> None:
        self._stop()
        self.run_id, self.step_key, self.past, self.run = run_id, None, None, None
        self._begins = True
        self.remove_class("-past")
        self.timeline.clear()
        await self.guarded(self._read())

    @property
    def step_to_edit(self) -> str | None:
        return self.step_key


def _as_then(told: Sequence[StepRecord], then: Sequence[StepRecord]) -> list[StepRecord]:
    """`then`, attempt by attempt, with the inputs and outputs that are told, if it had them."""
    by_attempt = {one.attempt: one for one in told}
    filled = []
    for one in then:
        bodies = by_attempt.get(one.attempt)
        if bodies is not None:
            output = bodies.output if one.status is StepStatus.COMPLETED else None
            one = msgspec.structs.replace(one, input=bodies.input if one.attempt else None, output=output)
        filled.append(one)
    return filled
