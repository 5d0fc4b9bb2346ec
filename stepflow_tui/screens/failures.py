"""What failed, grouped by what is the same: how often, since when, an example, and all of a group at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content

from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.keymap import Key, bindings
from stepflow_tui.panes.failures import FAILED, Failures
from stepflow_tui.presentation.commands import AtHand, all_words_of, command_lines
from stepflow_tui.presentation.description import describe
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.fingerprints import Group
from stepflow_tui.presentation.spans import safe
from stepflow_tui.screens.bulk import ALL_AT_ONCE, Bulk
from stepflow_tui.screens.frame import Frame
from stepflow_tui.screens.reloading import Reloading
from stepflow_tui.session import MOST_OF_BODY, Session
from stepflow_tui.widgets.bar import Bar
from stepflow_tui.widgets.lines import LineView
from stepflow_tui.widgets.tabs import Tabs
from stepflow_tui.widgets.text import Text

FAILURES = (RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.STALLED)
ENDS = (*FAILED, EventType.RUN_CANCELLED)
RETURNS = (EventType.RUN_RESUMED, EventType.RUN_QUEUED)
"""Of one that was stalled."""
MOST = 2000
SPANS: tuple[tuple[str, timedelta | None], ...] = (
    ("24 hours", timedelta(hours=24)),
    ("7 days", timedelta(days=7)),
    ("All", None),
)


class FailuresView(Reloading, Bulk):
    view = "failures"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("failures")]
    DEFAULT_CSS = """
    FailuresView #beside { display: none; height: 1fr; }
    FailuresView.-describes #beside { display: block; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._span = 0
        self._told = ""
        """The id of the one that is described."""

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield Tabs([title for title, _ in SPANS], id="tabs")
        yield Failures(self.glyphs, self.session.retried)
        beside = Text(id="beside")
        beside.can_focus = False
        yield beside
        yield Bar(id="footer")

    @property
    def pane(self) -> Failures:
        return self.query_one(Failures)

    async def on_mount(self) -> None:
        self.pane.focus()

    def focus_main(self) -> None:
        self.pane.focus()

    # The description of what is at hand, where there is room for it

    def on_resize(self, event: events.Resize) -> None:
        self._tell()

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        if message.view is self.pane:
            self._tell()

    @work(group="beside", exclusive=True)
    async def _tell(self) -> None:
        run, has_room = self.run_at_hand, self.size.height >= self.session.breakpoints.medium[1]
        self.set_class(has_room and run is not None, "-describes")
        if has_room and run is not None:
            await self.guarded(self._tell_run(run))

    async def _tell_run(self, at_hand: RunRecord) -> None:
        beside = self.query_one("#beside", Text)
        run = await self.client.get_run(at_hand.id, largest=MOST_OF_BODY)
        steps = await self.client.get_steps(run.id, bodies=False, attempts=True)
        await self.session.histories.read([run.template])
        now, glyphs, history = self.now(), self.glyphs, self.session.histories.of(run.template)
        beside.border_title = Content(f"{short_id(run.id)} {safe(run.template)}")
        if self._told != run.id:
            self._told = run.id
            beside.scroll_home(animate=False)
        beside.show(lambda width: describe(run, steps, now, width, glyphs, history))

    # Reading

    def events_arrived(self, events: list[WorkflowEvent]) -> None:
        if any(event.event_type in (*ENDS, *RETURNS) or event.payload.get("retry_of") for event in events):
            self.miss()
            self.load_soon()

    async def reload(self) -> None:
        await self.guarded(self.load())

    async def load(self) -> None:
        span = SPANS[self._span][1]
        now = datetime.now(UTC)
        since = None if span is None else now - span
        self.pane.freshness.begin()
        page = await self.client.list_runs(MOST, status=FAILURES, since=since)
        self.pane.freshness.end()
        self.pane.show(page.items, since)
        wanted, self.session.wanted_failure = self.session.wanted_failure, None
        if wanted is not None:
            self.pane.select(wanted)
        found = len(page.items)
        if page.next_cursor is not None:
            said = f"the newest {found:,}, more are older"
        elif found:
            groups = len(self.pane.groups)
            said = f"{found:,} in {groups:,} group{'s' if groups > 1 else ''}"
        else:
            said = "nothing failed"
        self.pane.tell(said)
        self._tell()
        await self.session.read_counts()
        self.show_header()

    # Which time

    def action_tab(self, by: int) -> None:
        self._show_span((self._span + by) % len(SPANS))

    def on_tabs_chosen(self, message: Tabs.Chosen) -> None:
        self._show_span(message.place)

    def _show_span(self, place: int) -> None:
        self._span = place
        self.miss()
        self.query_one(Tabs).choose(place)
        self.reload_list()

    # What is at hand

    @property
    def run_at_hand(self) -> RunRecord | None:
        """The one under the cursor; the newest of a group."""
        selected = self.pane.selected
        return selected.newest if isinstance(selected, Group) else selected

    @property
    def template_at_hand(self) -> str | None:
        return None if self.run_at_hand is None else self.run_at_hand.template

    @property
    def group_at_hand(self) -> Group | None:
        """A group under the cursor, all of which is acted on."""
        selected = self.pane.selected
        return selected if isinstance(selected, Group) else None

    def why_not(self, key: Key) -> str | None:
        if self.group_at_hand is not None and key.id in ALL_AT_ONCE:
            return Frame.why_not(self, key)
        return super().why_not(key)

    def command_line(self, key: Key) -> str | None:
        if self.group_at_hand is not None and key.id in ALL_AT_ONCE:
            return command_lines(all_words_of(key.id, AtHand(marked=self.group_at_hand.runs)), self.session.place)
        return super().command_line(key)

    def action_cancel(self) -> None:
        if self.group_at_hand is not None:
            self.cancel_all(self.group_at_hand.runs, few=0)
        else:
            super().action_cancel()

    def action_terminate(self) -> None:
        if self.group_at_hand is not None:
            self.terminate_all(self.group_at_hand.runs)
        else:
            super().action_terminate()

    def action_retry(self) -> None:
        if self.group_at_hand is not None:
            self.retry_all(self.group_at_hand.runs, few=0)
        else:
            super().action_retry()

    def action_pause(self) -> None:
        if self.group_at_hand is not None:
            self.pause_all(self.group_at_hand.runs, few=0)
        else:
            super().action_pause()

    async def show_run(self, run_id: str) -> None:
        await self.show_above("run", run_id)

    async def action_open(self) -> None:
        selected = self.pane.selected
        if isinstance(selected, RunRecord):
            await self.show_above("run", selected.id)
        else:
            self.pane.toggle()

    def action_problem(self, direction: int) -> None:
        if not self.pane.next_group(direction):
            self.note("No other group below" if direction > 0 else "No other group above")
