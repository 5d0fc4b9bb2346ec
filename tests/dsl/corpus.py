"""Templates that are accepted, and templates that are refused with the code of what is wrong with them: the language as
its reference says it, key by key and spelling by spelling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stepflow.dsl.lint.linter import rules
from stepflow.dsl.load import load
from stepflow.dsl.spellings import (
    COMPONENT_WORDS,
    FLOW_KEYS,
    ON_ERROR_ACTIONS,
    ON_ERROR_KEYS,
    RETRY_KEYS,
    STEP_KEYS,
    TRIGGER_KEYS,
    UNIT_OF_KEY,
)
from stepflow.model.statuses import RUN_ALIASES, STEP_ALIASES, RunStatus, StepStatus
from tests.house import tree

Template = Any

A = {"id": "a", "type": "noop"}
INNER = {"steps": [{"id": "x", "type": "echo", "input": "$.input"}], "output": "$.steps.x.output"}


def flow(**keys: Any) -> Template:
    return {"steps": [A], **keys}


def step(**keys: Any) -> Template:
    """A step `b` beside a step `a` that it may refer to."""
    return {"steps": [A, {"id": "b", "type": "noop", **keys}], "variables": {"v": {"default": 1}}}


def case(**keys: Any) -> Template:
    return flow(tests=[keys])


def named(name: str, templates: list[Template]) -> Iterator[tuple[str, Template]]:
    return ((f"{name}-{index}", template) for index, template in enumerate(templates))


# Accepted

FLOW_VALUES: dict[str, list[Any]] = {
    "name": ["order-flow", "Order Flow!", "İ", 2024, 1.5, True, None],
    "description": ["Ships an order", "", None],
    "version": ["1.0", 2, None],
    "metadata": [{"team": "x", "$from": 1}, {}, None],
    "input_schema": [{"type": "object", "properties": {"x": {"type": ["string", "null"]}}, "required": ["x"]}, True],
    "output_schema": [{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}, False, None],
    "schemas": [
        {"properties": {}},
        {"type": "object", "properties": {"input": {"type": "object"}, "output": {}, "variables": {"v": {}}}},
        None,
    ],
    "variables": [
        {"v": {"type": "string", "default": "x"}, "w": True},
        {"type": "object", "properties": {"v": {"secret": True}}, "required": ["v"]},
        {"properties": {"v": {"secret": True}}, "required": ["v"]},
        {"type": {"type": "string"}},
        {"v": {"secret": False, "default": 1}},
        {},
        None,
    ],
    "output": [{"all": ["$.steps.a.output"]}, "$.input", 3, None],
    "order": ["graph", "sequential", None],
    "evaluate": ["all", "needed", None],
    "max_concurrency": [1, 1_000_000, None],
    "timeout": ["250ms", "30s", "5m", "1h30m", "2d", "1w", "1.5h", " 1 h 30 m ", "30s\n", None],
    "retry": [True, False, None, "never", "fixed", "exponential", "jittered", {}],
    "on_error": ["fail", "skip", "continue", "retry", {"action": "retry", "max_attempts": 2}, None],
    "fail_fast": [True, False, None],
    "triggers": [[], {"cron": "@daily"}, [{"cron": "0 7 * * 1-5"}, {"after": "other"}], None],
    "tests": [[], [{"name": "x"}], {"cases": []}, {"cases": [{}], "config": {}, "servers": [], "x-note": 1}, None],
    "$schema": ["./template.schema.json", None],
    "schema": ["anything"],
    "examples": [[1]],
}
"""Under each key of a flow, values that are accepted."""

STEP_VALUES: dict[str, list[Any]] = {
    "id": ["b-1.c", "ü", 7, "x" * 200, "one two"],
    "name": ["Any title", 3, None],
    "component": ["/builtin/noop", "noop", "/user/load", "user.load", "user/load", "/user/load.v1", "/x", "x./y"],
    "input": [None, 1, "text", "$5", "$.other", [], {}],
    "depends_on": ["a", ["a"], [], None],
    "skip_if": [True, None, "$.input.x > 3", "${{ $.input.x }}", {"$from": {"step": "a"}, "path": "x"}, 0],
    "when": [False, None, "$.steps.a.status == 'done'", {"$if": True}, [1]],
    "on_error": [*FLOW_VALUES["on_error"], {"action": "continue", "default_output": {"x": ["$.input.y"]}}],
    "retry": FLOW_VALUES["retry"],
    "timeout": FLOW_VALUES["timeout"],
    "must_execute": [True, False, None],
    "output_schema": FLOW_VALUES["output_schema"],
    "metadata": FLOW_VALUES["metadata"],
    "description": FLOW_VALUES["description"],
    "on_crash": ["retry", "fail", None],
    "sensitive": [True, False, None],
    "simulate": [
        {"output": 1, "duration": "30s"},
        {"error": {"code": "X"}},
        {"error": "words", "x-note": 1},
        {"duration": None, "error": None},
        {},
        None,
    ],
    "max_retries": [0, 3, None],
    "retry_delay": ["2s", None],
    "retry_backoff": [1, 1.5, None],
}

RETRY_VALUES: dict[str, list[Any]] = {
    "strategy": ["never", "fixed", "exponential", "jittered", None],
    "max_attempts": [1, 9, None],
    "max_retries": [0, 9, None],
    "base_delay": ["2s", None],
    "factor": [1, 2.5, 1_000_000, None],
    "max_delay": ["5m", None],
    "jitter": [True, False, None],
    "on": ["HTTP_TIMEOUT", ["A", "B"], [], None],
}

VALUES: list[Any] = [
    {"$from": {"step": "a"}},
    {"$from": {"step": "a"}, "path": "x.y[0]"},
    {"$from": {"step": "a"}, "path": '$.a["c d"][-1]', "$on_skip": "skip_step"},
    {"$from": {"step": "a"}, "$on_skip": "use_default", "$default": {"x": ["$.input.y"]}},
    {"$from": {"step": "a"}, "$default": None},
    {"$from": {"workflow": "input"}, "path": "/a/0"},
    {"$from": {"variable": "v", "default": {"$kept": 1}}},
    {"$step": "a"},
    {"$step": "a", "path": None, "onSkip": {"action": "useDefault", "defaultValue": 3}},
    {"$step": "a", "onSkip": {"action": "skip"}},
    {"$step": "a", "onSkip": None, "$default": 1},
    {"$input": "a.b"},
    {"$input": "$"},
    {"$input": ""},
    {"$input": None},
    {"$variable": "v", "path": "x", "default": 1},
    "$.input.a.b",
    "$.steps.a.output.x[0]",
    "$.variables.v",
    "$.run.id",
    "${{ $.input.x + 1 }}",
    "n is ${{ $.input.x }}",
    {"$if": "$.input.c", "then": 1, "else": {"$input": "x"}},
    {"$if": True},
    {"$coalesce": [{"$step": "a"}, None, 1]},
    {"$literal": {"$from": 1, "$anything": 2}},
    {"deep": [{"x-y": {"$literal": 1}, "path": 1, "": 2}]},
]

FORMS: dict[str, Any] = {
    "$from": {"step": "a"}, "$step": "a", "$input": "x", "$variable": "v", "$if": True, "$coalesce": [1], "$literal": 1,
}  # fmt: skip
BESIDE: dict[str, Any] = {
    "path": "x", "$on_skip": "skip_step", "$default": 1, "onSkip": {}, "default": 1, "then": 1, "else": 1, "x-note": 1,
}  # fmt: skip
STANDS_BESIDE = {
    "$from": {"path", "$on_skip", "$default", "onSkip"},
    "$step": {"path", "$on_skip", "$default", "onSkip"},
    "$variable": {"path", "default"},
    "$if": {"then", "else"},
}


def forms_with_a_key(*, accepted: bool) -> Iterator[Any]:
    """Each form with each key beside it that belongs there, or that does not."""
    for form, value in FORMS.items():
        for key, beside in {**BESIDE, **FORMS}.items():
            if key != form and (key in STANDS_BESIDE.get(form, ())) == accepted:
                yield {form: value, key: beside}


SUB_FLOWS: list[Any] = [
    INNER,
    {"$literal": INNER},
    {"$from": {"step": "a"}, "path": "workflow"},
    "$.input.workflow",
    {"$literal": "text"},
    None,
]

SPELLED_COMPONENTS = [
    *COMPONENT_WORDS, "echo", "/builtin/echo", "/builtins/echo", "builtin.echo", "builtins.echo", "builtins/echo",
    "http.get", "http/get", "/http/get", "shell.run", "data.merge", "python.call", "eval", "map", "iterate",
]  # fmt: skip

STEPS: list[Any] = [
    {"b": {"type": "noop"}},
    {"b": {"id": "c", "type": "noop"}, "": {"key": "d", "type": "noop"}},
    {"b": {"id": None, "type": "noop"}},
    [{"key": "b", "type": "noop"}],
    [{"name": "b", "type": "noop"}],
    [{"id": None, "name": "b", "component": "/builtin/noop"}],
    [{"id": "b", "name": "A title", "type": "noop", "x-note": 1, "x-": {}}],
]

RETRIES: list[Any] = [
    {"jitter": True, "strategy": "fixed", "x-why": "slow"},
    {"max_attempts": None, "max_retries": 3},
    {"max_attempts": 3, "max_retries": None},
]

ON_ERRORS: list[Any] = [
    *ON_ERROR_ACTIONS,
    *({"action": action} for action in ("fail", "skip", "continue", "retry", *ON_ERROR_ACTIONS)),
    {"action": "continue", "default_output": None, "x-why": "later"},
    {"action": "fail", "default_output": None},
    {"action": "use_default", "default_value": 2},
    {"action": "retry", "strategy": "fixed", "max_retries": 2, "delay": "1s"},
]

TRIGGERS: list[Any] = [
    {"cron": "0 7 * * 1-5", "timezone": "Europe/Berlin", "enabled": False, "input": {"$x": 1}, "description": "Early"},
    {"cron": " 0  7 * * * "},
    *({"cron": f"@{word}"} for word in ("hourly", "daily", "midnight", "weekly", "monthly", "yearly", "annually")),
    {"cron": "0 0 1 1 *", "timezone": None, "x-note": 1},
    {"after": "other", "statuses": None},
    *({"after": "other", "statuses": [status.value]} for status in RunStatus if status.is_final),
    *({"after": "other", "statuses": word.upper()} for word in RUN_ALIASES if RunStatus(word).is_final),
]

CASES: list[Any] = [
    {},
    {"name": 3, "description": "x", "input": {"$x": 1}, "variables": {"v": 1}, "x-note": 1},
    {"mocks": {"a": {"output": None}, "/http/get": [{"error": {"code": "X"}}, {"error": "words"}, {"skip": "off"}]}},
    {"mocks": {"a": []}},
    {"mocks": None, "expect": None, "variables": None},
    {"expect": {"output": 1, "error": {"code": "X"}, "steps": None}},
    {"expect": {"steps": {"a": {"output": 1, "error": 2, "reason": "x", "attempts": 3, "x-note": 4}}}},
    {"output": {"outcome": "success", "result": 3}},
    {"output": "ignored"},
    {"expect": {"status": None, "outcome": "success"}},
    {"expect": {}, "output": {"anything": 1}},
    *({"expect": {"status": status.value}} for status in RunStatus),
    *({"expect": {"status": word.title()}} for word in RUN_ALIASES),
    *({"expect": {"steps": {"a": status.value}}} for status in StepStatus),
    *({"expect": {"steps": {"a": {"status": word.upper()}}}} for word in STEP_ALIASES),
]


LONGER_THAN_NOTHING = ("timeout", "max_delay")


def in_every_spelling(values: dict[str, list[Any]], spellings: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Each key with each of its values, under its own name and under all others."""
    for key, accepted in values.items():
        for name in (key, *(other for other, canonical in spellings.items() if canonical == key)):
            yield from ({name: value} for value in accepted)
            if name in UNIT_OF_KEY:
                yield from ({name: number} for number in (90, 1.5, *(() if key in LONGER_THAN_NOTHING else (0,))))


def _of_step(keys: dict[str, Any]) -> Template:
    """Without the keys of `step` that these replace."""
    body = {"id": "b", "type": "noop", **keys}
    if {"id", "key"} & keys.keys():
        body = {"type": "noop", **keys}
    if {"component", "type"} & keys.keys():
        body = {"id": "b", **keys}
    return {"steps": [A, body]}


def accepted() -> Iterator[tuple[str, Template]]:
    """By name."""
    yield from named("flow", [flow(**keys) for keys in in_every_spelling(FLOW_VALUES, FLOW_KEYS)])
    yield from named("step", [_of_step(keys) for keys in in_every_spelling(STEP_VALUES, STEP_KEYS)])
    retries = [*in_every_spelling(RETRY_VALUES, RETRY_KEYS), *RETRIES]
    yield from named("retry", [step(retry=retry) for retry in retries])
    yield from named("flow-retry", [flow(retry=retry) for retry in retries])
    yield from named("retry-on-error", [step(on_error={"action": "retry", **retry}) for retry in retries])
    defaults = [f"{name}" for name in ("default_output", *ON_ERROR_KEYS)]
    yield from named("on-error", [step(on_error=handled) for handled in ON_ERRORS])
    yield from named("default", [step(on_error={"action": "continue", name: {"x": VALUES[2]}}) for name in defaults])
    yield from named("value", [step(input={"x": [value]}) for value in VALUES])
    yield from named("beside", [step(input=value) for value in forms_with_a_key(accepted=True)])
    yield from named("whole", [step(input=value) for value in VALUES])
    yield from named("condition", [step(when=value) for value in VALUES if not isinstance(value, str)])
    yield from named("output", [{**step(), "output": value} for value in VALUES])
    yield from named("default-value", [step(on_error={"action": "continue", "default_output": v}) for v in VALUES])
    yield from named("component", [_of_step({"type": word, "input": "$.input.x"}) for word in SPELLED_COMPONENTS])
    for word in ("eval", "/builtins/eval", "map", "builtin.iterate"):
        key = "flow" if word.endswith("iterate") else "workflow"
        items = {"items": "$.input.items"} if word == "map" else {}
        bodies = [{"id": "b", "type": word, "input": {key: inner, **items}} for inner in SUB_FLOWS]
        yield from named(f"sub-flow-of-{word}", [{"steps": [A, body]} for body in bodies])
    yield from named("steps", [{"steps": steps} for steps in STEPS])
    triggers = [
        *TRIGGERS,
        *({"cron": "@daily", **keys} for keys in in_every_spelling({"timezone": ["UTC"]}, TRIGGER_KEYS)),
        *in_every_spelling({"cron": ["@daily"]}, TRIGGER_KEYS),
        *({"after": "x", **keys} for keys in in_every_spelling({"statuses": [[], "failed"]}, TRIGGER_KEYS)),
    ]
    yield from named("trigger", [flow(triggers=trigger) for trigger in triggers])
    yield from named("case", [case(**keys) for keys in CASES])
    yield "both-retries", step(retry={"max_attempts": 3}, on_error="retry")
    yield "no-retry-and-loose-ones", step(retry=False, max_retries=2, retry_delay="1s")
    yield "no-retry-and-one-in-on-error", step(retry=None, on_error={"action": "retry", "max_attempts": 2})
    for rule in rules():
        yield f"{rule.name}-bad", load(rule.bad).data
        yield f"{rule.name}-good", load(rule.good).data
    for path in sorted((tree.ROOT / "examples").rglob("*.yaml")):
        yield tree.name(path), load(path.read_text(encoding="utf-8"), "yaml").data


# Refused


def refused() -> Iterator[tuple[str, Template]]:
    """The code of the first thing that is wrong, and the template."""
    yield from (("E101", template) for template in (None, 3, "text", [], [A]))
    yield from (("E102", {"steps": steps}) for steps in (None, [], {}, 3, "a", True))
    yield "E102", {"name": "x"}
    yield "E103", {"steps": [3] * 100_001}
    yield from (("E104", flow(**keys)) for keys in _twice(FLOW_VALUES, FLOW_KEYS))
    yield from (("E104", _of_step(keys)) for keys in _twice(STEP_VALUES, STEP_KEYS))
    yield from (("E104", step(retry=keys)) for keys in _twice(RETRY_VALUES, RETRY_KEYS))
    yield "E104", step(retry={"max_attempts": 3, "maxRetries": 2})
    yield "E104", step(retry="fixed", max_retries=2)
    yield "E104", step(retry={"max_attempts": 3}, on_error={"action": "retry", "delay": "1s"})
    yield "E104", step(maxRetries=3, onError={"action": "retry", "x-why": 1})
    yield "E104", flow(retry=True, on_error={"action": "retry", "max_attempts": 2})
    yield "E104", step(on_error={"action": "continue", "default_output": 1, "defaultValue": 2})
    yield "E104", flow(triggers={"cron": "@daily", "schedule": "@daily"})
    yield "E104", step(input={"$step": "a", "$default": 1, "onSkip": {"action": "skip"}})
    yield "E104", step(input={"$step": "a", "$on_skip": "skip_step", "onSkip": {}})
    yield from (("E105", flow(name=name)) for name in ("!!!", "", "→", [], {"a": 1}))
    yield from (("E106", flow(schemas=schemas)) for schemas in (3, [], {}, {"properties": 3}))
    yield from (("E107", flow(variables=variables)) for variables in ([1], "x", 3, True))
    yield "E107", flow(variables={"type": "object", "properties": 3})
    yield from (("E107", flow(schemas={"properties": {"variables": variables}})) for variables in ([1], "x"))
    yield from (("E108", flow(input_schema=schema)) for schema in (3, "x", []))
    bad_schemas: list[Any] = [
        {"type": "nonsense"}, {"type": ["string", 3]}, {"properties": []}, {"properties": {"x": 3}}, {"enum": 1},
        {"required": "x"}, {"additionalProperties": 1}, {"minimum": "1"}, {"pattern": 1}, {"title": 1},
    ]  # fmt: skip
    yield from (("E108", step(output_schema=schema)) for schema in bad_schemas)
    yield from (("E108", flow(schemas={"properties": {"input": schema}})) for schema in bad_schemas)
    yield from (("E108", flow(variables={"v": schema})) for schema in (None, 3, *bad_schemas))
    yield from (("E108", flow(variables={"type": "object", "properties": props})) for props in (None, {"v": 3}))
    yield "E108", flow(input_schema={"pattern": "("})
    yield "E108", flow(input_schema={"$ref": "https://example.com/schema"})
    yield "E108", flow(input_schema={"exclusiveMinimum": True})
    yield from (("E109", {"steps": steps}) for steps in ([3], [A, None], {"a": "noop"}, [[A]]))
    yield from (("E110", {"steps": [body]}) for body in ({"type": "noop"}, {"id": None, "name": None, "type": "noop"}))
    bad_ids: tuple[Any, ...] = ("", "a\nb", "x" * 201, True, [], {"a": 1}, 1.5)
    yield from (("E111", _of_step({key: bad})) for bad in bad_ids for key in ("id", "key"))
    yield from (("E111", {"steps": [{"name": bad, "type": "noop"}]}) for bad in bad_ids)
    yield from (("E111", {"steps": {bad: {"type": "noop"}}}) for bad in ("", "a\nb", "x" * 201))
    yield "E111", {"steps": [{"id": 10**200, "type": "noop"}]}
    yield from (("E112", {"steps": steps}) for steps in ([A, A], {"a": {"type": "noop"}, "b": A}))
    yield from (("E113", step(simulate=simulate)) for simulate in (3, "x", [1], {"error": 3}, {"error": []}))
    yield from (("E114", {"steps": [body]}) for body in ({"id": "a"}, {"id": "a", "component": None}))
    yield "E114", {"steps": {"a": {}}}
    yield from (("E115", _of_step({"component": c})) for c in ("", 3, [], {}, True, "a b", "/user/lö", "$.input.c"))
    yield from (("E116", step(depends_on=names)) for names in (3, {"a": 1}, ["a", 3], [["a"]], True))
    yield from (("E117", step(retry=retry)) for retry in (3, [], 0, 1.5))
    yield from (("E117", step(retry={"factor": factor})) for factor in (0, "2", True, 1e7, []))
    yield from (("E117", step(retry={"on": on})) for on in (3, [3], {}, "", [""], False, 0))
    yield from (("E118", step(on_error=on_error)) for on_error in (3, [], True, {}, {"action": 3}, {"action": None}))
    yield from (("E118", flow(on_error=on_error)) for on_error in ("explode", "", {"action": "explode"}))
    yield from (("E118", step(on_error={"action": a, "default_output": 1})) for a in ("fail", "skip", "terminate"))
    yield "E118", step(onError={"action": "skip", "defaultValue": 0})
    durations: tuple[Any, ...] = (
        5, 0, -1, 1.5, "5", "soon", "", "-5s", "1e3s", "٣s", "1_0s", "5s!", "5 S", "1y", True, [], {}, "5 0s",
    )  # fmt: skip
    yield from (("E119", flow(timeout=duration)) for duration in durations)
    yield from (("E119", step(retry_delay=duration)) for duration in durations)
    yield from (("E119", step(retry={"delay": duration})) for duration in durations)
    yield from (("E119", step(simulate={"duration": duration})) for duration in durations)
    yield from (("E119", step(timeoutSeconds=duration)) for duration in durations if duration not in (5, 1.5))
    nothing = ("0s", "0ms", " 0h 0.0m", "0.4ms")
    yield from (("E119", template) for none in nothing for template in (flow(timeout=none), step(timeout=none)))
    yield from (("E119", step(retry={"max_delay": none})) for none in nothing)
    yield from (("E119", step(retry={"max_delay_ms": none})) for none in (0, 0.0, 0.4))
    yield from (("E119", flow(timeout=duration)) for duration in ("101w 36500d", "9" * 400 + "h"))
    yield from (("E119", flow(timeoutSeconds=number)) for number in (1e308, 10**12))
    yield from (("E119", flow(max_concurrency=number)) for number in (0, -1, 1_000_001, 2.5, "3", True, []))
    yield from (("E119", step(max_retries=number)) for number in (-1, 1_000_001, "3", False))
    yield from (("E119", step(retry={"max_attempts": number})) for number in (0, "3", True))
    yield from (("E119", flow(fail_fast=flag)) for flag in ("yes", 1, 0, []))
    yield from (("E119", step(**{key: 1})) for key in ("must_execute", "sensitive"))
    yield from (("E119", step(retry={"jitter": flag})) for flag in ("yes", 1))
    yield from (("E119", flow(order=word)) for word in ("random", "", 3, True, [], "Graph"))
    yield from (("E119", flow(evaluate=word)) for word in ("lazily", ["all"]))
    yield from (("E119", step(on_crash=word)) for word in ("maybe", "skip"))
    yield from (("E119", step(retry=word)) for word in ("often", "", "Fixed"))
    yield from (("E119", step(retry={"strategy": word})) for word in ("often", 3))
    yield from (("E119", flow(description=text)) for text in (3, [], {}, True))
    yield from (("E119", step(metadata=metadata)) for metadata in (3, [], "x", False))
    yield from (("E119", case(variables=variables)) for variables in (3, []))
    yield from (("E120", flow(**{key: 1})) for key in ("bogus", "Name", "x_note", "$x", "max_retries", "", "X-note"))
    yield from (("E120", step(**{key: None})) for key in ("bogus", "dependson", "tests", "inputs", "env"))
    yield "E120", step(simulate={"outputs": 1})
    yield "E120", step(retry={"attempts": 3})
    yield "E120", step(on_error={"action": "continue", "max_attempts": 3})
    yield "E120", step(on_error={"action": "retry", "default_output": 3})
    yield "E120", flow(triggers={"after": "x", "timezone": "UTC"})
    yield "E120", flow(triggers={"cron": "@daily", "statuses": []})
    yield "E120", flow(tests={"cases": [], "case": 1})
    yield "E120", case(expects={})
    yield "E120", case(mocks={"a": {"output": 1, "delay": 1}})
    yield from (("E120", case(expect={key: 1})) for key in ("stat", "$x"))
    yield "E120", case(expect={"steps": {"a": {"result": 1}}})
    yield "E120", case(output={"outcome": "success", "value": 1})
    yield from (("E121", step(input=value)) for value in ({"$form": 1}, [{"x": {"$": 1}}], {"$expr": "1"}))
    yield from (("E121", step(**{key: {"$text": []}})) for key in ("when", "skip_if"))
    yield "E121", flow(output={"x": [{"$env": "HOME"}]})
    yield "E121", step(on_error={"action": "continue", "default_output": {"$x": 1}})
    yield from (("E122", step(input=value)) for value in forms_with_a_key(accepted=False))
    yield "E122", step(input={"x": [{"$from": {"step": "a"}, "extra": 1}]})
    yield from (("E123", step(input={"$coalesce": items})) for items in ([], 3, {}, "x", None))
    bad_sources: list[Any] = [
        {}, {"thing": 1}, "a", None, {"step": 3}, {"step": "a", "path": "x"}, {"workflow": "output"},
        {"variable": "v", "path": "x"}, {"step": "a", "workflow": "input"},
    ]  # fmt: skip
    yield from (("E124", step(input={"x": {"$from": source}})) for source in bad_sources)
    yield from (("E124", step(input={key: name})) for key in ("$step", "$variable") for name in (3, None, ["a"]))
    yield from (("E124", step(input=text)) for text in ("$.steps.a.result", "$.run.name", "$.steps.a"))
    bad_skips: list[Any] = [
        {"$on_skip": "ignore"}, {"$on_skip": "useDefault"}, {"$on_skip": 3}, {"onSkip": "skip"},
        {"onSkip": {"action": "ignore"}}, {"onSkip": {"action": [1]}}, {"onSkip": {"actions": "skip"}},
    ]  # fmt: skip
    yield from (("E125", step(input={"$step": "a", **keys})) for keys in bad_skips)
    yield from (("E126", step(input={"$step": "a", "path": path})) for path in (3, [], "a[[", "x" * 1001))
    yield from (("E126", step(input={"$input": path})) for path in (3, {"x": 1}, "a b", False))
    yield from (("E127", step(**keys)) for keys in ({"input": "${{ 1 + }}"}, {"when": "1 = 1"}, {"skip_if": "${{ 1"}))
    yield "E133", flow(variables={"t": {"secret": True}}, output="$.variables.t")
    yield from (("E134", flow(variables={"t": {"secret": s, "default": 1}})) for s in (True, "yes", 1))
    yield "E134", flow(variables={"type": "object", "properties": {"t": {"secret": True, "default": None}}})
    yield "E134", flow(variables={"properties": {"t": {"secret": True, "default": None}}, "required": []})
    yield from (("E140", step(**keys)) for keys in ({"depends_on": ["zz"]}, {"input": {"$step": "zz"}}))
    yield "E141", step(depends_on="b")
    yield "E142", {"steps": [{**A, "depends_on": "b"}, {"id": "b", "type": "noop", "depends_on": "a"}]}
    yield "E143", flow(input_schema={"properties": {"x": {}}}, output="$.input.y")
    yield "E144", step(input="$.variables.w")
    needy = flow(variables={"type": "object", "required": ["v"], "properties": {"v": {}}})
    yield "E145", step(type="eval", input={"workflow": needy})
    unknown = (
        "ecko", "/builtin/ecko", "/builtins/ecko", "builtins.ecko", "http.gett", "/http/getter", "shell/sh",
        "/python/x",         "http/get/more", "python.call.x",
    )  # fmt: skip
    yield from (("E150", _of_step({"type": path})) for path in unknown)
    inputs: tuple[tuple[str, Any], ...] = (
        ("sleep", None), ("sleep", {"secs": 3}), ("sleep", {"seconds": "$.input.x", "secs": 3}),
        ("http.get", {"headers": {"a": "$.input.x"}}), ("http.get", {"url": "$.input.url", "timeout": []}),
        ("shell.run", {"command": "echo x"}), ("shell.run", {"command": ["echo", None]}), ("fail", "x"),
        ("load_file", {"path": "$.input.x", "format": "xml"}), ("map", {"workflow": {"steps": [A]}}),
    )  # fmt: skip
    yield from (("E153", _of_step({"type": word, "input": value})) for word, value in inputs)
    yield from (("E160", flow(triggers=triggers)) for triggers in (3, "@daily", True, [3], [{}], {"enabled": True}))
    yield "E160", flow(triggers={"cron": "@daily", "after": "other"})
    crons: tuple[Any, ...] = ("", "* * * *", "* * * * * *", "61 * * * *", "@often", 5, None, ["@daily"], "* " * 101)
    yield from (("E161", flow(triggers={"cron": cron})) for cron in crons)
    yield from (("E162", flow(triggers={"cron": "@daily", "timezone": zone})) for zone in ("Mars/Olympus", 3, ""))
    yield from (("E163", flow(triggers={"after": name})) for name in ("", 3, None, ["x"]))
    yield from (("E164", flow(triggers={"after": "x", "statuses": s})) for s in ("running", ["failed", "x"], 3, [3]))
    yield from (("E164", flow(triggers={"after": "x", "on": word})) for word in ("pending", "Completed", {}))
    yield from (("E170", flow(tests=tests)) for tests in (3, "x", {}, {"cases": None}, {"cases": {}}, [3], [None]))
    yield "E170", flow(tests=[{"name": "x"}, {"name": "x"}])
    mocks: list[Any] = [
        3, [], {"a": 3}, {"a": {}}, {"a": {"output": 1, "skip": "x"}}, {"a": {"outputs": 1}}, {"a": [3]},
        {"a": {"error": 3}}, {"a": {"error": None}},
    ]  # fmt: skip
    yield from (("E171", case(mocks=one)) for one in mocks)
    yield "E171", case(mocks={"zz": {"output": 1}})
    expected: list[Any] = [
        3, [], {"status": "splendid"}, {"status": 3}, {"outcome": "Completed"}, {"steps": []}, {"steps": {"a": 3}},
        {"steps": {"a": "timed_out"}}, {"steps": {"a": {"status": None}}}, {"steps": {"a": "COMPLETED"}},
    ]  # fmt: skip
    yield from (("E172", case(expect=one)) for one in expected)
    yield "E172", case(output={"outcome": "splendid"})
    yield "E172", case(expect={"steps": {"zz": "failed"}})
    for code, inner in _REFUSED_INSIDE:
        for word in ("map", "/builtins/eval", "builtin.iterate"):
            yield code, {"steps": [A, {"id": "b", "type": word, "input": {"workflow": inner, "items": []}}]}
            yield code, {"steps": [A, {"id": "b", "component": word, "args": {"flow": {"$literal": inner}}}]}


_REFUSED_INSIDE: list[tuple[str, Template]] = [
    ("E102", {}),
    ("E120", {**INNER, "bogus": 1}),
    ("E114", {"steps": [{"id": "x"}]}),
    ("E121", {"steps": [{"id": "x", "type": "noop", "input": {"$x": 1}}]}),
    ("E140", {"steps": [{"id": "x", "type": "noop", "input": {"$step": "a"}}]}),
]
"""Flows that are written out inside another."""


def _twice(values: dict[str, list[Any]], spellings: dict[str, str]) -> Iterator[dict[str, Any]]:
    """A key in two spellings at once."""
    for other, canonical in spellings.items():
        value = values[canonical][0]
        yield {canonical: value, other: value}
        yield {other: None, canonical: value}
