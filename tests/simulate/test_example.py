"""Values made from schemas satisfy them: by examples, and for a family of random schemas."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepflow.components.registry import builtin_registry
from stepflow.simulate.example import example_of

Json = Any

LIST = {
    "$ref": "#/$defs/list",
    "$defs": {
        "list": {
            "type": "object",
            "required": ["value", "next"],
            "properties": {
                "value": {"type": "integer", "minimum": 1},
                "next": {"oneOf": [{"$ref": "#/$defs/list"}, {"type": "null"}]},
            },
        }
    },
}
TREE = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "parent": {"$ref": "#"}, "children": {"items": {"$ref": "#"}}},
}


def is_valid(schema: Json, value: Json) -> bool:
    return bool(jsonschema_rs.validator_for(schema, validate_formats=True).is_valid(value))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (None, None),
        (True, None),
        (False, None),
        ({}, None),
        ({"const": 7}, 7),
        ({"type": "integer", "default": 3}, 3),
        ({"type": "integer", "examples": [5, 6]}, 5),
        ({"enum": ["a", "b"]}, "a"),
        ({"enum": ["a", "bcd"], "minLength": 2}, "bcd"),
        ({"type": ["null", "string"]}, ""),
        ({"type": "string", "minLength": 3, "maxLength": 3}, "xxx"),
        ({"minLength": 2.0}, "xx"),
        ({"type": "integer", "minimum": -5, "maximum": 5}, 0),
        ({"type": "integer", "exclusiveMinimum": 0}, 1),
        ({"type": "integer", "exclusiveMaximum": -3, "multipleOf": 2}, -4),
        ({"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1.001}, 1.0005),
        ({"type": "number", "minimum": 1, "multipleOf": 0.3}, 1.2),
        ({"type": "integer", "minimum": 10**30}, 10**30),
        ({"type": "array", "items": {"type": "boolean"}}, [False]),
        ({"type": "array"}, []),
        ({"type": "array", "minItems": 3, "uniqueItems": True, "items": {"type": "integer"}}, [0, 1, 2]),
        (
            {"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "minItems": 3, "items": {"const": 3}},
            [1, 2, 3],
        ),
        ({"type": "array", "contains": {"const": 9}, "minItems": 2, "items": {"type": "integer"}}, [9, 0]),
        ({"required": ["a"], "properties": {"b": {"type": "string"}}}, {"b": "", "a": None}),
        ({"type": "object", "maxProperties": 1, "required": ["b"], "properties": {"a": {}, "b": {}}}, {"b": None}),
        ({"type": "object", "minProperties": 2, "additionalProperties": {"const": 1}}, {"key1": 1, "key2": 1}),
        ({"type": "object", "properties": {"a": False, "b": True}}, {"b": None}),
        ({"allOf": [{"minimum": 3}, {"maximum": 4}], "type": "integer", "multipleOf": 4}, 4),
        ({"allOf": [{"multipleOf": 4}, {"multipleOf": 6}], "type": "integer", "minimum": 1}, 12),
        ({"allOf": [{"properties": {"a": {"minimum": 2}}}, {"properties": {"a": {"type": "integer"}}}]}, {"a": 2}),
        ({"allOf": [{"minimum": 1}, {"minimum": 1000}, {"maxLength": 1}], "type": "integer"}, 1000),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}], "type": "integer"}, 0),
        (
            {
                "oneOf": [
                    {"properties": {"a": {"const": n}, "v": {"type": "string", **more}}, "required": ["a", "v"]}
                    for n, more in enumerate(({}, {"format": "date"}))
                ],
                "properties": {"a": {"const": 1}},
            },
            {"a": 1, "v": "2026-01-01"},
        ),
        ({"oneOf": [{"minimum": 1}, {"minimum": 5}], "type": "integer"}, 1),
        ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "properties": {"a": False}}, {"b": None}),
        (
            {"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}, "required": ["a"]},
            {"a": 1, "b": None},
        ),
        ({"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer", "minimum": 2}}, "minimum": 4}, 4),
        (LIST, {"value": 1, "next": None}),
        (TREE, {"name": "", "children": []}),
        ({"type": "string", "format": "email", "minLength": 30}, "x" * 11 + "someone@example.org"),
    ],
)
def test_the_plainest_value_is_made(schema: Json, value: Json) -> None:
    made = example_of(schema)
    assert (made, type(made)) == (value, type(value))
    if schema not in (None, False):
        assert is_valid(schema, made)


@pytest.mark.parametrize("kind", ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri",
                                  "uri-reference", "iri", "uri-template", "uuid", "json-pointer", "regex"])  # fmt: skip
def test_formats_are_kept(kind: str) -> None:
    schema = {"type": "string", "format": kind}
    assert not is_valid(schema, "\\ (") or kind in ("iri", "regex"), "the judge knows this format"
    assert is_valid(schema, example_of(schema))


@pytest.mark.parametrize("component", builtin_registry(), ids=lambda component: component.path)
def test_outputs_of_our_components_can_be_made_up(component: Any) -> None:
    schema = component.output_schema
    if schema in (None, False) or "pattern" in str(schema):
        assert example_of(schema) is None or "pattern" in str(schema)
    else:
        assert is_valid(schema, example_of(schema))


def test_what_has_no_value_or_no_end_gives_none() -> None:
    endless = {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}
    deep: Json = {"type": "integer"}
    for _ in range(3000):
        deep = {"type": "array", "minItems": 1, "items": deep}
    many = {"allOf": [{"anyOf": [False] * 10}] * 12}
    assert [example_of(schema) for schema in (endless, deep, many)] == [None, None, None]


def test_choices_inside_choices_are_not_tried_for_ever() -> None:
    definitions: Json = {"0": {"type": "integer"}}
    for depth in range(1, 12):
        below = {"type": "object", "required": ["a"], "properties": {"a": {"$ref": f"#/$defs/{depth - 1}"}}}
        definitions[f"{depth}"] = {"anyOf": [below] * 8, "maxProperties": 0}
    schema = {"$ref": "#/$defs/11", "$defs": definitions}
    assert "a" in example_of(schema)


# A family of schemas that have a value


def numbers(kind: str) -> st.SearchStrategy[Json]:
    @st.composite
    def schema(draw: st.DrawFn) -> Json:
        low = draw(st.integers(-50, 50))
        made: Json = {"type": kind}
        if draw(st.booleans()):
            made[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
        if draw(st.booleans()):
            # Wide enough for a multiple between the two.
            made[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = low + draw(st.integers(25, 60))
        if draw(st.booleans()):
            made["multipleOf"] = draw(st.integers(1, 12) if kind == "integer" else st.sampled_from([1, 0.5, 0.25, 2.5]))
        return made

    return schema()


@st.composite
def strings(draw: st.DrawFn) -> Json:
    least = draw(st.integers(0, 20))
    made: Json = {"type": "string", "minLength": least, "maxLength": least + draw(st.integers(0, 5))}
    for key in draw(st.lists(st.sampled_from(["minLength", "maxLength"]), unique=True)):
        del made[key]
    return made


@st.composite
def arrays(draw: st.DrawFn, items: st.SearchStrategy[Json]) -> Json:
    least = draw(st.integers(0, 4))
    made: Json = {"type": "array", "items": draw(items), "minItems": least}
    if draw(st.booleans()):
        made["maxItems"] = least + draw(st.integers(0, 2))
    return made


@st.composite
def objects(draw: st.DrawFn, values: st.SearchStrategy[Json]) -> Json:
    properties = draw(st.dictionaries(st.sampled_from("abcde"), values, max_size=4))
    required = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=3))
    made: Json = {"type": "object", "properties": properties, "required": required}
    if draw(st.booleans()):
        made["additionalProperties"] = draw(values)
    if draw(st.booleans()):
        made["minProperties"] = draw(st.integers(0, 6)) if "additionalProperties" in made else len(properties)
    return made


@st.composite
def choices(draw: st.DrawFn, values: st.SearchStrategy[Json]) -> Json:
    # Told apart by a word each, so that exactly one can hold.
    branches = [
        {"type": "object", "required": ["kind", "value"], "properties": {"kind": {"const": index}, "value": one}}
        for index, one in enumerate(draw(st.lists(values, min_size=1, max_size=3)))
    ]
    made: Json = {draw(st.sampled_from(["oneOf", "anyOf"])): branches}
    if draw(st.booleans()):
        wanted = draw(st.integers(0, len(branches) - 1))
        made["properties"] = {"kind": {"const": wanted}}
    return made


leaves = st.one_of(
    numbers("integer"),
    numbers("number"),
    strings(),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers() | st.text(max_size=3), min_size=1, max_size=4)),
    st.builds(lambda value: {"const": value}, st.none() | st.booleans() | st.integers() | st.text(max_size=3)),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["null", "integer"]}, True, {}]),
    st.sampled_from(["date-time", "date", "email", "uri", "uuid"]).map(lambda one: {"type": "string", "format": one}),
)
schemas = st.recursive(leaves, lambda below: st.one_of(arrays(below), objects(below), choices(below)), max_leaves=12)


@given(schemas)
@settings(deadline=None, max_examples=300)
def test_what_is_made_satisfies_its_schema(schema: Json) -> None:
    assert is_valid(schema, example_of(schema))


@given(st.lists(objects(st.one_of(st.just({}), numbers("integer").map(lambda one: {**one, "minimum": 0}))), max_size=3))
@settings(deadline=None, max_examples=200)
def test_where_parts_that_all_must_hold_have_a_value_one_is_made(parts: Json) -> None:
    schema = {"allOf": parts}
    # A reference in between must change nothing.
    behind = {"$ref": "#/$defs/it", "$defs": {"it": schema}}
    assert example_of(behind) == example_of(schema)
    witness = dict.fromkeys("abcdef", 0)
    if parts and is_valid(schema, witness):
        assert is_valid(schema, example_of(schema))
