"""Templates at the edge: too large, too deep, too many, in characters that are none. Each was found by the fuzzer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from stepflow.core.graph import build_graph
from stepflow.dsl.bounds import MAX_NESTING, MAX_NODES
from stepflow.dsl.diagnostics import LONGEST, Diagnostic
from stepflow.dsl.lint.linter import fix_text, lint_flow
from stepflow.dsl.load import load
from stepflow.dsl.schemas import check_schema, check_value
from stepflow.dsl.validate import read_flow
from stepflow.model import expressions
from stepflow.model.flow import Flow
from stepflow.workbench import Workbench

DELETE = "\x7f"
"""JSON takes it in a text, and YAML's reader does not."""


def errors_of(dsl: str | dict[str, Any]) -> list[Diagnostic]:
    return [one for one in read_flow(dsl).diagnostics if one.level == "error"]


def error_of(dsl: str | dict[str, Any]) -> Diagnostic:
    (found,) = errors_of(dsl)
    return found


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("[" * MAX_NESTING + "]" * MAX_NESTING, "E003"),
        ("[" * 100_000 + "]" * 100_000, "E003"),
        (f"[{'1,' * MAX_NODES}1]", "E005"),
        ('{"a": 1, "a": 2}', "E009"),
        ("1e999", "E010"),
        ("1" * 5000, "E010"),
    ],
)
def test_json_is_bounded_also_where_yaml_cannot_read_it(value: str, code: str) -> None:
    (found,) = load(f'{{"x": {value}, "y": "{DELETE}"}}').diagnostics
    assert found.code == code


def test_data_is_bounded_as_text_is() -> None:
    deep: Any = 1
    for _ in range(MAX_NESTING + 1):
        deep = [deep]
    assert error_of({"steps": [], "x-deep": deep}).code == "E003"


@pytest.mark.parametrize("anchored", ["LONG", "{y: LONG}", "{? LONG : 1}", "[[LONG]]"])
def test_aliases_of_a_long_text_are_a_bomb_too(anchored: str) -> None:
    def text(aliases: int) -> str:
        return f"a: &a {anchored}\nb: [{'*a, ' * aliases}]\n".replace("LONG", "x" * 100_000)

    assert not load(text(10)).diagnostics
    assert error_of(text(1000)).code == "E005"


@pytest.mark.parametrize("text", ["steps: []\nx: \ud800", '{"x":\n"\ud800"}', "{\n \ud800"])
def test_half_a_surrogate_pair_is_no_character(text: str) -> None:
    found = error_of(text)
    assert (found.code, found.line) == ("E002", 2)


def test_two_keys_beyond_the_first_plane_stay_two() -> None:
    data = {"𐀀": 1, "𐀁": 2}
    document = load(json.dumps(data))
    assert (document.diagnostics, document.data) == ([], data)


def test_a_flow_with_half_a_surrogate_pair_is_stored_and_read_again() -> None:
    flow = read_flow('{"steps": [{"id": "a", "type": "echo", "input": "\\ud83d"}]}').flow
    assert flow is not None
    assert Flow.from_json(flow.to_json()) == flow
    assert flow.steps[0].input == "\ud83d"


@pytest.mark.parametrize("schema", [{"type": "array"}, {"const": "\ud83d"}, {"enum": [{"\ud83d": 1}]}])
def test_a_schema_judges_half_a_surrogate_pair(schema: dict[str, Any]) -> None:
    assert check_schema(schema) is None
    assert check_value(schema, {"\ud83d": "\ud83d"})


@pytest.mark.parametrize("name", ["\x7f", "\x9b2J", "\u202e", "\u2028", "\ud800"])
def test_a_step_id_can_be_printed(name: str) -> None:
    assert error_of({"steps": [{"id": f"a{name}", "type": "echo"}]}).code == "E111"


def test_a_diagnostic_quotes_authors_in_one_short_line() -> None:
    found = error_of({"steps": [{"id": "a", "type": "echo", "b\n\x1b[2J\u202e": 1}]})
    assert found.message == "Unknown key 'b\\n\\x1b[2J\\u202e'"
    assert found.path == 'steps[0]["b\\n\\x1b[2J\\u202e"]'
    long = error_of({"steps": [{"id": "a", "type": "echo", "timeout": "x" * 5000}]})
    assert LONGEST <= len(long.message) < LONGEST + 10


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_a_mistake_at_the_end_stands_in_the_last_line(start: str) -> None:
    (found,) = load(f"{start}a: \nbc").diagnostics
    assert (found.line, found.column) == (2, 3)


def test_a_mistake_in_an_escaped_expression_stands_where_the_text_begins() -> None:
    found = error_of('steps:\n  - {id: a, type: echo, input: "${{ 1 +\\n\\n ) }}"}')
    assert (found.code, found.line, found.column) == ("E127", 2, 32)


def test_where_many_words_are_unknown_the_first_have_a_suggestion() -> None:
    steps = [{"id": f"step-{number}", "type": "echo", "depends_on": [f"stop-{number}"]} for number in range(400)]
    hints = [one.hint for one in errors_of({"steps": steps})]
    assert hints[0] == "did you mean 'step-0'?"
    assert hints[-1] == ""


def test_a_word_that_is_unknown_again_and_again_has_its_suggestion_each_time() -> None:
    steps = [{"id": f"step-{number}", "type": "echo", "depends_on": ["stop-7"]} for number in range(400)]
    assert {one.hint for one in errors_of({"steps": steps})} == {"did you mean 'step-7'?"}


@pytest.mark.parametrize("variables", [0, "", False, [], {"type": "object", "properties": 0}])
def test_variables_are_a_mapping_also_where_they_are_nothing(variables: Any) -> None:
    template = {"variables": variables, "steps": [{"id": "a", "type": "echo", "input": "$.variables.v"}]}
    assert "E107" in {one.code for one in errors_of(template)}


@pytest.mark.parametrize("duration", [{"duration": {}}, {"seconds": 1e308}, {"seconds": 10**400}])
def test_lint_reads_any_length_of_a_sleep(duration: dict[str, Any]) -> None:
    template = {"timeout": "1h", "steps": [{"id": "a", "type": "wait", "input": duration}]}
    assert lint_flow(json.dumps(template)).flow is not None


def test_a_step_that_waits_for_itself_by_the_flows_on_error_would_never_end() -> None:
    template: dict[str, Any] = {
        "on_error": {"action": "continue", "default_output": "$.steps.a.output"},
        "steps": [{"id": "a", "type": "echo"}, {"id": "b", "type": "echo"}],
    }
    found = error_of(template)
    assert (found.code, found.message) == ("E141", "Step 'a' refers to itself by the flow's on_error")
    template["steps"][0] |= {"on_error": "fail"}
    assert not errors_of(template)
    template["steps"][0] |= {"depends_on": ["b"]}
    assert error_of(template).message == "Circular reference: a → b → a"


def test_a_long_order_said_twice_is_put_right_at_once() -> None:
    names = [f"s{number}" for number in range(60)]
    text = "steps:\n" + "".join(f"  - {{id: {name}, type: echo}}\n" for name in names)
    values = ", ".join(f"$.steps.{name}.output" for name in names)
    text += f"  - {{id: z, type: echo, depends_on: [{', '.join(names)}], input: [{values}]}}\n"
    fixed, number = fix_text(text)
    assert (number, "depends_on" in fixed) == (60, False)


def test_the_details_of_a_simulated_error_are_a_mapping() -> None:
    step = {"id": "a", "type": "echo", "simulate": {"error": {"code": "ODD", "details": 1}}}
    flow = read_flow({"steps": [step]}).flow
    assert flow is not None
    error = Workbench(None).simulate(flow, {}).error
    assert error is not None
    assert (error["code"], error["details"]["step_key"]) == ("ODD", "a")


def test_the_deepest_template_is_read_from_deep_within_a_program() -> None:
    calls = expressions.MAX_NESTING - 1
    value: Any = "${{ " + "default(" * calls + "$.input.x" + ", 1)" * calls + " }}"
    for _ in range(MAX_NESTING - 4):
        value = [value]

    def read() -> None:
        flow = read_flow({"steps": [{"id": "a", "type": "echo", "input": value}]}).flow
        assert flow is not None
        build_graph(flow)

    def below(frames: int, work: Callable[[], None]) -> None:
        if frames:
            below(frames - 1, work)
        else:
            work()

    below(250, read)
