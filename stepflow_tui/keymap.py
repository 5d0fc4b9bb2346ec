"""The one table of keys: bindings, footer, help screen and documentation all come from it."""

from __future__ import annotations

from typing import Literal

import msgspec
from textual.binding import Binding

View = Literal["dashboard"]


class Key(msgspec.Struct, frozen=True):
    id: str
    keys: str
    """As Textual writes them, several with commas."""
    shown: str
    """As people read them."""
    action: str
    label: str
    """In the footer; empty: not there."""
    help: str
    group: Literal["Act", "Look", "Move", "Leave"]
    views: tuple[View, ...] = ()
    """The screens that have it; none: all."""


KEYS: tuple[Key, ...] = (
    Key("run", "r", "r", "run", "Run", "Run the selected template; its input is asked for", "Act"),
    Key("cancel", "c", "c y", "cancel", "Cancel", "Cancel the selected execution and what it runs", "Act"),
    Key("retry", "t", "t", "retry", "Retry", "Retry it from the steps that did not complete", "Act"),
    Key("retry_from", "T", "T", "retry_from", "", "Retry or fork it from the selected step, with another input", "Act"),
    Key("pause", "p", "p y", "pause", "Pause", "Pause it and its children, or let it go on", "Act"),
    Key("answer", "A", "A", "answer", "Answer", "Answer what it waits for: an approval, a signal", "Act"),
    Key("yank", "y", "y", "yank", "", "Copy its id, command line, TRN, output or error", "Act"),
    Key("open", "enter", "⏎", "open", "", "Go from a template or an execution to its steps", "Look"),
    Key("log", "l", "l", "toggle_log", "Log", "Log of everything, or of the selected execution alone", "Look"),
    Key("zoom", "z", "z", "zoom", "Zoom", "Give the whole screen to this pane, and take it back", "Look"),
    Key("pane", "tab", "tab", "next_pane", "Pane", "Next pane (shift+tab: the one before)", "Move"),
    Key("pane_back", "shift+tab", "shift+tab", "previous_pane", "", "Pane before", "Move"),
    Key("back", "escape", "esc", "back", "", "Back: out of the zoom, to the executions", "Move"),
    Key("problem", "J", "J", "problem(1)", "", "Next execution that failed or stands still", "Move"),
    Key("problem_back", "K", "K", "problem(-1)", "", "The one before", "Move"),
    Key("help", "question_mark", "?", "help", "Help", "This help", "Look"),
    Key("quit", "q", "q", "leave", "Quit", "Quit; running executions go on", "Leave"),
)

MOVES: tuple[tuple[str, str], ...] = (
    ("j k  ↓ ↑", "Line down, up"),
    ("g G  Home End", "First, last"),
    ("ctrl+d ctrl+u", "Half a page down, up"),
    ("PgDn PgUp", "A page down, up"),
)


def keys_of(view: View) -> list[Key]:
    return [key for key in KEYS if not key.views or view in key.views]


def bindings(view: View) -> list[Binding]:
    return [Binding(key.keys, key.action, key.help, show=False, id=key.id) for key in keys_of(view)]


def footer_keys(view: View) -> list[tuple[str, str]]:
    """What the footer shows, most useful first; it drops whole hints from the right."""
    return [(key.shown, key.label) for key in keys_of(view) if key.label]
