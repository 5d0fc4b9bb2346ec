"""The keys of a step, and what its component makes of its input."""

from __future__ import annotations

from collections.abc import Iterable

from stepflow.dsl.parse import SUB_FLOW_COMPONENTS
from stepflow.dsl.schema.components import Offered, input_name, input_schema, runs
from stepflow.dsl.schema.handling import HAS_RETRY, retry_is_said_once
from stepflow.dsl.schema.parts import (
    DURATION_TEXT,
    ERROR,
    FACTOR,
    FLAG,
    MAPPING,
    NULL,
    SOME_TIME,
    TEXT,
    Schema,
    count,
    has,
    mapping,
    one_of,
    or_null,
    ref,
    said,
    spelled,
    under,
)
from stepflow.dsl.spellings import STEP_KEYS

STEP_ID = "[^\\u0000-\\u001f]{1,200}"


def definitions(offered: Iterable[Offered]) -> Schema:
    has_id = has(*spelled("id", STEP_KEYS))
    named = {"required": ["name"], **under(["name"], ref("step_id"))}
    return {
        "step": _step(offered),
        "listed_step": {**ref("step"), "if": has_id, "else": named},
        "step_id": {"type": ["string", "integer"], "pattern": f"^{STEP_ID}$"},
    }


def _step(offered: Iterable[Offered]) -> Schema:
    keys = {
        "id": said("Unique in the flow.", or_null(ref("step_id"))),
        "component": said("What it runs.", ref("component")),
        "input": said("What the component is given; values may be references."),
        "depends_on": said(
            "Steps that must have ended before, without giving data.",
            {"type": ["array", "string", "null"], "items": {"type": "string"}},
        ),
        "when": said("The step runs only when this is true.", ref("value")),
        "skip_if": said("The step is skipped when this is true.", ref("value")),
        "on_error": said("What happens when it has failed and its retries are used up.", ref("on_error")),
        "retry": said("How often and how fast a failed attempt is repeated.", ref("retry")),
        "timeout": said("Of one attempt, like `30s`.", SOME_TIME),
        "must_execute": said("`true`: its failure fails the run, and it always runs.", FLAG),
        "output_schema": said("JSON Schema of its output; a violation is a failed attempt.", ref("schema")),
        "description": said("What it is for, in a sentence.", TEXT),
        "metadata": said("Anything that the component is to know.", MAPPING),
        "on_crash": said(
            "What it does when its worker died while it was running: `retry` (default) or `fail`.",
            one_of(("retry", "fail")),
        ),
        "sensitive": said("`true`: its output is hidden wherever it is shown.", FLAG),
        "simulate": said("What `stepflow simulate` takes for its outcome.", or_null(_simulated())),
        "max_retries": said("Retries after the first attempt; `retry: {max_attempts: …}` counts it too.", count(0)),
        "retry_delay": said("The wait before the first retry.", DURATION_TEXT),
        "retry_backoff": said("By how much each wait is longer than the one before.", FACTOR),
        "name": said("The step's id, where there is no `id`."),
    }
    loose = [name for key in ("max_retries", "retry_delay", "retry_backoff") for name in spelled(key, STEP_KEYS)]
    rules = [
        {"if": HAS_RETRY, "then": under(loose, NULL)},
        retry_is_said_once(STEP_KEYS, loose),
        {
            "if": runs(SUB_FLOW_COMPONENTS),
            "then": _with_input(ref("sub_flow_input")),
            "else": _with_input(ref("value")),
        },
        *(
            {"if": runs([one.path]), "then": _with_input(ref(input_name(one.path)))}
            for one in offered
            if input_schema(one)
        ),
    ]
    return mapping(keys, STEP_KEYS, required="component", rules=rules)


def _simulated() -> Schema:
    return mapping(
        {
            "output": said("What it gives."),
            "duration": said("How long it takes, like `30s`.", DURATION_TEXT),
            "error": said("How it fails.", or_null(ERROR)),
        }
    )


def _with_input(schema: Schema) -> Schema:
    return under(spelled("input", STEP_KEYS), schema)
