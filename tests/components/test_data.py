"""/data/merge and /data/validate."""

from __future__ import annotations

import time
from typing import Any

import pytest

from stepflow.components import data
from stepflow.components.data import MAX_ERRORS
from stepflow.errors import ComponentError
from tests.components.performing import judged
from tests.components.recorder import Recorder


def merge(sources: Any, context: Recorder) -> Any:
    return judged("/data/merge", data.merge(sources, context))


def validate(value: Any, context: Recorder) -> Any:
    return judged("/data/validate", data.validate(value, context))


def test_merge_is_deep_and_later_sources_win(context: Recorder) -> None:
    first = {"a": {"x": 1, "y": {"p": 1}}, "list": [1, 2], "only": True}
    second = {"a": {"y": {"q": 2}, "x": None}, "list": [3]}
    merged = merge({"one": first, "skipped": None, "two": second}, context)
    assert merged == {"a": {"x": None, "y": {"p": 1, "q": 2}}, "list": [3], "only": True}
    assert list(merged) == ["a", "list", "only"]
    assert first["a"] == {"x": 1, "y": {"p": 1}}


def test_merge_replaces_a_value_by_an_object_and_the_other_way_round(context: Recorder) -> None:
    assert merge({"1": {"a": 1, "b": {"c": 2}}, "2": {"a": {"d": 3}, "b": 4}}, context) == {"a": {"d": 3}, "b": 4}


def test_merge_names_the_source_that_is_no_object(context: Recorder) -> None:
    with pytest.raises(ComponentError, match="'two' is not an object") as caught:
        merge({"one": {}, "two": [1]}, context)
    assert caught.value.code == "INVALID_INPUT"


SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
}


def test_validate_hands_on_good_data(context: Recorder) -> None:
    data = {"id": 2**70, "tags": ["a"]}
    assert validate({"data": data, "schema": SCHEMA}, context) == {"valid": True, "errors": [], "data": data}


def test_validate_says_where_data_is_wrong(context: Recorder) -> None:
    output = validate({"data": {"tags": ["a", 5]}, "schema": SCHEMA}, context)
    assert output["valid"] is False
    assert {error["path"]: error["message"] for error in output["errors"]} == {
        "": '"id" is a required property',
        "tags[1]": '5 is not of type "string"',
    }


def test_validate_fails_its_step_only_if_strict(context: Recorder) -> None:
    with pytest.raises(ComponentError, match=r'^The data violates its schema: id: "x" is not of type') as caught:
        validate({"data": {"id": "x"}, "schema": SCHEMA, "strict": True}, context)
    assert caught.value.code == "VALIDATION_FAILED"
    assert caught.value.details["errors"][0]["path"] == "id"
    assert validate({"data": {"id": 1}, "schema": SCHEMA, "strict": True}, context)["valid"]


@pytest.mark.parametrize("reference", ["http://127.0.0.1:9/schema.json", "file:///etc/passwd", "#/$defs/none"])
def test_a_schema_is_never_fetched(reference: str, context: Recorder) -> None:
    with pytest.raises(ComponentError, match=r"^schema: ") as caught:
        validate({"data": 1, "schema": {"$ref": reference}}, context)
    assert caught.value.code == "INVALID_INPUT"
    assert "root:" not in caught.value.message


def test_a_schema_that_is_none_is_the_authors_mistake(context: Recorder) -> None:
    with pytest.raises(ComponentError, match=r"^schema: "):
        validate({"data": 1, "schema": {"type": "nonsense"}}, context)


def test_many_errors_are_cut_and_said_to_be(context: Recorder) -> None:
    output = validate({"data": list(range(1000)), "schema": {"items": {"type": "string"}}}, context)
    assert len(output["errors"]) == MAX_ERRORS + 1
    assert "only the first 100 errors" in output["errors"][-1]["message"]


def test_a_large_value_does_not_flood_the_message(context: Recorder) -> None:
    output = validate({"data": "x" * 1_000_000, "schema": {"type": "integer"}}, context)
    assert len(output["errors"][0]["message"]) < 400


def test_an_evil_pattern_ends(context: Recorder) -> None:
    started = time.monotonic()
    output = validate({"data": "a" * 5000 + "b", "schema": {"pattern": r"^(a+)+$"}}, context)
    assert output["valid"] is False
    assert time.monotonic() - started < 5
