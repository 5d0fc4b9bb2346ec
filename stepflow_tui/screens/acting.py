"""What can be done with the execution and the template at hand, on whichever screen they are seen."""

from __future__ import annotations

import json
from typing import Any

from stepflow.errors import WorkflowEngineError
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.spans import safe
from stepflow_tui.screens.frame import Frame
from stepflow_tui.widgets.bar import Question


class Acting(Frame):
    """A subclass says what is at hand, and shows what was started."""

    @property
    def run_at_hand(self) -> RunRecord | None:
        raise NotImplementedError

    @property
    def template_at_hand(self) -> str | None:
        raise NotImplementedError

    async def show_run(self, run_id: str) -> None:
        """One that was just started."""
        raise NotImplementedError

    def _run_for(self, what: str) -> RunRecord | None:
        run = self.run_at_hand
        if run is None:
            self.note(f"There is no execution to {what}")
        return run

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
        run = self._run_for("cancel")
        if run is None:
            return
        if run.status.is_final:
            self.note(f"{short_id(run.id)} is {run.status.value}; there is nothing to cancel")
            return
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
        run = self._run_for("retry")
        if run is None:
            return
        if run.status not in (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TIMED_OUT):
            reason = "run it again with r" if run.status.is_final else "it has not ended"
            self.note(f"{short_id(run.id)} is {run.status.value}: {reason}")
            return
        self.act(self._retry(run))

    async def _retry(self, run: RunRecord) -> None:
        new = await self.client.retry(run.id)
        await self.ensure_worker()
        await self.show_run(new)
        self.note(f"Retried as {short_id(new)}")

    # Run

    def action_run(self) -> None:
        name = self.template_at_hand
        if name is None:
            self.note("There is no template yet: stepflow create NAME --dsl FILE")
            return
        self.act(self._ask_input(name))

    async def _ask_input(self, name: str) -> None:
        from stepflow_tui.screens.ask import AskInput

        template = await self.client.get_template(name)
        proposed = self.session.last_inputs.get(name)
        if proposed is None:
            proposed = await self._propose_input(name, template.flow.input_schema)
        await self.query("#ask").remove()
        await self.mount(AskInput(name, proposed))

    async def _propose_input(self, name: str, schema: Any) -> str:
        """The last input it ran with, else what its schema suggests."""
        page = await self.client.list_runs(1, template=name)
        if page.items:
            return json.dumps((await self.client.get_run(page.items[0].id)).input, ensure_ascii=False)
        return json.dumps(_example_of(schema), ensure_ascii=False)

    def on_ask_input_given(self, message: Any) -> None:
        self.session.last_inputs[message.name] = message.text
        self.act(self._run(message.name, message.value))

    def on_ask_input_closed(self, message: Any) -> None:
        self.focus_main()

    async def _run(self, name: str, value: Any) -> None:
        run_id = await self.client.start_run(name, value)
        await self.query("#ask").remove()
        self.focus_main()
        await self.ensure_worker()
        await self.show_run(run_id)
        self.note(f"Started {short_id(run_id)} {name}")


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
