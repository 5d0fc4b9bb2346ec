"""The app: opens the client, shows the dashboard, and leaves the terminal as it was."""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping
from pathlib import Path

from textual import events, work
from textual.actions import ActionParseResult
from textual.app import App
from textual.dom import DOMNode
from textual.worker import WorkerFailed

from stepflow.client import Client
from stepflow.dsl.diagnostics import did_you_mean
from stepflow.model.run import RunRecord
from stepflow_tui.config import Config, reports_folder, user_folder
from stepflow_tui.keymap import keys_of
from stepflow_tui.messages import RefreshAsked
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.remapping import keys_in_place
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.screens.frame import Frame
from stepflow_tui.session import Session
from stepflow_tui.theme import DEFAULT, STYLES, load_themes
from stepflow_tui.widgets.bar import Question
from stepflow_tui.widgets.lines import LineView


class StepFlowApp(App[int]):
    """The terminal UI on one database. `start_worker`: start one when none is alive; `run`: begin on this execution;
    `config`: None is the settings of nobody; `reports`: where a defect is written down, None: nowhere."""

    TITLE = "StepFlow"
    ENABLE_COMMAND_PALETTE = False
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
    ) -> None:
        super().__init__()
        self.client = client
        self._reports = reports
        self.animation_level = "none"
        self.session = Session(client, Glyphs(), start_worker=start_worker, read_only=read_only, config=config)
        self._dashboard = Dashboard(self.session, run=run)
        self.session.configure = self.configure
        self.configure()

    def get_default_screen(self) -> Dashboard:
        return self._dashboard

    async def on_event(self, event: events.Event) -> None:
        """A key of the screen is done before the next one is looked at, which may answer what it asks. Textual would
        first send it through all that could want it, and the next one behind it."""
        if isinstance(event, events.Key) and not event.is_forwarded and isinstance(self.screen, Frame):
            focused = self.focused
            is_list = isinstance(focused, LineView) and not isinstance(focused, Question)
            if is_list and await self._check_bindings(event.key):
                return
        await super().on_event(event)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """What a key cannot do now, it says."""
        if isinstance(default_namespace, Frame):
            for key in keys_of(default_namespace.view):
                if key.action == action and (reason := default_namespace.why_not(key)):
                    default_namespace.note(reason)
                    return True
        return await super().run_action(action, default_namespace, namespaces)

    def _handle_exception(self, error: Exception) -> None:
        """A defect of ours. In place of Textual's answer, which prints the values of all variables, secrets too."""
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

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {name.replace("_", "-"): style for name, style in STYLES.items()}

    def on_mount(self) -> None:
        # Back from the shell, the terminal is empty.
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(repaint=True, layout=True))

    def configure(self) -> None:
        """Make all as the settings say, now: theme, signs, keys."""
        config = self.session.config
        own = None if config.file is None else config.file.parent / "themes"
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
        self.session.changed_keys, key_troubles = keys_in_place(config.setting("preset"), config.table("keys"))
        self.set_keymap(self.session.changed_keys)
        self.session.troubles = [*config.troubles, *trouble, *theme_troubles, *key_troubles]
        if self.is_running:
            for screen in self.screen_stack:
                for view in screen.query(LineView):
                    view.refresh()

    @work(group="refresh", exclusive=True)
    async def on_refresh_asked(self, message: RefreshAsked) -> None:
        """The settings, the database, and what is shown."""
        self.session.config.read()
        self.configure()
        await self._dashboard.reload()
        seen = self.screen
        if isinstance(seen, Frame):
            if seen is not self._dashboard:
                await seen.reload()
            if self.session.storage_trouble is None:
                seen.note("All was read again")

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
    """STEPFLOW_ASCII asks for it, or the setting; by `auto` where the terminal's encoding cannot show our signs."""
    if os.environ.get("STEPFLOW_ASCII"):
        return True
    if glyphs != "auto":
        return glyphs == "ascii"
    return "utf" not in locale.getpreferredencoding(False).lower()


async def _run(client: Client, run: str | None, *, read_only: bool) -> int:
    async with client:
        begin = None if run is None else await client.get_run(run)
        config = Config(user_folder() / "ui.toml")
        app = StepFlowApp(client, run=begin, read_only=read_only, config=config, reports=reports_folder())
        code = await app.run_async(mouse=True)
        return app.return_code or code or 0


def run(
    url: str | None, workspace: str | None, run: str | None = None, *, read_only: bool = False, plain: bool = False
) -> int:
    """Open the screen, on an execution; its exit code when it is left. `RunNotFoundError` before anything is shown.
    `read_only`: it changes nothing; `plain`: lines instead of a screen, for those who have them read out."""
    import asyncio

    client = Client(url, workspace, read_only=read_only)
    if plain:
        from stepflow_tui.plain import Plain

        return asyncio.run(Plain(client, read_only=read_only).run(run))
    return asyncio.run(_run(client, run, read_only=read_only))
