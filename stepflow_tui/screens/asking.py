"""Asking for an input: by a form where a schema names its parts, else as JSON; kept until it is taken."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from textual.css.query import NoMatches

from stepflow.model.flow import Flow
from stepflow.model.template import TemplateVersion
from stepflow_tui.presentation.form import named_variables, parts_of
from stepflow_tui.screens.coming import Coming
from stepflow_tui.screens.frame import ASKED, Frame

if TYPE_CHECKING:
    from stepflow_tui.presentation.form import Answer
    from stepflow_tui.screens.ask import Asked, Then


class Asking(Frame):
    def prepare(self, making: Callable[[], Awaitable[Asked | None]]) -> None:
        """What is typed from now on is for what `making` makes, when it has read what that needs; None: it is not asked
        for. One thing is asked at a time."""
        if self.is_asked():
            return
        coming = Coming()
        self.put_up(coming)
        self.act(self._show_asked(coming, making))

    async def _show_asked(self, coming: Coming, making: Callable[[], Awaitable[Asked | None]]) -> None:
        asked = None
        try:
            asked = await making()
        except NoMatches:
            pass  # the screen was left meanwhile
        finally:
            if asked is None and coming.is_attached:
                await self.close_asked()
        if asked is not None and coming.is_attached and not coming.is_given_up:
            await self.mount(asked)
            coming.give_way(asked)

    async def on_coming_given_up(self) -> None:
        await self.close_asked()

    async def input_asked(
        self, title: str, template: TemplateVersion, then: Then, *, needs_secrets: bool = True
    ) -> Asked:
        """With the last input, else what the schema suggests."""
        proposed = self.session.last_inputs.get(template.name) or await self.last_input(template.name)
        variables = self.session.last_variables.get(template.name, {})
        given = None if proposed is None else json.loads(proposed)
        return self.form_or_json(title, template.flow, given, variables, then, needs_secrets=needs_secrets)

    def form_or_json(
        self,
        title: str,
        flow: Flow,
        given: Any,
        variables: Mapping[str, Any] | None,
        then: Then,
        *,
        needs_secrets: bool = True,
    ) -> Asked:
        """`given`: None is what the schema suggests; `variables`: None, they are not asked for."""
        from stepflow_tui.screens.ask import AskInput

        schema = flow.input_schema
        begin = _begin_with(schema) if given is None else given
        if variables is None:
            flow = msgspec.structs.replace(flow, variables=None)
        parts = parts_of(flow, begin, {**flow.variable_defaults, **(variables or {})}, needs_secrets=needs_secrets)
        if parts is not None:
            from stepflow_tui.screens.form import Form

            return Form(title, parts, then)
        whole = _example_of(schema) if given is None else given
        if has_variables := bool(named_variables(flow)):
            whole = {"input": whole, "variables": dict(variables or {})}
        return AskInput(title, json.dumps(whole, ensure_ascii=False), then, with_variables=has_variables)

    async def last_input(self, name: str) -> str | None:
        page = await self.client.list_runs(1, template=name)
        if not page.items:
            return None
        return json.dumps((await self.client.get_run(page.items[0].id)).input, ensure_ascii=False)

    async def close_asked(self) -> None:
        """Nothing where the screen is gone."""
        asked = self.query(ASKED)
        self.set_focus(None)  # else it goes to whatever comes next
        await asked.remove()
        self.focus_again()

    async def on_asked_given(self, message: Asked.Given) -> None:
        asked = message.asked
        if asked.then is not None and not asked.is_busy and not asked.is_closed:
            asked.is_busy = True
            self.act(self._give(asked, message.answer))

    async def _give(self, asked: Asked, answer: Answer) -> None:
        assert asked.then is not None
        try:
            await asked.then(answer)
            asked.is_closed = True  # what was given meanwhile is no second answer
        finally:
            asked.is_busy = False

    async def on_asked_closed(self, message: Asked.Closed) -> None:
        await self.close_asked()

    async def on_asked_replaced(self, message: Asked.Replaced) -> None:
        self.put_up(message.other)
        await message.asked.remove()


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
