"""The small ones that need nothing from outside: echo, log, fail, sleep, create_messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn

from stepflow.components._failure import invalid_input
from stepflow.contracts.component import Component, ComponentContext, SleepUntil
from stepflow.errors import ComponentError
from stepflow.model import jsontext
from stepflow.model.event import LEVELS
from stepflow.model.flow import Json
from stepflow.model.times import MAX_DURATION_MS, from_datetime, parse_duration

SLEEP_KEYS = ("seconds", "duration_ms", "duration", "until")


def echo(value: Json, context: ComponentContext) -> Json:
    return value


def log(value: dict[str, Any], context: ComponentContext) -> None:
    """It gives nothing: the line is in the log."""
    fields = value.get("fields") or {}
    taken = {"message", "level"} & fields.keys()
    if taken:
        raise invalid_input(f"'{min(taken)}' is a key of its own and cannot be one of the fields")
    message, level = value["message"], value.get("level") or "info"
    if not isinstance(message, str):
        message = jsontext.encode(message)
    context.log(message, level, **fields)


def fail(value: dict[str, Any], context: ComponentContext) -> NoReturn:
    raise ComponentError(value.get("code") or "FAILED", value["message"], value.get("data"))


def sleep(value: dict[str, Any], context: ComponentContext) -> SleepUntil:
    (key,) = (key for key in SLEEP_KEYS if value.get(key) is not None)
    try:
        if key == "until":
            return SleepUntil(_instant(value[key]))
        duration_ms = _duration_ms(key, value[key])
    except (ValueError, OverflowError) as error:
        raise invalid_input(f"{key}: {error}") from None
    if duration_ms > MAX_DURATION_MS:
        raise invalid_input(f"{key}: {value[key]} is longer than 100 years")
    return SleepUntil(context.now() + round(duration_ms))


def create_messages(value: dict[str, Any], context: ComponentContext) -> dict[str, Any]:
    messages = [{"role": "user", "content": value["user_prompt"]}]
    if value.get("system_instructions") is not None:
        messages.insert(0, {"role": "system", "content": value["system_instructions"]})
    return {"messages": messages}


def _instant(text: str) -> int:
    try:
        return from_datetime(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        raise ValueError(f"'{text}' is no instant with a time zone; write it like 2026-01-20T14:22:10Z") from None


def _duration_ms(key: str, amount: Any) -> float:
    if key == "duration":
        return parse_duration(amount)
    return float(amount) * (1000 if key == "seconds" else 1)


def _echo(path: str, description: str) -> Component:
    return Component(
        path=path,
        function=echo,
        mode="inline",
        pure=True,
        description=description,
        input_schema=True,
        output_schema=True,
        example={"input": {"greeting": "hello"}, "output": {"greeting": "hello"}},
    )


COMPONENTS: tuple[Component, ...] = (
    _echo("/builtin/echo", "Returns its input"),
    _echo("/builtin/set", "Returns its input: a value under a name"),
    _echo("/builtin/noop", "Does nothing, and returns its input"),
    Component(
        path="/builtin/log",
        function=log,
        mode="inline",
        pure=True,
        description="Writes a line into the log of the execution",
        input_schema={
            "type": "object",
            "required": ["message"],
            "additionalProperties": False,
            "properties": {
                "message": {"description": "what is not a text is written as JSON"},
                "level": {"enum": [*LEVELS, None]},
                "fields": {"type": ["object", "null"]},
            },
        },
        output_schema={"type": "null"},
        example={"input": {"message": "half of it is done", "level": "info", "fields": {"rows": 500}}, "output": None},
    ),
    Component(
        path="/builtin/fail",
        function=fail,
        mode="inline",
        pure=True,
        description="Fails its step with a message and a code",
        input_schema={
            "type": "object",
            "required": ["message"],
            "additionalProperties": False,
            "properties": {
                "message": {"type": "string", "minLength": 1},
                "code": {"type": ["string", "null"], "minLength": 1},
                "data": True,
            },
        },
        output_schema=False,
        example={"input": {"message": "The warehouse is closed", "code": "CLOSED"}},
    ),
    Component(
        path="/builtin/sleep",
        function=sleep,
        mode="inline",
        pure=True,
        description="Waits durably, without holding a worker: seconds, duration_ms, duration or until",
        input_schema={
            "type": "object",
            "additionalProperties": False,
            "if": {
                "oneOf": [{"required": [key], "properties": {key: {"not": {"type": "null"}}}} for key in SLEEP_KEYS]
            },
            "else": {"description": f"a sleep takes exactly one of {', '.join(SLEEP_KEYS)}", "not": {}},
            "properties": {
                "seconds": {"type": ["number", "null"], "minimum": 0},
                "duration_ms": {"type": ["number", "null"], "minimum": 0},
                "duration": {"type": ["string", "null"], "description": "250ms, 30s, 5m, 1h30m, 2d"},
                "until": {"type": ["string", "null"], "description": "2026-01-20T14:22:10Z"},
            },
        },
        output_schema={
            "type": "object",
            "required": ["until"],
            "properties": {"until": {"type": "string"}},
        },
        example={"input": {"duration": "1h30m"}, "output": {"until": "2026-01-20T14:22:10.000Z"}},
    ),
    Component(
        path="/builtin/create_messages",
        function=create_messages,
        mode="inline",
        pure=True,
        description="Makes the messages of a chat from a prompt and instructions",
        input_schema={
            "type": "object",
            "required": ["user_prompt"],
            "additionalProperties": False,
            "properties": {
                "user_prompt": {"type": "string"},
                "system_instructions": {"type": ["string", "null"]},
            },
        },
        output_schema={
            "type": "object",
            "required": ["messages"],
            "properties": {
                "messages": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["role", "content"],
                        "properties": {"role": {"enum": ["system", "user"]}, "content": {"type": "string"}},
                    },
                }
            },
        },
        example={
            "input": {"user_prompt": "Hello", "system_instructions": "Be kind"},
            "output": {"messages": [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hello"}]},
        },
    ),
)
