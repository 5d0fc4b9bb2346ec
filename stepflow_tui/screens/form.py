"""A form that asks for an input, a line a field, at the bottom of the screen; what is wrong is said beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from stepflow_tui.presentation.form import Field, begin_with, problem_with, shown, whole
from stepflow_tui.presentation.spans import fit_name, safe
from stepflow_tui.screens.ask import AskInput

LONGEST_NAME = 22
SHARE = 60
"""Of a hundred lines, those that it takes at most."""


class Choice(Widget, can_focus=True):
    """One of a few, taken with left and right."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "turn(1)", show=False),
        Binding("left", "turn(-1)", show=False),
    ]

    class Changed(Message):
        pass

    def __init__(self, words: Sequence[str], value: str) -> None:
        super().__init__()
        self._words = words
        self.value = value

    def render(self) -> RenderResult:
        turning = "  < >" if self.has_focus else ""
        return Content(f" {safe(self.value) or '-'}{turning}")

    def action_turn(self, by: int) -> None:
        self.value = self._words[(self._words.index(self.value) + by) % len(self._words)]
        self.refresh()
        self.post_message(self.Changed())

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and event.key != "space":
            # A letter takes the next choice that begins with it, and is no key of the screen beneath.
            event.stop()
            self._to(event.character or "")

    def _to(self, letter: str) -> None:
        at = self._words.index(self.value)
        for word in (*self._words[at + 1 :], *self._words[:at]):
            if word.lower().startswith(letter.lower()):
                self.value = word
                self.refresh()
                self.post_message(self.Changed())
                return

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()


class FieldLine(Horizontal):
    def __init__(self, field: Field, given: Mapping[str, Any], name_width: int) -> None:
        super().__init__()
        self.field, self._begin = begin_with(field, given)
        self._name_width = name_width
        self.is_touched = bool(self._begin)

    def compose(self) -> ComposeResult:
        mark = "*" if self.field.is_required else " "
        name = Static(f"{mark}{fit_name(safe(self.field.name), self._name_width)} ", markup=False, classes="name")
        name.styles.width = self._name_width + 2
        yield name
        if self.field.kind == "choice":
            words = [shown(one) for one in self.field.choices]
            yield Choice(words if self.field.is_required and self._begin else ["", *words], self._begin)
        else:
            entry = Input(self._begin, select_on_focus=False, compact=True)
            entry.cursor_blink = False
            yield entry
        yield Static(markup=False, classes="said")

    def on_mount(self) -> None:
        self.judge()

    @property
    def editor(self) -> Input | Choice:
        return self.query_one(Choice) if self.field.kind == "choice" else self.query_one(Input)

    @property
    def text(self) -> str:
        return self.editor.value

    def judge(self) -> str:
        """Say what is wrong with it, or what may stand in it."""
        problem = problem_with(self.field, self.text)
        is_shown = bool(problem) and self.is_touched
        said = problem if is_shown else self.field.words
        place = self.query_one(".said", Static)
        place.set_class(is_shown, "wrong")
        place.update(f" {'! ' if is_shown else ''}{safe(said)}", layout=False)
        return problem

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.is_touched = self.is_touched or bool(event.value)
        self.judge()

    def on_choice_changed(self, event: Choice.Changed) -> None:
        event.stop()
        self.is_touched = True
        self.judge()


class Form(Vertical):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab,down", "go(1)", show=False, priority=True),
        Binding("shift+tab,up", "go(-1)", show=False, priority=True),
        Binding("enter", "give", show=False, priority=True),
        Binding("ctrl+e", "as_json", show=False, priority=True),
        Binding("escape", "close", show=False, priority=True),
    ]

    class AsJson(Message):
        """It is rather written as JSON."""

        def __init__(self, title: str, text: str) -> None:
            super().__init__()
            self.title = title
            self.text = text

    def __init__(self, title: str, fields: Sequence[Field], given: Mapping[str, Any]) -> None:
        super().__init__(id="form")
        self._title = title
        self._fields = fields
        self._given = given

    def compose(self) -> ComposeResult:
        yield Static(f" {safe(self._title)}", markup=False, classes="title")
        width = min(LONGEST_NAME, max(len(field.name) for field in self._fields) + 1)
        with VerticalScroll(can_focus=False):
            for field in self._fields:
                yield FieldLine(field, self._given, width)
        yield Static(" enter go · esc no · ctrl+e JSON · up down field · left right choice", classes="keys")

    def on_resize(self) -> None:
        """The fields scroll where they have no room: the screen beneath stays in sight."""
        most = max(1, self.screen.size.height * SHARE // 100 - 2)
        self.query_one(VerticalScroll).styles.max_height = most

    def on_mount(self) -> None:
        self.on_resize()
        # What is to be filled in comes first.
        line = next((one for one in self._lines if problem_with(one.field, one.text)), self._lines[0])
        line.editor.focus()

    @property
    def _lines(self) -> list[FieldLine]:
        return list(self.query(FieldLine))

    def action_go(self, by: int) -> None:
        lines = self._lines
        at = next((index for index, line in enumerate(lines) if line.editor.has_focus), 0)
        lines[(at + by) % len(lines)].editor.focus()

    def action_give(self) -> None:
        for line in self._lines:
            line.is_touched = True
        wrong = [line for line in self._lines if line.judge()]
        if wrong:
            wrong[0].editor.focus()
            return
        value = self._value()
        self.post_message(AskInput.Given(json.dumps(value, ensure_ascii=False), value))

    def action_as_json(self) -> None:
        try:
            value: Any = self._value()
        except ValueError:
            value = self._given  # what is not right yet has no JSON
        self.post_message(self.AsJson(self._title, json.dumps(value, ensure_ascii=False)))

    def action_close(self) -> None:
        self.post_message(AskInput.Closed())

    def _value(self) -> dict[str, Any]:
        lines = self._lines
        return whole([line.field for line in lines], [line.text for line in lines], self._given)
