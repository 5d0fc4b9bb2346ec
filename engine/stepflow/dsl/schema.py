"""The JSON Schema of a template: what editors complete, explain and check while it is typed.

It refuses what the parser refuses wherever a schema can say it, and never anything that the parser accepts. What only
the whole text tells (references, cycles, expressions, paths) is left to `validate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import product
from typing import Protocol
from urllib.parse import quote

from stepflow.dsl.handling import ACTIONS, STRATEGIES
from stepflow.dsl.parse import MAX_STEPS
from stepflow.dsl.references import FORMS, SUB_FLOW_KEYS
from stepflow.dsl.spellings import (
    COMPONENT_WORDS,
    FLOW_KEYS,
    ON_ERROR_ACTIONS,
    ON_ERROR_KEYS,
    RETRY_KEYS,
    STEP_KEYS,
    TRIGGER_KEYS,
    UNIT_OF_KEY,
    fold_component,
)
from stepflow.dsl.validate import OUR_FAMILIES
from stepflow.model.flow import Json
from stepflow.model.statuses import FINAL_RUN_STATUSES, RUN_ALIASES, STEP_ALIASES, RunStatus, StepStatus

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SUB_FLOW_COMPONENTS = ("/builtin/eval", "/builtin/map", "/builtin/iterate")
"""Their input may hold a flow written out."""

MOST_PARTS = 6
"""Of a component's path: with more, only the path itself is offered."""


class ComponentSchema(Protocol):
    """What an editor says of a component."""

    @property
    def description(self) -> str: ...

    @property
    def input_schema(self) -> Json:
        """None: it takes anything."""


def template_schema(components: Mapping[str, ComponentSchema] | None = None) -> Json:
    """JSON Schema 2020-12 of a template. `components` by path: they are offered with what their input takes, and an
    unknown one of our families is refused; None: components are not judged."""
    return {
        "$schema": DIALECT,
        "title": "StepFlow template",
        "description": "A workflow: its steps, what they depend on, and what happens when one fails.",
        **_flow(),
        "$defs": {
            "duration": _duration(),
            "schema": _json_schema(),
            "variables": _variables(),
            "variable": _variable(),
            "value": _value({}),
            "sub_flow_input": _value({key: _ref("sub_flow") for key in SUB_FLOW_KEYS}),
            "sub_flow": _sub_flow(),
            "step": _step(components),
            "listed_step": _listed_step(),
            "step_id": _step_id(),
            "component": _component(components),
            "retry": _retry(),
            "on_error": _on_error(),
            "trigger": {"anyOf": [_trigger_by_clock(), _trigger_after()]},
            "tests": _tests(),
            "case": _case(),
            "mock": _mock(),
            "expectation": _expectation(),
            "run_status": _status(RunStatus, RUN_ALIASES),
            "step_status": _status(StepStatus, STEP_ALIASES),
            "final_status": _final_status(),
            **{_input_name(path): _input_of(one) for path, one in (components or {}).items() if _input_of(one)},
        },
    }


# Flow


def _flow() -> dict[str, Json]:
    keys = {
        "name": _said("The template's name; of a title its slug.", {"pattern": "[A-Za-z0-9\u0130\u212a]"}),
        "description": _said("What it is for, in a sentence.", _TEXT),
        "version": _said("A label of your own."),
        "steps": _said(
            "What is to be done: a list of steps, or a mapping of ids to steps.",
            {
                "type": ["array", "object"],
                "minItems": 1,
                "maxItems": MAX_STEPS,
                "items": _ref("listed_step"),
                "minProperties": 1,
                "maxProperties": MAX_STEPS,
                "additionalProperties": _ref("step"),
            },
        ),
        "output": _said("What a run gives; absent: the outputs of the steps that nobody depends on.", _ref("value")),
        "input_schema": _said("JSON Schema of a run's input.", _ref("schema")),
        "output_schema": _said("JSON Schema of a run's output.", _ref("schema")),
        "variables": _said("Named values given at start, each with its schema.", _ref("variables")),
        "order": _said(
            "`graph`: dependencies alone decide; `sequential`: each step also waits for the one above.",
            _one_of(("graph", "sequential")),
        ),
        "evaluate": _said(
            "`all`: every step ends; `needed`: only what the output and `must_execute` need.",
            _one_of(("all", "needed")),
        ),
        "max_concurrency": _said("Steps of one run at a time; default 10.", _count()),
        "timeout": _said("Of a run, from its start.", _ref("duration")),
        "retry": _said("How steps without a `retry` of their own are retried.", _ref("retry")),
        "on_error": _said("What happens when a step without an `on_error` of its own fails.", _ref("on_error")),
        "fail_fast": _said("`true`: a failed step cancels what is running.", _FLAG),
        "triggers": _said(
            "What starts it: the clock, or another template.",
            {"anyOf": [{"type": "array", "items": _ref("trigger")}, _ref("trigger"), _NULL]},
        ),
        "tests": _said("Cases for `stepflow test`.", _ref("tests")),
        "metadata": _said("Anything that components are to know of the flow.", _MAPPING),
        "schemas": _said(
            "`properties.input` is `input_schema`, `properties.output` is `output_schema`.",
            {
                "type": ["object", "null"],
                "required": ["properties"],
                "properties": {"properties": {"type": "object"}},
                "deprecated": True,
            },
        ),
        "examples": _said("Accepted for editors."),
        "$schema": _said("Accepted for editors."),
        "schema": _said("Accepted for editors."),
    }
    return _mapping(
        keys,
        FLOW_KEYS,
        required="steps",
        rules=[
            _inside_schemas("input", "input_schema", "schema"),
            _inside_schemas("output", "output_schema", "schema"),
            _inside_schemas("variables", "variables", "variables"),
        ],
    )


def _inside_schemas(name: str, key: str, definition: str) -> Json:
    """`schemas.properties.name` is read where there is no `key`."""
    said = {"properties": {"properties": {"properties": {name: _ref(definition)}}}}
    return {"if": _any_of(_spelled(key, FLOW_KEYS)), "else": {"properties": {"schemas": said}}}


def _variables() -> Json:
    is_schema = {"required": ["type"], "properties": {"type": {"const": "object"}}}
    within = {"properties": {"properties": {"additionalProperties": _ref("variable")}}}
    return {
        "type": ["object", "null"],
        "if": is_schema,
        "then": {"allOf": [_ref("schema"), within]},
        "else": {"additionalProperties": _ref("variable")},
    }


def _variable() -> Json:
    secret = _said("`true`: never stored in clear and never shown.")
    is_secret = {"required": ["secret"], "properties": {"secret": {"const": True}}}
    return {
        "type": ["object", "boolean"],
        "allOf": [_ref("schema"), {"if": is_secret, "then": {"properties": {"default": False}}}],
        "properties": {"secret": secret},
    }


def _json_schema() -> Json:
    """What every dialect has in common, for completion; the schema as a whole is checked by `validate`."""
    types = ["object", "array", "string", "integer", "number", "boolean", "null"]
    return {
        "type": ["object", "boolean", "null"],
        "properties": {
            "type": _said(
                "What kind of value it is.",
                {"anyOf": [{"enum": types}, {"type": "array", "items": {"enum": types}}]},
            ),
            "properties": _said(
                "The keys of an object, each with its schema.",
                {"type": "object", "additionalProperties": _inner_schema()},
            ),
            "required": _said("The keys that must be there.", {"type": "array", "items": {"type": "string"}}),
            "additionalProperties": _said("`false`: no other keys; or their schema.", _inner_schema()),
            "items": _said("The schema of a list's items."),
            "enum": _said("The only values it may have.", {"type": "array"}),
            "const": _said("The only value it may have."),
            "default": _said("The value where none is given."),
            "description": _said("What it is.", {"type": "string"}),
            "title": _said("Its name.", {"type": "string"}),
            "format": _said("For example `date-time` or `uri`.", {"type": "string"}),
            "pattern": _said("A regular expression that a text must match.", {"type": "string"}),
            "minimum": _said("The least a number may be.", {"type": "number"}),
            "maximum": _said("The most a number may be.", {"type": "number"}),
        },
    }


def _inner_schema() -> Json:
    return {"type": ["object", "boolean"], **_ref("schema")}


# Steps


def _step(components: Mapping[str, ComponentSchema] | None) -> Json:
    condition = {"anyOf": [{"type": ["boolean", "null"]}, _ref("value")]}
    text_or_texts = {"type": ["array", "string", "null"], "items": {"type": "string"}}
    keys = {
        "id": _said("Unique in the flow.", {"anyOf": [_ref("step_id"), _NULL]}),
        "component": _said("What it runs.", _ref("component")),
        "input": _said("What the component is given; values may be references."),
        "depends_on": _said("Steps that must have ended before, without giving data.", text_or_texts),
        "when": _said("The step runs only when this is true.", condition),
        "skip_if": _said("The step is skipped when this is true.", condition),
        "on_error": _said("What happens when it has failed and its retries are used up.", _ref("on_error")),
        "retry": _said("How often and how fast a failed attempt is repeated.", _ref("retry")),
        "timeout": _said("Of one attempt.", _ref("duration")),
        "must_execute": _said("`true`: its failure fails the run, and it always runs.", _FLAG),
        "output_schema": _said("JSON Schema of its output; a violation is a failed attempt.", _ref("schema")),
        "description": _said("What it is for, in a sentence.", _TEXT),
        "metadata": _said("Anything that the component is to know.", _MAPPING),
        "on_crash": _said(
            "What it does when its worker died while it was running: `retry` or `fail`.", _one_of(("retry", "fail"))
        ),
        "sensitive": _said("`true`: its output is hidden wherever it is shown.", _FLAG),
        "simulate": _said(
            "What `stepflow simulate` takes for its outcome.",
            {
                "type": ["object", "null"],
                "properties": {
                    "output": _said("What it gives."),
                    "duration": _said("How long it takes."),
                    "error": _said("How it fails."),
                },
            },
        ),
        "max_retries": _said("Retries after the first attempt; `retry: {max_attempts: …}` counts it too.", _count(0)),
        "retry_delay": _said("The wait before the first retry.", _ref("duration")),
        "retry_backoff": _said("By how much each wait is longer than the one before.", _FACTOR),
        "name": _said("The step's id, where there is no `id`."),
    }
    loose = [name for key in ("max_retries", "retry_delay", "retry_backoff") for name in _spelled(key, STEP_KEYS)]
    has_retry = {"required": ["retry"], "properties": {"retry": {"not": {"enum": [None, False]}}}}
    says_how = {"anyOf": [has_retry, *map(_has, loose)]}
    handled = {name: _retry_in_on_error() for name in _spelled("on_error", STEP_KEYS)}
    rules = [
        {"if": has_retry, "then": {"properties": dict.fromkeys(loose, _NULL)}},
        {"if": says_how, "else": {"properties": handled}},
        {
            "if": _runs([form for path in SUB_FLOW_COMPONENTS for form in _written_forms(path)]),
            "then": _inputs(_ref("sub_flow_input")),
            "else": _inputs(_ref("value")),
        },
        *(
            {"if": _runs(_written_forms(path)), "then": _inputs(_ref(_input_name(path)))}
            for path, one in (components or {}).items()
            if _input_of(one)
        ),
    ]
    return _mapping(keys, STEP_KEYS, required="component", rules=rules)


def _listed_step() -> Json:
    has_id = {"anyOf": [_has(name) for name in _spelled("id", STEP_KEYS)]}
    return {
        **_ref("step"),
        "if": has_id,
        "else": {"anyOf": [{"required": ["id"]}, {"required": ["name"], "properties": {"name": _ref("step_id")}}]},
    }


def _step_id() -> Json:
    return {"type": ["string", "integer"], "minLength": 1, "maxLength": 200, "pattern": "^[^\\u0000-\\u001f]*$"}


def _inputs(schema: Json) -> Json:
    return {"properties": dict.fromkeys(_spelled("input", STEP_KEYS), schema)}


# Components


def _component(components: Mapping[str, ComponentSchema] | None) -> Json:
    characters = "[^\\u0000-,:-@\\[-\\^`{-\\u007f]+"
    if components is None:
        return {"type": "string", "pattern": f"^{characters}$", "examples": ["/http/get", "/shell/run"]}
    families = "|".join(family.strip("/") for family in OUR_FAMILIES)
    elsewhere = f"^(?!/(?:builtins|{families})/)(?!(?:{families})[./])(?=.*[./]){characters}$"
    ours = [path for path in components if path.startswith(OUR_FAMILIES)]
    return {
        "type": "string",
        "anyOf": [
            *({"const": path, "description": one.description} for path, one in components.items()),
            *(
                {"const": form, "description": f"Another spelling of `{path}`.", "deprecated": True}
                for path in ours
                for form in _written_forms(path)[1:]
            ),
            {"pattern": elsewhere, "description": "A component of your own, or of another worker."},
        ],
    }


def _written_forms(path: str) -> list[str]:
    """All that `fold_component` makes `path` of, the path itself first."""
    parts = path.removeprefix("/").split("/")
    forms = [path, *(word for word, meant in COMPONENT_WORDS.items() if meant == path)]
    if parts[0] == "builtin":
        forms += [path.replace("/builtin/", "/builtins/", 1), *parts[1:]]
    if len(parts) <= MOST_PARTS:
        forms += ["".join(map("".join, zip(parts, (*ends, ""), strict=True))) for ends in _separators(len(parts) - 1)]
    return [form for form in dict.fromkeys(forms) if form == path or fold_component(form) == path]


def _separators(number: int) -> Iterable[tuple[str, ...]]:
    return product("./", repeat=number)


def _runs(words: list[str]) -> Json:
    names = _spelled("component", STEP_KEYS)
    return {"anyOf": [{"required": [name], "properties": {name: {"enum": words}}} for name in names]}


def _input_name(path: str) -> str:
    return f"input:{path}"


def _input_of(component: ComponentSchema) -> Json:
    """The keys of its input, described and not judged: any of them may be a reference. Empty: nothing is known."""
    schema = component.input_schema
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return {"properties": {key: _hint(one) for key, one in properties.items()}} if isinstance(properties, dict) else {}


def _hint(schema: Json) -> Json:
    if not isinstance(schema, dict):
        return {}
    kinds = schema.get("type")
    said = schema.get("description") or " or ".join([kinds] if isinstance(kinds, str) else kinds or [])
    values = schema.get("enum")
    return {"description": str(said)} | (
        {"examples": [value for value in values if value is not None]} if isinstance(values, list) else {}
    )


# Values


def _value(sub_flows: dict[str, Json]) -> Json:
    """Any value, and the forms in it. `sub_flows`: keys of a plain object that may hold a flow."""
    reference = {
        "path": _path(),
        "$on_skip": _said("What to do when that step was skipped: `use_default` or `skip_step`."),
        "$default": _said("The value when that step was skipped."),
        "onSkip": _said("Another spelling of `$on_skip` and `$default`.", {"deprecated": True}),
    }
    beside: dict[str, dict[str, Json]] = {
        "$from": reference,
        "$step": reference,
        "$input": {},
        "$variable": {"path": _path(), "default": _said("The value where the variable has none.")},
        "$if": {"then": _said("The value if so.", _ref("value")), "else": _said("The value if not.", _ref("value"))},
        "$coalesce": {},
        "$literal": {},
    }
    rules = {"$from": _on_skip(), "$step": _on_skip()}
    of_form = [
        {
            "if": {"required": [form]},
            "then": {
                "properties": {form: True, **beside[form]},
                "additionalProperties": False,
                **rules.get(form, {}),
            },
        }
        for form in FORMS
    ]
    plain: dict[str, Json] = {"propertyNames": {"not": {"pattern": "^\\$"}}, "additionalProperties": _ref("value")}
    if sub_flows:
        plain["properties"] = sub_flows
    return {
        "properties": _forms(),
        "items": _ref("value"),
        "if": _is_form(),
        "then": {"allOf": of_form},
        "else": plain,
    }


def _forms() -> dict[str, Json]:
    return {
        "$from": _said("A reference: { step: ID }, { workflow: input } or { variable: NAME }.", _source()),
        "$step": _said("The output of this step.", {"type": "string"}),
        "$input": _said("The run's input, at this path.", _path()),
        "$variable": _said("The value of this variable.", {"type": "string"}),
        "$if": _said("A choice: if this is true, `then`, else `else`.", _ref("value")),
        "$coalesce": _said(
            "The first of these that is neither null nor skipped.",
            {"type": "array", "minItems": 1, "items": _ref("value")},
        ),
        "$literal": _said("This value as it stands, not expanded."),
    }


def _source() -> Json:
    def of(key: str, schema: Json, **more: Json) -> Json:
        properties = {key: schema, **more}
        return {"type": "object", "required": [key], "properties": properties, "additionalProperties": False}

    return {
        "anyOf": [
            of("step", _said("The step whose output it is.", {"type": "string"})),
            of("workflow", _said("The run's input.", {"const": "input"})),
            of("variable", _said("A variable.", {"type": "string"}), default=_said("Where it has no value.")),
        ]
    }


def _path() -> Json:
    return {"description": "Where in it, like `a.b[0]`.", "type": ["string", "null"], "maxLength": 1000}


def _on_skip() -> dict[str, Json]:
    older = {"action": _one_of(("useDefault", "skip", "use_default", "skip_step")), "defaultValue": _ref("value")}
    today = {"$on_skip": _one_of(("use_default", "skip_step")), "$default": _ref("value")}
    return {
        "if": {"required": ["onSkip"], "properties": {"onSkip": {"type": "object"}}},
        "then": {"properties": {"onSkip": {"properties": older}}},
        "else": {"properties": today},
    }


def _sub_flow() -> Json:
    """A flow written out, one inside `$literal`, or a value that gives one."""
    wrapped = {"type": "object", "required": ["$literal"], "properties": {"$literal": {"type": "object"}}}
    return {
        "description": "A flow written out here, with steps of its own, or a reference to one.",
        "if": wrapped,
        "then": {"properties": {"$literal": {"$ref": "#"}}, "additionalProperties": False},
        "else": {
            "if": {"anyOf": [{"not": {"type": "object"}}, _is_form()]},
            "then": _ref("value"),
            "else": {"$ref": "#"},
        },
    }


def _is_form() -> Json:
    return {"type": "object", **_any_of(FORMS)}


# Retry and on_error


def _retry() -> Json:
    return {"anyOf": [{"enum": [*STRATEGIES, True, False, None]}, _retry_mapping({})]}


def _retry_mapping(more: dict[str, Json]) -> Json:
    nothing: Json = {"enum": [None, False, 0, "", [], {}]}
    codes = {"anyOf": [{"type": ["array", "string"], "items": {"type": "string"}}, nothing]}
    keys = {
        **more,
        "strategy": _said("How the waits grow; default `exponential`.", _one_of(STRATEGIES)),
        "max_attempts": _said("Attempts, the first one included; default 4.", _count()),
        "base_delay": _said("The wait before the first retry; default 1s.", _ref("duration")),
        "factor": _said("By how much each wait is longer than the one before; default 2.", _FACTOR),
        "max_delay": _said("The longest wait; default 5m.", _ref("duration")),
        "jitter": _said("`true`: the waits are spread at random.", _FLAG),
        "on": _said("Error codes that are retried; absent: all that a retry may help.", codes),
        "max_retries": _said("Retries after the first attempt; `max_attempts` counts it too.", _count(0)),
    }
    no_retries = {"properties": dict.fromkeys(_spelled("max_retries", RETRY_KEYS), _NULL)}
    return _mapping(keys, RETRY_KEYS, rules=[{"if": _any_of(_spelled("max_attempts", RETRY_KEYS)), "then": no_retries}])


def _on_error() -> Json:
    words = {"anyOf": [{"enum": [*ACTIONS]}, {"enum": [*ON_ERROR_ACTIONS], "deprecated": True}]}
    action = _said("`fail`, `skip`, `continue` with a default output, or `retry`.", words)
    default = _said("With `continue`: the output the step has instead.", _ref("value"))
    spelled = _spelled("default_output", ON_ERROR_KEYS)
    continues = [word for word in (*ACTIONS, *ON_ERROR_ACTIONS) if ON_ERROR_ACTIONS.get(word, word) == "continue"]
    no_default = {
        "if": {"properties": {"action": {"enum": continues}}},
        "else": {"properties": dict.fromkeys(spelled, _NULL)},
    }
    judged = _mapping({"action": action, "default_output": default}, ON_ERROR_KEYS, rules=[no_default])
    # With `retry` the other keys are those of a retry: see _retry_in_on_error.
    mapping = {
        "type": "object",
        "required": ["action"],
        "properties": {"action": action},
        "if": {"properties": {"action": {"const": "retry"}}},
        "then": {"dependentSchemas": judged["dependentSchemas"]},
        "else": judged,
    }
    return {"anyOf": [words, _NULL, mapping]}


def _retry_in_on_error() -> Json:
    """Of `on_error: {action: retry, …}` in a step that says nowhere else how it is retried."""
    retries = {"type": "object", "required": ["action"], "properties": {"action": {"const": "retry"}}}
    return {"if": retries, "then": _retry_mapping({"action": True})}


# Triggers


def _trigger_by_clock() -> Json:
    cron = {
        "type": "string",
        "maxLength": 200,
        "pattern": "^@|^\\s*\\S+(?:\\s+\\S+){4}\\s*$",
        "examples": ["0 7 * * 1-5", "@daily"],
    }
    keys = {
        "cron": _said("Minute, hour, day, month, weekday; or `@daily` and the like.", cron),
        "timezone": _said("Like Europe/Berlin.", _TEXT),
    }
    return _mapping({**keys, **_of_both_triggers()}, TRIGGER_KEYS, required="cron")


def _trigger_after() -> Json:
    statuses = {"anyOf": [_ref("final_status"), {"type": "array", "items": _ref("final_status")}, _NULL]}
    keys = {
        "after": _said("The template whose runs start this one.", {"type": "string", "minLength": 1}),
        "statuses": _said("How a run of it must have ended.", statuses),
    }
    return _mapping({**keys, **_of_both_triggers()}, TRIGGER_KEYS, required="after")


def _of_both_triggers() -> dict[str, Json]:
    return {
        "input": _said("The input of the runs it starts."),
        "enabled": _said("`false`: it starts nothing.", _FLAG),
        "description": _said("What it is for."),
    }


# Tests


def _tests() -> Json:
    cases = {"type": "array", "items": _ref("case")}
    keys = {
        "cases": _said("The cases.", cases),
        "config": _said("Accepted, without effect.", {"deprecated": True}),
        "servers": _said("Accepted, without effect.", {"deprecated": True}),
    }
    return {"anyOf": [cases, _mapping(keys, required="cases"), _NULL]}


def _case() -> Json:
    outcomes = {"anyOf": [_ref("mock"), {"type": "array", "items": _ref("mock")}]}
    keys = {
        "name": _said("What it shows; unique."),
        "description": _said("More about it."),
        "input": _said("The run's input."),
        "variables": _said("The variables' values.", _MAPPING),
        "mocks": _said(
            "Outcomes by step id or component: one, or a list with one for each attempt.",
            {"type": ["object", "null"], "additionalProperties": outcomes},
        ),
        "expect": _said("What must come out.", {"anyOf": [_ref("expectation"), _NULL]}),
        "output": _said("Another spelling of `expect`.", {"deprecated": True}),
    }
    older = {"properties": {"output": {"if": {"type": "object"}, "then": _ref("expectation")}}}
    return _mapping(keys, rules=[{"if": _has("expect"), "else": older}])


def _mock() -> Json:
    error = {"type": ["object", "string"], "properties": {"code": _said("Its code."), "message": _said("Its words.")}}
    keys = {
        "output": _said("What the step gives."),
        "error": _said("How the step fails.", error),
        "skip": _said("Why the step is skipped."),
    }
    return {**_mapping(keys), "oneOf": [{"required": [key]} for key in keys]}


def _expectation() -> Json:
    status = {"anyOf": [_ref("run_status"), _NULL]}
    of_step = {
        "type": "object",
        "properties": {
            "status": _said("How it ends.", _ref("step_status")),
            "output": _said("What it gives; other keys are fine."),
            "error": _said("How it fails."),
        },
    }
    steps = {"type": ["object", "null"], "additionalProperties": {"anyOf": [_ref("step_status"), of_step]}}
    keys = {
        "status": _said("How the run ends.", status),
        "output": _said("What the run gives; other keys are fine."),
        "error": _said("How the run fails."),
        "steps": _said("What becomes of steps, by id.", steps),
        "outcome": _said("Another spelling of `status`.", {"deprecated": True}),
        "result": _said("Another spelling of `output`, beside `outcome`.", {"deprecated": True}),
    }
    return _mapping(keys, rules=[{"if": {"required": ["status"]}, "else": {"properties": {"outcome": status}}}])


def _status(statuses: Iterable[StrEnum], aliases: Mapping[str, str]) -> Json:
    """A status, or another document's word for it, in any case."""
    words = "|".join("".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in word) for word in aliases)
    return {
        "type": "string",
        "anyOf": [{"enum": [one.value for one in statuses]}, {"pattern": f"^(?:{words})$", "deprecated": True}],
    }


def _final_status() -> Json:
    final = {status.value for status in FINAL_RUN_STATUSES}
    aliases = {word: meant for word, meant in RUN_ALIASES.items() if meant in final}
    return _status([status for status in RunStatus if status.is_final], aliases)


# Kinds, and what schemas are put together from


_NULL: Json = {"type": "null"}
_TEXT: Json = {"type": ["string", "null"]}
_FLAG: Json = {"type": ["boolean", "null"]}
_MAPPING: Json = {"type": ["object", "null"]}
_FACTOR: Json = {"type": ["number", "null"], "minimum": 1, "maximum": 1_000_000}


def _count(least: int = 1) -> Json:
    return {"type": ["integer", "null"], "minimum": least, "maximum": 1_000_000}


def _duration() -> Json:
    """As `parse_duration` reads it, spaces included."""
    part = "[0-9][0-9 ]*(?:\\.[0-9 ]*[0-9][0-9 ]*)?(?:m *s|[smhdw]) *"
    return {"type": ["string", "null"], "pattern": f"^\\s*(?:{part})+\\s*$", "examples": ["250ms", "30s", "1h30m"]}


def _one_of(words: Iterable[str]) -> Json:
    return {"enum": [*words, None]}


def _said(description: str, schema: Json = None) -> dict[str, Json]:
    return {"description": description, **(schema or {})}


def _ref(definition: str) -> dict[str, Json]:
    return {"$ref": f"#/$defs/{quote(definition.replace('~', '~0').replace('/', '~1'), safe='~:')}"}


def _has(key: str) -> Json:
    """The key is there, and not null."""
    return {"required": [key], "properties": {key: {"not": _NULL}}}


def _any_of(keys: Iterable[str]) -> Json:
    return {"anyOf": [{"required": [key]} for key in keys]}


def _spelled(key: str, spellings: Mapping[str, str]) -> list[str]:
    """All spellings of a key, the canonical one first."""
    return [key, *(other for other, canonical in spellings.items() if canonical == key)]


def _mapping(
    keys: dict[str, Json],
    spellings: Mapping[str, str] | None = None,
    *,
    required: str = "",
    rules: Sequence[Json] = (),
) -> dict[str, Json]:
    """An object of these keys in all their spellings, of keys that begin with `x-`, and of no others. Of two spellings
    of one key only one may be there; `required` must be there in one of them."""
    spellings = {} if spellings is None else spellings
    properties = dict(keys)
    alone: dict[str, Json] = {}
    for key, schema in keys.items():
        names = _spelled(key, spellings)
        for index, name in enumerate(names):
            if index:
                properties[name] = _older(name, key, schema)
            if names[index + 1 :]:
                alone[name] = {"properties": dict.fromkeys(names[index + 1 :], False)}
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {"^x-": _said("Yours: StepFlow does not read it.")},
        "additionalProperties": False,
        **(_any_of(_spelled(required, spellings)) if required else {}),
        **({"dependentSchemas": alone} if alone else {}),
        **({"allOf": list(rules)} if rules else {}),
    }


def _older(name: str, key: str, schema: Json) -> Json:
    """The property for another spelling of `key`. Under one that names its unit a bare number is a duration."""
    said = {"description": f"Another spelling of `{key}`.", "deprecated": True}
    if name in UNIT_OF_KEY:
        return {**said, "anyOf": [{"type": "number", "minimum": 0}, _ref("duration")]}
    return {**schema, **said}
