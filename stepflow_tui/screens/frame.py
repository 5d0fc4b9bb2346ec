"""What every screen has: a header that says how all stands, a footer with its keys, notes, questions, trouble.

It reads and asks; workers do the work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import ClassVar

from textual import work
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.timer import Timer

from stepflow.errors import WorkflowEngineError
from stepflow.model.event import WorkflowEvent
from stepflow_tui.keymap import VIEWS, View, footer_keys
from stepflow_tui.presentation.header import Standing, header_line
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.session import Session
from stepflow_tui.widgets.bar import Bar, Question

NOTE_SECONDS = 6.0


class Frame(Screen[int]):
    """A subclass composes `Bar(id="header")` first and `Bar(id="footer")` last."""

    view: ClassVar[View]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-medium"), (100, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS = [(0, "-lowest"), (12, "-low"), (18, "-tall")]  # noqa: RUF012 - as Textual declares it

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.client = session.client
        self.glyphs = session.glyphs
        self._note_timer: Timer | None = None
        self._asked: Callable[[str], Awaitable[None]] | None = None

    async def on_mount(self) -> None:
        self._show_footer()
        self.show_header()

    def events_arrived(self, events: list[WorkflowEvent]) -> None:
        """New events of the log, while it is the screen that is seen."""

    async def guarded(self, reading: Awaitable[None]) -> None:
        """Trouble with the storage is shown, never raised."""
        try:
            await reading
        except WorkflowEngineError as error:
            self.note_trouble(error.message)
        except NoMatches:
            pass  # the screen was left while it was read: its panes are gone

    def note_trouble(self, trouble: str | None) -> None:
        self.session.storage_trouble = trouble
        self.show_header()

    # Header and footer

    def show_header(self) -> None:
        standing = self.session.standing
        trouble = self.session.storage_trouble or standing.trouble
        shown = Standing(standing.database, standing.counts, standing.workers, trouble)
        self.query_one("#header", Bar).show(lambda width: header_line(shown, width, self.glyphs))

    def _show_footer(self) -> None:
        self.query_one("#footer", Bar).show(self._footer_line)

    def _footer_line(self, width: int) -> Line:
        """Hints that have no room are left out whole; how to get help and how to leave stay longest."""
        hints = [(key, f" {label}  ") for key, label in footer_keys(self.view)]
        sizes = [len(key) + len(label) for key, label in hints]
        while len(hints) > 2 and sum(sizes) + 1 > width:
            del hints[-3], sizes[-3]
        line: Line = [(" ", "")]
        for key, label in hints:
            line += [(key, "active"), (label, "")]
        return line

    def note(self, text: str, style: str = "title") -> None:
        """Say something in the footer's place for a moment."""
        line: Line = [(" " + safe(text), style)]
        self.query_one("#footer", Bar).show(lambda width: line)
        if self._note_timer is not None:
            self._note_timer.stop()
        self._note_timer = self.set_timer(NOTE_SECONDS, self._show_footer)

    # Questions

    def ask(self, question: Question, then: Callable[[str], Awaitable[None]]) -> None:
        self._asked = then
        self.mount(question)
        question.focus()

    async def on_question_answered(self, message: Question.Answered) -> None:
        then, self._asked = self._asked, None
        await self.query("#question").remove()
        self.focus_main()
        if then is not None and message.answer is not None:
            await then(message.answer)

    def focus_main(self) -> None:
        """Where the focus goes when a question was answered."""

    @work(group="act")
    async def act(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except WorkflowEngineError as error:
            self.note(error.message, "bad")

    # Other screens

    async def action_view(self, view: View) -> None:
        """The dashboard is beneath all others; each is made when it is first seen."""
        if view == self.view:
            return
        if self.view != "dashboard":
            await self.app.pop_screen()
        if view != "dashboard":
            await self.app.push_screen(_screen_of(view, self.session))

    async def action_back(self) -> None:
        await self.action_view("dashboard")

    async def action_leave(self) -> None:
        await self.action_view("dashboard")

    def action_help(self) -> None:
        from stepflow_tui.screens.help import Help

        self.app.push_screen(Help(self.view))


def _screen_of(view: View, session: Session) -> Frame:
    where = next(where for name, _, where in VIEWS.values() if name == view)
    module, _, name = where.partition(":")
    screen: Frame = getattr(import_module(module), name)(session)
    return screen
