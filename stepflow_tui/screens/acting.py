"""What can be done with the execution and the template at hand, on whichever screen they are seen."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import work

from stepflow.errors import WorkflowEngineError
from stepflow.model.event import EventType
from stepflow.model.ids import RUN_PREFIX
from stepflow.model.run import RunRecord, awaited_signal
from stepflow.model.statuses import RunStatus
from stepflow_tui.keymap import Key
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.spans import safe
from stepflow_tui.screens.asking import Asking
from stepflow_tui.screens.frame import READ_ONLY
from stepflow_tui.screens.looking import ABOUT_RUNS, Looking
from stepflow_tui.widgets.bar import Question

if TYPE_CHECKING:
    from stepflow_tui.editing import Editing
    from stepflow_tui.panes.palette import Command

MOST_TEMPLATES = 1000
PATIENCE = timedelta(seconds=15)
"""With a worker that is to end an execution: longer than the lease of one that is hung."""


class Acting(Looking, Asking):
    """A subclass says what is at hand, and shows what was started."""

    async def show_run(self, run_id: str) -> None:
        """One that was just started."""
        raise NotImplementedError

    def why_not(self, key: Key) -> str | None:
        if reason := super().why_not(key):
            return reason
        run = self.run_at_hand
        if run is None:
            return None
        if key.id in ("cancel", "terminate", "pause") and run.status.is_final:
            return f"{short_id(run.id)} is {run.status.value}; there is nothing to {ABOUT_RUNS[key.id]}"
        if key.id == "retry" and not run.status.may_be_retried:
            reason = "run it again with r" if run.status.is_final else "it has not ended"
            return f"{short_id(run.id)} is {run.status.value}: {reason}"
        if key.id == "retry_from" and self.step_at_hand is None:
            return "No step is selected: go to the steps with tab, and press T on one"
        return None

    @work(group="commands", exclusive=True)
    async def _add_commands(self) -> None:
        from stepflow_tui.panes.palette import Command, Palette

        async def run(name: str) -> None:
            self.act(self._ask_to_run(name, None))

        async def add() -> None:
            templates = sorted(await self.client.list_templates(MOST_TEMPLATES), key=lambda template: template.name)
            why_not = READ_ONLY if self.session.read_only else None
            commands = [Command(f"Run {one.name}", "", partial(run, one.name), why_not) for one in templates]
            self.query_one(Palette).add(commands)

        await self.guarded(add())

    async def ensure_worker(self) -> None:
        """One that works on what was asked for; trouble is said."""
        try:
            await self.session.ensure_worker()
        except WorkflowEngineError as error:
            self.note_trouble(error.message)
            return
        await self.look_at_workers()

    async def look_at_workers(self) -> None:
        before = self.session.standing
        try:
            is_there = await self.session.look_at_workers()
        except WorkflowEngineError as error:
            self.note_trouble(error.message)
            return
        if self.session.standing != before:
            self.show_header()
        if not is_there:
            self.set_timer(0.3, self.look_at_workers)

    # Cancel, retry

    def action_cancel(self) -> None:
        run = self.the_run
        question = Question(f"Cancel {short_id(run.id)} {safe(run.template)}?", {"y": ("yes", "cancel it")})

        async def cancel(_: str) -> None:
            self.act(self._cancel(run))

        self.ask(question, cancel, run.id)

    async def _cancel(self, run: RunRecord) -> None:
        if await self.client.cancel(run.id, "cancelled in the terminal UI"):
            self.note(f"Cancelling {short_id(run.id)}")
        else:
            self.note(f"{short_id(run.id)} had ended already")

    def action_terminate(self) -> None:
        run = self.the_run
        sign = short_id(run.id)

        def typed(text: str) -> None:
            if text in (sign, run.id, run.id.removeprefix(RUN_PREFIX)):
                self.act(self._terminate(run))
            else:
                self.note(f"That is not {sign}; {safe(run.template)} goes on")

        self.ask_text(f"End {safe(run.template)}, also if its worker is hung? Type {sign}:", typed)

    async def _terminate(self, run: RunRecord) -> None:
        sign = short_id(run.id)
        self.note(f"Ending {sign}")
        if not await self.end(run):
            self.note(f"{sign} had ended already")
            return
        ended = await self.client.get_run(run.id, bodies=False)
        if ended.status.is_final:
            self.note(f"{sign} is {ended.status.value}")
        else:
            self.note(f"The worker of {sign} lives and has not ended it after {PATIENCE.seconds} s; 5 stops it", "bad")

    async def end(self, run: RunRecord) -> bool:
        """A cancel that is looked after: where its worker does nothing about it, it is ended without it. False: it had
        ended already."""
        if not await self.client.cancel(run.id, "ended in the terminal UI"):
            return False
        try:
            await self.client.wait_for_run(run.id, PATIENCE)
        except TimeoutError:
            # The lease of a worker that is hung is over by now.
            await self.client.cancel(run.id, "ended in the terminal UI")
        return True

    def action_retry(self) -> None:
        self.act(self._retry(self.the_run))

    async def _retry(self, run: RunRecord) -> None:
        new = await self.client.retry(run.id)
        await self.ensure_worker()
        await self.show_run(new)
        self.note(f"Retried as {short_id(new)}")

    # Run

    def action_run(self) -> None:
        self.act(self._ask_to_run(self.the_template, self.version_at_hand))

    async def _ask_to_run(self, name: str, version: int | None) -> None:
        template = await self.client.get_template(name, version)

        async def run(text: str, value: Any) -> None:
            self.session.last_inputs[name] = text
            run_id = await self.client.start_run(name, value, version=version)
            await self._show_started(run_id)
            self.note(f"Started {short_id(run_id)} {name}")

        await self.ask_input(f"Run {_called(name, version)} with", template, run)

    def more_commands(self) -> list[Command]:
        from stepflow_tui.panes.palette import Command

        name = self.template_at_hand
        if name is None:
            return super().more_commands()

        async def run_again() -> None:
            self.act(self._run_again(name))

        why_not = READ_ONLY if self.session.read_only else None
        command = Command(f"Run {name} with its last input, unasked", "", run_again, why_not)
        return [*super().more_commands(), command]

    async def _run_again(self, name: str) -> None:
        text = self.session.last_inputs.get(name) or await self.last_input(name)
        if text is None:
            self.note(f"{name} has not run yet; r asks for its input")
            return
        run_id = await self.client.start_run(name, json.loads(text))
        await self._show_started(run_id)
        self.note(f"Started {short_id(run_id)} {name}")

    async def _show_started(self, run_id: str) -> None:
        await self.close_json()
        await self.ensure_worker()
        await self.show_run(run_id)

    # Simulate, edit

    def action_simulate(self) -> None:
        self.act(self._ask_to_simulate(self.the_template, self.version_at_hand))

    async def _ask_to_simulate(self, name: str, version: int | None) -> None:
        template = await self.client.get_template(name, version)

        async def simulate(text: str, value: Any) -> None:
            self.session.last_inputs[name] = text
            made = await self.client.simulate(name, value, version=version)
            await self.close_json()
            self.session.simulations[name] = (template.version, made)
            await self.show_simulation(name)

        await self.ask_input(f"Simulate {_called(name, version)} with", template, simulate)

    async def show_simulation(self, name: str) -> None:
        """One that was just made."""
        self.session.template_at_hand = name
        self.session.shows_simulation = True
        # Not from within: what is done on a screen ends with it.
        self.app.call_later(self.action_view, "templates")

    def action_edit(self) -> None:
        self.act(self.editing().edit_template(self.the_template, self.line_at_hand))

    def editing(self) -> Editing:
        from stepflow_tui.editing import Editing

        return Editing(self.app, self.session, self.note, self.files_changed)

    # Pause, answer, retry from a step

    def action_pause(self) -> None:
        run = self.the_run
        goes_on = run.status in (RunStatus.PAUSED, RunStatus.STALLED)
        what = "Let go on" if goes_on else "Pause"
        answers = {"y": ("yes", "let it go on" if goes_on else "start nothing more of it")}

        async def change(_: str) -> None:
            self.act(self._resume(run) if goes_on else self._pause(run))

        self.ask(Question(f"{what} {short_id(run.id)} {safe(run.template)}?", answers), change, run.id)

    async def _pause(self, run: RunRecord) -> None:
        await self.client.pause(run.id)
        self.note(f"Paused {short_id(run.id)}; p lets it go on")

    async def _resume(self, run: RunRecord) -> None:
        await self.client.resume(run.id)
        await self.ensure_worker()
        self.note(f"{short_id(run.id)} goes on")

    def action_answer(self) -> None:
        self.act(self._answer(self.the_run))

    async def _answer(self, run: RunRecord) -> None:
        steps = await self.client.get_steps(run.id, bodies=False)
        waiting = {step.key: name for step in steps if (name := awaited_signal(step.awaits)) is not None}
        if not waiting:
            self.note(f"{short_id(run.id)} waits for no answer")
            return
        at_hand = self.step_at_hand
        step = at_hand if at_hand in waiting else next(iter(waiting))
        name = waiting[step]
        message = await self._message_of(run, step)

        async def answer(_: str, value: Any) -> None:
            await self.client.signal(run.id, name, value)
            await self.close_json()
            await self.ensure_worker()
            self.note(f"Answered {name} of {short_id(run.id)}")

        await self.ask_json(f"{message or step}: answer '{name}' with", '{"approved": true}', answer)

    async def _message_of(self, run: RunRecord, step: str) -> str:
        """What the step asks; empty: nothing."""
        for event in reversed(await self.client.get_events(run.id, newest=True)):
            if event.event_type == EventType.STEP_WAITING and event.step_key == step:
                return str(event.payload.get("message") or "")
        return ""

    def action_retry_from(self) -> None:
        assert self.step_at_hand is not None  # as `why_not` says
        self.act(self._ask_retry_from(self.the_run, self.step_at_hand))

    async def _ask_retry_from(self, run: RunRecord, step: str) -> None:
        plan = await self.client.plan_redrive(run.id, step)
        full = await self.client.get_run(run.id)

        async def retry(_: str, value: Any) -> None:
            is_retried = run.status.may_be_retried
            make = self.client.retry if is_retried else self.client.fork
            new = await make(run.id, step, value)
            await self._show_started(new)
            self.note(f"{'Retried' if is_retried else 'Forked'} as {short_id(new)} from {step}")

        reused = len(plan.reused)
        title = f"From {step}, keeping {reused} of {reused + len(plan.performed)} steps, with"
        await self.ask_json(title, json.dumps(full.input, ensure_ascii=False), retry)


def _called(name: str, version: int | None) -> str:
    return name if version is None else f"{name} v{version}"
