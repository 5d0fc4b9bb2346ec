"""What can be done with the execution and the template at hand, on whichever screen they are seen."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from textual import work

from stepflow.errors import TemplateNotFoundError, WorkflowEngineError
from stepflow.model.event import EventType
from stepflow.model.flow import Flow
from stepflow.model.ids import RUN_PREFIX
from stepflow.model.run import RunRecord, awaited_signal
from stepflow_tui.ending import PATIENCE, end
from stepflow_tui.keymap import RUN_TABS, Key, other_words
from stepflow_tui.presentation.affected import STANDING
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.form import lacking_variables
from stepflow_tui.presentation.redrive import kept_and_run
from stepflow_tui.presentation.spans import safe
from stepflow_tui.screens.asking import Asking
from stepflow_tui.screens.frame import Frame
from stepflow_tui.screens.looking import ABOUT_RUNS, Looking
from stepflow_tui.widgets.bar import Question

if TYPE_CHECKING:
    from stepflow_tui.editing import Editing
    from stepflow_tui.panes.palette import Command
    from stepflow_tui.presentation.form import Answer
    from stepflow_tui.screens.ask import Asked

MOST_TEMPLATES = 1000
MOST_OF_PREVIEW = 120
"""Cells."""


class Acting(Looking, Asking):
    """A subclass says what is at hand, and shows what was started."""

    @property
    def as_of_now(self) -> str:
        """What questions about the execution say after its name, where another moment of it is seen."""
        return ""

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
        if key.id == "answer" and run.status.is_final:
            return f"{short_id(run.id)} is {run.status.value}; it takes no answer"
        if key.id == "retry_from" and self.step_at_hand is None:
            return "No step is selected: go to the steps with tab, and press T on one"
        return None

    @work(group="commands", exclusive=True)
    async def _add_commands(self) -> None:
        from stepflow_tui.panes.palette import Command, Palette

        async def run(name: str) -> None:
            self.prepare(partial(self._run_asked, name, None))

        async def add() -> None:
            names = sorted(template.name for template in await self.client.list_templates(MOST_TEMPLATES))
            why_not = self.session.why_off if self.session.read_only else None
            commands = []
            for name in names:
                others = (name.lower(), *re.split(r"[\W_]+", name.lower()))
                commands.append(Command(f"Open template {name}", "", partial(self.show_template, name), others=others))
                commands.append(Command(f"Run {name}", "", partial(run, name), why_not))
            self.query_one(Palette).add(commands)

        await self.guarded(add())

    def tab_commands(self) -> list[Command]:
        from stepflow_tui.panes.palette import Command

        at = self.run_at_hand
        if at is None:
            return []
        sign, step = short_id(at.id), self.step_at_hand
        return [
            Command(f"Tab: {title} of {sign}", "", partial(self.open_tab, at.id, step, tab), others=other_words(tab))
            for tab, title in RUN_TABS.items()
        ]

    async def show_template(self, name: str) -> None:
        self.session.template_at_hand = name
        await self.action_view("templates")

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
        question = Question(
            f"Cancel {short_id(run.id)} {safe(run.template)}{self.as_of_now}?", {"y": ("yes", "cancel it")}
        )

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

        self.ask_text(f"End {safe(run.template)}{self.as_of_now}, also if its worker is hung? Type {sign}:", typed)

    async def _terminate(self, run: RunRecord) -> None:
        sign = short_id(run.id)
        self.note(f"Ending {sign}")
        if not await end(self.client, run.id):
            self.note(f"{sign} had ended already")
            return
        ended = await self.client.get_run(run.id, bodies=False)
        if ended.status.is_final:
            self.note(f"{sign} is {ended.status.value}")
        else:
            self.note(f"The worker of {sign} lives and has not ended it after {PATIENCE.seconds} s; 5 stops it", "bad")

    def action_retry(self) -> None:
        run = self.the_run
        again = run.retried_as
        more = "" if again is None else f" once more ({short_id(again.id)} {again.status.value.replace('_', ' ')})"
        about = f"Retry {short_id(run.id)} {safe(run.template)}{more}{self.as_of_now}"
        question = Question(f"{about}?", {"y": ("yes", "retry it")})

        async def retry(_: str) -> None:
            self.act(self._retry(run))

        if self.ask(question, retry):
            self._preview(run, about, question)

    @work(group="preview", exclusive=True)
    async def _preview(self, run: RunRecord, about: str, question: Question) -> None:
        """It may be answered before it is known."""
        try:
            plan = await self.client.plan_redrive(run.id)
        except WorkflowEngineError:
            return  # who retries it is told what is wrong

        def text(room: int) -> str:
            return f"{about}: {kept_and_run(plan.reused, plan.performed, room - cell_len(about) - 3)}?"

        if question.is_attached:
            question.tell(text)

    async def _retry(self, run: RunRecord) -> None:
        new = await self.client.retry(run.id)
        await self._show_started(new, f"Retried as {short_id(new)}")

    # Run

    def action_run(self) -> None:
        self.prepare(partial(self._run_asked, self.the_template, self.version_at_hand))

    async def _run_asked(self, name: str, version: int | None) -> Asked:
        template = await self.client.get_template(name, version)

        async def run(answer: Answer) -> None:
            self._remember(name, answer)
            run_id = await self.client.start_run(name, answer.value, version=version, variables=answer.variables)
            await self.close_asked()
            await self._show_started(run_id, f"Started {short_id(run_id)} {name}")

        beside = f" (not the {len(self.marked):,} marked)" if self.marked else ""
        return await self.input_asked(f"Run {_called(name, version)}{beside} with", template, run)

    def _remember(self, name: str, answer: Answer) -> None:
        self.session.last_inputs[name] = answer.text
        if answer.variables is not None:
            self.session.last_variables[name] = answer.variables

    def more_commands(self) -> list[Command]:
        from stepflow_tui.panes.palette import Command

        name = self.template_at_hand
        if name is None:
            return super().more_commands()

        async def run_again() -> None:
            self.act(self._run_again(name))

        why_not = self.session.why_off if self.session.read_only else None
        command = Command(f"Run {name} with its last input, unasked", "", run_again, why_not)
        return [*super().more_commands(), command]

    async def _run_again(self, name: str) -> None:
        text = self.session.last_inputs.get(name) or await self.last_input(name)
        if text is None:
            self.note(f"{name} has not run yet; r asks for its input")
            return
        variables = self.session.last_variables.get(name)
        if lacking := lacking_variables((await self.client.get_template(name)).flow, variables or {}):
            self.note(f"{name} needs {', '.join(lacking)}, which nobody gave here yet")
            self.prepare(partial(self._run_asked, name, None))
            return
        run_id = await self.client.start_run(name, json.loads(text), variables=variables)
        await self._show_started(run_id, f"Started {short_id(run_id)} {name}")

    async def _show_started(self, run_id: str, said: str) -> None:
        await self.ensure_worker()
        if self.app.screen is self:  # else somebody looks at something else by now
            await self.show_run(run_id)
        self.say(said)

    def say(self, text: str, style: str = "title") -> None:
        """On the screen that is seen."""
        seen = self.app.screen
        if isinstance(seen, Frame):
            seen.note(text, style)

    # Simulate, edit

    def action_simulate(self) -> None:
        self.prepare(partial(self._simulation_asked, self.the_template, self.version_at_hand))

    async def _simulation_asked(self, name: str, version: int | None) -> Asked:
        template = await self.client.get_template(name, version)

        async def simulate(answer: Answer) -> None:
            self._remember(name, answer)
            made = await self.client.simulate(name, answer.value, version=version, variables=answer.variables)
            await self.close_asked()
            self.session.simulations[name] = (template.version, made)
            await self.show_simulation(name)

        title = f"Simulate {_called(name, version)} with"
        return await self.input_asked(title, template, simulate, needs_secrets=False)

    async def show_simulation(self, name: str) -> None:
        """One that was just made."""
        self.session.template_at_hand = name
        self.session.shows_simulation = True
        # Not from within: what is done on a screen ends with it.
        self.app.call_later(self.action_view, "templates")

    def action_edit(self) -> None:
        self.act(self._edit(self.the_template))

    async def _edit(self, name: str) -> None:
        await self.editing().edit_template(name, await self.line_to_edit(name))

    def editing(self) -> Editing:
        from stepflow_tui.editing import Editing

        return Editing(self.app, self.session, self.note, self.files_changed)

    # Pause, answer, retry from a step

    def action_pause(self) -> None:
        run = self.the_run
        goes_on = run.status in STANDING
        what = "Let go on" if goes_on else "Pause"
        answers = {"y": ("yes", "let it go on" if goes_on else "start nothing more of it")}

        async def change(_: str) -> None:
            self.act(self._resume(run) if goes_on else self._pause(run))

        self.ask(Question(f"{what} {short_id(run.id)} {safe(run.template)}{self.as_of_now}?", answers), change, run.id)

    async def _pause(self, run: RunRecord) -> None:
        await self.client.pause(run.id)
        self.note(f"Paused {short_id(run.id)}; p lets it go on")

    async def _resume(self, run: RunRecord) -> None:
        await self.client.resume(run.id)
        await self.ensure_worker()
        self.note(f"{short_id(run.id)} goes on")

    def action_answer(self) -> None:
        self.prepare(partial(self._answer_asked, self.the_run, self.step_at_hand))

    async def _answer_asked(self, run: RunRecord, at_hand: str | None) -> Asked:
        from stepflow_tui.screens.ask import Approval, AskInput

        steps = await self.client.get_steps(run.id, bodies=False)
        waiting = {step.key: name for step in steps if (name := awaited_signal(step.awaits)) is not None}
        if not waiting:
            return self._signal_name_asked(run)
        step = at_hand if at_hand in waiting else next(iter(waiting))
        name = waiting[step]
        message, who = await self._asked_by(run, step)

        async def answer(given: Answer) -> None:
            await self._signal(run, name, given.value)

        if message is not None:
            return Approval(f"{step}: {message}{who}", answer)
        return AskInput(f"{step} waits for '{name}'{who}: answer with", "{}", answer)

    def _signal_name_asked(self, run: RunRecord) -> Asked:
        from stepflow_tui.screens.ask_text import AskText

        def named(name: str) -> None:
            if name:
                self.prepare(partial(self._signal_asked, run, name))

        self._answered = named
        return AskText(f"{short_id(run.id)} waits for no answer; name a signal to send:")

    async def _signal_asked(self, run: RunRecord, name: str) -> Asked:
        from stepflow_tui.screens.ask import AskInput

        async def send(given: Answer) -> None:
            await self._signal(run, name, given.value)

        return AskInput(f"Send '{name}' to {short_id(run.id)} with", "{}", send)

    async def _signal(self, run: RunRecord, name: str, value: Any) -> None:
        is_awaited = await self.client.signal(run.id, name, value)
        await self.close_asked()
        await self.ensure_worker()
        if is_awaited:
            self.say(f"Answered {name} of {short_id(run.id)}")
        else:
            self.say(f"Sent {name} to {short_id(run.id)}; it is kept for the first step that waits for it")

    async def _asked_by(self, run: RunRecord, step: str) -> tuple[str | None, str]:
        """What the step says that it asks; None: it only waits for a signal. And whom."""
        for event in reversed(await self.client.get_events(run.id, step=step, newest=True)):
            if event.event_type == EventType.STEP_WAITING:
                message, who = event.payload.get("message"), event.payload.get("who")
                named = ", ".join(map(str, who)) if isinstance(who, list) else who
                return None if message is None else str(message), f" (asks {named})" if named else ""
        return None, ""

    def action_retry_from(self) -> None:
        assert self.step_at_hand is not None  # as `why_not` says
        self.prepare(partial(self._retry_from_asked, self.the_run, self.step_at_hand))

    async def _retry_from_asked(self, run: RunRecord, step: str) -> Asked:
        plan = await self.client.plan_redrive(run.id, step)
        full = await self.client.get_run(run.id)
        try:
            flow = (await self.client.get_template(plan.template, plan.version)).flow
        except TemplateNotFoundError:
            flow = Flow(steps=())  # of a child that is written in its parent: its input has no form

        async def retry(answer: Answer) -> None:
            is_retried = run.status.may_be_retried
            make = self.client.retry if is_retried else self.client.fork
            new = await make(run.id, step, answer.value)
            await self.close_asked()
            await self._show_started(new, f"{'Retried' if is_retried else 'Forked'} as {short_id(new)} from {step}")

        preview = kept_and_run(plan.reused, plan.performed, MOST_OF_PREVIEW)
        return self.form_or_json(f"From {step}: {preview}; with", flow, full.input, None, retry)


def _called(name: str, version: int | None) -> str:
    return name if version is None else f"{name} v{version}"
