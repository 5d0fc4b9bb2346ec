"""What starts a template: the clock, or another template."""

from __future__ import annotations

from stepflow.dsl.schema.parts import FLAG, TEXT, Schema, mapping, ref, said
from stepflow.dsl.spellings import TRIGGER_KEYS


def definitions() -> Schema:
    return {"trigger": {"anyOf": [_by_clock(), _after()]}}


def _by_clock() -> Schema:
    cron: Schema = {
        "type": "string",
        "maxLength": 200,
        "pattern": "^@|^\\s*\\S+(?:\\s+\\S+){4}\\s*$",
        "examples": ["0 7 * * 1-5", "@hourly", "@daily", "@weekly", "@monthly"],
    }
    keys = {
        "cron": said("Minute, hour, day, month, weekday; or `@daily` and the like.", cron),
        "timezone": said("Like Europe/Berlin.", TEXT),
    }
    return mapping({**keys, **_OF_BOTH}, TRIGGER_KEYS, required="cron")


def _after() -> Schema:
    statuses: Schema = {
        "anyOf": [ref("final_status"), {"type": "array", "items": ref("final_status")}, {"type": "null"}]
    }
    keys = {
        "after": said("The template whose runs start this one.", {"type": "string", "minLength": 1}),
        "statuses": said("How a run of it must have ended.", statuses),
    }
    return mapping({**keys, **_OF_BOTH}, TRIGGER_KEYS, required="after")


_OF_BOTH: dict[str, Schema] = {
    "input": said("The input of the runs it starts."),
    "enabled": said("`false`: it starts nothing.", FLAG),
    "description": said("What it is for."),
}
