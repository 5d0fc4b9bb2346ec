"""What is asked for in the last lines of the screen: JSON in a line, prefilled; a decision, by one key, or data."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from stepflow_tui.presentation.form import Answer, read_json
from stepflow_tui.presentation.spans import safe

SHARE = 60
"""Of a hundred lines of the screen, those that it takes at most."""
LEAST_FIELD = 24
"""Cells of a field that stands beside what it is for; else it stands beneath."""

Then = Callable[[Answer], Awaitable[None]]
"""Done with what was given. It closes what asked when all went well; else that stays, to be mended."""


class Entry(Input):
    """A line that is typed or pasted."""

    class Shortened(Message):
        """More lines than one were pasted, of which it has taken the first."""

        def __init__(self, lines: int) -> None:
            super().__init__()
            self.lines = lines

    def __init__(self, text: str, *, is_json: bool = False, id: str | None = None) -> None:  # noqa: A002 - as Textual calls it
        super().__init__(text, select_on_focus=False, id=id, compact=True)
        self.cursor_blink = False
        self.is_json = is_json

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.take_text(event.text)

    def take_text(self, text: str) -> None:
        """In JSON the end of a line is a space."""
        lines = [line for line in text.splitlines() if line.strip()]
        if not lines:
            return
        self.replace(" ".join(lines) if self.is_json else lines[0], *self.selection)
        if len(lines) > 1 and not self.is_json:
            self.post_message(self.Shortened(len(lines)))


class Asked(Vertical, can_focus=True):
    """It has the keys from the moment on in which it is mounted, and hands them on to its field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", show=False, priority=True),
        Binding("tab,shift+tab", "stay", show=False, priority=True),
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
    ]

    class Given(Message):
        def __init__(self, asked: Asked, answer: Answer) -> None:
            super().__init__()
            self.asked = asked
            self.answer = answer

    class Closed(Message):
        """Nothing is to be done."""

    class Replaced(Message):
        """It is asked for in another way."""

        def __init__(self, asked: Asked, other: Asked) -> None:
            super().__init__()
            self.asked = asked
            self.other = other

    def __init__(self, title: str, then: Then | None, id: str) -> None:  # noqa: A002 - as Textual calls it
        super().__init__(id=id)
        self.title = title
        self.then = then
        self.is_busy = False
        """What was given is being done."""
        self.is_closed = False

    def heading(self) -> ComposeResult:
        """What it asks for; where that is long, as much as leaves room for the field."""
        with VerticalScroll(can_focus=False, classes="heading"):
            yield Static(f" {safe(self.title)} ", markup=False, classes="title")

    @property
    def editor(self) -> Widget:
        """Where letters go."""
        return next(iter(self.query(Entry)), self)

    def say(self, text: str) -> None:
        """In place of what it asks for."""
        self.query_one(".title", Static).update(f" {safe(text)} ", layout=True)
        self._fit(text)

    def on_resize(self) -> None:
        self._fit(self.title)

    def _fit(self, text: str) -> None:
        self.set_class(cell_len(text) + 2 + LEAST_FIELD > self.screen.size.width, "-tall")
        for heading in self.query(".heading"):
            heading.styles.max_height = max(1, self.screen.size.height * SHARE // 100 - self.own_lines)

    own_lines: ClassVar[int] = 1
    """Beneath what it asks for."""

    def on_focus(self) -> None:
        self.focus_editor()

    def focus_editor(self) -> None:
        """Where it has the keys: what came before it hands on first what was typed."""
        focused, editor = self.screen.focused, self.editor
        if not self.is_closed and editor is not self and focused is not None and self in focused.ancestors_with_self:
            self.screen.set_focus(editor)

    async def on_key(self, event: events.Key) -> None:
        """One that came before its field had the focus: that takes all letters itself."""
        if event.is_printable or self.screen.focused is self:
            event.stop()
            event.prevent_default()
            await self.take(event)

    def on_paste(self, event: events.Paste) -> None:
        if isinstance(editor := self.editor, Entry):
            event.stop()
            editor.take_text(event.text)

    async def take(self, event: events.Key | events.Paste) -> None:
        """As if it had come to the field."""
        editor = self.editor
        if isinstance(event, events.Paste):
            self.on_paste(event)
            return
        if await self._do(self, event.key, only_first=True):
            return
        if isinstance(editor, Input) and event.is_printable and event.character:
            editor.replace(event.character, *editor.selection)
        elif not await self._do(editor, event.key):
            await self._do(self, event.key)

    async def _do(self, of: Widget, key: str, *, only_first: bool = False) -> bool:
        for binding in of._bindings.key_to_bindings.get(key, ()):
            if binding.priority or not only_first:
                await self.app.run_action(binding.action, of)
                return True
        return False

    def give(self, value: Any, variables: dict[str, Any] | None = None) -> None:
        self.post_message(self.Given(self, Answer(value, variables)))

    def replace_by(self, other: Asked) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.post_message(self.Replaced(self, other))

    def action_close(self) -> None:
        self.is_closed = True
        self.post_message(self.Closed())

    def action_stay(self) -> None:
        """No other pane has the keys while it asks."""

    def action_scroll(self, by: int) -> None:
        for heading in self.query(".heading"):
            heading.scroll_relative(y=by, animate=False)


class AskInput(Asked):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+e", "back", show=False, priority=True)]

    def __init__(
        self,
        title: str,
        proposed: str,
        then: Then,
        *,
        with_variables: bool = False,
        back: Callable[[Answer], Asked] | None = None,
    ) -> None:
        """`with_variables`: it is an object of `input` and `variables`; `back`: what it was asked by before, where it
        was."""
        shown = title if back is None else f"{title} (ctrl+e: no JSON)"
        super().__init__(shown, then, "ask")
        self._proposed = proposed
        self._with_variables = with_variables
        self._back = back

    def compose(self) -> ComposeResult:
        yield from self.heading()
        yield Entry(self._proposed, is_json=True, id="input")

    def _read(self) -> Answer | None:
        """None: it is wrong, which is said."""
        field = self.query_one(Entry)
        try:
            value = read_json(field.value.strip() or "{}")
        except json.JSONDecodeError as error:
            self.say(f"Not JSON: {error.msg}, column {error.colno}")
            field.cursor_position = max(0, error.colno - 1)
            return None
        except ValueError as error:
            self.say(f"It is {error}")
            return None
        if not self._with_variables:
            return Answer(value)
        if not isinstance(value, dict) or not value.keys() <= {"input", "variables"}:
            self.say('It is of the form {"input": …, "variables": …}')
            return None
        variables = value.get("variables") or {}
        if not isinstance(variables, dict):
            self.say("Its variables are not an object")
            return None
        return Answer(value.get("input", {}), variables)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if (answer := self._read()) is not None:
            self.post_message(self.Given(self, answer))

    def action_back(self) -> None:
        if self._back is None:
            self.query_one(Entry).action_end()
        elif (answer := self._read()) is not None:
            self.replace_by(self._back(answer))


class Approval(Asked):
    """`y` or `n`, then a comment where there is one; or `d`, then other data: whether a step that says what it asks
    wants a decision or data, nothing tells."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "choose(True)", show=False),
        Binding("n", "choose(False)", show=False),
        Binding("d", "send_data", show=False),
        Binding("pageup", "scroll(-5)", show=False),
        Binding("pagedown", "scroll(5)", show=False),
        Binding("ctrl+e", "as_json", show=False, priority=True),
    ]
    KEYS: ClassVar[str] = " y approve · n refuse · d send data · esc not now"

    def __init__(self, title: str, then: Then) -> None:
        super().__init__(title, then, "approval")
        self._is_approved: bool | None = None

    def compose(self) -> ComposeResult:
        yield from self.heading()
        yield Static(self.KEYS, markup=False, classes="keys")

    async def action_choose(self, is_approved: bool) -> None:
        if self._is_approved is not None:
            return
        self._is_approved = is_approved
        what = "Approve it" if is_approved else "Refuse it"
        self.query_one(".keys", Static).update(f" {what}: enter, or a comment and enter · esc not now")
        await self.mount(Entry("", id="input"))
        self.focus_editor()

    async def take(self, event: events.Key | events.Paste) -> None:
        await super().take(event)
        if isinstance(event, events.Key) and event.is_printable:
            self._want_key()

    def _on_paste(self, event: events.Paste) -> None:
        self._want_key()

    def _want_key(self) -> None:
        if self._is_approved is None and not self.is_closed:
            self.query_one(".keys", Static).update(f" One of these first:{self.KEYS}")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.give(self._value())

    def _value(self) -> dict[str, Any]:
        comment = "".join(entry.value.strip() for entry in self.query(Entry))
        return {"approved": bool(self._is_approved), **({"comment": comment} if comment else {})}

    def action_as_json(self) -> None:
        self._ask_json({**self._value(), "approved": self._is_approved is not False})

    def action_send_data(self) -> None:
        if self._is_approved is None:
            self._ask_json({})

    def _ask_json(self, value: Any) -> None:
        assert self.then is not None
        title, then = self.title, self.then

        def back(_: Answer) -> Asked:
            return Approval(title, then)

        self.replace_by(AskInput(title, json.dumps(value, ensure_ascii=False), then, back=back))
