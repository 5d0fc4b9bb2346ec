"""Waiting for somebody: a signal from outside, or a person's approval."""

from __future__ import annotations

from typing import Any

from stepflow.components._failure import invalid_input
from stepflow.contracts.component import AwaitEvent, Component, ComponentContext
from stepflow.model.flow import Json
from stepflow.model.times import parse_duration


def wait_event(value: Json, context: ComponentContext) -> AwaitEvent:
    given: dict[str, Any] = value or {}
    until = None
    if given.get("timeout") is not None:
        try:
            until = context.now() + parse_duration(given["timeout"])
        except ValueError as error:
            raise invalid_input(f"timeout: {error}") from None
    message = {key: given[key] for key in ("message", "who") if given.get(key) is not None}
    return AwaitEvent(given.get("name") or context.step_id, until, message or None)


COMPONENTS: tuple[Component, ...] = (
    Component(
        path="/builtin/wait_event",
        function=wait_event,
        mode="inline",
        pure=True,
        description="Waits for a signal (`stepflow signal`) or an approval, without holding a worker",
        input_schema={
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": {
                "name": {
                    "type": ["string", "null"],
                    "minLength": 1,
                    "description": "of the signal; else the step's id",
                },
                "timeout": {"type": ["string", "null"], "description": "30s, 5m, 1h30m, 2d"},
                "message": {"type": ["string", "null"], "description": "what is to be decided"},
                "who": {"description": "who is asked", "type": ["string", "array", "null"]},
            },
        },
        output_schema={
            "type": "object",
            "required": ["received", "timeout", "data"],
            "properties": {"received": {"type": "boolean"}, "timeout": {"type": "boolean"}, "data": True},
        },
        example={
            "input": {"name": "approved", "timeout": "2d"},
            "output": {"received": True, "timeout": False, "data": {"by": "ada"}},
        },
    ),
)
