"""The settings: what each may be and what it means, changed at once, here and in the person's file."""

from __future__ import annotations

import os
from pathlib import Path
from textwrap import wrap
from typing import ClassVar

from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import BindingType

from stepflow_tui.clipboard import first_way
from stepflow_tui.config import CHOICES, ConfigError
from stepflow_tui.keymap import bindings
from stepflow_tui.presentation.settings import SETTINGS, preview_lines, profile_lines, setting_row, themes_say
from stepflow_tui.presentation.spans import Line, safe
from stepflow_tui.screens.commanding import Commanding
from stepflow_tui.session import Session
from stepflow_tui.theme import DEFAULT, own_themes
from stepflow_tui.widgets.bar import Bar
from stepflow_tui.widgets.lines import LineView

LOOK_SECONDS = 0.5
"""How soon a file that was saved elsewhere is seen, while this screen is."""
TEST = "copied by stepflow"
COLOURS = {None: "no colours", "standard": "16 colours", "256": "256 colours", "truecolor": "truecolor"}
"""By what Rich calls them."""
WINNERS = {"theme": "STEPFLOW_THEME", "glyphs": "STEPFLOW_ASCII"}
"""Variables of the environment that win over the file."""


class SettingsList(LineView):
    BORDER_TITLE = "8 Settings"

    def __init__(self, session: Session) -> None:
        super().__init__(id="settings")
        self._session = session

        self._way = ""
        """Of the clipboard, by `auto`."""
        self._own_themes: set[str] = set()

    def on_mount(self) -> None:
        self.set_rows(len(SETTINGS))
        self._way = first_way(is_web=self.app.is_web)

    def look_again(self) -> None:
        """At what is in files."""
        file = self._session.config.file
        self._own_themes = own_themes(None if file is None else file.parent / "themes")
        self.refresh()

    @property
    def selected(self) -> str:
        return SETTINGS[self.cursor].name

    def line_at(self, row: int, width: int) -> Line:
        setting = SETTINGS[row]
        name, value, glyphs = setting.name, self.value_of(setting.name), self._session.glyphs
        winner = WINNERS.get(name)
        wins = winner is not None and bool(os.environ.get(winner))
        says = self._themes_say(value) if name == "theme" else ""
        return setting_row(setting, value, width, winner if wins else None, glyphs, self._came_to(name), says)

    def _came_to(self, name: str) -> str:
        """What `auto` is here and now."""
        match name:
            case "glyphs":
                return "ascii" if self._session.glyphs.ascii_only else "unicode"
            case "clock":
                return {0.5: "twice a second", 1.0: "once a second"}.get(self._session.tick_seconds or 0, "")
            case "clipboard":
                return self._way
            case _:
                return ""

    def _themes_say(self, value: str) -> str:
        themes = self._session.themes
        own = self._own_themes.intersection(themes)
        colours = "no colours" if self.app.no_color else COLOURS[self.app.console.color_system]
        return themes_say(len(themes), len(own), value in own, colours)

    def value_of(self, name: str) -> str:
        if name == "theme":
            return self.app.theme
        return self._session.config.setting(name)

    def action_scroll_left(self) -> None:
        raise SkipAction  # the screen's key

    def action_scroll_right(self) -> None:
        raise SkipAction  # the screen's key


class Preview(LineView, can_focus=False):
    """What is wrong, then every sign and every style, in the colours at hand."""

    BORDER_TITLE = "As it looks"
    has_cursor = False

    def __init__(self, session: Session) -> None:
        super().__init__(id="preview")
        self._session = session
        self._lines: list[Line] = []

    def on_resize(self) -> None:
        self.show()

    def show(self) -> None:
        width = max(10, self.size.width - 2)
        troubles: list[Line] = []
        for one in self._session.troubles:
            first, *others = wrap(safe(one), width)
            troubles += [[(f"! {first}", "bad")], *([(f"  {other}", "bad")] for other in others)]
        profile = self._session.profile
        profiles = profile_lines(self._session.profiles(), "" if profile is None else profile.name, width)
        self._lines = [*troubles, *profiles, *preview_lines(self._session.glyphs)]
        self.set_rows(len(self._lines))

    def line_at(self, row: int, width: int) -> Line:
        return self._lines[row]


class SettingsView(Commanding):
    view = "settings"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("settings")]
    CSS = "SettingsView #settings { height: auto; max-height: 60%; }"

    def compose(self) -> ComposeResult:
        yield Bar(id="header")
        yield SettingsList(self.session)
        yield Preview(self.session)
        yield Bar(id="footer")

    @property
    def pane(self) -> SettingsList:
        return self.query_one(SettingsList)

    async def on_mount(self) -> None:
        self.pane.focus()
        self.set_interval(LOOK_SECONDS, self._look)
        self._show()

    def focus_main(self) -> None:
        self.pane.focus()

    async def reload(self) -> None:
        self._show()

    def _show(self) -> None:
        self.pane.border_subtitle = safe(self._file()).replace("[", "\\[")
        self.pane.look_again()
        self.query_one(Preview).show()

    def _file(self) -> str:
        file = self.session.config.file
        return "kept nowhere" if file is None else str(file).replace(str(Path.home()), "~", 1)

    def _look(self) -> None:
        if self.session.look_at_settings():
            self._show()

    def action_change(self, by: int) -> None:
        name = self.pane.selected
        winner = WINNERS.get(name)
        if winner is not None and os.environ.get(winner):
            self.note(f"{winner} is set and wins over the file; unset it to choose here")
            return
        choices = self.session.themes if name == "theme" else CHOICES[name]
        now = self.pane.value_of(name)
        index = choices.index(now) if now in choices else choices.index(DEFAULT)
        try:
            self.session.set(name, choices[(index + by) % len(choices)])
        except ConfigError as error:
            self.note(error.message, "bad")
        self._show()

    def action_choose(self) -> None:
        if self.pane.selected == "clipboard":
            self.note(f"Copied '{TEST}' by {self.copy(TEST)}; paste it somewhere to see")
        else:
            self.action_change(1)
