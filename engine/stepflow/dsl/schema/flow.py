"""The keys of a flow."""

from __future__ import annotations

from stepflow.dsl.parse import MAX_STEPS
from stepflow.dsl.schema.handling import retry_is_said_once
from stepflow.dsl.schema.parts import (
    FLAG,
    MAPPING,
    NOT_OFFERED,
    NULL,
    SOME_TIME,
    TEXT,
    Schema,
    count,
    has,
    mapping,
    one_of,
    ref,
    said,
    spelled,
    under,
)
from stepflow.dsl.schema.steps import STEP_ID
from stepflow.dsl.spellings import FLOW_KEYS, STEP_KEYS


def root() -> Schema:
    keys = {
        "name": said("The template's name; of a title its slug.", _NAME),
        "description": said("What it is for, in a sentence.", TEXT),
        "version": said("A label of your own."),
        "steps": said("What is to be done: a list of steps, or a mapping of ids to steps.", _STEPS),
        "output": said("What a run gives; absent: the outputs of the steps that nobody depends on.", ref("value")),
        "input_schema": said("JSON Schema of a run's input.", ref("schema")),
        "output_schema": said("JSON Schema of a run's output.", ref("schema")),
        "variables": said("Named values given at start, each with its schema.", ref("variables")),
        "order": said(
            "`graph` (default): dependencies alone decide; `sequential`: each step also waits for the one above.",
            one_of(("graph", "sequential")),
        ),
        "evaluate": said(
            "`all` (default): every step ends; `needed`: only what the output and `must_execute` need.",
            one_of(("all", "needed")),
        ),
        "max_concurrency": said("Steps of one run at a time; default 10.", count()),
        "timeout": said("Of a run, from its start, like `2h`.", SOME_TIME),
        "retry": said("How steps without a `retry` of their own are retried.", ref("retry")),
        "on_error": said("What happens when a step without an `on_error` of its own fails.", ref("on_error")),
        "fail_fast": said("`true`: a failed step cancels what is running.", FLAG),
        "triggers": said(
            "What starts it: the clock, or another template.",
            {"anyOf": [{"type": "array", "items": ref("trigger")}, ref("trigger"), NULL]},
        ),
        "tests": said("Cases for `stepflow test`.", ref("tests")),
        "metadata": said("Anything that components are to know of the flow.", MAPPING),
        "schemas": said("`properties.input` is `input_schema`, `properties.output` is `output_schema`.", _SCHEMAS),
        "examples": said("Accepted for editors.", NOT_OFFERED),
        "$schema": said("Accepted for editors."),
        "schema": said("Accepted for editors.", NOT_OFFERED),
    }
    rules = [
        retry_is_said_once(FLOW_KEYS),
        *(_inside_schemas(name, key) for name, key in _INSIDE.items()),
    ]
    return mapping(keys, FLOW_KEYS, required="steps", rules=rules)


_NAME: Schema = {
    "type": ["string", "number", "boolean", "null"],
    # It leaves something of a slug; the last two are letters whose small form is ASCII.
    "pattern": "[A-Za-z0-9\u0130\u212a]",
}
_STEPS: Schema = {
    "type": ["array", "object"],
    "minItems": 1,
    "maxItems": MAX_STEPS,
    "items": ref("listed_step"),
    "minProperties": 1,
    "maxProperties": MAX_STEPS,
    "additionalProperties": ref("step"),
    # A key that can be no id is none where the step has one of its own.
    "patternProperties": {f"^(?!{STEP_ID}$)": {**ref("step"), **has(*spelled("id", STEP_KEYS))}},
}
_SCHEMAS: Schema = {
    "type": ["object", "null"],
    "required": ["properties"],
    "properties": {"properties": {"type": "object"}},
    **NOT_OFFERED,
}
_INSIDE = {"input": "input_schema", "output": "output_schema", "variables": "variables"}


def _inside_schemas(name: str, key: str) -> Schema:
    """`schemas.properties.name` is read where there is no `key`."""
    definition = ref("variables" if key == "variables" else "schema")
    inside = under(["schemas"], under(["properties"], under([name], definition)))
    return {"if": has(*spelled(key, FLOW_KEYS)), "else": inside}
