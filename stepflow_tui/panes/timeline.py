"""The steps of the selected execution as bars on its time axis. Ticks only while something on it moves."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import ClassVar

import msgspec
from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from stepflow.errors import WorkflowEngineError
from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.children import Children
from stepflow_tui.presentation.critical import critical_path
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.executions import error_text, short_id, what_now, why_words
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.presentation.timeline import MOVING, Scene, activity_of, ends_of, label_width, line_of, moves
from stepflow_tui.presentation.timeline_activity import Activity, density_line
from stepflow_tui.presentation.timeline_axis import (
    BESIDE,
    Axis,
    Zoom,
    axis_line,
    axis_of,
    panned,
    part_of,
    zoom_in,
    zoom_out,
)
from stepflow_tui.presentation.timeline_folding import (
    MANY,
    Choices,
    GridRow,
    GroupRow,
    Id,
    ItemRest,
    ItemRow,
    NotRun,
    Rest,
    Row,
    Shown,
    is_upstream_failure,
    rows_of,
    shown_rows,
)
from stepflow_tui.presentation.timeline_items import Item, Items, may_have_items
from stepflow_tui.presentation.timeline_losses import Loss, losses_of, may_have_lost, with_losses
from stepflow_tui.presentation.timeline_prediction import Prediction, predict, subtitle_of
from stepflow_tui.presentation.timeline_problems import Kind, Stop, next_stop, opened_for, stops, unfolded
from stepflow_tui.session import Session
from stepflow_tui.widgets.fresh_list import FreshList
from stepflow_tui.widgets.lines import Drawing

NOTHING_YET = "Nothing has run yet. Select a template and press r."
MOST_PREDICTED_AGAIN = 500
"""Steps up to which it is predicted anew as time goes by, and not only when one of them changes; and up to which the
log is asked for what lost workers did."""
TALL, MEDIUM = 14, 8
"""Lines from which on there is one for the density: in any case, and where not all steps are seen at once; else it is
there where a line is left over."""
FIRST = ((StepStatus.FAILED,), (StepStatus.WAITING,))
"""What is begun on, also when it comes to that later, until somebody went to another row."""
LEAST_LOST_SECONDS, MOST_EVENTS, MOST_ASKED_IN_ALL = 1.0, 500, 12
"""That a step began later than it could have, from which on the log is asked why; events of it that are read; and steps
of an execution for which it is."""
REST, MOST_REST_SECONDS = 5, 2.0
"""So many times as long as reading items took, and no longer, none are read."""


class Timeline(FreshList):
    BORDER_TITLE = "Steps"
    BINDINGS: ClassVar[list[BindingType]] = [
        # A view that scrolls would take them for itself.
        Binding("left", "screen.pan(-1)", show=False),
        Binding("right", "screen.pan(1)", show=False),
    ]
    header_lines = 1

    class Learned(Message):
        """What was read behind what is seen: when it will end, how the items of steps stand, what lost workers did."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.glyphs, id="timeline")
        self._session = session
        self._children = Children(session.client)
        self.run: RunRecord | None = None
        self.rows: list[Row] = []
        """All steps."""
        self.shown: list[Shown] = []
        """What stands in the lines."""
        self.items: dict[str, Items] = {}
        """What steps started, by their keys."""
        self.prediction: Prediction | None = None
        self.choices = Choices()
        self.zoom: Zoom | None = None
        self._critical: frozenset[str] = frozenset()
        self._finished: dict[str, datetime | None] = {}
        self._activity = Activity(())
        self._names = 8
        self._has_stars = False
        self._is_catching_up = False
        self._records: list[StepRecord] = []
        self._losses: dict[str, tuple[Loss, ...]] = {}
        """What workers that were lost did of steps."""
        self._asked: set[tuple[str, int, datetime | None]] = set()
        """Steps whose log was asked for it, as they stood then."""
        self.is_chosen = False
        """Somebody went to the row at hand."""
        self._at_hand: str | None = None
        self._came_to: tuple[Id, Kind] | None = None
        """The row that the last key for problems led to, and as what."""
        self._why = NOTHING_YET

    @property
    def says_freshness(self) -> bool:
        """Only where it is missed: it says much else, and one that has ended stays as it is."""
        return self.run is not None and not self.run.status.is_final and not self.freshness.is_live

    # What is shown

    def show(
        self,
        run: RunRecord,
        records: list[StepRecord],
        critical: Collection[str] | None = None,
        *,
        begins: bool = False,
    ) -> None:
        """The steps of `run`, one record per attempt; `critical`: keys, if they are known already; `begins`: on the
        first problem, as another execution does."""
        is_other = self.run is None or self.run.id != run.id
        if is_other:
            if self.run is not None:
                self._session.predictions.pop(self.run.id, None)
            self.choices, self.zoom, self.items, self._at_hand = Choices(), None, {}, None
            self.is_chosen, self._came_to = False, None
            self._losses, self._asked = {}, set()
            self._children.forget()
        self.run = run
        self._records = records
        self.rows = self._rows_now()
        steps = [row.step for row in self.rows]
        self._critical = frozenset(critical_path(steps, self.now()) if critical is None else critical)
        self._finished = ends_of(self.rows)
        self.items = self._items_now()
        self._predict()
        if is_other or begins:
            self._arrange(self._first_problem())
        elif self.is_chosen or self.has_focus:
            self._arrange()
        else:
            self._arrange(self._first_of(*FIRST))  # what went wrong since it was first shown
        self.call_after_refresh(self._learn)  # nothing of it is waited for

    def clear(self, why: str = NOTHING_YET) -> None:
        """There is no execution; `why`."""
        self._why = why
        self.run, self.rows, self.shown, self.items = None, [], [], {}
        self._at_hand = None
        self.border_title = "Steps"
        self.tell("")
        self.header_lines = 1
        self.set_rows(0)

    def _first_problem(self) -> int:
        """What is wrong comes first, then what waits for somebody, then what goes on."""
        return self._first_of(*FIRST, MOVING) or 0

    def _first_of(self, *kinds: Collection[StepStatus]) -> int | None:
        """The first row of the first kind of which there is any."""
        if not any(row.step.status in kind for row in self.rows for kind in kinds):
            return None
        steps = [(place, row.step) for place, row in enumerate(self._rows_to_show()) if isinstance(row, Row)]
        for kind in kinds:
            for place, step in steps:
                if step.status in kind and not is_upstream_failure(step):
                    return place
        return None

    def _rows_to_show(self, choices: Choices | None = None) -> list[Shown]:
        """`choices`: others than those that were made."""
        cells = self.scrollable_content_region.width - self._names - BESIDE
        return shown_rows(self.rows, self._critical, choices or self.choices, self.items, max(1, cells), self.now())

    def _arrange(self, cursor: int | None = None) -> None:
        """Make the lines anew; the cursor stays on what it is on."""
        if self.run is None:
            return
        at = self.shown[self.cursor].id if self.cursor < len(self.shown) else None
        width = self.scrollable_content_region.width
        self._has_stars = self._some_are_critical()
        self._names = label_width(self.rows, width, self.items, 2 if self._has_stars else 0)
        self.shown = self._rows_to_show()
        if cursor is None and at is not None:
            cursor = next((place for place, row in enumerate(self.shown) if row.id == at), None)
        self._activity = activity_of(self.rows, self.items)
        height = self.size.height
        is_tall = height >= TALL or len(self.rows) >= height >= MEDIUM
        has_room = len(self.shown) + 2 <= height
        self.header_lines = 2 if (is_tall or has_room) and self._activity.peak > 1 else 1
        self.set_rows(len(self.shown), cursor)
        self._note_row()
        self._say(self.run)

    def _some_are_critical(self) -> bool:
        """Where all of them are critical no sign is needed."""
        begun = sum(row.step.started_at is not None for row in self.rows)
        return 1 < len(self._critical) < begun

    def _say(self, run: RunRecord) -> None:
        title = [self.title_of(run)]
        if self.choices.only_critical:
            title.append("critical path")
        if self.zoom is not None:
            times = "x" if self._glyphs.ascii_only else "×"
            title.append(f"{times}{self._whole_axis().seconds / self.zoom.seconds:.3g}")
        self.border_title = "  ".join(title)
        self.tell(self._subtitle(run))

    def title_of(self, run: RunRecord) -> str:
        return f"Steps  {short_id(run.id)} {safe(run.template)}".replace("[", "\\[")

    def _subtitle(self, run: RunRecord) -> str:
        if run.error is not None:
            hint = what_now(run)
            said = f"{self._glyphs.plain('✗')} {error_text(run.error)[:100]}"
            return f"{hint} · {said}" if hint else said
        if run.status.is_final and run.started_at is not None and run.finished_at is not None:
            took = short((run.finished_at - run.started_at).total_seconds())
            hint = what_now(run)
            return f"{run.status.value} in {took}{f' · {hint}' if hint else ''}"
        history = self._session.step_histories.of(run)
        said, hint = subtitle_of(run, self.prediction, history, self.now(), self._glyphs), what_now(run)
        if run.lacks_worker:
            said = f"{said} · {why_words(run)}"
        return f"{hint} · {said}" if hint else said

    def on_resize(self) -> None:
        self._arrange()

    # What is known beside the records

    @property
    def moment(self) -> datetime | None:
        """Of the past, at which it is looked at; None: now."""
        return None

    def _predict(self) -> None:
        self.prediction = None
        if self.run is None or self.moment is not None:
            return
        history = self._session.step_histories.of(self.run)
        if history is not None:
            self.prediction = predict(self.run, [row.step for row in self.rows], history, self.now())
        if history is not None and self.prediction is not None:
            self._session.predictions[self.run.id] = self.prediction, history.run
        else:
            self._session.predictions.pop(self.run.id, None)

    def _items_now(self) -> dict[str, Items]:
        if self.run is None or self._children.run_id != self.run.id:
            return {}
        attempts = {row.step.key: row.attempts for row in self.rows}
        return self._children.items(self.run, attempts, self.moment)

    def _learn(self) -> None:
        """Read what is not known yet, behind what is seen."""
        run = self.run
        if run is None:
            return
        if self.moment is None and self._session.step_histories.is_wanted(run):
            self._read_history(run)
        elif self.prediction is None:
            self._show_prediction()  # it may have been read for another timeline since this one was shown
        has_items = any(may_have_items(row.step) and row.step.started_at is not None for row in self.rows)
        if has_items and self._children.is_wanted(run):
            self._read_items(run)
        if len(self.rows) > MOST_PREDICTED_AGAIN:
            return
        late = may_have_lost(self.rows, run, self._finished, LEAST_LOST_SECONDS)
        asked = {(step.key, step.attempt, step.started_at) for step in late}
        if asked - self._asked and len(self._asked) < MOST_ASKED_IN_ALL:
            self._asked |= asked
            self._read_losses(run, [step.key for step in late])

    @work(group="losses", exclusive=True)
    async def _read_losses(self, run: RunRecord, keys: Sequence[str]) -> None:
        found: dict[str, tuple[Loss, ...]] = {}
        try:
            for key in keys:
                events = await self._session.client.get_events(run.id, step=key, limit=MOST_EVENTS, bodies=False)
                found[key] = losses_of(events)
        except WorkflowEngineError:
            return  # it goes without
        if self.run is not None and self.run.id == run.id and any(found.values()):
            self._losses |= found
            self.rows = self._rows_now()
            self._arrange()
            self.post_message(self.Learned())

    def _rows_now(self) -> list[Row]:
        rows = rows_of(self._records)
        return [with_losses(row, self._losses.get(row.step.key, ())) for row in rows] if self._losses else rows

    @work(group="history", exclusive=True)
    async def _read_history(self, run: RunRecord) -> None:
        try:
            await self._session.step_histories.read(run)
        except WorkflowEngineError:
            return  # it goes without
        self._show_prediction()

    def _show_prediction(self) -> None:
        self._predict()
        if self.prediction is not None:
            self._arrange()
            self.post_message(self.Learned())

    @work(group="items", exclusive=True)
    async def _read_items(self, run: RunRecord) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async for _ in self._children.read(run, [row.step for row in self.rows]):
                if self.run is None or self.run.id != run.id:
                    return
                if not self.items or loop.time() - begun > 0.5:
                    self._show_items()
                    begun = loop.time()
        except WorkflowEngineError:
            self._children.forget()
            return  # whoever reads the steps says what is wrong
        self._show_items()
        if self._children.are_to_be_read:
            self._catch_up()

    def _show_items(self) -> None:
        self.items = self._items_now()
        self._arrange()
        self.post_message(self.Learned())

    def note(self, events: Sequence[WorkflowEvent]) -> None:
        """What happened anywhere, perhaps to items."""
        if self._children.note(events) and self._children.are_to_be_read and not self._is_catching_up:
            self._catch_up()

    @work(group="catch up")
    async def _catch_up(self) -> None:
        loop = asyncio.get_running_loop()
        self._is_catching_up = True
        try:
            while self._children.are_to_be_read and self.run is not None:
                begun = loop.time()
                await self._children.catch_up(self.run, [row.step for row in self.rows])
                if not self._children.are_to_be_read or loop.time() - begun > 0.1:
                    self._show_items()
                await asyncio.sleep(min(REST * (loop.time() - begun), MOST_REST_SECONDS))
        except WorkflowEngineError:
            self._children.forget()
        finally:
            self._is_catching_up = False

    def look_again(self) -> None:
        """What happened meanwhile was not heard."""
        self._children.look_again()

    # The row at hand

    @property
    def selected(self) -> Shown | None:
        return self.shown[self.cursor] if self.cursor < len(self.shown) else None

    @property
    def selected_key(self) -> str | None:
        """Of the step at hand: the one under the cursor, or whose items are; else the last one."""
        return self._at_hand

    def move_to(self, row: int) -> None:
        self.is_chosen = True
        super().move_to(row)
        self._note_row()

    def _note_row(self) -> None:
        row = self.selected
        if isinstance(row, Row):
            self._at_hand = row.step.key
        elif row is not None and not isinstance(row, Rest | NotRun):
            self._at_hand = row.key
        elif self._at_hand is None and isinstance(row, NotRun):
            self._at_hand = row.cause

    @property
    def item_at_hand(self) -> Item | None:
        """The one under the cursor, or the worst one of its line."""
        row = self.selected
        if isinstance(row, ItemRow):
            return row.item
        if isinstance(row, GridRow) and row.key in self.items:
            some = self.items[row.key].items[row.items.start : row.items.stop]
            return max(some, key=lambda item: (bool(item.message), item.seconds(self.now())), default=None)
        return None

    def select(self, key: str) -> None:
        """The row of a step, which is unfolded if it is not seen."""
        if key == self.selected_key:
            return
        if not self._go_to_step(key):
            self.choices = msgspec.structs.replace(self.choices, kept=key, only_critical=False)
            self._arrange()
            self._go_to_step(key)

    def _go_to_step(self, key: str) -> bool:
        for place, row in enumerate(self.shown):
            if isinstance(row, Row) and row.step.key == key:
                self.move_to(place)
                return True
        return False

    # Problems

    def next_problem(self, direction: int, *, with_items: bool = True) -> Stop | None:
        """Go to what is next to be looked after, which is unfolded; None: nothing is. `with_items`: else the step whose
        items failed stands for them."""
        now, items = self.now(), self.items if with_items else {}
        everything = unfolded(self.choices, items)
        rows = self._rows_to_show(everything)
        failing = () if with_items else [key for key, own in self.items.items() if own.failures()]
        found = stops(rows, self._late(now), failing)
        stop = next_stop(found, self._place_in(rows), direction)
        if stop is not None:
            self._unfold(stop.row, everything)
            self._came_to = stop.row.id, stop.kind
            self.move_to(next(place for place, row in enumerate(self.shown) if row.id == stop.row.id))
        return stop

    def _place_in(self, rows: Sequence[Shown]) -> tuple[Kind, int]:
        """Of the row at hand, among more rows. Who comes to one by himself begins with what failed."""
        at = self.selected
        places = {row.id: place for place, row in enumerate(rows)}
        if at is None:
            return Kind.FAILED, -1
        kind = self._came_to[1] if self._came_to is not None and self._came_to[0] == at.id else Kind.FAILED
        return kind, places.get(at.id, places.get(("step", self.selected_key or ""), -1))

    def _unfold(self, row: Row | ItemRow, everything: Choices) -> None:
        """As little as brings it in sight."""
        for choices in (*opened_for(self.choices, row), everything):
            if any(one.id == row.id for one in self._rows_to_show(choices)):
                self.choices = choices
                break
        self._arrange()

    def _late(self, now: datetime) -> set[str]:
        """Keys of steps that take longer than they usually do."""
        if self.prediction is None:
            return set()
        expected = self.prediction.steps
        begun = [(row.step.key, row.step.started_at) for row in self.rows if row.step.key in expected]
        return {key for key, at in begun if at is not None and expected[key].usual.is_late((now - at).total_seconds())}

    # Folding

    def fold(self) -> bool:
        """What is under the cursor, or unfold it. False: there is nothing to fold."""
        row = self.selected
        if row is None:
            return False
        before = self.choices
        key = self.selected_key
        self.choices = before.toggled(row, self.items)
        only_rest = self.choices.opened ^ before.opened == {("rest",)}
        if only_rest and (len(self.rows) <= MANY or before.only_critical):
            self.choices = before
            return False
        self._arrange()
        if row.id not in {one.id for one in self.shown} and key is not None:
            self._go_to_step(key)
        return True

    @property
    def is_fold_at_hand(self) -> bool:
        return isinstance(self.selected, Rest | NotRun | GroupRow | ItemRest)

    def toggle_critical(self) -> bool:
        """Only the critical path, or all. False: it is all of it."""
        if not self.choices.only_critical and len(self._critical) in (0, len(self.rows)):
            return False
        self.choices = msgspec.structs.replace(self.choices, only_critical=not self.choices.only_critical)
        self._arrange()
        return True

    # Time

    def now(self) -> datetime:
        return datetime.now(UTC)

    @property
    def ticks(self) -> bool:
        """Whether it has to be drawn again as time goes by."""
        if self.run is None or self.run.status.is_final:
            return False
        is_expected = self.run.status is RunStatus.SCHEDULED and self.prediction is not None
        return is_expected or moves(self.rows) or any(items.moves for items in self.items.values())

    def tick(self) -> None:
        if self.prediction is not None and len(self.rows) <= MOST_PREDICTED_AGAIN:
            self._predict()
        if self.run is not None and not self.run.status.is_final:
            self.tell(self._subtitle(self.run))
        self.refresh_moved()

    def _whole_axis(self) -> Axis:
        assert self.run is not None
        return axis_of(self.run, self.now(), None if self.prediction is None else self.prediction.end)

    def axis(self) -> Axis:
        whole = self._whole_axis()
        return whole if self.zoom is None else part_of(whole, self.zoom)

    def magnify(self, by: int) -> bool:
        """In, out, or (0) all of it. False: it is as it was."""
        if self.run is None:
            return False
        axis, before = self._whole_axis(), self.zoom
        if by > 0:
            self.zoom = zoom_in(axis, before, self._middle(axis))
        else:
            self.zoom = None if before is None or by == 0 else zoom_out(axis, before)
        self._say(self.run)
        self.refresh()
        return self.zoom != before

    def pan(self, by: int) -> bool:
        if self.run is None or self.zoom is None:
            return False
        before = self.zoom
        self.zoom = panned(self._whole_axis(), before, by)
        self.refresh()
        return self.zoom != before

    def _middle(self, axis: Axis) -> float:
        """Of the bar at hand, in seconds from the axis' begin."""
        row = self.selected
        part: StepRecord | Item | None = None
        if isinstance(row, ItemRow):
            part = row.item
        else:
            key = self.selected_key
            part = next((one.step for one in self.rows if one.step.key == key), None)
        if part is None or part.started_at is None:
            return axis.seconds / 2
        end = part.finished_at or self.now()
        return ((part.started_at - axis.begin) + (end - axis.begin)).total_seconds() / 2

    # Drawing

    def line_in(self, y: int, drawing: Drawing) -> Strip:
        if y == 1 and self.header_lines == 2 and self.run is not None:
            width = drawing.width
            line = density_line(self._activity, self.axis(), self._names, width, self.now(), self._glyphs)
            return self._strip(line, width)
        return super().line_in(y, drawing)

    def header_at(self, width: int) -> Line:
        if self.run is None:
            return [(f" {self._why}", "dim")]
        return axis_line(self.axis(), self._names, width, ascii_only=self._glyphs.ascii_only)

    def line_at(self, row: int, width: int) -> Line:
        assert self.run is not None
        scene = Scene(
            self.run,
            self.axis(),
            self._names,
            self.now(),
            self._glyphs,
            self._critical,
            self._has_stars,
            self._finished,
            self.prediction,
            self.items,
            self.choices,
        )
        return line_of(self.shown[row], scene, width)
