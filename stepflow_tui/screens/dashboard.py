"""The first screen: templates, executions, the steps of the selected one, the live log.

It reads and asks; workers do the work. The first page is painted before anything else begins.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.timer import Timer

from stepflow.client import Client, WorkerProcess
from stepflow.errors import WorkflowEngineError
from stepflow.model.event import EventType
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.keymap import bindings, footer_keys
from stepflow_tui.live import follow_log
from stepflow_tui.messages import EventsArrived, StorageTrouble
from stepflow_tui.panes.executions import Executions
from stepflow_tui.panes.log import Log
from stepflow_tui.panes.templates import Templates
from stepflow_tui.panes.timeline import Timeline
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.header import Standing, header_line
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.widgets.bar import Bar, Question
from stepflow_tui.widgets.lines import LineView

TICK_SECONDS = 0.5
WATCH_SECONDS = 5.0
"""How often the workers are looked at while there is something to do."""
NOTE_SECONDS = 6.0
MANY_STEPS = 1000
SLOW_RELOAD_SECONDS = 1.0

UNFINISHED = frozenset(status for status in RunStatus if not status.is_final and status is not RunStatus.STALLED)


class Dashboard(Screen[int]):
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-medium"), (100, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-lowest"), (12, "-low"), (18, "-tall")]  # noqa: RUF012 - as Textual declares it

    def __init__(
        self, client: Client, glyphs: Glyphs, *, start_worker: bool = True, run: RunRecord | None = None
    ) -> None:
        """`run`: the execution to begin on."""
        super().__init__()
        self._begin_on = run
        self.client = client
        self.glyphs = glyphs
        self.worker_process: WorkerProcess | None = None
        self._start_worker = start_worker
        self._standing = Standing(database=_short_name(client))
        self._storage_trouble: str | None = None
        self._clock: Timer | None = None
        self._note_timer: Timer | None = None
        self._slow_reload: Timer | None = None
        self._asked: Callable[[str], Awaitable[None]] | None = None
        self._last_inputs: dict[str, str] = {}
        self._reload_wanted: set[str] = set()
        self._reloading = False
        self._log_of_selected = False
        self._leaving_when_done = False

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        with Horizontal(id="top"):
            yield Templates(self.glyphs)
            yield Executions(self.glyphs)
        yield Timeline(self.glyphs)
        yield Log()
        yield Bar(id="footer")

    # Panes

    @property
    def templates(self) -> Templates:
        return self.query_one(Templates)

    @property
    def executions(self) -> Executions:
        return self.query_one(Executions)

    @property
    def timeline(self) -> Timeline:
        return self.query_one(Timeline)

    @property
    def log_pane(self) -> Log:
        return self.query_one(Log)

    # Beginning

    async def on_mount(self) -> None:
        self._show_footer()
        self._show_header()
        self.executions.focus()
        self.set_interval(WATCH_SECONDS, self._watch)
        try:
            seq = await self.client.last_seq()
            if self._begin_on is not None:
                self.executions.begin_on(self._begin_on)
            await self._load(executions=True, templates=True)
        except WorkflowEngineError as error:
            seq = 0
            self._note_trouble(error.message)
        self.call_after_refresh(self._begin, seq)

    def _begin(self, seq: int) -> None:
        """After the first paint: the log, the worker, the follower."""
        self.follow(seq)
        self._after_first_paint()

    @work(group="begin")
    async def _after_first_paint(self) -> None:
        await self._guarded(self.log_pane.load(self.client, None))
        await self._ensure_worker()

    @work(group="follow", exclusive=True)
    async def follow(self, seq: int) -> None:
        await follow_log(self.client, seq, self.post_message)

    async def _ensure_worker(self) -> None:
        if not self._start_worker:
            await self._look_at_workers()
            return
        try:
            started = await self.client.ensure_worker()
        except (WorkflowEngineError, OSError) as error:
            self._note_trouble(str(error))
            return
        if started is not None:
            self.worker_process = started
        await self._look_at_workers()

    # What arrives

    def on_events_arrived(self, message: EventsArrived) -> None:
        self.log_pane.add(message.events)
        wanted: set[str] = set()
        selected = self.timeline.run
        for event in message.events:
            if event.event_type == EventType.TEMPLATE_SAVED:
                wanted.add("templates")
            elif event.event_type != EventType.LOG:
                wanted.add("executions")
                if selected is not None and event.run_id == selected.id:
                    wanted.add("steps")
        if "steps" in wanted and self.timeline.row_count > MANY_STEPS:
            # Reading thousands of steps ten times a second would leave no time for keys.
            wanted.discard("steps")
            if self._slow_reload is None:
                self._slow_reload = self.set_timer(SLOW_RELOAD_SECONDS, self._reload_many_steps)
        self._reload(wanted)

    def _reload_many_steps(self) -> None:
        self._slow_reload = None
        self._reload({"steps"})

    def on_storage_trouble(self, message: StorageTrouble) -> None:
        self._storage_trouble = message.trouble
        if message.trouble is None:
            self._reload({"executions", "templates", "steps"})
        self._show_header()

    def _reload(self, wanted: set[str]) -> None:
        """Read these panes again; what is asked for while it reads is read once more after."""
        self._reload_wanted |= wanted
        if self._reload_wanted and not self._reloading:
            self._reloading = True
            self._do_reload()

    @work(group="reload")
    async def _do_reload(self) -> None:
        try:
            while self._reload_wanted:
                wanted, self._reload_wanted = self._reload_wanted, set()
                await self._guarded(self._load(**dict.fromkeys(wanted, True)))
        finally:
            self._reloading = False

    async def _load(self, *, executions: bool = False, templates: bool = False, steps: bool = False) -> None:
        if templates:
            await self.templates.load(self.client)
        if executions:
            await self.executions.load(self.client)
            self.templates.note_runs(self.executions.runs)
            counts = await self.client.status_counts()
            self._standing = Standing(self._standing.database, counts, self._standing.workers, self._standing.trouble)
            self._show_header()
        if steps or (executions and self.timeline.run is None):
            await self._load_steps()

    async def _load_steps(self) -> None:
        selected = self.executions.selected
        if selected is None:
            self.timeline.clear()
            return
        run = await self.client.get_run(selected.id)
        records = await self.client.get_steps(run.id, bodies=False, attempts=True)
        if self.executions.selected is not None and self.executions.selected.id == run.id:
            self.timeline.show(run, records)
            self._set_clock()

    async def _guarded(self, reading: Awaitable[None]) -> None:
        """Trouble with the storage is shown, never raised."""
        try:
            await reading
        except WorkflowEngineError as error:
            self._note_trouble(error.message)
        except NoMatches:
            pass  # the screen was left while it was read: its panes are gone

    def _note_trouble(self, trouble: str) -> None:
        self._storage_trouble = trouble
        self._show_header()

    # The clock: only while something on the screen moves and somebody can see it

    def _set_clock(self) -> None:
        ticks = self.timeline.ticks and self.app.app_focus
        if ticks and self._clock is None:
            self._clock = self.set_interval(TICK_SECONDS, self._tick)
        elif not ticks and self._clock is not None:
            self._clock.stop()
            self._clock = None

    def _tick(self) -> None:
        self.timeline.refresh()
        if any(run.status is RunStatus.RUNNING for run in self.executions.runs[:50]):
            self.executions.refresh()
        self._set_clock()

    def on_app_blur(self, event: events.AppBlur) -> None:
        self._set_clock()

    def on_app_focus(self, event: events.AppFocus) -> None:
        self._set_clock()
        self.timeline.refresh()

    async def _watch(self) -> None:
        """Whether somebody works on what there is to do; idle screens look at nothing."""
        if not any(self._standing.counts.get(status, 0) for status in UNFINISHED):
            return
        await self._look_at_workers()
        if self._standing.workers == 0 and self._start_worker:
            await self._ensure_worker()

    async def _look_at_workers(self) -> None:
        try:
            workers = await self.client.workers()
        except WorkflowEngineError as error:
            self._note_trouble(error.message)
            return
        alive = [worker for worker in workers if worker.alive]
        trouble = next((f"worker: {worker.trouble}" for worker in alive if worker.trouble), None)
        starting = self.worker_process is not None and self.worker_process.is_alive()
        count = len(alive) or (None if starting else 0)
        standing = Standing(self._standing.database, self._standing.counts, count, trouble)
        if standing != self._standing:
            self._standing = standing
            self._show_header()
        if count is None:
            self.set_timer(0.3, self._look_at_workers)

    # Header and footer

    def _show_header(self) -> None:
        trouble = self._storage_trouble or self._standing.trouble
        standing = Standing(self._standing.database, self._standing.counts, self._standing.workers, trouble)
        self.query_one("#header", Bar).show(lambda width: header_line(standing, width, self.glyphs))

    def _show_footer(self) -> None:
        self.query_one("#footer", Bar).show(_footer_line)

    def note(self, text: str, style: str = "title") -> None:
        """Say something in the footer's place for a moment."""
        line: Line = [(" " + safe(text), style)]
        self.query_one("#footer", Bar).show(lambda width: line)
        if self._note_timer is not None:
            self._note_timer.stop()
        self._note_timer = self.set_timer(NOTE_SECONDS, self._show_footer)

    # Moving

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        if message.view is self.executions:
            self._selection_changed()
        elif message.view is self.log_pane:
            self._read_older()

    @work(group="selection", exclusive=True)
    async def _selection_changed(self) -> None:
        await self._guarded(self._load_steps())
        await self._guarded(self.executions.load_more(self.client))
        selected = self.executions.selected
        if self._log_of_selected and selected is not None and self.log_pane.run_id != selected.id:
            await self._guarded(self.log_pane.load(self.client, selected.id))

    @work(group="older")
    async def _read_older(self) -> None:
        await self._guarded(self.log_pane.load_older(self.client))

    def _visible_panes(self) -> list[LineView]:
        panes: list[LineView] = [self.templates, self.executions, self.timeline, self.log_pane]
        return [pane for pane in panes if pane.display and pane.region.height > 0]

    def action_next_pane(self) -> None:
        self._to_pane(1)

    def action_previous_pane(self) -> None:
        self._to_pane(-1)

    def _to_pane(self, by: int) -> None:
        if self.has_class("-zoomed"):
            self._unzoom()
        panes = self._visible_panes()
        focused = self.focused
        index = panes.index(focused) if isinstance(focused, LineView) and focused in panes else 0
        panes[(index + by) % len(panes)].focus()

    def action_zoom(self) -> None:
        if self.has_class("-zoomed"):
            self._unzoom()
            return
        pane = self.focused
        if isinstance(pane, LineView):
            self.add_class("-zoomed")
            pane.add_class("zoomed")
            if pane.parent is not self:
                self.query_one("#top").add_class("zoomed")

    def _unzoom(self) -> None:
        self.remove_class("-zoomed")
        for widget in self.query(".zoomed"):
            widget.remove_class("zoomed")

    def action_back(self) -> None:
        if self.has_class("-zoomed"):
            self._unzoom()
        elif self.focused is not self.executions:
            self.executions.focus()

    def action_open(self) -> None:
        if self.focused is self.templates and self.templates.selected is not None:
            name = self.templates.selected.name
            run = next((run for run in self.executions.runs if run.template == name), None)
            if run is None:
                self.note(f"{name} has not run yet; r runs it")
                return
            self.executions.select(run.id)
            self.executions.focus()
        elif self.focused is self.executions:
            self.timeline.focus()

    def action_problem(self, direction: int) -> None:
        if not self.executions.next_problem(direction):
            self.note("No other execution failed" if direction > 0 else "None above failed")

    @work(group="log", exclusive=True)
    async def action_toggle_log(self) -> None:
        selected = self.executions.selected
        if selected is None:
            self.note("No execution is selected; the log shows everything")
            return
        self._log_of_selected = not self._log_of_selected
        await self._guarded(self.log_pane.load(self.client, selected.id if self._log_of_selected else None))

    def action_help(self) -> None:
        from stepflow_tui.screens.help import Help

        self.app.push_screen(Help())

    # Questions

    def ask(self, question: Question, then: Callable[[str], Awaitable[None]]) -> None:
        self._asked = then
        self.mount(question)
        question.focus()

    async def on_question_answered(self, message: Question.Answered) -> None:
        then, self._asked = self._asked, None
        await self.query("#question").remove()
        self.executions.focus()
        if then is not None and message.answer is not None:
            await then(message.answer)

    # Acting

    def _selected_run(self, what: str) -> RunRecord | None:
        run = self.executions.selected
        if run is None:
            self.note(f"There is no execution to {what}")
        return run

    def action_cancel(self) -> None:
        run = self._selected_run("cancel")
        if run is None:
            return
        if run.status.is_final:
            self.note(f"{short_id(run.id)} is {run.status.value}; there is nothing to cancel")
            return
        question = Question(f"Cancel {short_id(run.id)} {safe(run.template)}?", {"y": ("yes", "cancel it")})

        async def cancel(_: str) -> None:
            self._act(self._cancel(run))

        self.ask(question, cancel)

    @work(group="act")
    async def _act(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except WorkflowEngineError as error:
            self.note(error.message, "bad")

    async def _cancel(self, run: RunRecord) -> None:
        if await self.client.cancel(run.id, "cancelled in the terminal UI"):
            self.note(f"Cancelling {short_id(run.id)}")
        else:
            self.note(f"{short_id(run.id)} had ended already")

    def action_retry(self) -> None:
        run = self._selected_run("retry")
        if run is None:
            return
        if run.status not in (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TIMED_OUT):
            reason = "run it again with r" if run.status.is_final else "it has not ended"
            self.note(f"{short_id(run.id)} is {run.status.value}: {reason}")
            return
        self._act(self._retry(run))

    async def _retry(self, run: RunRecord) -> None:
        new = await self.client.retry(run.id)
        await self._ensure_worker()
        await self._show_new(new)
        self.note(f"Retried as {short_id(new)}")

    async def _show_new(self, run_id: str) -> None:
        await self.executions.load(self.client)
        self.executions.select(run_id)
        self._reload({"executions", "steps"})

    def action_run(self) -> None:
        """The template under the cursor, or that of the selected execution."""
        name = None
        if self.focused is self.templates and self.templates.selected is not None:
            name = self.templates.selected.name
        elif self.executions.selected is not None:
            name = self.executions.selected.template
        elif self.templates.selected is not None:
            name = self.templates.selected.name
        if name is None:
            self.note("There is no template yet: stepflow create NAME --dsl FILE")
            return
        self._act(self._ask_input(name))

    async def _ask_input(self, name: str) -> None:
        from stepflow_tui.screens.ask import AskInput

        template = await self.client.get_template(name)
        proposed = self._last_inputs.get(name)
        if proposed is None:
            proposed = await self._propose_input(name, template.flow.input_schema)
        await self.query("#ask").remove()
        await self.mount(AskInput(name, proposed))

    async def _propose_input(self, name: str, schema: Any) -> str:
        """The last input it ran with, else what its schema suggests."""
        page = await self.client.list_runs(1, template=name)
        if page.items:
            return json.dumps((await self.client.get_run(page.items[0].id)).input, ensure_ascii=False)
        return json.dumps(_example_of(schema), ensure_ascii=False)

    def on_ask_input_given(self, message: Any) -> None:
        self._last_inputs[message.name] = message.text
        self._act(self._run(message.name, message.value))

    def on_ask_input_closed(self, message: Any) -> None:
        self.executions.focus()

    async def _run(self, name: str, value: Any) -> None:
        run_id = await self.client.start_run(name, value)
        await self.query("#ask").remove()
        self.executions.focus()
        await self._ensure_worker()
        await self._show_new(run_id)
        self.note(f"Started {short_id(run_id)} {name}")

    # Leaving

    def action_leave(self) -> None:
        live = sum(self._standing.counts.get(status, 0) for status in UNFINISHED)
        process = self.worker_process
        if not live or process is None or not process.is_alive():
            self._leave()
            return
        many = "executions are" if live > 1 else "execution is"
        answers = {
            "enter": ("leave", "leave its worker in the background"),
            "w": ("wait", "wait for the end"),
            "s": ("stop", "stop it"),
        }
        question = Question(f"{live} {many} live.", answers)

        async def leave(answer: str) -> None:
            if answer == "stop":
                process.stop()
            if answer == "wait":
                self._leaving_when_done = True
                self.note("Leaving when all have ended; q again to leave now")
                self.set_interval(0.5, self._leave_if_done)
                return
            self._leave()

        self.ask(question, leave)

    def _leave_if_done(self) -> None:
        if not any(self._standing.counts.get(status, 0) for status in UNFINISHED):
            self._leave()

    def _leave(self) -> None:
        self.app.exit(0)


def _short_name(client: Client) -> str:
    """The workspace's name, else the database file's: the header has no room for paths."""
    return client.workspace.name if client.workspace is not None else client.url.rpartition("/")[2]


def _footer_line(width: int) -> Line:
    line: Line = [(" ", "")]
    used = 1
    for key, label in footer_keys():
        if used + len(key) + len(label) + 3 > width:
            break
        line += [(key, "active"), (f" {label}  ", "")]
        used += len(key) + len(label) + 3
    return line


def _example_of(schema: Any) -> Any:
    """A value to begin with: defaults, examples, or empty ones of the right type."""
    if not isinstance(schema, dict):
        return {}
    if "default" in schema:
        return schema["default"]
    if isinstance(schema.get("examples"), list) and schema["examples"]:
        return schema["examples"][0]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else None)
    if kind == "object":
        required = schema.get("required", [])
        properties = schema.get("properties", {})
        return {name: _example_of(one) for name, one in properties.items() if name in required or "default" in one}
    return {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}.get(kind or "", {})
