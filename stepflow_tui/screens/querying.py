"""A screen on which a filter is typed: names to complete it, and filters that are kept under a name."""

from __future__ import annotations

from textual import work

from stepflow.errors import WorkflowEngineError
from stepflow.model.statuses import RunStatus
from stepflow_tui.panes.saved_views import SavedView, SavedViews, read_views, written_view
from stepflow_tui.presentation.filters import Filter, step_of
from stepflow_tui.presentation.spans import safe
from stepflow_tui.screens.acting import Acting
from stepflow_tui.widgets.bar import Question
from stepflow_tui.widgets.filter_field import FilterField

MOST_NAMES = 1000
MOST_FAILED = 200
"""Executions whose failed steps are offered."""


class Querying(Acting):
    @property
    def view_at_hand(self) -> SavedView:
        """What would be kept, without a name."""
        raise NotImplementedError

    def open_view(self, view: SavedView) -> None:
        raise NotImplementedError

    @work(group="names", exclusive=True)
    async def name_templates(self) -> None:
        """For completion."""
        try:
            templates = await self.client.list_templates(MOST_NAMES)
            failed = (await self.client.list_runs(MOST_FAILED, status=RunStatus.FAILED)).items
        except WorkflowEngineError:
            return  # nothing is completed then; whoever reads the list says what is wrong
        for field in self.query(FilterField):
            field.templates = sorted(template.name for template in templates)
            field.steps = sorted({step_of(run.error) for run in failed if run.error is not None} - {""})
            field.hint()

    def action_save_view(self) -> None:
        view = self.view_at_hand
        if view.filter == Filter():
            self.note("There is no filter to keep: / asks for one")
            return

        def keep(name: str) -> None:
            if name and self._set_view(name, view):
                self.note(f"Kept as {name}; ' opens it")

        self.ask_text("Keep this filter as:", keep)

    def _set_view(self, name: str, view: SavedView | None) -> bool:
        try:
            self.session.config.set(name, None if view is None else written_view(view), table="views")
        except WorkflowEngineError as error:
            self.note(error.message, "bad")
            return False
        return True

    async def action_open_view(self) -> None:
        self.session.config.read()
        views = read_views(self.session.config.table("views"))
        if not views:
            self.note("No filter is kept yet: B keeps the one that is shown")
            return
        await self.query("#views").remove()
        await self.mount(SavedViews(views))

    async def on_saved_views_chosen(self, message: SavedViews.Chosen) -> None:
        await self.query("#views").remove()
        self.focus_main()
        view = message.view
        if view is None:
            return
        if view.trouble is not None:
            self.note(f"ui.toml: {view.name}: {view.trouble}", "bad")
            return
        self.open_view(view)
        self.note(f"{view.name}: {view.filter.text or 'everything'}")

    async def on_saved_views_forget(self, message: SavedViews.Forget) -> None:
        await self.query("#views").remove()
        name = message.view.name

        async def forget(_: str) -> None:
            if self._set_view(name, None):
                self.note(f"Forgot {name}")

        self.ask(Question(f"Forget the view {safe(name)}?", {"y": ("yes", "take it out of ui.toml")}), forget)
