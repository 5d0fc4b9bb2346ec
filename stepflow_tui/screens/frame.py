"""What every screen has: a header that says how all stands, a footer with its keys, notes, questions, trouble.

It reads and asks; workers do the work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import events, work
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from stepflow.errors import DatabaseGoneError, WorkflowEngineError
from stepflow.model.event import FINAL_RUN_EVENTS, WorkflowEvent
from stepflow_tui.keymap import OPENED, VIEWS, Key, View, hints_of
from stepflow_tui.messages import RefreshAsked
from stepflow_tui.presentation.fleet import Today
from stepflow_tui.presentation.header import header_line
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.remapping import shown
from stepflow_tui.remembering import Kept
from stepflow_tui.session import Place, Session
from stepflow_tui.widgets.bar import Bar, Question
from stepflow_tui.widgets.still import Still

if TYPE_CHECKING:
    from stepflow_tui.screens.ask_text import AskText

NOTE_SECONDS = 6.0
NEEDING_TERMINAL = ("edit", "suspend")
IN_BROWSER = "A browser cannot do that; `stepflow` in a terminal can"
ASKED = "#coming, #ask, #form, #approval"
"""What asks for more than a key."""


class Frame(Screen[int], Still):
    """A subclass composes `Bar(id="header")` first and `Bar(id="footer")` last."""

    view: ClassVar[View]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.client = session.client
        self.glyphs = session.glyphs
        self._clock: Timer | None = None
        self._note_timer: Timer | None = None
        self._asked: Callable[[str], Awaitable[None]] | None = None
        self._asked_about: str | None = None
        """The execution, if it is about one that has not ended."""
        self._answered: Callable[[str], None] | None = None
        self._hurries = False
        self.take_breakpoints()

    def take_breakpoints(self) -> None:
        """Those of the settings, in place of what Textual would have for the class."""
        points = self.session.breakpoints
        self.HORIZONTAL_BREAKPOINTS = points.horizontal
        self.VERTICAL_BREAKPOINTS = points.vertical
        if self.is_mounted:
            self.post_message(events.Resize(self.size, self.size))  # it looks at them then

    async def on_mount(self) -> None:
        self._show_footer()
        self.show_header()

    def events_arrived(self, events: list[WorkflowEvent]) -> None:
        """New events of the log, while it is the screen that is seen."""

    def workers_changed(self) -> None:
        """Another number of workers lives, while it is the screen that is seen: who dies does not say so in the log."""

    def files_changed(self) -> None:
        """The workspace's files stand otherwise, while it is the screen that is seen."""

    async def guarded(self, reading: Awaitable[None]) -> None:
        """Trouble with the storage is shown, never raised."""
        try:
            await reading
        except WorkflowEngineError as error:
            self.note_trouble(error.message)
        except NoMatches:
            pass  # the screen was left while it was read: its panes are gone

    def note_trouble(self, trouble: str | None) -> None:
        self.session.note_trouble(trouble)
        self.show_header()

    # Header and footer

    def show_header(self) -> None:
        standing = self.session.standing
        trouble = self.session.storage_trouble or standing.trouble
        shown = msgspec.structs.replace(standing, trouble=trouble)
        place, today = self._place_in_header, self.today
        self._set_bar("header", lambda width: header_line(shown, width, self.glyphs, place, today))

    @property
    def _place_in_header(self) -> tuple[str, str]:
        return next(((digit, title) for digit, (view, title, _) in VIEWS.items() if view == self.view), ("", ""))

    @property
    def today(self) -> Today | None:
        """How it went, where it is counted."""
        return None

    def _show_footer(self) -> None:
        self._set_bar("footer", self._footer_line)

    def _footer_line(self, width: int) -> Line:
        """Hints that have no room are left out whole; how to get help and how to leave stay longest."""
        changed = self.session.changed_keys
        plain = self.glyphs.plain
        keys = filter(self.is_hinted, hints_of(self.view, read_only=self.session.read_only))
        hints = [(plain(shown(key, changed)), f" {key.label}  ") for key in keys]
        sizes = [len(key) + len(label) for key, label in hints]
        while len(hints) > 2 and sum(sizes) + 1 > width:
            del hints[-3], sizes[-3]
        line: Line = [(" ", "")]
        for key, label in hints:
            line += [(key, "active"), (label, "")]
        return line

    def is_hinted(self, key: Key) -> bool:
        """In the footer as things stand, where it has room."""
        return True

    def _set_bar(self, name: str, make: Callable[[int], Line]) -> None:
        """Nothing where the screen is being left: its bars are gone."""
        for bar in self.query(f"#{name}").results(Bar):
            bar.show(make)

    def note(self, text: str, style: str = "title") -> None:
        """Say something in the footer's place for a moment."""
        line: Line = [(" " + safe(text), style)]
        self._set_bar("footer", lambda width: line)
        if self._note_timer is not None:
            self._note_timer.stop()
        self._note_timer = self.set_timer(NOTE_SECONDS, self._show_footer)

    def now(self) -> datetime:
        """The moment that is shown."""
        return datetime.now(UTC)

    # The clock: only while something on the screen moves and somebody can see it

    @property
    def moves(self) -> bool:
        """Whether anything on it changes with time alone."""
        return False

    @property
    def tick_seconds(self) -> float | None:
        """None: it stands still."""
        return self.session.tick_seconds

    def tick(self) -> None:
        """Draw what moves as it is by now."""

    def set_clock(self) -> None:
        """After `moves` may have become another."""
        seconds = self.tick_seconds
        if seconds is not None and self.app.app_focus and self.app.screen is self and self.moves:
            self._clock = self._clock or self.set_interval(seconds, self._tick)
        elif self._clock is not None:
            self._clock.stop()
            self._clock = None

    def _tick(self) -> None:
        self.tick()
        self.set_clock()

    def on_app_blur(self, event: events.AppBlur) -> None:
        self.set_clock()

    def on_app_focus(self, event: events.AppFocus) -> None:
        self.tick()
        self.set_clock()

    def on_screen_suspend(self) -> None:
        self.set_clock()

    def on_screen_resume(self) -> None:
        self.set_clock()

    def hurry(self) -> None:
        """What a key did is drawn as soon as it is known. After another frame Textual would wait for a sixtieth of a
        second, and all that changes meanwhile would be drawn with it."""
        self._hurries = True

    async def on_idle(self, event: events.Idle) -> None:
        if self._hurries and self._dirty_widgets:
            self._hurries = False
            self._on_timer_update()

    # Questions

    def ask(self, question: Question, then: Callable[[str], Awaitable[None]], about: str | None = None) -> bool:
        """`about`: an execution with whose end nobody needs an answer any more. False: something is asked already, or
        another screen is seen."""
        if self.app.screen is not self or self.query("#question, #coming"):
            return False
        self._asked, self._asked_about = then, about
        if self.session.config.setting("confirm") == "typed":
            question.must_be_typed()
        self.put_up(question)
        return True

    def is_asked(self) -> bool:
        """Already, and has the keys again; or it need not be, since another screen is seen by now."""
        if self.app.screen is not self:
            return True
        for asked in self.query(f"#question, {ASKED}"):
            self.set_focus(asked)
            return True
        return False

    def put_up(self, asked: Widget) -> None:
        """It has the keys at once: what is typed next is for it, and no key of the screen."""
        self.mount(asked)
        self.set_focus(asked)
        asked.focus()  # and once more, after what was asked to have it before

    async def on_question_answered(self, message: Question.Answered) -> None:
        then, self._asked, self._asked_about = self._asked, None, None
        if message.answer is None:
            self.session.left_as = []  # it goes on
        await self.query("#question").remove()
        self.focus_again()
        if then is not None and message.answer is not None:
            await then(message.answer)

    def note_ends(self, events: Sequence[WorkflowEvent]) -> None:
        """What is asked about an execution that has ended meanwhile is asked no longer."""
        if self._asked_about is not None and any(
            event.run_id == self._asked_about and event.event_type in FINAL_RUN_EVENTS for event in events
        ):
            self.query_one(Question).post_message(Question.Answered(None))
            self.note("It has ended meanwhile; nothing is asked any more")

    def ask_text(self, title: str, then: Callable[[str], None], proposed: str = "") -> None:
        """Words in one line; `then` is called if any are given."""
        from stepflow_tui.screens.ask_text import AskText

        if not self.is_asked():
            self._answered = then
            self.put_up(AskText(title, proposed))

    async def on_ask_text_given(self, message: AskText.Given) -> None:
        then, self._answered = self._answered, None
        await self.query("#ask").remove()
        self.focus_again()
        if then is not None and message.text is not None:
            then(message.text)

    def focus_again(self) -> None:
        """What is still asked has the keys, else what has them where nothing is. Nothing where the screen is gone."""
        for asked in self.query(ASKED):
            self.set_focus(asked)
            return
        with suppress(NoMatches):
            self.focus_main()

    def focus_main(self) -> None:
        """Where the focus goes when a question was answered."""

    @work(group="act")
    async def act(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except DatabaseGoneError as error:
            self.note_trouble(error.message)
            self.note(self.session.storage_trouble or error.message, "bad")  # which says what is done about it here
        except WorkflowEngineError as error:
            self.note(error.message, "bad")

    # Other screens

    @property
    def place(self) -> Place:
        """Where one comes back to."""
        return self.view, ()

    def kept(self) -> Kept:
        """As it stands, to begin so the next time."""
        return Kept(*self.place)

    def begin_as(self, kept: Kept) -> None:
        """It was left so; it is not shown yet."""

    async def open_kept(self, screens: Sequence[Kept]) -> None:
        """Those that lay above this one, as far as what they were of is still there."""
        for kept in screens:
            screen = await self._screen_as(kept)
            if screen is None:
                return
            screen.begin_as(kept)
            await self.app.push_screen(screen)

    async def _screen_as(self, kept: Kept) -> Frame | None:
        runs = {"run": 1, "diff": 2}.get(kept.view, 0)
        ids = [one for one in kept.what[:runs] if one is not None]
        there = await self.client.get_runs(ids) if ids else []
        if len({run.id for run in there}) < runs:
            return None
        view = next((view for view in (*OPENED, *(name for name, _, _ in VIEWS.values())) if view == kept.view), None)
        if view is None or view == "dashboard":
            return None
        return _screen_of(view, self.session, *(kept.what if runs else ()))

    async def action_view(self, view: View) -> None:
        """The dashboard is beneath all others; each is made when it is first seen."""
        if view == self.view:
            return
        self.session.before = self.place
        self.session.left_as = []
        for _ in self.app.screen_stack[1:]:
            await self.app.pop_screen()
        if view != "dashboard":
            await self.app.push_screen(_screen_of(view, self.session))

    async def show_above(self, view: View, *what: str | None) -> None:
        """Above this one, which is there again when it is left."""
        self.session.before = self.place
        self.session.left_as = []
        await self.app.push_screen(_screen_of(view, self.session, *what))

    async def go_beneath(self) -> None:
        """To the one that it was opened from."""
        self.session.before = self.place
        await self.app.pop_screen()

    async def action_last_view(self) -> None:
        """The one that was seen before; again: back here."""
        before = self.session.before
        if before is None:
            self.note("No other view was seen yet; 1 to 8 go there")
            return
        view, what = before
        beneath = self.app.screen_stack[-2] if len(self.app.screen_stack) > 1 else None
        if isinstance(beneath, Frame) and (beneath.view, beneath.place[1][:1]) == (view, what[:1]):
            await self.go_beneath()
        elif view in OPENED:
            await self.show_above(view, *what)
        else:
            await self.action_view(view)

    async def action_back(self) -> None:
        await self.action_view("dashboard")

    async def action_leave(self) -> None:
        await self.action_view("dashboard")

    def close_overlay(self) -> None:
        """What is asked and said by a key stands where it would hide it."""
        if self.query("#overlay"):
            from stepflow_tui.panes.overlay import Overlay

            for overlay in self.query(Overlay):
                overlay.action_close()

    def action_help(self) -> None:
        from stepflow_tui.screens.help import Help

        self.app.push_screen(Help(self.view, self.session.changed_keys, self.glyphs))

    # What cannot be done

    def why_not(self, key: Key) -> str | None:
        """Why it does nothing now; None: it does."""
        if self.session.read_only and key.changes:
            return self.session.why_off
        if self.app.is_web and key.id in NEEDING_TERMINAL:
            return IN_BROWSER
        return None

    # Being there

    async def reload(self) -> None:
        """Read again what is shown."""

    def action_refresh(self) -> None:
        self.post_message(RefreshAsked())

    def action_redraw(self) -> None:
        self.app.refresh(repaint=True, layout=True)

    def action_suspend(self) -> None:
        self.app.action_suspend_process()

    def copy(self, text: str) -> str:
        """Into the clipboard; by which way."""
        from stepflow_tui.clipboard import copy

        return copy(self.app, text, self.session.config.setting("clipboard"))

    def action_copy_or_leave(self) -> None:
        selected = self.get_selected_text()
        if selected:
            self.clear_selection()
            self.note(f"Copied what was selected by {self.copy(selected)}")
            return
        answers = {"y": ("yes", "quit, executions go on"), "ctrl+c": ("yes", "the same")}

        async def leave() -> None:
            left_as = [screen.kept() for screen in self.app.screen_stack if isinstance(screen, Frame)]
            await self.action_view("dashboard")  # which may ask something
            self.session.left_as = left_as
            await self.app.run_action("leave", self.app.screen)

        async def answered(_: str) -> None:
            self.app.call_later(leave)  # not from within: this screen is left

        self.ask(Question("Quit?", answers), answered)


def _screen_of(view: View, session: Session, *what: str | None) -> Frame:
    where = OPENED.get(view) or next(where for name, _, where in VIEWS.values() if name == view)
    module, _, name = where.partition(":")
    screen: Frame = getattr(import_module(module), name)(session, *what)
    return screen
