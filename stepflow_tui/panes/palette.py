"""All that can be done, in a list that narrows as it is typed: keys, screens, tabs, templates, executions, themes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from stepflow_tui.presentation.fuzzy import emphasised, look_up
from stepflow_tui.presentation.spans import Line, cells, fit, fit_name, safe
from stepflow_tui.widgets.bar import Bar
from stepflow_tui.widgets.lines import LineView

KEYS_WIDTH = 9
COPIES = "f2"
"""The key that copies the command line: letters are typed, or are keys."""
MOST_ROWS = 12
LEAST_TO_NARROW = 3
"""Letters from which on those that stand in a row somewhere leave out what only has them."""
AN_ID = re.compile(r"(trn:\S*)?(exec_)?[0-9a-z]{4,}(:\S*)?")
PAUSE_SECONDS = 0.1
"""For which nothing more was typed, before an execution is looked for."""


class Command(msgspec.Struct, frozen=True):
    text: str
    """What it is found by."""
    keys: str
    do: Callable[[], Awaitable[object]] | None
    why_not: str | None = None
    """Why it cannot be done now."""
    line: str | None = None
    """The command line that does the same."""
    names: tuple[str, ...] = ()
    """Its keys, as Textual names them."""
    others: tuple[str, ...] = ()
    """Other words that it is found by, in small letters."""


class Row(msgspec.Struct, frozen=True):
    command: Command
    places: tuple[int, ...] = ()
    """Of its text, the characters that it was found by."""
    by: tuple[str, ...] = ()
    """Other words that it was found by."""


LookUp = Callable[[str], Awaitable[Sequence[Command]]]
"""What is only known by asking, for what was typed."""


class CommandList(LineView, can_focus=False):
    def __init__(self) -> None:
        super().__init__(id="commands")
        self.found: list[Row] = []

    @property
    def selected(self) -> Command | None:
        return self.found[self.cursor].command if self.found else None

    def show(self, found: list[Row], row: int) -> None:
        """As high as it needs; the cursor on `row`."""
        self.found = found
        self.styles.height = max(1, min(MOST_ROWS, len(found), self.app.size.height - 4))
        self.set_rows(len(found), row)

    def line_at(self, row: int, width: int) -> Line:
        found = self.found[row]
        command = found.command
        style = "dim" if command.why_not else ""
        line: Line = [(" " + fit(command.keys, KEYS_WIDTH), style or "active")]
        if found.by:
            line.append((f"{safe(', '.join(found.by))}: ", "title"))
        line += emphasised(safe(command.text), found.places, style)
        if command.why_not:
            line.append((f"  {safe(command.why_not)}", "late"))
        return line


class CommandLine(Bar):
    """The command line that does the same as what is selected."""

    DEFAULT_CSS = "CommandLine { background: $panel; }"

    def __init__(self, hint: str, copies: str) -> None:
        """`hint` stands there where there is none; `copies`: the key that copies it."""
        super().__init__(id="command-line")
        self._hint = hint
        self._copies = copies

    def say(self, command: Command | None) -> None:
        line = None if command is None else command.line
        said: Line = [(f" {safe(self._hint)}", "dim")]
        if line is not None:
            self.show(lambda width: self._said(line, width))
            return
        self.show(lambda width: said)

    def _said(self, line: str, width: int) -> Line:
        """Its key is seen, however long the line is."""
        key: Line = [(f"  {self._copies}", "active"), (" copies it", "dim")]
        said = safe(line)
        room = max(8, width - 3 - cells(key))
        return [(" $ ", "dim"), (fit_name(said, min(cells([(said, "")]), room)), ""), *key]

    def complain(self, text: str, ways_out: Sequence[str] = ()) -> None:
        """With as many of the ways out as have room, the last ones first."""

        def line(width: int) -> Line:
            said = text
            for at in range(len(ways_out) - 1, -1, -1):
                longer = f"{text}; {', '.join(ways_out[at:])}"
                if cells([(longer, "")]) < width:
                    said = longer
            return [(f" {said}", "late")]

        self.show(line)


class Choosing(Vertical, can_focus=True):
    """A list of commands, and beneath it what does the same as the selected one."""

    class Yanked(Message):
        """The command line of one is to be copied."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    def yank(self) -> None:
        selected = self.list.selected
        if selected is not None and selected.line is not None:
            self.post_message(self.Yanked(selected.line))
        else:
            self.query_one(CommandLine).complain("No command line does this")

    @property
    def list(self) -> CommandList:
        return self.query_one(CommandList)

    def _say(self) -> None:
        self.query_one(CommandLine).say(self.list.selected)

    def on_line_view_moved(self, message: LineView.Moved) -> None:
        message.stop()
        self._say()


class Palette(Choosing):
    BINDINGS = [  # noqa: RUF012 - as Textual declares it
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("escape,ctrl+c,ctrl+p", "close", show=False, priority=True),
        Binding(COPIES, "yank", show=False, priority=True),
    ]

    class Closed(Message):
        """`command` is to be done; None: nothing is."""

        def __init__(self, command: Command | None) -> None:
            super().__init__()
            self.command = command

    def __init__(self, commands: list[Command], look_up: LookUp, elsewhere: Sequence[str]) -> None:
        """`elsewhere`: where else to look for what is not found."""
        super().__init__(id="palette")
        self._commands = commands
        self._asked: Sequence[Command] = ()
        """For what is typed."""
        self._look_up = look_up
        self._elsewhere = elsewhere
        self._narrowed_to = ""

    def compose(self) -> ComposeResult:
        yield CommandList()
        yield CommandLine("enter does it · esc", COPIES)
        field = Input(placeholder="a few letters of what to do", id="wanted", select_on_focus=False)
        field.cursor_blink = False
        yield field

    def on_mount(self) -> None:
        self._narrow("")
        self.query_one(Input).focus()

    def add(self, commands: list[Command]) -> None:
        """More that can be done; the cursor stays."""
        self._commands += commands
        self._narrow(self.query_one(Input).value, self.list.selected)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != self._narrowed_to:
            self._narrow(event.value)

    def _narrow(self, wanted: str, keep: Command | None = None) -> None:
        """What matches, the best first; what cannot be done after what can and matches as well."""
        if wanted != self._narrowed_to:
            self._asked = ()
            self._narrowed_to = wanted
            self._ask(wanted.strip())
        hits = [(hit, one) for one in self._commands if (hit := look_up(wanted, one.text, one.others)) is not None]
        if wanted.strip():
            if len(wanted.strip()) >= LEAST_TO_NARROW and any(hit.is_whole for hit, _ in hits):
                hits = [(hit, one) for hit, one in hits if hit.is_whole]
            hits.sort(key=lambda pair: (-pair[0].score, pair[1].why_not is not None, len(pair[1].text)))
        found = [Row(one) for one in self._asked]
        found += [Row(one, hit.places, hit.by) for hit, one in hits if hit.is_whole or not self._asked]
        row = next((row for row, one in enumerate(found) if one.command is keep), 0)
        self.list.show(found, row)
        self._say()

    def _say(self) -> None:
        if self.list.found:
            super()._say()
        else:
            said = f"Nothing is called '{safe(self._narrowed_to.strip())}'"
            self.query_one(CommandLine).complain(said, self._elsewhere)

    @work(group="asked", exclusive=True)
    async def _ask(self, wanted: str) -> None:
        if AN_ID.fullmatch(wanted.lower()) is None:
            return
        await asyncio.sleep(PAUSE_SECONDS)
        asked = await self._look_up(wanted)
        if asked and wanted == self._narrowed_to.strip():
            self._asked = asked
            self._narrow(self._narrowed_to, self.list.selected if self.list.cursor else None)

    def action_move(self, by: int) -> None:
        self.list.action_move(by)

    def on_key(self, event: events.Key) -> None:
        """What was typed before the field had the focus, and enter."""
        if event.is_printable and event.character is not None:
            self.query_one(Input).insert_text_at_cursor(event.character)
        elif event.key != "enter":
            return
        else:
            if self._narrowed_to != (wanted := self.query_one(Input).value):
                self._narrow(wanted)  # it is told of what was typed a moment later
            if self.list.selected is not None:
                self.post_message(self.Closed(self.list.selected))
        event.stop()
        event.prevent_default()

    def on_click(self) -> None:
        self.query_one(Input).focus()

    def action_yank(self) -> None:
        self.yank()

    def action_close(self) -> None:
        self.post_message(self.Closed(None))
