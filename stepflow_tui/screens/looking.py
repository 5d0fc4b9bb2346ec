"""What can be looked at and taken away of the execution and the template at hand; nothing of it changes them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.keymap import Key
from stepflow_tui.notices import has_ended, notice_of, notify
from stepflow_tui.presentation.commands import AtHand, command_line, words_of
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.filters import filter_of_template
from stepflow_tui.screens.exporting import Exporting
from stepflow_tui.screens.frame import Frame
from stepflow_tui.session import MOST_OF_BODY
from stepflow_tui.widgets.bar import Question
from stepflow_tui.widgets.lines import LineView

ABOUT_RUNS = {
    "yank": "copy",
    "export": "export",
    "describe": "describe",
    "watch": "watch",
    "open_log": "read",
    "open_values": "look into",
    "cancel": "cancel",
    "terminate": "end",
    "retry": "retry",
    "retry_from": "retry",
    "pause": "pause",
    "answer": "answer",
}
"""Ids of keys that do something with the execution at hand, and what that is."""
WITHOUT_TEMPLATE = {
    "run": "There is no template yet: stepflow create NAME --dsl FILE",
    "simulate": "There is no template to simulate",
    "edit": "There is no template to edit",
    "history": "There is no template to list the executions of",
}


class Looking(Exporting):
    """A subclass says what is at hand."""

    @property
    def run_at_hand(self) -> RunRecord | None:
        raise NotImplementedError

    @property
    def template_at_hand(self) -> str | None:
        raise NotImplementedError

    @property
    def version_at_hand(self) -> int | None:
        """Of the template at hand; None: the newest."""
        return None

    @property
    def line_at_hand(self) -> int:
        """Of the template's text."""
        return 1

    @property
    def step_at_hand(self) -> str | None:
        """The key of the step under the cursor, where steps of the execution at hand are seen."""
        return None

    @property
    def the_run(self) -> RunRecord:
        """For what is only done where there is one (`why_not`)."""
        assert self.run_at_hand is not None
        return self.run_at_hand

    @property
    def the_template(self) -> str:
        """The same."""
        assert self.template_at_hand is not None
        return self.template_at_hand

    def why_not(self, key: Key) -> str | None:
        if reason := super().why_not(key):
            return reason
        if key.id in ABOUT_RUNS and self.run_at_hand is None:
            return f"There is no execution to {ABOUT_RUNS[key.id]}"
        if key.id in WITHOUT_TEMPLATE and self.template_at_hand is None:
            return WITHOUT_TEMPLATE[key.id]
        run = self.run_at_hand
        if key.id == "watch" and run is not None and run.status.is_final and run.id not in self.session.watched:
            return f"{short_id(run.id)} is {run.status.value}; nothing more will be heard of it"
        return None

    def command_line(self, key: Key) -> str | None:
        template = self.template_at_hand
        at = AtHand(
            self.run_at_hand,
            template,
            self.version_at_hand,
            self.step_at_hand,
            self.session.last_inputs.get(template or ""),
        )
        words = words_of(key.id, at)
        return None if words is None else command_line(words, self.session.options)

    # Other screens of it

    async def action_history(self) -> None:
        self.session.wanted_filter = filter_of_template(self.the_template)
        await self.action_view("executions")

    async def action_open_tab(self, tab: str) -> None:
        await self.show_above("run", self.the_run.id, self.step_at_hand, tab)

    def action_watch(self) -> None:
        """For as long as the screens are open."""
        run, watched = self.the_run, self.session.watched
        if watched.pop(run.id, None) is None:
            watched[run.id] = run
            self.note(f"{short_id(run.id)} is watched: when it ends or asks, it is said wherever you are here")
        else:
            self.note(f"{short_id(run.id)} is not watched any more")
        for view in self.query(LineView):
            view.refresh()

    def hear(self, events: Iterable[WorkflowEvent]) -> None:
        """Of those that are watched, for the screen that hears all of the log: it is said on the one that is seen."""
        for event in events:
            run = self.session.watched.get(event.run_id)
            notice = None if run is None else notice_of(event, run)
            if notice is None:
                continue
            if has_ended(event):
                del self.session.watched[event.run_id]
            seen = self.app.screen
            if isinstance(seen, Frame):
                seen.note(notice)
            how = self.session.config.setting("notify")
            self.app.run_worker(notify(self.app, notice, how), group="notices")

    async def action_describe(self) -> None:
        await self.guarded(self._describe(self.the_run.id))

    async def _describe(self, run_id: str) -> None:
        from stepflow_tui.panes.overlay import Overlay
        from stepflow_tui.presentation.description import describe

        run = await self.client.get_run(run_id, largest=MOST_OF_BODY)
        steps = await self.client.get_steps(run_id, bodies=False, attempts=True)
        now, glyphs = self.now(), self.glyphs
        await self.query("#overlay").remove()
        title = f"{short_id(run.id)} {run.template}"
        overlay = Overlay(title, lambda width: describe(run, steps, now, width, glyphs), self.focused)
        await self.mount(overlay)

    async def action_diff(self) -> None:
        if self.run_at_hand is None:
            self.note("There is no execution to compare")
        else:
            self.act(self._compare_with_last(self.run_at_hand))

    async def _compare_with_last(self, run: RunRecord) -> None:
        """With the last other execution of its template that has completed."""
        is_child = run.parent_run_id is not None
        page = await self.client.list_runs(2, status=RunStatus.COMPLETED, template=run.template, children=is_child)
        other = next((one for one in page.items if one.id != run.id), None)
        if other is None:
            self.note(f"No other execution of {run.template} has completed; there is nothing to compare it with")
            return
        await self.show_above("diff", other.id, run.id)

    # Yank

    def action_yank(self) -> None:
        run = self.the_run
        answers = {
            "i": ("id", "id"),
            "c": ("command", "command line"),
            "t": ("trn", "TRN"),
            "o": ("output", "output"),
            "e": ("error", "error"),
        }

        async def yank(what: str) -> None:
            self.act(self._yank(run, what))

        self.ask(Question(f"Copy of {short_id(run.id)}:", answers), yank)

    async def _yank(self, run: RunRecord, what: str) -> None:
        full = await self.client.get_run(run.id)
        match what:
            case "command":
                text = command_line(["execution", run.id], self.session.options)
            case "trn":
                text = run.trn
            case "output":
                text = json.dumps(full.output, ensure_ascii=False)
            case "error":
                text = "" if full.error is None else json.dumps(full.error, ensure_ascii=False)
            case _:
                text = run.id
        if not text:
            self.note(f"{short_id(run.id)} has no {what}")
            return
        way = self.copy(text)
        self.note(f"Copied the {what} of {short_id(run.id)} by {way}")
