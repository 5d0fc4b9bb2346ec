"""Finding what can be done: all of it by its name, and that of the pane that has the keys in a menu."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import events, work
from textual.keys import format_key
from textual.widget import Widget

from stepflow.errors import WorkflowEngineError
from stepflow_tui.keymap import KEYS, MENUS, TO_COME, VIEWS, Key, keys_of, other_words, where, where_is
from stepflow_tui.messages import ProfileAsked
from stepflow_tui.presentation.commands import command_line
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.remapping import shown
from stepflow_tui.screens.frame import Frame
from stepflow_tui.widgets.bar import Bar
from stepflow_tui.widgets.fresh_list import FreshList
from stepflow_tui.widgets.lines import LineView

if TYPE_CHECKING:
    from stepflow_tui.panes.palette import Choosing, Command, Palette


class Commanding(Frame):
    DEFAULT_CSS = """
    Commanding.-alone #header, Commanding.-alone #tabs, Commanding.-alone #beside { display: none; }
    """
    _focused_before: Widget | None = None
    """What had the keys before they were asked for."""

    async def on_mount(self) -> None:
        self.session.hear_of_trouble.add(self._trouble_changed)
        self._tell_lists()

    def on_unmount(self) -> None:
        self.session.hear_of_trouble.discard(self._trouble_changed)

    def _trouble_changed(self) -> None:
        self.show_header()
        self._tell_lists()
        if self.session.storage_trouble is None and self.app.screen is self:
            self.storage_came_back()

    def _tell_lists(self) -> None:
        for pane in self.query(FreshList):
            pane.freshness.cut_off(self.session.storage_trouble is not None)

    def miss(self) -> None:
        """Something happened that its lists do not show yet; none where it is being left: they are gone."""
        for pane in self.query(FreshList):
            pane.freshness.miss()

    def storage_came_back(self) -> None:
        """What is shown is read again, while it is the screen that is seen."""
        self.run_worker(self.guarded(self.reload()), group="came back", exclusive=True)

    def on_key(self, event: events.Key) -> None:
        """One that does nothing here, and something elsewhere, says where."""
        focused, changed = self.focused, self.session.changed_keys
        is_list = isinstance(focused, LineView) and not isinstance(focused, Bar)
        if not is_list and focused is not None:
            return
        if any(event.key in changed.get(key.id, key.keys).split(",") for key in keys_of(self.view)):
            return
        place = where_is(event.key, changed)
        if place is not None:
            self.close_overlay()
            self.note(f"{format_key(event.key)} is on {place}")

    def why_not(self, key: Key) -> str | None:
        return TO_COME.get(key.id) or super().why_not(key)

    def action_zoom(self) -> None:
        """A list has the screen but for the lines around it: it gets those too."""
        self.toggle_class("-alone")

    async def action_back(self) -> None:
        if self.has_class("-alone"):
            self.remove_class("-alone")
        else:
            await super().action_back()

    def action_to_come(self) -> None:
        """`why_not` says so."""

    def action_commands(self) -> None:
        if self._is_asked():
            return
        from stepflow_tui.panes.palette import Palette

        self._focused_before = self.focused
        palette = Palette(self._commands(), self._called, self._elsewhere)
        self.mount(palette)
        self.set_focus(palette)  # at once: what is typed next is no key of the screen
        self._add_commands()

    def _is_asked(self) -> bool:
        """Already; it has the keys again."""
        for palette in self.query("#palette"):
            self.set_focus(palette)
            return True
        return False

    @property
    def _elsewhere(self) -> list[str]:
        """Where to look for what has no such name."""
        is_search = self.view == "search"
        ways = {"filter": "searches" if is_search else "filters the list", "find": "looks in the pane"}
        changed = self.session.changed_keys
        here = [f"{shown(key, changed)} {ways[key.id]}" for key in keys_of(self.view) if key.id in ways]
        return here if is_search else [*here, "6 searches"]

    async def _called(self, name: str) -> list[Command]:
        """The execution of this id, short or whole."""
        from stepflow_tui.panes.palette import Command

        try:
            run = await self.client.get_run(name, bodies=False)
        except WorkflowEngineError:
            return []
        text = f"Open execution {short_id(run.id)} {run.template}, {run.status.value}"
        line = command_line(["open", run.id], self.session.place)
        return [Command(text, "", partial(self.show_above, "run", run.id), line=line)]

    def _commands(self) -> list[Command]:
        """What has a key here, what has one elsewhere, the screens, the themes."""
        from stepflow_tui.panes.palette import Command

        changed, here = self.session.changed_keys, keys_of(self.view)
        commands = [self._command_of(key) for key in here if key.id != "commands"]
        for digit, (view, title, _) in VIEWS.items():
            why_not = "it is here" if view == self.view else None
            show = partial(self.action_view, view)
            commands.append(Command(f"Screen: {title}", digit, show, why_not, others=other_words(view)))
        commands += self.tab_commands()
        elsewhere = (key for key in KEYS if key not in here)
        commands += [
            Command(
                key.help, shown(key, changed), None, f"on {where(key.views)}", others=other_words(key.id, key.label)
            )
            for key in elsewhere
        ]
        commands += self._profile_commands()
        themes = self.session.themes
        return [*commands, *(Command(f"Theme: {name}", "", partial(self._set, "theme", name)) for name in themes)]

    def tab_commands(self) -> list[Command]:
        """The tabs of what is at hand."""
        return []

    def _profile_commands(self) -> list[Command]:
        from stepflow_tui.panes.palette import Command

        shown_one = "" if self.session.profile is None else self.session.profile.name
        commands = []
        for profile in self.session.profiles():
            name = profile.name or "none, as it began"

            async def ask(name: str = profile.name) -> None:
                self.app.post_message(ProfileAsked(name))

            why_not = "it is shown" if profile.name == shown_one else profile.trouble
            commands.append(Command(f"Profile: {name}", "", ask, why_not))
        return commands

    def _command_of(self, key: Key) -> Command:
        from stepflow_tui.panes.palette import Command

        changed = self.session.changed_keys
        return Command(
            key.help,
            shown(key, changed),
            partial(self.app.run_action, key.action, self),
            self.why_not(key),
            self.command_line(key),
            tuple(changed.get(key.id, key.keys).split(",")),
            other_words(key.id, key.label),
        )

    def command_line(self, key: Key) -> str | None:
        """What does the same in a shell."""
        return None

    @work(group="commands", exclusive=True)
    async def _add_commands(self) -> None:
        """What has to be read first."""

    async def _set(self, name: str, value: str) -> None:
        try:
            self.session.set(name, value)
        except WorkflowEngineError as error:
            self.note(error.message, "bad")

    def action_menu(self) -> None:
        """Of the pane that has the keys."""
        if self._is_asked():
            return
        from stepflow_tui.panes.menu import Menu

        pane = self.focused
        own = () if pane is None else MENUS.get(pane.id or "", ())
        keys = [key for key in keys_of(self.view) if key.id in own or (key.views and key.group == "Act")]
        commands = [*map(self._command_of, keys), *self.more_commands()]
        if not commands:
            self.note("Nothing is to be done here but to look")
            return
        self._focused_before = pane
        titles = {view: title for view, title, _ in VIEWS.values()}
        menu = Menu((pane.id if pane is not None and pane.id else titles.get(self.view, self.view)).title(), commands)
        self.mount(menu)
        self.set_focus(menu)  # at once: what is typed next is no key of the screen

    def more_commands(self) -> list[Command]:
        """What can be done in the pane that has the keys, and has no key."""
        return []

    async def on_choosing_yanked(self, message: Choosing.Yanked) -> None:
        await self.query("#palette").remove()
        self._focus_again()
        self.note(f"Copied {message.line} by {self.copy(message.line)}")

    def _focus_again(self) -> None:
        if self._focused_before is not None and self._focused_before.is_mounted:
            self.set_focus(self._focused_before)
        else:
            self.focus_main()

    async def on_palette_closed(self, message: Palette.Closed) -> None:
        await self.query("#palette").remove()
        self._focus_again()
        command = message.command
        if command is not None and command.why_not is not None:
            self.note(f"{command.text}: {command.why_not}")
        elif command is not None and command.do is not None:
            self.app.call_later(command.do)  # not from within: it may leave this screen
