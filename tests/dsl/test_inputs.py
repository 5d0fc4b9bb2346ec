"""Inputs that are written out are judged before anything runs; what a reference will give is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepflow.components.registry import builtin_registry
from stepflow.contracts.component import Component
from stepflow.dsl.diagnostics import Diagnostic
from stepflow.dsl.schemas import check_value
from stepflow.dsl.validate import read_flow

OURS = builtin_registry()


def found_in(text: str | dict[str, Any]) -> list[Diagnostic]:
    return [one for one in read_flow(text, file="flow.yaml", components=OURS.by_path).diagnostics if one.code == "E153"]


def said_of(step: str) -> list[tuple[str, str, str]]:
    found = found_in(f"steps:\n  - {step}\n")
    assert all(one.level == "error" and one.line == 2 for one in found)
    return [(one.path, one.message, one.hint) for one in found]


SLEEP = "a sleep takes exactly one of seconds, duration_ms, duration, until"
COMMAND = "command: write a list, [program, argument, …], or say shell: true beside it"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            "{id: a, type: sleep, input: {secs: 3}}",
            [
                ("steps[0].input", f"Input of /builtin/sleep: {SLEEP}", ""),
                ("steps[0].input.secs", "/builtin/sleep takes no 'secs'", "did you mean 'seconds'?"),
            ],
        ),
        (
            "{id: a, type: load_file, input: {path: x, zzz: 1}}",
            [("steps[0].input.zzz", "/builtin/load_file takes no 'zzz'", "it takes path, format")],
        ),
        (
            "{id: a, type: load_file, input: {path: x, format: yml}}",
            [
                (
                    "steps[0].input.format",
                    'Input of /builtin/load_file: format: "yml" is not one of "json", "yaml", "text", "csv", null',
                    "did you mean 'yaml'?",
                )
            ],
        ),
        ("{id: a, type: fail}", [("steps[0]", "Missing required field: steps[0].input.message", "")]),
        ("{id: a, type: http.get, args: {}}", [("steps[0].args", "Missing required field: steps[0].input.url", "")]),
        (
            "{id: a, type: shell.run, input: {command: ls}}",
            [("steps[0].input", f"Input of /shell/run: {COMMAND}", "")],
        ),
        (
            "{id: a, type: shell.run, input: {command: [echo, [x]]}}",
            [
                (
                    "steps[0].input.command[1]",
                    'Input of /shell/run: command[1]: ["x"] is not of types "boolean", "number", "string"',
                    "",
                )
            ],
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_said_at_its_place_with_the_way_out(step: str, said: list[tuple[str, str, str]]) -> None:
    assert said_of(step) == said


def test_beside_a_reference_the_rest_is_judged() -> None:
    step = "{id: a, type: http.get, input: {uri: x, headers: {A: $.input.x}, timeout: []}}"
    assert [message for _, message, _ in said_of(step)] == [
        "Missing required field: steps[0].input.url",
        "/http/get takes no 'uri'",
        'Input of /http/get: timeout: [] is not of types "null", "number", "string"',
    ]


@pytest.mark.parametrize(
    "step",
    [
        "{id: a, type: load_file, input: $.input.file}",
        "{id: a, type: load_file, input: {$if: true, then: {path: x}}}",
        "{id: a, type: load_file, input: {$literal: 3}}",
        '{id: a, type: sleep, input: {seconds: "${{ 1 + 2 }}"}}',
        '{id: a, type: shell.run, input: {command: "ls", shell: $.input.shell}}',
        "{id: a, type: shell.run, input: {command: $.input.command, shell: true}}",
        "{id: a, type: echo, input: 3}",
        "{id: a, type: echo}",
        "{id: a, type: wait_event}",
        "{id: a, component: /user/anything, input: 3}",
    ],
)
def test_what_is_not_known_is_not_judged(step: str) -> None:
    assert said_of(step) == []


def test_flows_written_out_inside_a_step_are_judged_where_they_stand() -> None:
    (found,) = found_in(
        "steps:\n"
        "  - id: each\n"
        "    type: map\n"
        "    input:\n"
        "      items: $.input.items\n"
        "      workflow:\n"
        "        steps:\n"
        "          - {id: z, type: load_file, input: {path: 3}}\n"
    )
    assert (found.line, found.path) == (8, "steps[0].input.workflow.steps[0].input.path")


def test_paths_alone_judge_no_input() -> None:
    read = read_flow({"steps": [{"id": "a", "type": "sleep", "input": {"secs": 3}}]}, components=OURS.paths)
    assert read.flow is not None


def test_keys_that_a_pattern_allows_are_not_refused_beside_a_reference() -> None:
    schema = {"patternProperties": {"^x-": True}, "additionalProperties": False, "properties": {"a": True}}
    component = Component("/user/x", lambda value, context: value, "sync", "x", input_schema=schema)
    step = {"id": "a", "component": "/user/x", "input": {"a": "$.input.a", "x-note": 1}}
    assert read_flow({"steps": [step]}, components={"/user/x": component}).flow is not None


def test_a_schema_that_is_none_judges_nothing() -> None:
    broken = Component("/user/x", lambda value, context: value, "sync", "x", input_schema={"type": "objekt"})
    step = {"id": "a", "component": "/user/x", "input": {"x": 1}}
    assert read_flow({"steps": [step]}, components={"/user/x": broken}).flow is not None


# It never refuses what would run


@pytest.mark.parametrize("component", [one for one in OURS if one.example], ids=lambda one: one.path)
def test_an_example_is_accepted_whatever_part_of_it_is_a_reference(component: Component) -> None:
    value = component.example["input"]
    for key in [None, *value]:
        written = value if key is None else {**value, key: "$.input.x"}
        assert found_in({"steps": [{"id": "a", "component": component.path, "input": written}]}) == []


SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["object", ["object", "null"], "string"]),
        "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
        "properties": st.dictionaries(
            st.sampled_from("abc"),
            st.sampled_from([True, False, {"type": "integer"}, {"const": 1}, {"$ref": "#/$defs/text"}]),
        ),
        "additionalProperties": st.sampled_from([True, False, {"type": "integer"}]),
        "patternProperties": st.just({"^[bc]": {"type": "integer"}}),
        "if": st.sampled_from([{"properties": {"a": {"const": 1}}}, {"required": ["b"]}]),
        "then": st.just({"required": ["c"]}),
        "else": st.just({"properties": {"c": False}}),
        "anyOf": st.just([{"required": ["a"]}, {"properties": {"b": {"type": "string"}}}]),
        "minProperties": st.integers(0, 2),
        "propertyNames": st.just({"maxLength": 1}),
        "dependentRequired": st.just({"a": ["b"]}),
    },
).map(lambda schema: {**schema, "$defs": {"text": {"type": "string"}}})
VALUES = st.dictionaries(st.sampled_from([*"abcd", "long"]), st.sampled_from([1, 2, "x", None, [1], {"a": 1}]))


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, VALUES, st.sets(st.sampled_from([*"abcd", "long"])))
def test_an_input_is_refused_only_if_no_value_of_its_references_makes_it_right(
    schema: Any, value: dict[str, Any], references: set[str]
) -> None:
    component = Component("/user/x", lambda value, context: value, "sync", "x", input_schema=schema)
    written = {key: "$.input.x" if key in references else item for key, item in value.items()}
    step = {"id": "a", "component": "/user/x", "input": written}
    refused = read_flow({"steps": [step]}, components={"/user/x": component}).flow is None
    if not check_value(schema, value):
        assert not refused
    elif not references & value.keys():
        assert refused
