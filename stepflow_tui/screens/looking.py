"""What can be looked at and taken away of the execution and the template at hand; nothing of it changes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.keymap import Key
from stepflow_tui.notices import has_ended, notice_of, notify
from stepflow_tui.presentation.commands import MOST_TOGETHER, AtHand, all_words_of, command_lines
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.filters import filter_of_template
from stepflow_tui.screens.describing import Describing
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
    "run": "There is no template yet: stepflow init, or stepflow run FILE",
    "simulate": "There is no template to simulate",
    "edit": "There is no template to edit",
    "history": "There is no template to list the executions of",
    "yank_template": "There is no template to copy",
    "export_template": "There is no template to export",
    "describe_template": "There is no template to describe",
}


class Looking(Describing):
    """A subclass says what is at hand."""

    @property
    def run_at_hand(self) -> RunRecord | None:
        raise NotImplementedError

    @property
    def template_at_hand(self) -> str | None:
        raise NotImplementedError

    @property
    def marked(self) -> Sequence[RunRecord]:
        """Executions that keys act on together, in place of the one at hand."""
        return ()

    @property
    def line_at_hand(self) -> int:
        """Of the template's text."""
        return 1

    @property
    def step_to_edit(self) -> str | None:
        """The key of the step at whose line the editor opens; None: the one that failed."""
        return None

    async def line_to_edit(self, name: str) -> int:
        """Of the text of the template `name`: of a step of the execution at hand, else `line_at_hand`."""
        from stepflow_tui.presentation.places import failed_step, line_of_step

        run = self.run_at_hand
        if run is None or run.template != name:
            return self.line_at_hand
        key = self.step_to_edit
        if key is None and run.status is not RunStatus.COMPLETED:
            key = failed_step(await self.client.get_steps(run.id, bodies=False))
        return self.line_at_hand if key is None else line_of_step(await self.client.get_template(name), key)

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
        trouble = self.session.storage_trouble
        if trouble is not None and key.id in ABOUT_RUNS and self.run_at_hand is None:
            return trouble
        if trouble is not None and key.id in WITHOUT_TEMPLATE and self.template_at_hand is None:
            return trouble
        if key.id in ABOUT_RUNS and self.run_at_hand is None:
            return f"There is no execution to {ABOUT_RUNS[key.id]}"
        if key.id in WITHOUT_TEMPLATE and self.template_at_hand is None:
            return self.without_template(key.id)
        run = self.run_at_hand
        if key.id == "watch" and run is not None and not self._to_watch:
            if self.marked:
                return f"None of the {len(self.marked):,} goes on; nothing more will be heard of them"
            return f"{short_id(run.id)} is {run.status.value}; nothing more will be heard of it"
        return None

    def without_template(self, key: str) -> str:
        """Why the key of this id does nothing where no template is at hand."""
        return WITHOUT_TEMPLATE[key]

    def command_line(self, key: Key) -> str | None:
        return command_lines(all_words_of(key.id, self._at_hand), self.session.place)

    @property
    def _at_hand(self) -> AtHand:
        template, run = self.template_at_hand, self.run_at_hand
        history = None if run is None or run.parent_run_id else self.session.histories.of(run.template)
        ended = () if history is None else history.ended
        completed = (one.id for one in ended if one.status is RunStatus.COMPLETED and run and one.id != run.id)
        return AtHand(
            run,
            template,
            self.version_at_hand,
            self.step_at_hand,
            self.session.last_inputs.get(template or ""),
            tuple(self.marked),
            next(completed, None),
            last_variables=self.session.last_variables.get(template or "", {}),
        )

    # Other screens of it

    async def action_history(self) -> None:
        self.session.wanted_filter = filter_of_template(self.the_template)
        await self.action_view("executions")

    async def action_open_tab(self, tab: str) -> None:
        await self.open_tab(self.the_run.id, self.step_at_hand, tab)

    async def open_tab(self, run_id: str, step: str | None, tab: str) -> None:
        await self.show_above("run", run_id, step, tab)

    def action_watch(self) -> None:
        """For as long as the screens are open."""
        runs, watched = self._to_watch, self.session.watched
        many = short_id(runs[0].id) if len(runs) == 1 else f"{len(runs):,} executions"
        are = "is" if len(runs) == 1 else "are"
        if all(run.id in watched for run in runs):
            for run in runs:
                del watched[run.id]
            self.note(f"{many} {are} not watched any more")
        else:
            watched.update({run.id: run for run in runs})
            when = "it ends or asks" if len(runs) == 1 else "one ends or asks"
            self.note(f"{many} {are} watched: when {when}, it is said wherever you are here")
        for view in self.query(LineView):
            view.refresh()

    @property
    def _to_watch(self) -> list[RunRecord]:
        """Those of which something will be heard yet, or is awaited."""
        chosen = self.marked or [self.the_run]
        return [run for run in chosen if not run.status.is_final or run.id in self.session.watched]

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
        await self.session.histories.read([run.template])
        now, glyphs, history = self.now(), self.glyphs, self.session.histories.of(run.template)
        await self.query("#overlay").remove()
        title = f"{short_id(run.id)} {run.template}"
        overlay = Overlay(title, lambda width: describe(run, steps, now, width, glyphs, history), self.focused)
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
        if self.marked:
            self._ask_what_of_all(list(self.marked))
            return
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

    def _ask_what_of_all(self, runs: Sequence[RunRecord]) -> None:
        many = f"{len(runs):,} execution{'s' if len(runs) > 1 else ''}"
        answers = {"i": ("ids", "ids"), "c": ("command lines", "command lines"), "t": ("TRNs", "TRNs")}

        async def yank(what: str) -> None:
            if what == "command lines":
                text = command_lines(all_words_of("yank", AtHand(marked=tuple(runs))), self.session.place)
            else:
                text = "\n".join(run.id if what == "ids" else run.trn for run in runs)
            if text is None:
                self.note(f"For {many} there is no command line; {MOST_TOGETHER} at most are in one")
            else:
                self.note(f"Copied the {what} of {many} by {self.copy(text)}")

        self.ask(Question(f"Copy of {many}:", answers), yank)

    async def _yank(self, run: RunRecord, what: str) -> None:
        full = await self.client.get_run(run.id)
        yet = ""
        match what:
            case "command":
                text = command_lines([["execution", run.id]], self.session.place)
            case "trn":
                text = run.trn
            case "output":
                has_one = full.output is not None or full.status is RunStatus.COMPLETED
                text = json.dumps(full.output, ensure_ascii=False) if has_one else ""
                yet = "" if full.status.is_final else " yet"
            case "error":
                text = "" if full.error is None else json.dumps(full.error, ensure_ascii=False)
            case _:
                text = run.id
        if not text:
            self.note(f"{short_id(run.id)} has no {what}{yet}")
            return
        way = self.copy(text)
        self.note(f"Copied the {what} of {short_id(run.id)} by {way}")
