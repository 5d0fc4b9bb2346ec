"""Value templates: what they expand to, what they refuse, and who they wait for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepflow.core.scope import UpstreamFailed, UpstreamSkipped
from stepflow.core.values import compile_condition, compile_value
from stepflow.errors import ExpressionError
from stepflow.model.paths import Missing, follow, parse_path, write_path
from tests.core.world import OUTPUTS, STEPS, World
from tests.support.flows import ref


def value(raw: Any) -> Any:
    compiled = compile_value(raw, STEPS, fallback_data=frozenset({4}))
    result = compiled.evaluate(World())
    assert compiled.evaluate(World(at_hand=False)) == result, "the quick way and the slow one differ"
    return result


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (1, 1),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        (ref("done", "a.b[0]"), 10),
        (ref("done", "$.a.b[-1]"), {"c d": "x"}),
        (ref("done", '$.a.b[2]["c d"]'), "x"),
        (ref("done", "/a/b/1"), 20),
        (ref("done", "a.b"), "literal"),
        (ref("done", "$.a.b[1]"), 20),
        (ref("null"), None),
        (ref("null", "any.thing"), None),
        (ref("file", "inner"), 1),
        (ref("file", "data.inner"), 1),
        ({"$from": {"workflow": "input"}}, {"x": 1}),
        ({"$from": {"workflow": "input"}, "path": "x"}, 1),
        ({"$from": {"variable": "v"}, "path": "deep"}, True),
        ({"$from": {"variable": "other", "default": 7}}, 7),
        ({"$from": {"run": "id"}}, "exec_1"),
        (ref("skipped", **{"$default": {"from": ref("done", "0")}}), {"from": "zero"}),
        (ref("skipped", **{"$on_skip": "use_default"}), None),
        ({"$literal": {"$from": {"step": "done"}}}, {"$from": {"step": "done"}}),
        ({"$if": ref("done", "a"), "then": "yes", "else": "no"}, "yes"),
        ({"$if": None, "then": "yes", "else": "no"}, "no"),
        ({"$if": 0, "then": "yes", "else": "no"}, "yes"),
        ({"$if": True, "then": 1, "else": ref("failed")}, 1),
        ({"$coalesce": [None, ref("skipped"), ref("null"), 5, ref("failed")]}, 5),
        ({"$coalesce": [None, ref("skipped")]}, None),
        ({"$coalesce": [ref("skipped")]}, None),
    ],
)
def test_templates_expand(raw: Any, expected: Any) -> None:
    assert value(raw) == expected


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (ref("done", "nowhere"), "Path $.nowhere not found in the output of step 'done'"),
        (ref("done", "a.b[9]"), "Path $.a.b[9] not found in the output of step 'done'"),
        (ref("done", "$.a.b.c"), "Path $.a.b.c not found in the output of step 'done'"),
        ({"$from": {"workflow": "input"}, "path": "y"}, "Path $.y not found in the run's input"),
        ({"$from": {"variable": "w"}}, "Variable 'w' was not given and has no default"),
    ],
)
def test_what_is_not_there_is_said(raw: Any, message: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        value(raw)
    assert raised.value.message == message


def test_a_failed_step_beats_a_skipped_one() -> None:
    with pytest.raises(UpstreamFailed):
        value([ref("skipped"), {"x": ref("failed")}])
    with pytest.raises(UpstreamSkipped):
        value([ref("skipped"), ref("done")])
    with pytest.raises(UpstreamSkipped):
        value(ref("skipped", **{"$default": 1, "$on_skip": "skip_step"}))
    with pytest.raises(UpstreamFailed):
        value({"$coalesce": [ref("failed"), 1]})


def test_a_value_knows_every_step_it_refers_to() -> None:
    raw = {"$if": ref("done"), "then": ref("skipped", **{"$default": ref("null")}), "else": [ref("file")]}
    assert compile_value(raw, STEPS).steps == frozenset({0, 1, 3, 4})


def test_data_is_never_expanded_again() -> None:
    assert value({"x": {"$literal": "$.input.x"}}) == {"x": "$.input.x"}
    compiled = compile_value({"$from": {"workflow": "input"}}, STEPS)
    data = {"$from": {"step": "failed"}}
    assert compiled.evaluate(World(data)) == data


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (True, True),
        (ref("done", "a"), True),
        (ref("null"), False),
        (ref("skipped"), False),
        (ref("failed"), False),
        (ref("done", "nowhere"), False),
    ],
)
def test_conditions_are_tolerant(raw: Any, expected: bool) -> None:
    assert compile_condition(raw, STEPS).evaluate(World()) is expected


def test_a_condition_says_what_it_counted_as_null() -> None:
    world = World()
    compile_condition(ref("done", "nowhere"), STEPS).evaluate(world)
    assert world.warnings == ["Path $.nowhere not found in the output of step 'done'; counted as null"]


KEYS = st.text(st.characters(exclude_characters='"\\', exclude_categories=["C"]), min_size=1, max_size=8)


@given(st.lists(KEYS | st.integers(-99, 99), max_size=6))
def test_a_path_that_was_written_is_read_again(keys: list[str | int]) -> None:
    assert parse_path(write_path(tuple(keys))) == tuple(keys)


@given(
    st.text(max_size=30), st.recursive(st.none() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_no_path_makes_following_raise_anything_else(text: str, data: Any) -> None:
    try:
        path = parse_path(text)
    except ValueError:
        return
    try:
        found = follow(data, path)
    except Missing:
        return
    assert path or found == data


def reference_evaluator(raw: Any) -> Any:
    """The slow and obvious one."""
    if isinstance(raw, list):
        return [reference_evaluator(item) for item in raw]
    if isinstance(raw, dict):
        if "$from" in raw:
            data: Any = OUTPUTS[STEPS[raw["$from"]["step"]]]
            for key in raw.get("path", []):
                data = data[key]
            return data
        return {key: reference_evaluator(item) for key, item in raw.items()}
    return raw


PLAIN = st.none() | st.integers() | st.text(max_size=5) | st.sampled_from([ref("done"), ref("null"), ref("file")])


@given(st.recursive(PLAIN, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.sampled_from("abc"), x, max_size=3)))
def test_compiled_values_equal_the_slow_evaluator(raw: Any) -> None:
    assert value(raw) == reference_evaluator(raw)
