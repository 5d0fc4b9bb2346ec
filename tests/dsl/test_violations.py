"""What a schema finds wrong, in words that say the way out."""

from __future__ import annotations

from typing import Any

import pytest

from stepflow.components.registry import builtin_registry
from stepflow.dsl.schemas import check_value, compile_schema, output_check
from stepflow.dsl.violations import MAX_MESSAGE, violations

FORMAT = {"enum": ["json", "yaml", "text", "csv", None]}
CLOSED = {"properties": {"url": True, "query": True}, "additionalProperties": False}
COMMAND = {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": ["string", "number"]}}]}
ORDER = {"$defs": {"order": CLOSED}, "properties": {"order": {"anyOf": [{"$ref": "#/$defs/order"}, {"type": "null"}]}}}
SHELL = {
    "if": {"required": ["command"]},
    "then": {"required": ["shell"], "description": "a command needs shell: true"},
    "properties": {"then": {"type": "string", "description": "not a branch"}},
}


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        (FORMAT, "xml", ['"xml" is not one of "json", "yaml", "text", "csv", null']),
        (FORMAT, "jsn", ['"jsn" is not one of "json", "yaml", "text", "csv", null; did you mean \'json\'?']),
        ({"enum": list(range(30))}, -1, [f"-1 is not one of {', '.join(map(str, range(20)))}, …"]),
        (CLOSED, {"urll": 1}, ["'urll' was unexpected; did you mean 'url'?"]),
        (CLOSED, {"zz": 1, "yy": 2}, [f"'{key}' was unexpected; it takes url, query" for key in ("zz", "yy")]),
        ({"properties": {"a": CLOSED}}, {"a": {"urll": 1}}, ["a: 'urll' was unexpected; did you mean 'url'?"]),
        (ORDER, {"order": {"urll": 1}}, ["order: 'urll' was unexpected; did you mean 'url'?"]),
        (COMMAND, [], ["[] has less than 1 item"]),
        (COMMAND, ["echo", None], ['[1]: null is not of types "number", "string"']),
        (COMMAND, 3, ['3 is not of types "string", "array"']),
        (
            {"anyOf": [{"minLength": 3}, {"pattern": "b"}], "description": "a long text"},
            "x",
            ['"x" is not a long text'],
        ),
        ({"oneOf": [{"minLength": 3}, {"pattern": "b"}]}, "x", ['"x" is not any of what it may be']),
        (
            {"type": "object", "required": ["a", "b"]},
            None,
            ['"a" is a required property', '"b" is a required property'],
        ),
        ({"type": "object", **CLOSED}, None, ["nothing is given; it takes url, query"]),
        ({"type": "object"}, None, ["nothing is given"]),
        (SHELL, {"command": "x"}, ["a command needs shell: true"]),
        (SHELL, {"then": 1}, ['then: 1 is not of type "string"']),
        (False, 1, ["False schema does not allow 1"]),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(schema: Any, value: Any, said: list[str]) -> None:
    assert check_value(schema, value) == said


def test_a_large_value_is_quoted_shortly() -> None:
    for schema in ({"type": "integer"}, {"enum": ["a"]}, {"anyOf": [{"type": "integer"}]}):
        (violation,) = violations(compile_schema(schema), "x" * 100_000, schema)
        assert len(violation.message) < MAX_MESSAGE + 50


def test_of_a_hidden_output_nothing_is_quoted() -> None:
    schema = {"properties": {"token": {"type": "integer"}}}
    said = output_check(schema)({"token": "sesame"})
    assert said == 'The output violates its schema: token: "sesame" is not of type "integer"'
    hidden = output_check(schema, hidden=True)
    assert hidden({"token": "sesame"}) == "The output violates its schema: what it holds is hidden"
    assert hidden({"token": 1}) is None


@pytest.mark.parametrize("path", ["/builtin/fail", "/http/get", "/shell/run", "/builtin/load_file", "/builtin/map"])
def test_a_step_without_input_is_told_what_is_missing(path: str) -> None:
    schema = builtin_registry().get(path).input_schema
    assert check_value(schema, None) == [f'"{key}" is a required property' for key in schema["required"]]
