"""A filter as it is typed: what is wrong with it, what may come next (tab), what was typed before (up)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from stepflow_tui.presentation.filters import FIELDS, Filter, FilterError, completions, parse_filter
from stepflow_tui.presentation.spans import Line, cells, safe
from stepflow_tui.widgets.bar import Bar

PAUSE_SECONDS = 0.15
"""After the last letter, before what was typed is looked for."""
MOST_KEPT = 100


class FilterField(Vertical):
    DEFAULT_CSS = """
    FilterField { dock: bottom; height: 2; background: $boost; }
    FilterField Bar { background: $boost; }
    FilterField Horizontal { height: 1; background: $boost; }
    FilterField Static { width: auto; background: $boost; color: $primary; text-style: bold; }
    FilterField Input { width: 1fr; height: 1; border: none; padding: 0; background: $boost; }
    FilterField Input:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete(1)", show=False, priority=True),
        Binding("shift+tab", "complete(-1)", show=False, priority=True),
        Binding("up", "past(-1)", show=False),
        Binding("down", "past(1)", show=False),
        Binding("escape", "close", show=False),
    ]

    class Given(Message):
        """It was typed, and is right. `is_final`: enter was pressed."""

        def __init__(self, filter: Filter, *, is_final: bool) -> None:  # noqa: A002 - the word of the screens
            super().__init__()
            self.filter = filter
            self.is_final = is_final

    class Closed(Message):
        """Nothing is to be looked for."""

    def __init__(
        self,
        text: str,
        past: list[str],
        *,
        enter: str = "keeps it",
        escape: str = "takes it away",
        id: str = "filter",  # noqa: A002 - as Textual calls it
    ) -> None:
        """`past`: what was typed before, grown by what is given; `enter`, `escape`: what they do."""
        super().__init__(id=id)
        self._keys = enter, escape
        self.templates: Sequence[str] = ()
        """Names, for completion."""
        self.steps: Sequence[str] = ()
        """Keys of steps, for it too."""
        self._past = past
        self._at = len(past)
        self._draft = ""
        self._offered: tuple[str, int, list[str], int] | None = None
        """What stood before tab was pressed, where the candidates begin, and which one stands there now."""
        self._pause: Timer | None = None
        # Made at once: names for completion may be known before it is composed.
        self._hint = Bar(id="hint")
        self.field = Input(text, select_on_focus=False)
        self.field.cursor_blink = False

    def compose(self) -> ComposeResult:
        yield self._hint
        with Horizontal():
            yield Static(" / ", markup=False)
            yield self.field

    def on_mount(self) -> None:
        self.hint()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._offered is not None and event.value != self._completed(self._offered):
            self._offered = None
        wanted = self._read(is_final=False)
        if self._pause is not None:
            self._pause.stop()
        if wanted is not None and not self._may_become_a_field():
            self._pause = self.set_timer(PAUSE_SECONDS, lambda: self._give(wanted, is_final=False))

    def _may_become_a_field(self) -> bool:
        """What is typed last is the beginning of one, and not looked for until it is more."""
        begin, candidates = completions(self.field.value, ())
        return begin < len(self.field.value) and any(candidate in FIELDS for candidate in candidates)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        wanted = self._read(is_final=True)
        if wanted is None:
            return
        if self._pause is not None:
            self._pause.stop()
        if wanted.text and wanted.text not in self._past[-1:]:
            self._past.append(wanted.text)
            del self._past[:-MOST_KEPT]
        self._at = len(self._past)
        self._give(wanted, is_final=True)

    def _give(self, wanted: Filter, *, is_final: bool) -> None:
        self.post_message(self.Given(wanted, is_final=is_final))

    def _read(self, *, is_final: bool) -> Filter | None:
        """None: it is wrong, which is said; while it is typed gently."""
        try:
            wanted = parse_filter(self.field.value)
        except FilterError as error:
            if is_final:
                self._say([(f" {error.message}", "bad")])
                self.field.cursor_position = error.column
            elif completions(self.field.value, self.templates, self.steps)[1]:
                self.hint()  # what is missing comes next
            else:
                self._say([(f" {error.message}", "late")])
            return None
        self.hint()
        return wanted

    # Saying what may come next

    def hint(self) -> None:
        _, candidates = completions(self.field.value, self.templates, self.steps)
        chosen = None
        if self._offered is not None:
            _, _, candidates, index = self._offered
            chosen = candidates[index]
        if not candidates:
            enter, escape = self._keys
            self._say([(" enter", "active"), (f" {enter}  ", "dim"), ("esc", "active"), (f" {escape}", "dim")])
            return
        at = None if chosen is None else candidates.index(chosen)
        self._hint.show(lambda width: candidates_line(candidates, at, width))

    def _say(self, line: Line) -> None:
        self._hint.show(lambda width: line)

    def action_complete(self, by: int) -> None:
        if self._offered is None:
            text = self.field.value
            begin, candidates = completions(text, self.templates, self.steps)
            if not candidates:
                return
            self._offered = (text, begin, candidates, 0 if by > 0 else len(candidates) - 1)
        else:
            text, begin, candidates, index = self._offered
            self._offered = (text, begin, candidates, (index + by) % len(candidates))
        only = len(self._offered[2]) == 1
        self.set(self._completed(self._offered))
        if only:
            self._offered = None
        self.hint()

    @staticmethod
    def _completed(offered: tuple[str, int, list[str], int]) -> str:
        text, begin, candidates, index = offered
        return text[:begin] + candidates[index]

    def action_past(self, by: int) -> None:
        at = max(0, min(self._at + by, len(self._past)))
        if at == self._at:
            return
        if self._at == len(self._past):
            self._draft = self.field.value
        self._at = at
        self.set(self._past[at] if at < len(self._past) else self._draft)

    def set(self, text: str) -> None:
        self.field.value = text
        self.field.cursor_position = len(text)

    def action_close(self) -> None:
        if self._pause is not None:
            self._pause.stop()
        self.post_message(self.Closed())


def candidates_line(candidates: Sequence[str], chosen: int | None, width: int) -> Line:
    """What may come next. Where the one that is chosen has no room, those before it give way."""
    pieces: list[Line] = []
    for place, candidate in enumerate(candidates):
        meaning = FIELDS.get(candidate)
        style = "title" if place == chosen else ""
        pieces.append([(safe(candidate), style), (f" {meaning}  " if meaning else "  ", "dim")])
    begin = 0
    key: Line = [(" tab ", "active")]
    while chosen is not None and begin < chosen:
        shown = [span for piece in pieces[begin : chosen + 1] for span in piece]
        if cells([*key, *shown]) + (2 if begin else 0) <= width:
            break
        begin += 1
    return [*key, *([("< ", "dim")] if begin else []), *(span for piece in pieces[begin:] for span in piece)]
