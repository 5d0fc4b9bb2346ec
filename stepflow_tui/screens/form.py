"""A form of an input and variables, a line a field, at the bottom of the screen; what is wrong is said beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from textual import events
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from stepflow_tui.presentation.form import Answer, Field, Part, begin_with, problem_with, shown, value_of
from stepflow_tui.presentation.spans import fit_name, safe
from stepflow_tui.screens.ask import SHARE, Asked, AskInput, Entry, Then

LONGEST_NAME = 22
MOST_OF_TITLE = 3
"""Lines."""
KEYS = "enter go · esc no · ctrl+e JSON · up down field · left right choice"


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
            self.take_letter(event.character or "")

    def take_letter(self, letter: str) -> None:
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
        self._problem = ""
        self._said = Static(markup=False, classes="said")
        self.editor = self._make_editor()

    def _make_editor(self) -> Entry | Choice:
        if self.field.kind != "choice":
            return Entry(self._begin, is_json=self.field.kind == "json")
        words = [shown(one) for one in self.field.choices]
        return Choice(words if self.field.is_required and self._begin else ["", *words], self._begin)

    def compose(self) -> ComposeResult:
        mark = "*" if self.field.is_required else " "
        name = Static(f"{mark}{fit_name(safe(self.field.name), self._name_width)} ", markup=False, classes="name")
        name.styles.width = self._name_width + 2
        yield name
        yield self.editor
        yield self._said

    def on_mount(self) -> None:
        self.judge()

    @property
    def text(self) -> str:
        return self.editor.value

    @property
    def problem(self) -> str:
        """What is wrong with it, as far as it is said."""
        return self._problem if self.is_touched else ""

    def judge(self) -> str:
        """Say what is wrong with it, or what may stand in it."""
        problem = self._problem = problem_with(self.field, self.text)
        is_shown = bool(problem) and self.is_touched
        said = problem if is_shown else self.field.words
        place = self._said
        place.set_class(is_shown, "wrong")
        place.update(f" {'! ' if is_shown else ''}{safe(said)}")
        return problem

    def on_input_changed(self, event: Input.Changed) -> None:
        self.is_touched = self.is_touched or bool(event.value)
        self.judge()

    def on_choice_changed(self, event: Choice.Changed) -> None:
        self.is_touched = True
        self.judge()


class Form(Asked):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab,down", "go(1)", show=False, priority=True),
        Binding("shift+tab,up", "go(-1)", show=False, priority=True),
        Binding("enter", "give", show=False, priority=True),
        Binding("ctrl+e", "as_json", show=False, priority=True),
    ]

    def __init__(self, title: str, parts: Sequence[Part], then: Then) -> None:
        """Of an input; where there are two, the second one is of variables."""
        super().__init__(title, then, "form")
        self._parts = parts
        width = min(LONGEST_NAME, max(len(field.name) for part in parts for field in part.fields) + 1)
        self._lines = [FieldLine(field, part.given, width) for part in parts for field in part.fields]
        self._line: FieldLine | None = None
        """That had the focus last."""
        self._first: FieldLine | None = None
        """To be put right before anything else."""

    def compose(self) -> ComposeResult:
        yield Static(f" {safe(self.title)}", markup=False, classes="title")
        lines = iter(self._lines)
        with VerticalScroll(can_focus=False):
            for part in self._parts:
                if part.heading:
                    yield Static(f" {part.heading}", markup=False, classes="part")
                yield from (next(lines) for _ in part.fields)
        yield Static(f" {KEYS}", markup=False, classes="keys")

    def on_resize(self) -> None:
        """The fields scroll where they have no room: the screen beneath stays in sight."""
        height = self.screen.size.height * SHARE // 100
        for title in self.query(".title"):
            title.styles.max_height = max(1, min(MOST_OF_TITLE, height - 3))
        for fields in self.query(VerticalScroll):
            fields.styles.max_height = max(1, height - 2)

    def on_mount(self) -> None:
        self.on_resize()
        # What is to be filled in comes first.
        lines = self._lines
        self._line = next((one for one in lines if problem_with(one.field, one.text)), lines[0])
        self._say()

    @property
    def editor(self) -> Widget:
        return self if self._line is None else self._line.editor

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self._line = next((one for one in self._lines if one.editor is event.widget), self._line)
        self._say()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._first = None
        self._say()

    def on_choice_changed(self, event: Choice.Changed) -> None:
        event.stop()
        self._say()

    def on_entry_shortened(self, event: Entry.Shortened) -> None:
        event.stop()
        self._say(f"Of {event.lines} lines the first was taken")

    def _say(self, text: str = "") -> None:
        """Beneath the fields, where there is room: what is wrong with the one at hand, or what may stand in it."""
        line = self._line
        problem = "" if line is None else line.problem
        name = "" if line is None else line.field.name
        first = f"put {name} right first: " if line is not None and line is self._first else f"{name}: "
        said = text or (f"! {first}{problem}" if problem else "")
        if not said and line is not None and self.screen.has_class("-narrow"):
            said = line.field.words
        for keys in self.query(".keys").results(Static):
            keys.set_class(bool(problem or text), "wrong")
            keys.update(f" {safe(said)}" if text or problem else f" {safe(said)} · {KEYS}" if said else f" {KEYS}")

    async def take(self, event: events.Key | events.Paste) -> None:
        editor = self.editor
        if isinstance(editor, Choice) and isinstance(event, events.Key) and event.is_printable and event.key != "space":
            editor.take_letter(event.character or "")
        else:
            await super().take(event)

    def action_go(self, by: int) -> None:
        lines = self._lines
        at = 0 if self._line is None else lines.index(self._line)
        self._go_to(lines[(at + by) % len(lines)])

    def _go_to(self, line: FieldLine) -> None:
        self._line = line
        self.focus_editor()
        self._say()

    def action_give(self) -> None:
        for line in self._lines:
            line.is_touched = True
        wrong = [line for line in self._lines if line.judge()]
        if wrong:
            self._go_to(wrong[0])
            return
        answer = self._answer()
        self.give(answer.value, answer.variables)

    def action_as_json(self) -> None:
        """What is missing may be written there; what cannot be a value stays here, to be mended."""
        for line in self._lines:
            try:
                value_of(line.field, line.text)
            except ValueError:
                line.is_touched = True
                line.judge()
                self._first = line
                self._go_to(line)
                return
        assert self.then is not None
        answer, title, parts, then = self._answer(), self.title, self._parts, self.then
        has_variables = answer.variables is not None
        whole = {"input": answer.value, "variables": answer.variables} if has_variables else answer.value

        def back(answer: Answer) -> Asked:
            return Form(title, [_with(part, answer) for part in parts], then)

        text = json.dumps(whole, ensure_ascii=False)
        self.replace_by(AskInput(title, text, then, with_variables=has_variables, back=back))

    def _answer(self) -> Answer:
        lines = iter(self._lines)
        values = []
        for part in self._parts:
            own = [next(lines) for _ in part.fields]
            values.append(part.value([one.field for one in own], [one.text for one in own]))
        return Answer(values[0], values[1] if len(values) > 1 else None)


def _with(part: Part, answer: Answer) -> Part:
    """As it was given meanwhile."""
    value = (
        (answer.variables or {})
        if part.heading
        else {part.fields[0].name: answer.value}
        if part.is_whole
        else answer.value
    )
    return msgspec.structs.replace(part, given=value)
