"""The one table of keys: bindings, footer, help screen and documentation all come from it."""

from __future__ import annotations

from typing import Literal

import msgspec
from textual.binding import Binding

View = Literal["dashboard", "workers"]

VIEWS: dict[str, tuple[View, str, str]] = {
    "1": ("dashboard", "Dashboard", ""),
    "5": ("workers", "Workers", "stepflow_tui.screens.workers:WorkersView"),
}
"""By key: the view, its title, and where its screen is; the dashboard is beneath all others."""


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


RUNS: tuple[View, ...] = ("dashboard",)
"""Screens on which an execution is at hand."""

KEYS: tuple[Key, ...] = (
    Key("run", "r", "r", "run", "Run", "Run the selected template; its input is asked for", "Act", RUNS),
    Key("cancel", "c", "c y", "cancel", "Cancel", "Cancel the selected execution and what it runs", "Act", RUNS),
    Key("retry", "t", "t", "retry", "Retry", "Retry it from the steps that did not complete", "Act", RUNS),
    Key(
        "retry_from",
        "T",
        "T",
        "retry_from",
        "",
        "Retry or fork it from this step, with another input",
        "Act",
        RUNS,
    ),
    Key("pause", "p", "p y", "pause", "Pause", "Pause it and its children, or let it go on", "Act", RUNS),
    Key("answer", "A", "A", "answer", "Answer", "Answer what it waits for: an approval, a signal", "Act", RUNS),
    Key("yank", "y", "y", "yank", "", "Copy its id, command line, TRN, output or error", "Act", RUNS),
    Key("drain", "b", "b y", "stop_worker", "Drain", "Stop it: it gives its executions back", "Act", ("workers",)),
    Key("open", "enter", "⏎", "open", "", "Go from a template or an execution to its steps", "Look", RUNS),
    Key("log", "l", "l", "toggle_log", "Log", "Log of everything, or of the selected execution alone", "Look", RUNS),
    Key("zoom", "z", "z", "zoom", "Zoom", "Give the whole screen to this pane, and take it back", "Look", RUNS),
    Key("pane", "tab", "tab", "next_pane", "Pane", "Next pane (shift+tab: the one before)", "Move", RUNS),
    Key("pane_back", "shift+tab", "shift+tab", "previous_pane", "", "Pane before", "Move", RUNS),
    Key("back", "escape", "esc", "back", "", "Back: out of the zoom, to the executions, to the dashboard", "Move"),
    Key("problem", "J", "J", "problem(1)", "", "Next execution that failed or stands still", "Move", RUNS),
    Key("problem_back", "K", "K", "problem(-1)", "", "The one before", "Move", RUNS),
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
    keys = [Binding(key.keys, key.action, key.help, show=False, id=key.id) for key in keys_of(view)]
    views = [Binding(digit, f"view('{name}')", title, show=False, id=name) for digit, (name, title, _) in VIEWS.items()]
    return [*keys, *views]


def footer_keys(view: View) -> list[tuple[str, str]]:
    """What the footer shows, most useful first; it drops whole hints from the right."""
    return [(key.shown, key.label) for key in keys_of(view) if key.label]
