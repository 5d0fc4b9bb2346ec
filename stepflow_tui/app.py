"""The app: opens the client, shows the dashboard, and leaves the terminal as it was."""

from __future__ import annotations

import locale
import os

from textual.app import App

from stepflow.client import Client
from stepflow.model.run import RunRecord
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.screens.dashboard import Dashboard
from stepflow_tui.session import Session
from stepflow_tui.theme import DEFAULT, load_themes


class StepFlowApp(App[int]):
    """The terminal UI on one database. `start_worker`: start one when none is alive; `run`: begin on this execution."""

    TITLE = "StepFlow"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = ["screens/frame.tcss", "screens/dashboard.tcss"]  # noqa: RUF012 - as Textual declares it

    def __init__(
        self, client: Client, *, start_worker: bool = True, ascii_only: bool = False, run: RunRecord | None = None
    ) -> None:
        super().__init__()
        self.client = client
        self.animation_level = "none"
        self.session = Session(client, Glyphs(ascii_only=ascii_only), start_worker=start_worker)
        self._dashboard = Dashboard(self.session, run=run)
        for theme in load_themes():
            self.register_theme(theme)
        self.theme = os.environ.get("STEPFLOW_THEME") or DEFAULT

    def get_default_screen(self) -> Dashboard:
        return self._dashboard


def wants_ascii() -> bool:
    """The terminal's encoding cannot show our signs, or it was asked for."""
    if os.environ.get("STEPFLOW_ASCII"):
        return True
    return "utf" not in locale.getpreferredencoding(False).lower()


async def _run(url: str | None, workspace: str | None, run: str | None) -> int:
    async with Client(url, workspace) as client:
        begin = None if run is None else await client.get_run(run)
        app = StepFlowApp(client, ascii_only=wants_ascii(), run=begin)
        code = await app.run_async(mouse=True)
        return app.return_code or code or 0


def run(url: str | None, workspace: str | None, run: str | None = None) -> int:
    """Open the screen, on an execution; its exit code when it is left. `RunNotFoundError` before anything is shown."""
    import asyncio

    return asyncio.run(_run(url, workspace, run))
