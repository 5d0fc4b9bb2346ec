"""Asking for an input: by a form where a schema names its parts, else as JSON; kept until it is taken."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from stepflow.model.template import TemplateVersion
from stepflow_tui.presentation.form import Field, fields_of
from stepflow_tui.screens.frame import Frame
from stepflow_tui.session import Session

if TYPE_CHECKING:
    from stepflow_tui.screens.ask import AskInput
    from stepflow_tui.screens.form import Form


class Asking(Frame):
    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._given: Callable[[str, Any], Awaitable[None]] | None = None

    async def ask_input(
        self, title: str, template: TemplateVersion, then: Callable[[str, Any], Awaitable[None]]
    ) -> None:
        """By a form where its schema names the parts; with the last input, else what the schema suggests."""
        schema = template.flow.input_schema
        proposed = self.session.last_inputs.get(template.name) or await self.last_input(template.name)
        fields = fields_of(schema)
        given = _begin_with(schema) if proposed is None else json.loads(proposed)
        if fields is not None and isinstance(given, dict):
            await self._ask_form(title, fields, given, then)
        else:
            await self.ask_json(title, proposed or json.dumps(_example_of(schema), ensure_ascii=False), then)

    async def last_input(self, name: str) -> str | None:
        page = await self.client.list_runs(1, template=name)
        if not page.items:
            return None
        return json.dumps((await self.client.get_run(page.items[0].id)).input, ensure_ascii=False)

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


def _begin_with(schema: Any) -> Any:
    """What stands in a form at first: what its schema says, and nothing made up."""
    if not isinstance(schema, dict):
        return {}
    properties = schema.get("properties") or {}
    defaults = {name: one["default"] for name, one in properties.items() if isinstance(one, dict) and "default" in one}
    return next(iter(_suggested(schema)), defaults)


def _example_of(schema: Any) -> Any:
    """A value to begin with: defaults, examples, or empty ones of the right type."""
    if not isinstance(schema, dict):
        return {}
    kind = schema.get("type", "object" if "properties" in schema else None)
    suggested = [*_suggested(schema), *(schema.get("enum") or ())]
    if suggested:
        return suggested[0]
    if kind == "object":
        required = schema.get("required", [])
        properties = schema.get("properties", {})
        return {name: _example_of(one) for name, one in properties.items() if name in required or "default" in one}
    return {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}.get(kind or "", {})


def _suggested(schema: dict[str, Any]) -> list[Any]:
    """By the one who wrote it, the best first."""
    examples = schema.get("examples")
    return [*([schema["default"]] if "default" in schema else ()), *(examples if isinstance(examples, list) else ())]
