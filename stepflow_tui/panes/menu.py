"""What can be done in the pane that has the keys: a key of the list or enter does it, what cannot be done says why."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult

from stepflow_tui.panes.palette import COPIES, Choosing, Command, CommandLine, CommandList, Palette, Row

MOVES = {"down": 1, "j": 1, "up": -1, "k": -1, "pagedown": 10, "pageup": -10}


class Menu(Choosing):
    def __init__(self, title: str, commands: list[Command]) -> None:
        """Those that can be done stand first."""
        super().__init__(id="palette")
        self._title = title
        self._commands = sorted(commands, key=lambda one: one.why_not is not None)

    def compose(self) -> ComposeResult:
        yield CommandList()
        yield CommandLine(f"{self._title}: a key or enter does it · esc", COPIES)

    def on_mount(self) -> None:
        self.list.show([Row(command) for command in self._commands], 0)
        self._say()

    def on_key(self, event: events.Key) -> None:
        event.stop()
        event.prevent_default()
        selected = self.list.selected
        if event.key in MOVES:
            self.list.action_move(MOVES[event.key])
        elif event.key == "enter":
            self.post_message(Palette.Closed(selected))
        elif event.key == COPIES:
            self.yank()
        else:
            chosen = next((one for one in self._commands if event.key in one.names), None)
            self.post_message(Palette.Closed(chosen))
