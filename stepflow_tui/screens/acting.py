"""What can be done with the execution and the template at hand, on whichever screen they are seen."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import work

from stepflow.errors import WorkflowEngineError
from stepflow.model.event import EventType
from stepflow.model.run import RunRecord, awaited_signal
from stepflow.model.statuses import RunStatus
from stepflow.model.template import TemplateVersion
from stepflow_tui.keymap import Key
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.form import Field, fields_of
from stepflow_tui.presentation.spans import safe
from stepflow_tui.screens.frame import READ_ONLY, Frame
from stepflow_tui.session import Session
from stepflow_tui.widgets.bar import Question

if TYPE_CHECKING:
    from stepflow_tui.editing import Editing
    from stepflow_tui.screens.ask import AskInput
    from stepflow_tui.screens.form import Form

ABOUT_RUNS = {
    "cancel": "cancel",
    "retry": "retry",
    "retry_from": "retry",
    "pause": "pause",
    "answer": "answer",
    "yank": "copy",
}
"""Ids of keys that do something with the execution at hand, and what that is."""
WITHOUT_TEMPLATE = {
    "run": "There is no template yet: stepflow create NAME --dsl FILE",
    "simulate": "There is no template to simulate",
    "edit": "There is no template to edit",
}
MOST_TEMPLATES = 1000


class Acting(Frame):
    """A subclass says what is at hand, and shows what was started."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._given: Callable[[str, Any], Awaitable[None]] | None = None

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

    async def show_run(self, run_id: str) -> None:
        """One that was just started."""
        raise NotImplementedError

    def why_not(self, key: Key) -> str | None:
        if reason := super().why_not(key):
            return reason
        run, verb = self.run_at_hand, ABOUT_RUNS.get(key.id)
        if verb is not None and run is None:
            return f"There is no execution to {verb}"
        if key.id in WITHOUT_TEMPLATE and self.template_at_hand is None:
            return WITHOUT_TEMPLATE[key.id]
        if run is None:
            return None
        if key.id in ("cancel", "pause") and run.status.is_final:
            return f"{short_id(run.id)} is {run.status.value}; there is nothing to {verb}"
        if key.id == "retry" and not run.status.may_be_retried:
            reason = "run it again with r" if run.status.is_final else "it has not ended"
            return f"{short_id(run.id)} is {run.status.value}: {reason}"
        if key.id == "retry_from" and self.step_at_hand is None:
            return "No step is selected: go to the steps with tab, and press T on one"
        return None

    @property
    def _run(self) -> RunRecord:
        """For what is only done where there is one (`why_not`)."""
        assert self.run_at_hand is not None
        return self.run_at_hand

    @property
    def _template(self) -> str:
        """The same."""
        assert self.template_at_hand is not None
        return self.template_at_hand

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
        run = self._run
        question = Question(f"Cancel {short_id(run.id)} {safe(run.template)}?", {"y": ("yes", "cancel it")})

        async def cancel(_: str) -> None:
            self.act(self._cancel(run))

        self.ask(question, cancel)

    async def _cancel(self, run: RunRecord) -> None:
        if await self.client.cancel(run.id, "cancelled in the terminal UI"):
            self.note(f"Cancelling {short_id(run.id)}")
        else:
            self.note(f"{short_id(run.id)} had ended already")

    def action_retry(self) -> None:
        self.act(self._retry(self._run))

    async def _retry(self, run: RunRecord) -> None:
        new = await self.client.retry(run.id)
        await self.ensure_worker()
        await self.show_run(new)
        self.note(f"Retried as {short_id(new)}")

    # Run

    def action_run(self) -> None:
        self.act(self._ask_to_run(self._template, self.version_at_hand))

    async def _ask_to_run(self, name: str, version: int | None) -> None:
        template = await self.client.get_template(name, version)

        async def run(text: str, value: Any) -> None:
            self.session.last_inputs[name] = text
            run_id = await self.client.start_run(name, value, version=version)
            await self._show_started(run_id)
            self.note(f"Started {short_id(run_id)} {name}")

        await self._ask_input(f"Run {_called(name, version)} with", template, run)

    async def _show_started(self, run_id: str) -> None:
        await self.close_json()
        await self.ensure_worker()
        await self.show_run(run_id)

    async def _ask_input(
        self, title: str, template: TemplateVersion, then: Callable[[str, Any], Awaitable[None]]
    ) -> None:
        """By a form where its schema names the parts; with the last input, else what the schema suggests."""
        schema = template.flow.input_schema
        proposed = self.session.last_inputs.get(template.name) or await self._last_input(template.name)
        fields = fields_of(schema)
        given = _begin_with(schema) if proposed is None else json.loads(proposed)
        if fields is not None and isinstance(given, dict):
            await self._ask_form(title, fields, given, then)
        else:
            await self.ask_json(title, proposed or json.dumps(_example_of(schema), ensure_ascii=False), then)

    async def _last_input(self, name: str) -> str | None:
        page = await self.client.list_runs(1, template=name)
        if not page.items:
            return None
        return json.dumps((await self.client.get_run(page.items[0].id)).input, ensure_ascii=False)

    # Simulate, edit

    def action_simulate(self) -> None:
        self.act(self._ask_to_simulate(self._template, self.version_at_hand))

    async def _ask_to_simulate(self, name: str, version: int | None) -> None:
        template = await self.client.get_template(name, version)

        async def simulate(text: str, value: Any) -> None:
            self.session.last_inputs[name] = text
            made = await self.client.simulate(name, value, version=version)
            await self.close_json()
            self.session.simulations[name] = (template.version, made)
            await self.show_simulation(name)

        await self._ask_input(f"Simulate {_called(name, version)} with", template, simulate)

    async def show_simulation(self, name: str) -> None:
        """One that was just made."""
        self.session.template_at_hand = name
        self.session.shows_simulation = True
        # Not from within: what is done on a screen ends with it.
        self.app.call_later(self.action_view, "templates")

    def action_edit(self) -> None:
        self.act(self.editing().edit_template(self._template, self.line_at_hand))

    def editing(self) -> Editing:
        from stepflow_tui.editing import Editing

        return Editing(self.app, self.session, self.note, self.files_changed)

    # Compare

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

    # Pause, answer, retry from a step

    def action_pause(self) -> None:
        run = self._run
        goes_on = run.status in (RunStatus.PAUSED, RunStatus.STALLED)
        what = "Let go on" if goes_on else "Pause"
        answers = {"y": ("yes", "let it go on" if goes_on else "start nothing more of it")}

        async def change(_: str) -> None:
            self.act(self._resume(run) if goes_on else self._pause(run))

        self.ask(Question(f"{what} {short_id(run.id)} {safe(run.template)}?", answers), change)

    async def _pause(self, run: RunRecord) -> None:
        await self.client.pause(run.id)
        self.note(f"Paused {short_id(run.id)}; p lets it go on")

    async def _resume(self, run: RunRecord) -> None:
        await self.client.resume(run.id)
        await self.ensure_worker()
        self.note(f"{short_id(run.id)} goes on")

    def action_answer(self) -> None:
        self.act(self._answer(self._run))

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
        self.act(self._ask_retry_from(self._run, self.step_at_hand))

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

    # Asking for JSON

    async def ask_json(self, title: str, proposed: str, then: Callable[[str, Any], Awaitable[None]]) -> None:
        """`then` closes it by `close_json` when all went well; else it stays, to be mended."""
        from stepflow_tui.screens.ask import AskInput

        await self.close_json()
        self._given = then
        await self.mount(AskInput(title, proposed))

    async def _ask_form(
        self, title: str, fields: Sequence[Field], given: dict[str, Any], then: Callable[[str, Any], Awaitable[None]]
    ) -> None:
        from stepflow_tui.screens.form import Form

        await self.close_json()
        self._given = then
        await self.mount(Form(title, fields, given))

    async def on_form_as_json(self, message: Form.AsJson) -> None:
        if self._given is not None:
            await self.ask_json(message.title, message.text, self._given)

    async def close_json(self) -> None:
        self.set_focus(None)  # else it goes to whatever comes next
        await self.query("#ask, #form").remove()
        self.focus_main()

    def on_ask_input_given(self, message: AskInput.Given) -> None:
        if self._given is not None:
            self.act(self._given(message.text, message.value))

    async def on_ask_input_closed(self, message: AskInput.Closed) -> None:
        await self.close_json()

    # Yank

    def action_yank(self) -> None:
        run = self._run
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
                text = f"stepflow execution {run.id}"
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


def _called(name: str, version: int | None) -> str:
    return name if version is None else f"{name} v{version}"


def _begin_with(schema: Any) -> Any:
    """What stands in a form at first: what its schema says, and nothing made up."""
    if not isinstance(schema, dict):
        return {}
    if "default" in schema:
        return schema["default"]
    if isinstance(schema.get("examples"), list) and schema["examples"]:
        return schema["examples"][0]
    properties = schema.get("properties") or {}
    return {name: one["default"] for name, one in properties.items() if isinstance(one, dict) and "default" in one}


def _example_of(schema: Any) -> Any:
    """A value to begin with: defaults, examples, or empty ones of the right type."""
    if not isinstance(schema, dict):
        return {}
    if "default" in schema:
        return schema["default"]
    if isinstance(schema.get("examples"), list) and schema["examples"]:
        return schema["examples"][0]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else None)
    if kind == "object":
        required = schema.get("required", [])
        properties = schema.get("properties", {})
        return {name: _example_of(one) for name, one in properties.items() if name in required or "default" in one}
    return {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}.get(kind or "", {})
