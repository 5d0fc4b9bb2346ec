"""Reading templates: the canonical flow, whatever the spelling; and all that is wrong, at once, with the way out."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepflow.components.registry import builtin_registry
from stepflow.dsl.diagnostics import Diagnostic, has_errors
from stepflow.dsl.load import load
from stepflow.dsl.validate import read_flow
from stepflow.model.flow import Flow, OnError, RetryPolicy, Step
from tests.dsl.test_load import JSON

COMPONENTS = builtin_registry().paths


def flow_of(dsl: str | dict[str, Any]) -> Flow:
    read = read_flow(dsl, components=COMPONENTS)
    assert read.flow is not None, read.diagnostics
    return read.flow


def step_of(**body: Any) -> Step:
    """A step read beside a step `a` that it may refer to."""
    return flow_of({"steps": [{"id": "a", "type": "noop"}, {"id": "b", "type": "noop", **body}]}).steps[1]


def errors_of(dsl: str | dict[str, Any]) -> list[Diagnostic]:
    read = read_flow(dsl, file="flow.yaml", components=COMPONENTS)
    assert read.flow is None
    return [diagnostic for diagnostic in read.diagnostics if diagnostic.level == "error"]


def error_of(dsl: str | dict[str, Any]) -> Diagnostic:
    (found,) = errors_of(dsl)
    return found


# The two texts of the command line's document


def test_a_step_without_type_is_said_word_for_word() -> None:
    found = error_of("steps:\n  - id: a\n")
    assert found.message == "Missing required field: steps[0].type"
    assert (found.line, found.column) == (2, 5)


def test_an_unknown_input_field_is_said_word_for_word() -> None:
    found = error_of(
        "input_schema: {type: object, properties: {known: {}}}\n"
        "steps:\n  - {id: a, type: echo, input: $.input.unknownField}\n"
    )
    assert found.message == "Invalid reference: $.input.unknownField"
    assert found.path == "steps[0].input"
    assert found.place == "flow.yaml:3:32"


def test_all_mistakes_are_said_at_once_in_the_order_of_lines() -> None:
    text = "steps:\n  - id: a\n  - {id: b, type: ecko, bogus: 1}\n  - {id: b, type: echo, input: {$from: {step: zz}}}\n"
    found = errors_of(text)
    assert [one.code for one in found] == ["E114", "E150", "E120", "E112"]
    assert "did you mean '/builtin/echo'" in found[1].hint


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("shell", "did you mean '/shell/run'?"),
        ("query", "did you mean '/data/query'?"),
        ("http", "there are /http/delete, /http/get, /http/patch, /http/post, /http/put, /http/request"),
        ("slep", "did you mean '/builtin/sleep'?"),
        ("subflow", "`stepflow components` lists them"),
    ],
)
def test_a_word_that_is_no_component_has_a_suggestion_by_its_family_or_by_its_letters(word: str, hint: str) -> None:
    assert error_of(f"steps:\n  - {{id: a, type: {word}}}\n").hint == hint


def test_all_mistakes_are_said_at_once_also_those_that_the_reader_finds() -> None:
    found = errors_of("a: 1\na: 2\nsteps:\n  - {id: a, type: ecko, id: b, when: !x 1}\n---\n{}")
    assert [(one.code, one.place) for one in found] == [
        ("E120", "flow.yaml:1:1"),
        ("E009", "flow.yaml:2:1"),
        ("E150", "flow.yaml:4:19"),
        ("E009", "flow.yaml:4:25"),
        ("E011", "flow.yaml:4:38"),
        ("E004", "flow.yaml:5:1"),
    ]


A_STEP = "steps:\n  - id: a\n    type: noop\n"


@pytest.mark.parametrize(
    ("text", "code", "place", "path"),
    [
        (f"nmae:\n  x\n{A_STEP}", "E120", "flow.yaml:1:1", "nmae"),
        (f"{A_STEP}    component: x", "E104", "flow.yaml:4:5", "steps[0].component"),
        (f"{A_STEP}    onError: {{action: skip, bogus:   1}}", "E120", "flow.yaml:4:29", "steps[0].onError.bogus"),
        (f"{A_STEP}    input: {{$input: x, paht: y}}", "E122", "flow.yaml:4:24", "steps[0].input.paht"),
        (f"{A_STEP}    args: {{$form: x}}", "E121", "flow.yaml:4:12", "steps[0].args.$form"),
        (f"{A_STEP}triggers: {{cron: '@daily', on: [x]}}", "E120", "flow.yaml:4:28", "triggers.on"),
        (f"{A_STEP}tests: [{{mocks: {{b: {{output: 1}}}}}}]", "E171", "flow.yaml:4:18", "tests[0].mocks.b"),
        (f"{A_STEP}tests: [{{expect: {{steps: {{b: failed}}}}}}]", "E172", "flow.yaml:4:27", "tests[0].expect.steps.b"),
        ("steps: {a b: {type: noop}, '': {type: noop}}", "E111", "flow.yaml:1:28", 'steps[""]'),
    ],
)
def test_what_is_wrong_with_a_key_is_said_at_the_key(text: str, code: str, place: str, path: str) -> None:
    found = error_of(text)
    assert (found.code, found.place, found.path) == (code, place, path)


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ("type: ecko", "steps[0].type"),
        ("component: /builtin/ecko", "steps[0].component"),
        ("id: b", "steps[0]"),
        ("type: noop, retry_delay: 10", "steps[0].retry_delay"),
        ("type: noop, retryDelay: 10", "steps[0].retryDelay"),
        ("type: noop, timeoutSeconds: soon", "steps[0].timeoutSeconds"),
        ("type: noop, retry: often", "steps[0].retry"),
        ("type: noop, retry: {type: often}", "steps[0].retry.type"),
        ("type: noop, on_error: ignore", "steps[0].on_error"),
        ("type: noop, onError: ignore", "steps[0].onError"),
        ("type: noop, onError: {action: ignore}", "steps[0].onError.action"),
        ("type: noop, onError: {action: retry, delay: 1}", "steps[0].onError.delay"),
        ("type: map, args: {workflow: {steps: [{key: x, type: ecko}]}}", "steps[0].args.workflow.steps[0].type"),
    ],
)
def test_a_path_has_the_keys_that_the_author_wrote(keys: str, path: str) -> None:
    as_text = f"steps:\n  - {{{keys if 'id' in keys else f'id: a, {keys}'}}}"
    assert error_of(as_text).path == path
    assert error_of(load(as_text).data).path == path


def test_the_path_of_a_schema_goes_on_to_what_is_wrong_in_it() -> None:
    step = {"id": "a", "type": "noop"}
    found = error_of({"inputSchema": {"properties": {"x": {"type": "objekt"}}}, "steps": [step]})
    assert (found.path, found.hint) == ("inputSchema.properties.x.type", "did you mean 'object'?")
    assert '"objekt" is not one of "array", "boolean"' in found.message
    assert error_of({"schemas": {"properties": {"input": {"type": 1}}}, "steps": [step]}).path == (
        "schemas.properties.input.type"
    )
    whole = {"properties": {"v": {"type": 3}}}
    for variables in ({"v": {"type": 3}}, whole, {"type": "object", **whole}):
        path = error_of({"variables": variables, "steps": [step]}).path
        assert path == ("variables.properties.v.type" if "properties" in variables else "variables.v.type")


@pytest.mark.parametrize(
    ("schema", "message", "hint"),
    [
        ({"$ref": "http://x.example/y"}, "schemas are never fetched; write http://x.example/y out under $defs", ""),
        ({"$schema": "http://x.example/y"}, "Unknown meta-schema: 'http://x.example/y'", "leave $schema out"),
    ],
)
def test_a_schema_that_would_be_fetched_is_refused_in_our_words(schema: Any, message: str, hint: str) -> None:
    found = error_of({"input_schema": schema, "steps": [{"id": "a", "type": "noop"}]})
    assert (found.message, found.hint) == (f"'input_schema' is not a JSON Schema: {message}", hint)


# Spellings


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ({"$from": {"step": "a"}, "path": "x.y"}, {"$from": {"step": "a"}, "path": "x.y"}),
        ({"$step": "a", "path": "x"}, {"$from": {"step": "a"}, "path": "x"}),
        ("$.steps.a.output.x[0]", {"$from": {"step": "a"}, "path": "$.x[0]"}),
        ("$.steps.a.output", {"$from": {"step": "a"}}),
        ({"$from": {"workflow": "input"}, "path": "x"}, {"$from": {"workflow": "input"}, "path": "x"}),
        ({"$input": "x"}, {"$from": {"workflow": "input"}, "path": "x"}),
        ("$.input", {"$from": {"workflow": "input"}}),
        ("$.input.x", {"$from": {"workflow": "input"}, "path": "$.x"}),
        ("$.run.id", {"$from": {"run": "id"}}),
        ("$.other", "$.other"),
        ("$5", "$5"),
        ({"$literal": {"$from": 1}}, {"$literal": {"$from": 1}}),
        (
            {"$step": "a", "onSkip": {"action": "useDefault", "defaultValue": 3}},
            {"$from": {"step": "a"}, "$on_skip": "use_default", "$default": 3},
        ),
        ({"$coalesce": ["$.input.x", 1]}, {"$coalesce": [{"$from": {"workflow": "input"}, "path": "$.x"}, 1]}),
        ({"$if": True, "then": 1}, {"$if": True, "then": 1, "else": None}),
    ],
)
def test_every_spelling_of_a_value_is_folded(written: Any, canonical: Any) -> None:
    assert step_of(input=written).input == canonical


def test_the_longest_step_id_matches_in_a_reference() -> None:
    steps = [{"id": "a", "type": "noop"}, {"id": "a.b", "type": "noop"}, {"id": "c", "type": "noop"}]
    flow = flow_of({"steps": [*steps[:2], {**steps[2], "input": "$.steps.a.b.output.x"}]})
    assert flow.steps[2].input == {"$from": {"step": "a.b"}, "path": "$.x"}
    flow = flow_of({"steps": [*steps[:2], {**steps[2], "input": '$.steps["a.b"].output'}]})
    assert flow.steps[2].input == {"$from": {"step": "a.b"}}


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("http.get", "/http/get"),
        ("wait", "/builtin/sleep"),
        ("echo", "/builtin/echo"),
        ("/builtins/fail", "/builtin/fail"),
        ("builtins.fail", "/builtin/fail"),
        ("/shell/run", "/shell/run"),
    ],
)
def test_every_spelling_of_a_component_is_folded(written: str, canonical: str) -> None:
    assert flow_of({"steps": [{"id": "x", "type": written}]}).steps[0].component == canonical


@pytest.mark.parametrize(
    ("body", "policy"),
    [
        ({"retry": True}, RetryPolicy()),
        ({"retry": "fixed"}, RetryPolicy(strategy="fixed")),
        ({"retry": {"max_attempts": 3, "delay": "2s"}}, RetryPolicy(max_attempts=3, base_delay_ms=2000)),
        (
            {"retry": {"type": "exponential", "maxAttempts": 3, "baseDelayMs": 5}},
            RetryPolicy(max_attempts=3, base_delay_ms=5),
        ),
        ({"retry": {"max_retries": 3, "delay_ms": 7, "factor": 3}}, RetryPolicy(base_delay_ms=7, factor=3.0)),
        ({"retry": {"jitter": True, "max_delay": "1m"}}, RetryPolicy(strategy="jittered", max_delay_ms=60_000)),
        ({"retry": {"on": "HTTP_TIMEOUT"}}, RetryPolicy(on=("HTTP_TIMEOUT",))),
        ({"max_retries": 1, "retry_delay": "1s", "retry_backoff": 1}, RetryPolicy(max_attempts=2, factor=1.0)),
        ({"on_error": {"action": "retry", "max_attempts": 9}}, RetryPolicy(max_attempts=9)),
        ({"on_error": "retry"}, RetryPolicy()),
        ({"retry": "fixed", "on_error": "retry"}, RetryPolicy(strategy="fixed")),
        ({"retry": {"max_attempts": None, "max_retries": 3, "factor": None, "on": None}}, RetryPolicy()),
    ],
)
def test_every_spelling_of_a_retry_is_folded(body: dict[str, Any], policy: RetryPolicy) -> None:
    assert step_of(**body).retry == policy


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("fail", OnError()),
        ("terminate", OnError()),
        ("skip", OnError("skip")),
        ({"action": "continue", "default_output": {"x": 1}}, OnError("continue", {"x": 1})),
        ({"action": "use_default", "default_value": 2}, OnError("continue", 2)),
        ("continue", OnError("continue")),
    ],
)
def test_every_spelling_of_on_error_is_folded(written: Any, canonical: OnError) -> None:
    assert step_of(on_error=written).on_error == canonical
    assert step_of(onError=written).on_error == canonical


def test_steps_may_be_a_mapping_and_ids_may_be_keys_or_names() -> None:
    assert [step.key for step in flow_of({"steps": {"x": {"type": "noop"}, "y": {"type": "noop"}}}).steps] == ["x", "y"]
    assert [step.key for step in flow_of({"steps": [{"key": "x", "type": "noop"}]}).steps] == ["x"]
    assert [step.key for step in flow_of({"steps": [{"name": "x", "type": "noop"}]}).steps] == ["x"]
    unnamed = {"id": None, "type": "noop"}
    assert [step.key for step in flow_of({"steps": {"x": unnamed}}).steps] == ["x"]
    assert [step.key for step in flow_of({"steps": [{**unnamed, "name": "x"}]}).steps] == ["x"]


def test_the_flows_defaults_are_the_steps_and_a_steps_own_replace_them() -> None:
    own = {"id": "b", "type": "noop", "retry": {"max_attempts": 9}, "on_error": "fail"}
    flow = flow_of({"retry": {"max_attempts": 2}, "on_error": "skip", "steps": [{"id": "a", "type": "noop"}, own]})
    assert flow.steps[0].retry == RetryPolicy(max_attempts=2)
    assert flow.steps[0].on_error == OnError("skip")
    assert flow.steps[1].retry == RetryPolicy(max_attempts=9)
    assert flow.steps[1].on_error == OnError()
    flow = flow_of({"on_error": {"action": "retry", "max_attempts": 2}, "steps": [{"id": "a", "type": "noop"}, own]})
    assert [step.retry for step in flow.steps] == [RetryPolicy(max_attempts=2), RetryPolicy(max_attempts=9)]
    assert [step.on_error for step in flow.steps] == [OnError(), OnError()]


@pytest.mark.parametrize(
    ("written", "expected"),
    [("90s", 90_000), ("1h30m", 5_400_000), (" 1 h 30m\n", 5_400_000), ("250ms", 250), ("2d", 172_800_000)],
)
def test_durations_have_units(written: str, expected: int) -> None:
    assert step_of(timeout=written).timeout_ms == expected


def test_a_key_that_names_its_unit_takes_a_number() -> None:
    assert step_of(timeoutSeconds=2).timeout_ms == 2000
    assert flow_of({"timeoutSeconds": 1.5, "steps": [{"id": "a", "type": "noop"}]}).timeout_ms == 1500


def test_a_title_becomes_a_slug() -> None:
    assert flow_of({"name": "Order Flow!", "steps": [{"id": "a", "type": "noop"}]}).name == "order-flow"


# Refusals


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ({"timeout": 5}, "E119", "needs a unit"),
        ({"timeout": "soon"}, "E119", "not a duration"),
        ({"timeoutSeconds": 1e308}, "E119", "longer than 100 years"),
        ({"bogus": 1}, "E120", "Unknown key 'bogus'"),
        ({"dependson": []}, "E120", "Unknown key"),
        ({"depends_on": ["zz"]}, "E140", "Unknown step 'zz'"),
        ({"depends_on": ["b"]}, "E141", "refers to itself"),
        ({"input": {"$from": {"step": "zz"}}}, "E140", "unknown step 'zz'"),
        ({"input": {"$from": {"step": "a"}, "extra": 1}}, "E122", "cannot stand beside $from"),
        ({"input": {"$form": 1}}, "E121", "Unknown form '$form'"),
        ({"input": {"$from": {"thing": 1}}}, "E124", "$from takes"),
        ({"input": {"$step": "a", "onSkip": {"action": [1]}}}, "E125", "is use_default or skip_step"),
        ({"input": {"$step": "a", "onSkip": "skip"}}, "E125", "'onSkip' is { action, defaultValue }"),
        ({"input": {"$from": {"step": "a"}, "path": "a[["}}, "E126", "not a path"),
        ({"input": "$.steps.a.result"}, "E124", "reads no output"),
        ({"input": "$.variables.v"}, "E144", "Invalid reference: $.variables.v"),
        ({"input": "${{ 1 + }}"}, "E127", "The expression ends too early"),
        ({"input": "${{ 1"}, "E127", "The expression has no end"),
        ({"skip_if": "1 = 1"}, "E127", "Unexpected '='"),
        ({"retry": {"max_attempts": 0}}, "E119", "whole number"),
        ({"retry": 3}, "E117", "mapping or a strategy"),
        ({"retry": True, "on_error": {"action": "retry", "factor": 2}}, "E104", "'retry' and 'on_error' say the same"),
        ({"on_error": "explode"}, "E118", "Unknown action"),
        ({"on_error": {"action": "skip", "default_output": 1}}, "E118", "goes with"),
        ({"output_schema": {"type": "nonsense"}}, "E108", "not a JSON Schema"),
        ({"on_crash": "maybe"}, "E119", "one of retry, fail"),
        ({"sensitive": "yes"}, "E119", "true or false"),
        ({"timeout": "0s"}, "E119", "'timeout' must be longer than nothing"),
        ({"timeoutSeconds": 0}, "E119", "'timeoutSeconds' must be longer than nothing"),
        ({"retry": {"max_delay": "0ms"}}, "E119", "'max_delay' must be longer than nothing"),
        ({"input": {"${{ 1 }}": 5}}, "E121", "'${{ 1 }}' is a key, and keys are not expanded"),
        ({"input": {"$.input.a": 6}}, "E121", "'$.input.a' is a key, and keys are not expanded"),
        ({"when": ""}, "E127", "The expression is empty"),
    ],
)
def test_what_is_wrong_with_a_step_is_refused_with_its_reason(body: dict[str, Any], code: str, says: str) -> None:
    found = error_of({"steps": [{"id": "a", "type": "noop"}, {"id": "b", "type": "noop", **body}]})
    assert found.code == code
    assert says in found.message


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"on_error": "ignore"}, "use fail, skip, continue or retry"),
        ({"on_error": "contniue"}, "did you mean 'continue'?"),
        ({"depends_on": ["zz"]}, "there are a, b"),
        ({"type": "python.0123456789"}, "`stepflow components` lists them"),
        ({"input": {"$from": {"step": "a"}, "paht": 1}}, "did you mean 'path'?"),
        ({"input": {"$if": True, "elze": 1}}, "did you mean 'else'?"),
        ({"input": {"$step": "a", "zz": 1}}, "wrap it in $literal to keep it as data"),
        ({"input": {"$step": "a", "$on_skip": "use_defalt"}}, "did you mean 'use_default'?"),
        ({"sensitive": "yes"}, "write it without quotes: true"),
        ({"input": "${{ $.input.n-1 }}"}, "a minus between two values needs spaces around it"),
        ({"when": "input.n"}, "references begin with $.: write $.input.n"),
    ],
)
def test_a_mistake_has_its_way_out(body: dict[str, Any], hint: str) -> None:
    step = {"id": "b", "type": "noop", **body}
    schema = {"properties": {"n": {}}, "additionalProperties": False}
    assert error_of({"input_schema": schema, "steps": [{"id": "a", "type": "noop"}, step]}).hint == hint


def test_values_are_shown_as_templates_write_them() -> None:
    step = {"id": "a", "type": "noop"}
    assert error_of("steps: [{id: true, type: noop}]").message == "true cannot be a step's id"
    assert error_of({"steps": [{"id": "a", "component": {"x": None}}]}).message == '{"x":null} is not a component'
    assert error_of({"name": [True], "steps": [step]}).message == "[true] cannot be a name"


def test_a_step_with_a_key_and_another_id_is_warned_of() -> None:
    read = read_flow({"steps": {"a": {"id": "b", "type": "noop"}, "c": {"id": "c", "type": "noop"}}})
    assert read.flow is not None
    assert [(one.code, one.level, one.path) for one in read.diagnostics] == [("W112", "warning", "steps.a.id")]


def test_another_version_of_yaml_is_warned_of_and_read() -> None:
    read = read_flow(f"%YAML 1.1\n---\n{A_STEP}", file="flow.yaml")
    assert read.flow is not None
    assert [(one.code, one.place) for one in read.diagnostics] == [("W012", "flow.yaml:1:1")]


def test_a_cycle_is_spelled_out() -> None:
    steps = [{"id": key, "type": "noop", "input": f"$.steps.{to}.output"} for key, to in ("ab", "bc", "ca")]
    found = error_of({"steps": steps})
    assert found.message == "Circular reference: a → b → c → a"


def test_duplicate_ids_and_two_spellings_of_one_key_are_errors() -> None:
    assert error_of({"steps": [{"id": "a", "type": "noop"}, {"id": "a", "type": "noop"}]}).code == "E112"
    assert error_of({"steps": [{"id": "a", "type": "noop", "component": "/builtin/noop"}]}).code == "E104"


def test_a_flow_inside_another_cannot_require_a_variable() -> None:
    inner = {
        "variables": {"type": "object", "required": ["v"], "properties": {"v": {}, "w": {}}},
        "steps": [{"id": "x", "type": "echo", "input": "$.variables.v"}],
    }
    found = error_of({"steps": [{"id": "a", "type": "eval", "input": {"workflow": inner}}]})
    assert (found.code, found.path) == ("E145", "steps[0].input.workflow.variables")
    assert "'v' is required" in found.message
    assert read_flow(inner).diagnostics == ()


SECRET_INPUT = """\
variables: {{ t: {{ secret: true }}, plain: {{ type: string }} }}
steps:
  - id: a
    type: echo
    input: {value}
"""


@pytest.mark.parametrize(
    "value",
    [
        "$.variables.t",
        "{ $variable: t }",
        '"${{ $.variables.t }}"',
        '"Bearer ${{ $.variables.t }}"',
        '"${{ $.variables.t if $.input.x else null }}"',
        '"${{ default($.variables.t, $.variables.plain) }}"',
        "{ $coalesce: [$.input.x, $.variables.t] }",
        "{ $if: $.input.x, then: $.variables.t }",
    ],
)
def test_a_secret_is_handed_to_a_step_as_it_is(value: str) -> None:
    assert read_flow(SECRET_INPUT.format(value=value)).diagnostics == ()


@pytest.mark.parametrize(
    "value",
    [
        '"${{ len($.variables.t) }}"',
        "\"${{ $.variables.t == 'x' }}\"",
        '"${{ upper($.variables.t) }}"',
        '"${{ [$.variables.t] }}"',
        '"${{ 1 if $.variables.t else 2 }}"',
        "$.variables.t.inner",
        "{ $variable: t, path: inner }",
        "{ $if: $.variables.t, then: 1 }",
    ],
)
def test_a_secret_is_never_worked_on(value: str) -> None:
    """While a run is decided it is a mark, and so would be what an expression makes of it."""
    found = read_flow(SECRET_INPUT.format(value=value)).diagnostics
    assert [(one.code, one.message) for one in found] == [("E133", "The secret variable 't' can only be used as it is")]


@pytest.mark.parametrize(
    ("dsl", "code"),
    [
        ("just text", "E101"),
        ("[]", "E101"),
        ("name: x", "E102"),
        ("steps: []", "E102"),
        ("steps: 3", "E102"),
        ("steps: [3]", "E109"),
        ("steps: [{type: noop}]", "E110"),
        ("evaluate: lazily\nsteps: [{id: a, type: noop}]", "E119"),
        ("variables: {token: {secret: true, default: x}}\nsteps: [{id: a, type: noop}]", "E134"),
        ("variables: {t: {secret: true}}\nsteps: [{id: a, type: noop, when: $.variables.t}]", "E133"),
        ("variables: {t: {secret: true}}\noutput: $.variables.t\nsteps: [{id: a, type: noop}]", "E133"),
        ("max_concurrency: 0\nsteps: [{id: a, type: noop}]", "E119"),
    ],
)
def test_what_is_no_template_is_refused(dsl: str, code: str) -> None:
    assert error_of(dsl).code == code


def test_an_unknown_component_elsewhere_is_only_a_warning() -> None:
    read = read_flow({"steps": [{"id": "a", "component": "/user/load"}]}, components=COMPONENTS)
    assert read.flow is not None
    assert [diagnostic.level for diagnostic in read.diagnostics] == ["warning"]


# Expressions


def test_a_condition_is_an_expression_and_a_value_may_hold_some() -> None:
    body = {
        "when": "$.input.n > 3",
        "skip_if": "${{ $.input.off }}",
        "input": ["${{ $.input.n + 1 }}", "n is ${{ $.input.n }}!", "${{ '}}' }}"],
    }
    step = step_of(**body)
    assert step.when == {"$expr": "$.input.n > 3"}
    assert step.skip_if == {"$expr": "$.input.off"}
    assert step.input == [
        {"$expr": "$.input.n + 1"},
        {"$text": ["n is ", {"$expr": "$.input.n"}, "!"]},
        {"$expr": "'}}'"},
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('steps:\n  - id: a\n    type: noop\n    input: "${{ 1 + }}"\n', "f.yaml:4:20"),
        ("steps:\n  - id: a\n    type: noop\n    input: {x: 'so ${{ 1 2 }}'}\n", "f.yaml:4:26"),
        ("steps:\n  - id: a\n    type: noop\n    when: $.input.x = 1\n", "f.yaml:4:21"),
        ("steps:\n  - id: a\n    type: noop\n    input: |\n      text\n      ${{ foo }}\n", "f.yaml:6:11"),
    ],
)
def test_a_mistake_in_an_expression_has_line_and_column(text: str, place: str) -> None:
    (found,) = [one for one in read_flow(text, file="f.yaml").diagnostics if one.level == "error"]
    assert (found.code, found.place) == ("E127", place)


def test_references_in_expressions_are_judged_and_ordered() -> None:
    assert error_of({"steps": [{"id": "a", "type": "noop", "when": "$.steps.b.status == 'failed'"}]}).code == "E140"
    cycle = {
        "a": {"type": "noop", "when": "$.steps.b.output"},
        "b": {"type": "noop", "input": "${{ $.steps.a.output }}"},
    }
    assert error_of({"steps": cycle}).code == "E142"
    schema = {"type": "object", "properties": {"n": {}}, "additionalProperties": False}
    step = {"id": "a", "type": "noop", "input": "${{ $.input.unknownField }}"}
    assert error_of({"input_schema": schema, "steps": [step]}).message == "Invalid reference: $.input.unknownField"
    tolerant = {**step, "input": "${{ default($.input.unknownField, 1) }}"}
    assert read_flow({"input_schema": schema, "steps": [tolerant]}).flow is not None


# Flows inside flows


def test_a_flow_written_out_inside_is_read_with_its_own_scope_and_named_by_its_place() -> None:
    inner = {"steps": [{"id": "x", "type": "echo", "input": "$.steps.outer.output"}]}
    dsl = {
        "steps": [
            {"id": "outer", "type": "noop"},
            {"id": "each", "type": "map", "input": {"workflow": inner, "items": "$.steps.outer.output"}},
        ]
    }
    found = error_of(dsl)
    assert (found.code, found.path) == ("E140", "steps[1].input.workflow.steps[0].input")
    dsl["steps"][1]["input"] = {"workflow": {"$literal": inner}, "items": []}
    assert error_of(dsl).path == "steps[1].input.workflow.$literal.steps[0].input"
    dsl["steps"][1]["input"] = {"workflow": "$.steps.outer.output", "items": []}
    assert flow_of(dsl).steps[1].input["workflow"] == {"$from": {"step": "outer"}}
    dsl["steps"][1]["input"] = {"workflow": {"$from": {"step": "outer"}, "path": "w"}, "items": []}
    assert flow_of(dsl).steps[1].input["workflow"] == {"$from": {"step": "outer"}, "path": "w"}


# Triggers and tests


def test_triggers_are_checked_and_said_to_be_inactive() -> None:
    step = {"id": "a", "type": "noop"}
    good = [{"cron": "0 7 * * 1-5", "timezone": "Europe/Berlin"}, {"after": "other", "statuses": ["failed"]}]
    read = read_flow({"triggers": good, "steps": [step]})
    assert read.flow is not None
    assert read.flow.triggers == good
    assert [diagnostic.code for diagnostic in read.diagnostics] == ["I131"]
    assert flow_of({"triggers": {"schedule": "@daily"}, "steps": [step]}).triggers == [{"cron": "@daily"}]


@pytest.mark.parametrize(
    ("trigger", "code"),
    [
        ({}, "E160"),
        ({"cron": "0 0 * * *", "after": "x"}, "E160"),
        ({"cron": "61 * * * *"}, "E161"),
        ({"cron": "* * * * * *"}, "E161"),
        ({"cron": 5}, "E161"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "E162"),
        ({"after": ""}, "E163"),
        ({"after": "x", "statuses": ["running"]}, "E164"),
        ({"after": "x", "timezone": "UTC"}, "E120"),
    ],
)
def test_a_trigger_that_cannot_be_is_refused(trigger: dict[str, Any], code: str) -> None:
    assert error_of({"triggers": [trigger], "steps": [{"id": "a", "type": "noop"}]}).code == code


def test_a_status_that_is_none_is_told_the_one_that_was_meant() -> None:
    case = {"expect": {"status": "complete", "steps": {"a": "ready"}}}
    found = read_flow({"steps": [{"id": "a", "type": "noop"}], "tests": [case]}).diagnostics
    assert [one.hint for one in found] == [
        "did you mean 'completed'?",
        "one of completed, skipped, failed, cancelled",
    ]


def test_cases_are_read_in_their_canonical_form() -> None:
    case = {
        "name": "works",
        "mocks": {"a": {"output": 1}, "/http/get": [{"error": {"code": "DOWN"}}, {"output": 2}]},
        "expect": {"status": "success", "steps": {"a": "success"}},
    }
    flow = flow_of({"tests": [case], "steps": [{"id": "a", "type": "noop"}]})
    assert flow.tests == [
        {
            "name": "works",
            "mocks": {
                "a": [{"output": 1}],
                "/http/get": [{"error": {"code": "DOWN", "message": "mocked"}}, {"output": 2}],
            },
            "expect": {"status": "completed", "steps": {"a": {"status": "completed"}}},
        }
    ]
    upstream = {"test": {"cases": [{"name": "x", "output": {"outcome": "success", "result": 3}}], "servers": {}}}
    read = read_flow({**upstream, "steps": [{"id": "a", "type": "noop"}]})
    assert read.flow is not None
    assert read.flow.tests == [{"name": "x", "expect": {"output": 3, "status": "completed"}}]
    assert [diagnostic.code for diagnostic in read.diagnostics] == ["W171"]


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ({"mocks": {"zz": {"output": 1}}}, "E171"),
        ({"mocks": {"a": {"outputs": 1}}}, "E171"),
        ({"expect": {"status": "splendid"}}, "E172"),
        ({"expect": {"steps": {"zz": "completed"}}}, "E172"),
        ({"expects": {}}, "E120"),
        (3, "E170"),
    ],
)
def test_a_case_that_cannot_be_is_refused(case: Any, code: str) -> None:
    assert error_of({"tests": [case], "steps": [{"id": "a", "type": "noop"}]}).code == code


# Robustness


@given(st.text(max_size=150))
def test_no_text_makes_it_raise(text: str) -> None:
    read = read_flow(text, components=COMPONENTS)
    assert read.flow is not None or has_errors(read.diagnostics)


@given(JSON, JSON, JSON)
def test_no_value_anywhere_makes_it_raise(one: Any, two: Any, three: Any) -> None:
    for dsl in (
        {"steps": [{"id": "a", "type": "noop", "input": one, "retry": two, "on_error": three}]},
        {"steps": one, "output": two, "timeout": three},
        {"steps": {"a": one}, "variables": two, "input_schema": three},
    ):
        read = read_flow(json.dumps(dsl))
        assert read.flow is not None or has_errors(read.diagnostics)


def test_ten_thousand_lines_are_read_quickly() -> None:
    steps = "".join(
        f"  - id: s{index}\n    type: echo\n    input:\n      value: {{ $step: s{max(0, index - 1)} }}\n" if index
        else "  - id: s0\n    type: echo\n    input:\n      value: 1\n"
        for index in range(2500)
    )  # fmt: skip
    began = time.perf_counter()
    read = read_flow(f"steps:\n{steps}", components=COMPONENTS)
    assert read.flow is not None
    assert time.perf_counter() - began < 5, "that is a hang, not a slow machine"
