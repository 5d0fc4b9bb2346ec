"""What a template says of failures: `retry` and `on_error`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stepflow.dsl.handling import ACTIONS, STRATEGIES
from stepflow.dsl.schema.parts import (
    DURATION_TEXT,
    FACTOR,
    FLAG,
    NULL,
    SOME_TIME,
    Schema,
    count,
    has,
    mapping,
    one_of,
    ref,
    said,
    spelled,
    under,
    words,
)
from stepflow.dsl.spellings import ON_ERROR_ACTIONS, ON_ERROR_KEYS, RETRY_KEYS
from stepflow.model.flow import Json

HAS_RETRY: Schema = {"required": ["retry"], **under(["retry"], {"not": {"enum": [None, False]}})}
_RETRIES: Schema = {"type": "object", "required": ["action"], **under(["action"], {"const": "retry"})}


def definitions() -> Schema:
    return {
        "retry": {"anyOf": [{"enum": [*STRATEGIES, True, False, None]}, _retry({})]},
        "on_error": {"anyOf": [_ACTION, NULL, _on_error()]},
    }


def retry_is_said_once(spellings: Mapping[str, str], loose: Iterable[str] = ()) -> Schema:
    """Where something else says how often, `on_error: {action: retry}` does not say it again. `loose`: keys of a retry
    that stand in the step itself."""
    on_error = under(spelled("on_error", spellings), {"if": _RETRIES, "then": {"maxProperties": 1}})
    return {"if": {"anyOf": [HAS_RETRY, *map(has, loose)]}, "then": on_error}


def _retry(more: Schema) -> Schema:
    keys = {
        **more,
        "strategy": said("How the waits grow; default `exponential`.", one_of(STRATEGIES)),
        "max_attempts": said("Attempts, the first one included; default 4.", count()),
        "base_delay": said("The wait before the first retry; default 1s.", DURATION_TEXT),
        "factor": said("By how much each wait is longer than the one before; default 2.", FACTOR),
        "max_delay": said("The longest wait; default 5m.", SOME_TIME),
        "jitter": said("`true`: the waits are spread at random.", FLAG),
        "on": said("Error codes that are retried; absent: all that a retry may help.", _CODES),
        "max_retries": said("Retries after the first attempt; `max_attempts` counts it too.", count(0)),
    }
    counted_once = {
        "if": has(*spelled("max_attempts", RETRY_KEYS)),
        "then": under(spelled("max_retries", RETRY_KEYS), NULL),
    }
    return mapping(keys, RETRY_KEYS, rules=[counted_once])


_CODES: Schema = {
    "type": ["array", "string", "null"],
    "minLength": 1,
    "items": {"type": "string", "minLength": 1},
    "examples": ["HTTP_TIMEOUT", "STEP_TIMEOUT"],
}
_ACTION = words(ACTIONS, ON_ERROR_ACTIONS)


def _on_error() -> Schema:
    """A mapping with an action; with `retry` its other keys are those of a retry."""
    action = said("`fail`, `skip`, `continue` with a default output, or `retry`.", _ACTION)
    continues = ["continue", *(word for word, meant in ON_ERROR_ACTIONS.items() if meant == "continue")]
    default_is_used: Json = {
        "if": {"required": ["action"], **under(["action"], {"enum": continues})},
        "else": under(spelled("default_output", ON_ERROR_KEYS), NULL),
    }
    keys = {"action": action, "default_output": said("The output the step has instead.", ref("value"))}
    handles = mapping(keys, ON_ERROR_KEYS, required="action", rules=[default_is_used])
    return {"type": "object", "if": _RETRIES, "then": _retry({"action": action}), "else": handles}
