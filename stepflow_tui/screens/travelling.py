"""Time travel: an execution as it was after an event of its log, event by event, change by change, or played."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from textual.timer import Timer

from stepflow.model.event import EventType, WorkflowEvent
from stepflow_tui.keymap import Key
from stepflow_tui.presentation.run import Journey, scrubber
from stepflow_tui.screens.acting import Acting
from stepflow_tui.session import Session
from stepflow_tui.widgets.bar import Bar

SPEEDS = (1, 8, 60)
PLAY_SECONDS = 0.25
MOST_IDLE_SECONDS = 2.0
"""Of a pause in which nothing happens, as it is played."""
PAGE = 200
OF_NOW = ("cancel", "terminate", "retry", "retry_from", "pause", "answer")
"""Ids of keys that do something with the execution as it is now, whatever moment is seen."""


class Travelling(Acting):
    """A subclass composes `Bar(id="scrubber")`, and reads what is shown by `past` when `reload_all` asks it to."""

    def __init__(self, session: Session, run_id: str) -> None:
        super().__init__(session)
        self.run_id = run_id
        self.past: WorkflowEvent | None = None
        """The event after which it is looked at; None: now."""
        self.event_count = 0
        self._speed = SPEEDS[0]
        self._player: Timer | None = None
        self._moment: datetime | None = None
        """Where the player is, at or after `past`."""

    def now(self) -> datetime:
        if self.past is None:
            return datetime.now(UTC)
        return self.past.timestamp if self._moment is None else self._moment

    @property
    def as_of_now(self) -> str:
        return "" if self.past is None else " as it is now"

    def is_hinted(self, key: Key) -> bool:
        return self.past is None or key.id not in OF_NOW

    def reload_all(self) -> None:
        raise NotImplementedError

    async def travel_to(self, event: WorkflowEvent | None) -> None:
        is_other_time = (self.past is None) != (event is None)
        self.past = event
        self.set_class(event is not None, "-past")
        self._show_scrubber()
        if is_other_time:
            self._show_footer()
        self.reload_all()

    def _show_scrubber(self) -> None:
        if self.past is None:
            return
        count = max(self.event_count, self.past.run_seq)
        journey = Journey(self.past.run_seq, count, self.now(), self._speed, self._player is not None)
        self.query_one("#scrubber", Bar).show(lambda width: scrubber(journey, width, self.glyphs))

    async def go_live(self) -> None:
        self._stop()
        await self.travel_to(None)

    # Keys

    async def action_travel(self) -> None:
        if self.past is None:
            await self.guarded(self._leave_the_present())
        else:
            await self.go_live()

    async def _leave_the_present(self) -> None:
        newest = await self.client.get_events(self.run_id, limit=1, newest=True, bodies=False)
        if not newest:
            self.note("It has no events")
            return
        self.event_count = newest[0].run_seq
        await self.travel_to(newest[0])

    async def action_event(self, by: int) -> None:
        await self.guarded(self._step(by, lambda event: True, 1))

    async def action_step_change(self, by: int) -> None:
        await self.guarded(self._step(by, _changes_step, PAGE))

    async def _step(self, by: int, is_wanted: Callable[[WorkflowEvent], bool], page: int) -> None:
        self._stop()
        if self.past is None:
            await self._leave_the_present()
        if self.past is None:
            return
        event = await self._neighbour(self.past.seq, by, is_wanted, page)
        if event is not None:
            await self.travel_to(event)
        elif by > 0:
            self.note("Nothing came after it; esc is the present")
        else:
            self.note("Nothing came before it")

    async def _neighbour(
        self, seq: int, by: int, is_wanted: Callable[[WorkflowEvent], bool], limit: int
    ) -> WorkflowEvent | None:
        while True:
            if by < 0:
                page = await self.client.get_events(self.run_id, before_seq=seq, limit=limit, newest=True, bodies=False)
                page.reverse()
            else:
                page = await self.client.get_events(self.run_id, after_seq=seq, limit=limit, bodies=False)
            for event in page:
                if is_wanted(event):
                    return event
            if len(page) < limit:
                return None
            seq = page[-1].seq

    # Playing

    async def action_play(self) -> None:
        if self._player is None:
            await self.guarded(self._begin_to_play())
        else:
            self._stop()
            self._show_scrubber()

    async def _begin_to_play(self) -> None:
        if self.past is None:
            await self._leave_the_present()
        if self.past is None:
            return
        if self.past.run_seq >= self.event_count:
            first = await self.client.get_events(self.run_id, limit=1, bodies=False)
            await self.travel_to(first[0])
        self._moment = self.past.timestamp
        self._player = self.set_interval(PLAY_SECONDS, lambda: self.guarded(self._play()))
        self._show_scrubber()

    async def _play(self) -> None:
        if self.past is None or self._moment is None:
            return
        self._moment += timedelta(seconds=PLAY_SECONDS * self._speed)
        page = await self.client.get_events(self.run_id, after_seq=self.past.seq, limit=PAGE, bodies=False)
        if not page:
            self._stop()
            self._show_scrubber()
            self.reload_all()
            return
        if (page[0].timestamp - self._moment).total_seconds() > MOST_IDLE_SECONDS * self._speed:
            self._moment = page[0].timestamp
        passed = [event for event in page if event.timestamp <= self._moment]
        if passed:
            await self.travel_to(passed[-1])
        else:
            self._show_scrubber()
            self.tick()

    def _stop(self) -> None:
        if self._player is not None:
            self._player.stop()
        self._player = self._moment = None

    def faster(self) -> None:
        """Or from the fastest back to as it was."""
        self._speed = SPEEDS[(SPEEDS.index(self._speed) + 1) % len(SPEEDS)]
        self._show_scrubber()


def _changes_step(event: WorkflowEvent) -> bool:
    return event.event_type.startswith("step.") and event.event_type != EventType.STEP_PROGRESS
