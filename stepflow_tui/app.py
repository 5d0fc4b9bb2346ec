"""The app: opens the client, shows the dashboard, and leaves the terminal as it was."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events, work
from textual.actions import ActionParseResult
from textual.app import App
from textual.css.query import NoMatches
from textual.dom import DOMNode
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.filter import LineFilter
from textual.timer import Timer
from textual.worker import WorkerFailed

from stepflow.client import Client
from stepflow.dsl.diagnostics import did_you_mean
from stepflow.errors import WorkflowEngineError
from stepflow.model.run import RunRecord
from stepflow_tui.config import Config, memory_file, reports_folder, user_folder
from stepflow_tui.driver import LoopDriver
from stepflow_tui.keymap import keys_of
from stepflow_tui.messages import ProfileAsked, RefreshAsked
from stepflow_tui.presentation.breakpoints import read_breakpoints
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.profiles import Profile, client_of, find_profile, read_profiles
from stepflow_tui.remapping import keys_in_place
from stepflow_tui.remembering import Memory
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.frame import Frame
from stepflow_tui.session import Session
from stepflow_tui.terminal import given_environment, is_drawn_here, shows_only_ascii
from stepflow_tui.theme import DEFAULT, STYLES, load_themes, stamp_of
from stepflow_tui.typed_ahead import TypedAhead
from stepflow_tui.widgets.bar import Question
from stepflow_tui.widgets.lines import LineView
from stepflow_tui.widgets.only_ascii import OnlyAscii
from stepflow_tui.widgets.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

ASK_WHETHER_TAKEN = "\x1b[?2026$p"
"""A question that terminals with synchronised output answer, in its turn: when they have taken what came before."""
RESIZED_SECONDS = 0.1
"""So long after the last change of the size all is drawn once more."""
SETTLED_SECONDS = 1.5
"""After this all is there that stays."""
MOST_WAIT_SECONDS = 2.0
"""For an answer, which may be lost where something else had the terminal meanwhile."""
SWITCH_SECONDS = 0.0005
"""So long a thread that reads may keep a key waiting; Python's own is ten times as long."""
MOST_ENDING_SECONDS = 3.0
M_MMAP_THRESHOLD = -3
"""What `malloc.h` calls it."""
LARGE_BLOCK = 1024 * 1024
"""Bytes."""


class StepFlowApp(App[int]):
    """The terminal UI on one database. `start_worker`: start one when none is alive; `run`: begin on this execution,
    not where it was left, which `memory` knows; `config`: None is the settings of nobody; `reports`: where a defect is
    written down, None: nowhere."""

    TITLE = "StepFlow"
    ENABLE_COMMAND_PALETTE = False
    DEFAULT_MODE = "storage"
    CSS_PATH = ["screens/frame.tcss", "screens/dashboard.tcss"]  # noqa: RUF012 - as Textual declares it

    def __init__(
        self,
        client: Client,
        *,
        start_worker: bool = True,
        run: RunRecord | None = None,
        read_only: bool = False,
        config: Config | None = None,
        reports: Path | None = None,
        profile: Profile | None = None,
        memory: Memory | None = None,
    ) -> None:
        super().__init__()
        self.client = client
        self._reports = reports
        self._rules = (start_worker, read_only)
        """Of every storage that is opened."""
        self._switching = asyncio.Lock()
        self._first = profile or _unnamed(client)
        """The storage that it began with."""
        self.animation_level = "none"
        self.session = self._session_on(client, profile, Config() if config is None else config)
        self._memory = memory
        self._dashboard = Dashboard(self.session, run=run)
        if run is None:
            self._begin_as_left(self._dashboard)
        self.add_mode(self.DEFAULT_MODE, lambda: self._dashboard)
        self._drafts = {client.url: self.session.drafts}
        """By storage, what could not be saved yet."""
        self._only_ascii = OnlyAscii()
        self._typed_ahead = TypedAhead(self, self._do_key)
        self._resized: Timer | None = None
        self._answered = asyncio.Event()
        self._answers = False
        """The terminal does, when it is asked whether it has taken what was written."""
        self.configure()
        self._themes_stamp = stamp_of(self._themes_folder)
        self._first_variables = self.get_css_variables()
        self.stylesheet.set_variables(self._first_variables)

    def _session_on(self, client: Client, profile: Profile | None, config: Config) -> Session:
        start_worker, read_only = self._rules
        only_reads = read_only or (profile is not None and profile.read_only)
        session = Session(
            client, Glyphs(), start_worker=start_worker, read_only=only_reads, config=config, profile=profile
        )
        session.configure = self.configure
        session.look_at_settings = self.look_at_settings
        session.profiles = self._profiles
        session.taken = self.taken
        return session

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded:
            await self._typed_ahead.take(event)
        else:
            await super().on_event(event)

    async def _do_key(self, event: events.Key) -> bool:
        """One of the screen is done at once. Textual would first send it through all that could want it. False: it was
        sent on."""
        focused = self.focused
        is_list = isinstance(focused, LineView) and not isinstance(focused, Question)
        if isinstance(self.screen, Frame) and is_list and await self._check_bindings(event.key):
            if isinstance(self.screen, Frame):  # perhaps another one by now
                self.screen.hurry()
            return True
        await super().on_event(event)
        return False

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """What a key cannot do now, it says."""
        if isinstance(default_namespace, Frame):
            default_namespace.close_overlay()
            for key in keys_of(default_namespace.view):
                if key.action == action and (reason := default_namespace.why_not(key)):
                    default_namespace.note(reason)
                    return True
        return await super().run_action(action, default_namespace, namespaces)

    def _handle_exception(self, error: Exception) -> None:
        """A defect of ours. In place of Textual's answer, which prints the values of all variables, secrets too."""
        if self._exit:
            return  # what is being taken down misses what is gone already
        self._return_code = 1
        if self._exception is not None:
            return
        self._exception = error
        self._exception_event.set()
        self.panic(self._report(error))

    def _report(self, error: Exception) -> str:
        from stepflow_tui.crash import write_report

        cause = error.error if isinstance(error, WorkerFailed) else error
        about = {"size": f"{self.size.width}x{self.size.height}", "theme": self.theme}
        said = [f"The terminal UI came upon a defect of its own: {type(cause).__name__}"]
        try:
            if self._reports is not None:
                said.append(f"A report is in {write_report(cause, about, self._reports)}")
        except OSError as trouble:
            said.append(f"No report could be written: {trouble}")
        return "\n".join([*said, "Executions are not touched by it; `stepflow` opens the terminal UI again"])

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters = super().get_line_filters()
        return [*filters, self._only_ascii] if self.session.glyphs.ascii_only else filters

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {name.replace("_", "-"): style for name, style in STYLES.items()}

    def refresh_css(self, animate: bool = True) -> None:
        """All is read again, which nothing needs before it is there: the theme it begins with was known before."""
        if self._dashboard.is_mounted or self.get_css_variables() != self._first_variables:
            super().refresh_css(animate)

    def on_resize(self) -> None:
        """A terminal that was smaller for a moment has lost what it showed, also where it is as large as before by the
        time we look: Textual draws nothing then."""
        if self._resized is not None:
            self._resized.stop()
        self._resized = self.set_timer(RESIZED_SECONDS, self._draw_all)

    def _draw_all(self) -> None:
        self.refresh(repaint=True, layout=True)

    def on_mount(self) -> None:
        # Back from the shell, the terminal is empty.
        self.app_resume_signal.subscribe(self, lambda _: self._draw_all())

    def configure(self) -> None:
        """Make all as the settings say, now: theme, signs, keys."""
        config = self.session.config
        own = self._themes_folder
        themes, theme_troubles = load_themes(own)
        for theme in themes:
            self.register_theme(theme)
        names = {theme.name: None for theme in themes}
        if own is not None:
            broken = {name: None for name in self.session.themes if (own / f"{name}.toml").is_file()}
            names |= broken  # one that is being written stays as it was
        self.session.themes = tuple(names)
        name, trouble = self._chosen_theme()
        if self.is_running and self.theme == name:
            self.refresh_css(animate=False)  # its colours may be others now
        self.theme = name
        self.session.glyphs.ascii_only = wants_ascii(config.setting("glyphs"))
        self.set_class(self.session.glyphs.ascii_only, "-ascii")
        self.session.changed_keys, key_troubles = keys_in_place(config.setting("preset"), config.table("keys"))
        self.set_keymap(self.session.changed_keys)
        profile_troubles = [one.said for one in read_profiles(config.table("profiles")) if one.trouble is not None]
        point_troubles = read_breakpoints(config.table("breakpoints"))[1]
        troubles = (config.troubles, trouble, theme_troubles, key_troubles, profile_troubles, point_troubles)
        self.session.troubles = [one for some in troubles for one in some]
        if self.is_running:
            for screen in self.screen_stack:
                if isinstance(screen, Frame):
                    screen.take_breakpoints()
                for view in screen.query(LineView):
                    view.refresh()
                for text in screen.query(Text):
                    text.make_anew()

    def look_at_settings(self) -> bool:
        """Whether the person's file, or a theme of theirs, was saved elsewhere: it holds from now on, and what is wrong
        in it is said."""
        stamp = stamp_of(self._themes_folder)
        if not self.session.config.read() and stamp == self._themes_stamp:
            return False
        self._themes_stamp = stamp
        before = self.session.troubles
        self.configure()
        wrong = [one for one in self.session.troubles if one not in before]
        if isinstance(self.screen, Frame):
            self.screen.note(*((wrong[0], "bad") if wrong else ("Read again, because a file was saved", "title")))
        return True

    @property
    def _themes_folder(self) -> Path | None:
        """The person's own."""
        file = self.session.config.file
        return None if file is None else file.parent / "themes"

    @work(group="refresh", exclusive=True)
    async def on_refresh_asked(self, message: RefreshAsked) -> None:
        """The settings, the database, and what is shown."""
        self.session.config.read()
        self.configure()
        await self._dashboard.reload()
        seen = self.screen
        if isinstance(seen, Frame):
            if seen is not self._dashboard:
                await seen.guarded(seen.reload())
            if self.session.storage_trouble is None:
                seen.note("All was read again")

    def exit(self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None) -> None:
        self._keep_as_left()
        super().exit(result, return_code, message)

    def _keep_as_left(self) -> None:
        """How the screens stand, for the next time."""
        if self._memory is not None and self._restores:
            with contextlib.suppress(NoMatches):  # one that is just coming or going
                seen = [screen.kept() for screen in self.screen_stack if isinstance(screen, Frame)]
                self._memory.keep(self.client.url, self.session.left_as or seen)

    def _begin_as_left(self, dashboard: Dashboard) -> None:
        if self._memory is not None and self._restores:
            kept = self._memory.recall(self.client.url)
            if kept and kept[0].view == dashboard.view:
                dashboard.begin_as(kept[0])
                self.session.kept_above = kept[1:]

    @property
    def _restores(self) -> bool:
        return self.session.config.setting("restore") == "on"

    async def taken(self) -> bool:
        """When the terminal has taken all that was written so far; False: it does not say so. Without it, frames that
        come faster than a slow line carries them would stand before what a key does."""
        if self._driver is None or not self._answers:
            return self.is_headless
        self._answered.clear()
        self._driver.write(ASK_WHETHER_TAKEN)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answered.wait(), MOST_WAIT_SECONDS)
        return True

    def on_terminal_supports_synchronized_output(self) -> None:
        """Its answer, also to Textual's first question."""
        self._answers = True
        self._answered.set()

    def _profiles(self) -> list[Profile]:
        """Those that can be opened, and wrong ones; before them, without a name, what it began with where that is none
        of them. Empty: there is nothing to choose from."""
        named = read_profiles(self.session.config.table("profiles"))
        return [self._first, *named] if named and not self._first.name else named

    @work(group="profile")
    async def on_profile_asked(self, message: ProfileAsked) -> None:
        """Another storage in place of this one, each after the one that was asked for before. Nothing changes where it
        cannot be opened; executions go on anyway."""
        async with self._switching:
            await self._switch_to(message.name)

    async def _switch_to(self, name: str) -> None:
        before = self.session
        self._keep_as_left()
        try:
            profile = find_profile(name, self._profiles())
            client = await profile.client(read_only=self._rules[1]).__aenter__()
        except WorkflowEngineError as error:
            if isinstance(self.screen, Frame):
                self.screen.note(error.message, "bad")
            return
        self.client = client
        self.session = self._session_on(client, profile if profile.name else None, before.config)
        self.session.past_filters = before.past_filters
        self.session.drafts = self._drafts.setdefault(client.url, self.session.drafts)
        self.configure()
        self._dashboard = dashboard = Dashboard(self.session)
        self._begin_as_left(dashboard)
        # Its screens are a stack of their own, so that all of the other's can go at once.
        mode, gone = f"{self.current_mode}+", self.current_mode
        self.add_mode(mode, lambda: dashboard)
        await self.switch_mode(mode)
        await self.remove_mode(gone)
        await before.client.close()

    def _chosen_theme(self) -> tuple[str, list[str]]:
        """STEPFLOW_THEME, else what the file says, else ours."""
        troubles: list[str] = []
        asked = {"STEPFLOW_THEME": os.environ.get("STEPFLOW_THEME"), "ui.toml: theme": self.session.config.theme}
        for source, name in asked.items():
            if name in self.session.themes:
                return str(name), troubles
            if name:
                hint = did_you_mean(name, self.session.themes) or "; 8 shows those there are"
                troubles.append(f"{source}: there is no theme '{name}'{hint}")
        return DEFAULT, troubles


def wants_ascii(glyphs: str) -> bool:
    """STEPFLOW_ASCII asks for it, or the setting; by `auto` where the terminal cannot show our signs."""
    if os.environ.get("STEPFLOW_ASCII"):
        return True
    if glyphs != "auto":
        return glyphs == "ascii"
    return is_drawn_here() and shows_only_ascii(given_environment())


def _unnamed(client: Client) -> Profile:
    """The storage of a client that no profile named."""
    return Profile("", client.url, None if client.workspace is None else str(client.workspace))


async def show(
    client: Client,
    run: str | None,
    *,
    read_only: bool,
    profile: Profile | None = None,
    driver: type[Driver] | None = None,
    size: tuple[int, int] | None = None,
) -> int:
    """The screen, until it is left; its exit code. `driver`: what it is drawn by, and in which `size`; None: the
    terminal."""
    give_large_blocks_back()
    sys.setswitchinterval(SWITCH_SECONDS)
    async with client:
        begin = None if run is None else await client.get_run(run, bodies=False)
        config = Config(user_folder() / "ui.toml")
        app = StepFlowApp(
            client,
            run=begin,
            read_only=read_only,
            config=config,
            reports=reports_folder(),
            profile=profile,
            memory=Memory(memory_file()),
        )
        app.driver_class = driver or (LoopDriver if app.driver_class is LinuxDriver else app.driver_class)
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, partial(_end, app, 128 + number))
        try:
            code = await app.run_async(mouse=True, size=size)
        finally:
            await app.client.close()
        return app.return_code or code or 0


def run(
    url: str | None,
    workspace: str | None,
    run: str | None = None,
    *,
    read_only: bool = False,
    plain: bool = False,
    profile: str | None = None,
) -> int:
    """Open the screen, on an execution; its exit code when it is left. `RunNotFoundError` before anything is shown.
    `read_only`: it changes nothing; `plain`: lines instead of a screen, for those who have them read out."""
    client, named = client_of(url, workspace, profile, read_only=read_only)
    if plain:
        from stepflow_tui.plain import Plain

        only_reads = read_only or (named is not None and named.read_only)
        return asyncio.run(Plain(client, read_only=only_reads).run(run))

    async def show_here() -> int:
        asyncio.get_running_loop().call_later(SETTLED_SECONDS, tune_process)
        return await show(client, run, read_only=read_only, profile=named)

    return asyncio.run(show_here())


def _end(app: StepFlowApp, code: int) -> None:
    """Somebody ends it, or its connection is lost: then what would still be written may be waited for without end."""
    ended = threading.Timer(MOST_ENDING_SECONDS, os._exit, (code,))
    ended.daemon = True
    ended.start()
    app.exit(code)


def give_large_blocks_back() -> None:
    """A value of ten megabytes goes back to the system when it has been read. Left alone, the GNU allocator keeps a
    block as large for each thread that ever let go of one; other allocators have no such call."""
    import ctypes  # not for those who have lines read out

    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


def tune_process() -> None:
    """The collector leaves alone what start-up made: each look through all of it would hold up keys for 30 ms."""
    gc.collect()
    gc.freeze()
