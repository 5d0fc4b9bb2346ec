"""The one table of keys: bindings, footer, help screen and documentation all come from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
from textual.binding import Binding

View = Literal["dashboard", "workers", "settings", "templates", "executions", "run", "diff", "failures", "search"]

VIEWS: dict[str, tuple[View, str, str]] = {
    "1": ("dashboard", "Dashboard", ""),
    "2": ("executions", "Executions", "stepflow_tui.screens.executions:ExecutionsView"),
    "3": ("templates", "Templates", "stepflow_tui.screens.templates:TemplatesView"),
    "5": ("workers", "Workers", "stepflow_tui.screens.workers:WorkersView"),
    "6": ("search", "Search", "stepflow_tui.screens.search:SearchView"),
    "7": ("failures", "Failures", "stepflow_tui.screens.failures:FailuresView"),
    "8": ("settings", "Settings", "stepflow_tui.screens.settings:SettingsView"),
}
"""By key: the view, its title, and where its screen is; the dashboard is beneath all others."""

OPENED: dict[View, str] = {
    "run": "stepflow_tui.screens.run:RunView",
    "diff": "stepflow_tui.screens.diff:DiffView",
}
"""Screens of something that is at hand, which lie above the one they were opened from."""

WAYS_TO: dict[View, str] = {"run": "an execution that enter opens", "diff": "a diff that D opens"}
"""How one comes to them."""

RUN_TABS: dict[str, str] = {
    "timeline": "Timeline",
    "graph": "Graph",
    "log": "Log",
    "events": "Events",
    "values": "Input/Output",
    "attempts": "Attempts",
}
"""Of an execution, by their names in the program, and as they are read."""

TO_COME: dict[str, str] = {"schedules": "Schedules come with the scheduler"}
"""By id, keys of screens that there are not yet, and what is said instead."""


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
    only_looks: bool = False
    """One that acts and changes nothing of an execution or template: it stays where the screen only reads."""
    hinted: tuple[View, ...] = ()
    """The screens whose footer has it; none: all that have it."""

    @property
    def changes(self) -> bool:
        return self.group == "Act" and not self.only_looks


RUNS: tuple[View, ...] = ("dashboard", "run")
"""Screens on which an execution is at hand."""

LISTS: tuple[View, ...] = ("executions", "failures", "search")
"""Screens with executions at full width."""
WITH_PROBLEMS: tuple[View, ...] = (*RUNS, "executions")
HAVING_RUNS: tuple[View, ...] = (*RUNS, *LISTS)

TEMPLATES: tuple[View, ...] = ("templates",)
HAVING_TEMPLATES: tuple[View, ...] = (*RUNS, *TEMPLATES)
"""Screens on which a template is at hand."""
RUNNING_TEMPLATES: tuple[View, ...] = (*HAVING_TEMPLATES, *LISTS)
RUN: tuple[View, ...] = ("run",)
DIFF: tuple[View, ...] = ("diff",)
TABBED: tuple[View, ...] = (*TEMPLATES, *RUN)
FILTERED: tuple[View, ...] = ("dashboard", "executions", "search")
"""Screens with a list that can be filtered."""
UNDOING: tuple[View, ...] = ("dashboard", "executions")
LISTED: tuple[View, ...] = ("dashboard", *LISTS)
LOGGING: tuple[View, ...] = (*RUNS, "executions")
"""Screens with a log, or a list that grows as one."""
MARKED: tuple[View, ...] = ("dashboard", "executions")
"""Screens with a list that is sorted, and of which some can be marked."""
SEEKING: tuple[View, ...] = ("run", "templates", "workers", "failures", "diff")
"""Screens on which `/` looks for words in the pane that has the keys."""

KEYS: tuple[Key, ...] = (
    Key("run", "r", "r", "run", "Run", "Run the selected template; its input is asked for", "Act", RUNNING_TEMPLATES),
    Key("cancel", "c", "c y", "cancel", "Cancel", "Cancel the selected execution and what it runs", "Act", HAVING_RUNS),
    Key(
        "terminate",
        "X",
        "X",
        "terminate",
        "",
        "End it: its id is typed; also where its worker is hung",
        "Act",
        HAVING_RUNS,
    ),
    Key("retry", "t", "t y", "retry", "Retry", "Retry it from the steps that did not complete", "Act", HAVING_RUNS),
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
    Key("travel", "H", "H", "travel", "Past", "Look at it as it was after an event of its log; esc: now", "Look", RUN),
    Key("inspect", "i", "i", "inspect", "Values", "Input and output as JSON, then as YAML", "Look", RUN),
    Key("pause", "p", "p y", "pause", "Pause", "Pause it and its children, or let it go on", "Act", HAVING_RUNS),
    Key("answer", "A", "A", "answer", "Answer", "Answer what it waits for: an approval, a signal", "Act", HAVING_RUNS),
    Key(
        "export",
        "E",
        "E",
        "export",
        "",
        "Write it to a file: SVG, HTML, JSON lines, a trace",
        "Act",
        HAVING_RUNS,
        only_looks=True,
    ),
    Key(
        "yank", "y", "y", "yank", "", "Yank: copy its id, command line, TRN, output or error", "Act", HAVING_RUNS, True
    ),
    Key(
        "yank_template",
        "y",
        "y",
        "yank_template",
        "",
        "Yank: copy its name, command line, TRN, file or source",
        "Act",
        TEMPLATES,
        True,
    ),
    Key(
        "export_template",
        "E",
        "E",
        "export_template",
        "",
        "Write it to a file: its source, or its plan as JSON",
        "Act",
        TEMPLATES,
        True,
    ),
    Key(
        "simulate",
        "s",
        "s",
        "simulate",
        "Simulate",
        "Show what an execution would do, without doing it",
        "Act",
        RUNNING_TEMPLATES,
        True,
    ),
    Key("edit", "e", "e", "edit", "Edit", "Open the template in $EDITOR, at this line", "Act", RUNNING_TEMPLATES),
    Key("drain", "b", "b y", "stop_worker", "Drain", "Stop it: it gives its executions back", "Act", ("workers",)),
    Key("yank_worker", "y", "y", "yank", "", "Yank: copy its id, process or command line", "Act", ("workers",), True),
    Key("describe_worker", "d", "d", "describe", "Describe", "All that is known of it", "Look", ("workers",)),
    Key("open", "enter", "⏎", "open", "", "Go from an execution to its steps, from a step to all of it", "Look", RUNS),
    Key("open_run", "enter", "⏎", "open", "Open", "Open the selected execution", "Look", ("executions", "search")),
    Key("open_held", "enter", "⏎", "open", "Open", "Open an execution that it holds", "Look", ("workers",)),
    Key("open_group", "enter", "⏎", "open", "Open", "Unfold the group, or open the execution", "Look", ("failures",)),
    Key("span", "right_square_bracket", "]", "tab(1)", "Time", "A longer time", "Look", ("failures",)),
    Key("span_back", "left_square_bracket", "[", "tab(-1)", "", "A shorter time", "Look", ("failures",)),
    Key("kind", "right_square_bracket", "]", "tab(1)", "Kind", "Executions, steps, log lines", "Look", ("search",)),
    Key("kind_back", "left_square_bracket", "[", "tab(-1)", "", "Kind before", "Look", ("search",)),
    Key("group", "J", "J", "problem(1)", "", "Next group", "Move", ("failures",)),
    Key("group_back", "K", "K", "problem(-1)", "", "Group before", "Move", ("failures",)),
    Key("filter", "slash", "/", "filter", "Filter", "Only what matches, as status:failed err~503", "Look", FILTERED),
    Key("save_view", "B", "B", "save_view", "", "Keep this filter under a name", "Look", FILTERED),
    Key("open_view", "apostrophe", "'", "open_view", "", "Open a filter that was kept", "Look", FILTERED),
    Key(
        "sort",
        "o",
        "o",
        "sort",
        "Sort",
        "Sort by start, end, duration or creation",
        "Look",
        MARKED,
        hinted=("executions",),
    ),
    Key("reverse", "O", "O", "reverse", "", "The other way round", "Look", MARKED),
    Key(
        "mark",
        "space",
        "space",
        "mark",
        "Mark",
        "Mark it; c t p then act on all marked",
        "Look",
        MARKED,
        hinted=("executions",),
    ),
    Key("mark_range", "v", "v", "mark_range", "", "Mark all from the last marked one", "Look", MARKED),
    Key("diff_marked", "D", "D", "diff", "", "What differs between two marked ones", "Look", ("executions",)),
    Key("mark_all", "a", "a", "mark_all", "", "Mark all that match, or none", "Look", MARKED),
    Key("watch", "W", "W", "watch", "", "Say when it ends or asks: here, by the bell", "Look", HAVING_RUNS),
    Key("undo", "u", "u", "undo(-1)", "", "Take back the last change of filter or marks", "Look", UNDOING),
    Key("redo", "U", "U", "undo(1)", "", "Do it again", "Look", UNDOING),
    Key("open_log", "l", "l", "open_tab('log')", "Log", "Open it at its log", "Look", LISTS),
    Key("open_values", "i", "i", "open_tab('values')", "", "Open it at its input and output", "Look", LISTED),
    Key("follow", "f", "f", "follow", "", "Stay with the newest line or execution, or stop so", "Look", LOGGING),
    Key("log", "l", "l", "toggle_log", "Log", "Log of everything, or of the selected execution alone", "Look", RUNS),
    Key(
        "describe",
        "d",
        "d",
        "describe",
        "Describe",
        "All that is known of it, in words, and what now",
        "Look",
        HAVING_RUNS,
    ),
    Key(
        "describe_template",
        "d",
        "d",
        "describe_template",
        "",
        "All that is known of the template, in words",
        "Look",
        TEMPLATES,
    ),
    Key("history", "h", "h", "history", "History", "All executions of this template", "Look", RUNNING_TEMPLATES),
    Key(
        "zoom",
        "z",
        "z",
        "zoom",
        "Zoom",
        "Give the whole screen to this pane, and take it back",
        "Look",
        (*HAVING_TEMPLATES, *LISTS, "workers"),
        hinted=HAVING_TEMPLATES,
    ),
    Key("pane", "tab", "tab", "next_pane", "Pane", "Next pane (shift+tab: the one before)", "Move", HAVING_TEMPLATES),
    Key("pane_back", "shift+tab", "shift+tab", "previous_pane", "", "Pane before", "Move", HAVING_TEMPLATES),
    Key("back", "escape", "esc", "back", "", "Back: out of the zoom, to the executions, to the dashboard", "Move"),
    Key("problem", "J", "J", "problem(1)", "", "Next failure; then what waits, is late, runs", "Move", WITH_PROBLEMS),
    Key("problem_back", "K", "K", "problem(-1)", "", "The one before", "Move", WITH_PROBLEMS),
    Key("choose", "enter", "⏎", "choose", "", "The next value; on the clipboard: copy a test", "Look", ("settings",)),
    Key("value", "right", "→", "change(1)", "Next", "The next value", "Look", ("settings",)),
    Key("value_back", "left", "←", "change(-1)", "Before", "The value before", "Look", ("settings",)),
    Key("commands", "colon,ctrl+p", ":", "commands", "Commands", "Find anything by its name, and do it", "Look"),
    Key("menu", "semicolon", ";", "menu", "", "What can be done in this pane", "Look"),
    Key("open_settings", "comma", ",", "view('settings')", "", "Theme, signs, keys, clipboard", "Look"),
    Key("refresh", "ctrl+r", "ctrl+r", "refresh", "", "Read all again, from the database as it is now", "Look"),
    Key("redraw", "ctrl+l", "ctrl+l", "redraw", "", "Draw the whole screen again", "Look"),
    Key("go_to", "enter", "⏎", "open", "", "To the text, to a problem, to what a version changed", "Look", TEMPLATES),
    Key("tab", "right_square_bracket", "]", "tab(1)", "Tab", "Next tab", "Look", TABBED),
    Key("tab_back", "left_square_bracket", "[", "tab(-1)", "", "Tab before", "Look", TABBED),
    Key(
        "diff",
        "D",
        "D",
        "diff",
        "Diff",
        "What changed since the version before; or in the file",
        "Look",
        TEMPLATES,
    ),
    Key("mistake", "J", "J", "problem(1)", "Problem", "Next problem of the template", "Move", TEMPLATES),
    Key("mistake_back", "K", "K", "problem(-1)", "", "Problem before", "Move", TEMPLATES),
    Key("event_back", "b", "b", "event(-1)", "", "In the past: one event back", "Move", RUN),
    Key("event_on", "full_stop", ".", "event(1)", "", "One event on", "Move", RUN),
    Key("change_back", "less_than_sign", "<", "step_change(-1)", "", "Back to where a step changed", "Move", RUN),
    Key("change_on", "greater_than_sign", ">", "step_change(1)", "", "On to where a step changes", "Move", RUN),
    Key("play", "R", "R", "play", "", "Play it from there, or hold it", "Look", RUN),
    Key("wrap", "w", "w", "wrap", "", "Wrap the lines of the log; in the past: play faster", "Look", RUNS),
    Key("level", "L", "L", "level", "", "Only graver lines of the log, then all again", "Look", RUNS),
    Key("only_step", "S", "S", "only_step", "", "The log of this step alone, then of all", "Look", RUNS),
    Key("times", "number_sign", "#", "times", "", "The log with its times, or without", "Look", RUNS),
    Key("mark_line", "m", "m", "mark_line", "", "Mark this line of the log; n N go from mark to mark", "Look", RUNS),
    Key("unfold", "x", "x", "fold", "", "Fold or unfold: items of a step, the rest, a value, a stack", "Look", RUNS),
    Key("closer", "plus,equals_sign", "+", "magnify(1)", "", "Timeline: a smaller part of the time", "Look", RUNS),
    Key("further", "underscore", "_", "magnify(-1)", "", "Timeline: a larger part", "Look", RUNS),
    Key("fit", "0", "0", "magnify(0)", "", "Timeline: all of the time", "Look", RUNS),
    Key("later", "right", "→", "pan(1)", "", "Timeline: the part after this one", "Move", RUNS),
    Key("earlier", "left", "←", "pan(-1)", "", "Timeline: the part before", "Move", RUNS),
    Key("critical", "P", "P", "critical_only", "", "Timeline: only the critical path, or all", "Look", RUNS),
    Key("find", "slash", "/", "find", "", "Look for words in this pane", "Look", SEEKING),
    Key("match", "n", "n", "match(1)", "", "Next place that was found", "Move", ("dashboard", *SEEKING)),
    Key("match_back", "N", "N", "match(-1)", "", "The place before", "Move", ("dashboard", *SEEKING)),
    Key("validate", "V", "V", "validate", "Check", "Validate and lint it now", "Look", TEMPLATES),
    Key("watch_files", "w", "w", "watch_files", "", "Watch the files, or do not", "Look", TEMPLATES),
    Key("schedules", "4", "4", "to_come", "", "Schedules, which come with the scheduler", "Look"),
    Key("last_view", "minus", "-", "last_view", "", "The view before this one", "Look"),
    Key(
        "diff_runs",
        "D",
        "D",
        "diff",
        "Diff",
        "What differs from the last completed execution",
        "Look",
        (*RUNS, "failures", "search"),
        hinted=RUNS,
    ),
    Key("differing", "J", "J", "problem(1)", "", "Next step that differs", "Move", DIFF),
    Key("differing_back", "K", "K", "problem(-1)", "", "The one before", "Move", DIFF),
    Key("differing_pane", "tab", "tab", "next_pane", "Pane", "To the differences, and back", "Move", DIFF),
    Key("open_step", "enter", "⏎", "open", "Open", "Open the second execution at this step", "Look", DIFF),
    Key("help", "question_mark", "?", "help", "Help", "This help", "Look"),
    Key("quit", "q", "q", "leave", "Quit", "Quit; running executions go on", "Leave"),
    Key("copy", "ctrl+c", "ctrl+c", "copy_or_leave", "", "Copy what is selected; else ask whether to quit", "Leave"),
    Key("suspend", "ctrl+z", "ctrl+z", "suspend", "", "Back to the shell; fg comes back here", "Leave"),
)

MENUS: dict[str, tuple[str, ...]] = {
    "executions": (
        "describe",
        "history",
        "open_log",
        "open_values",
        "watch",
        "diff_runs",
        "diff_marked",
        "sort",
        "reverse",
        "mark",
        "mark_range",
        "mark_all",
    ),
    "failures": ("describe", "history", "open_log", "open_values", "diff_runs", "find"),
    "found": ("describe", "history", "open_log", "open_values", "diff_runs"),
    "timeline": ("describe", "watch", "diff_runs", "find", "critical", "fit", "unfold"),
    "graph": ("describe", "find", "unfold"),
    "attempts": ("describe", "find"),
    "log": ("follow", "mark_line", "unfold", "find", "wrap", "level", "only_step", "times"),
    "events": ("follow", "mark_line", "unfold", "find", "wrap", "level", "only_step", "times"),
    "values": ("inspect", "unfold", "find"),
    "list": ("describe_template", "history", "diff", "validate", "watch_files", "find"),
    "templates": ("describe_template", "history", "diff", "validate", "watch_files"),
    "source": ("describe_template", "history", "diff", "validate", "watch_files", "find"),
    "workers": ("open_held", "describe_worker", "find"),
}
"""By pane, the keys of its menu beside all that act; those that its screen does not have are left out."""

WORDS: dict[str, str] = {
    "run": "start execute launch new",
    "cancel": "stop abort",
    "terminate": "kill end stop force",
    "retry": "rerun redo again redrive",
    "retry_from": "fork restart redrive resume",
    "travel": "time travel past replay rewind scrub",
    "inspect": "input output json yaml",
    "open_values": "input output json yaml values inspect",
    "pause": "resume hold continue suspend unpause",
    "answer": "approve approval refuse reject signal send",
    "export": "save download svg html",
    "yank": "clipboard",
    "yank_template": "clipboard",
    "yank_worker": "clipboard",
    "simulate": "dry plan predict preview what-if",
    "edit": "editor source",
    "drain": "stop kill workers",
    "filter": "search find query",
    "find": "search",
    "history": "executions runs",
    "describe": "execution info details explain",
    "describe_template": "get info details explain",
    "describe_worker": "workers info details",
    "open": "enter steps",
    "open_log": "logs",
    "log": "logs",
    "watch": "stream notify notification bell",
    "diff": "compare versions",
    "diff_runs": "compare",
    "diff_marked": "compare",
    "problem": "failure failed error next",
    "problem_back": "failure failed error previous",
    "mistake": "error lint",
    "validate": "lint check",
    "critical": "bottleneck longest slowest",
    "level": "errors warnings severity",
    "wrap": "speed",
    "open_settings": "preferences config themes",
    "refresh": "reload reconnect",
    "mark": "select",
    "mark_all": "select everything",
    "help": "keys shortcuts",
    "quit": "exit leave",
    "executions": "runs list jobs",
    "templates": "workflows flows list",
    "workers": "fleet hosts doctor",
    "search": "find logs",
    "failures": "errors problems",
    "settings": "preferences config themes",
    "timeline": "steps gantt bars",
    "graph": "dag",
    "values": "input output json yaml",
    "attempts": "tries",
}
"""By the id of a key, or the name of a screen or of an execution's tab: other words that people look for it by."""

MOVES: tuple[tuple[str, str], ...] = (
    ("j k  ↓ ↑", "Line down, up"),
    ("g G  Home End", "First, last"),
    ("ctrl+d ctrl+u", "Half a page down, up"),
    ("PgDn PgUp", "A page down, up"),
    ("← →", "To the parts of long lines that are out of sight, in a text"),
)


def keys_of(view: View) -> list[Key]:
    return [key for key in KEYS if not key.views or view in key.views]


def other_words(name: str, label: str = "") -> tuple[str, ...]:
    """Other words for the key, screen or tab of this name, in small letters."""
    return (name, *f"{label} {WORDS.get(name, '')}".lower().split())


def hints_of(view: View, *, read_only: bool) -> list[Key]:
    """Those that its footer has: none that is off."""
    named = (key for key in keys_of(view) if key.label and (not key.hinted or view in key.hinted))
    return [key for key in named if not (read_only and key.changes)]


def where_is(name: str, changed: Mapping[str, str]) -> str | None:
    """On which screens a key does something, as Textual names it; None: on none. `changed`: by id, the keys that are
    not those of the table."""
    views = {view for key in KEYS if name in changed.get(key.id, key.keys).split(",") for view in key.views}
    return where(views) if views else None


def where(views: Iterable[View]) -> str:
    """`Executions or Search`; no more than two of them."""
    titles = {view: title for view, title, _ in VIEWS.values()} | WAYS_TO
    return " or ".join([title for view, title in titles.items() if view in set(views)][:2])


def bindings(view: View) -> list[Binding]:
    keys = [Binding(key.keys, key.action, key.help, show=False, id=key.id) for key in keys_of(view)]
    views = [Binding(digit, f"view('{name}')", title, show=False, id=name) for digit, (name, title, _) in VIEWS.items()]
    return [*keys, *views]
