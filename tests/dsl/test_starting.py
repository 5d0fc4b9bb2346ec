"""What a run may be started with."""

from __future__ import annotations

from typing import Any

import pytest

from stepflow.dsl.starting import check_start
from stepflow.dsl.validate import read_flow
from stepflow.errors import InvalidInputError
from stepflow.model.flow import Flow

VARIABLES = {
    "region": {"type": "string", "default": "eu"},
    "size": {"type": "integer"},
    "token": {"type": "string", "secret": True, "minLength": 40},
}


def a_flow(variables: Any = VARIABLES) -> Flow:
    read = read_flow({"variables": variables, "steps": [{"id": "a", "type": "noop"}]})
    assert read.flow is not None, read.diagnostics
    return read.flow


@pytest.mark.parametrize("given", [None, {}, {"size": 3}, {"token": "env:TOKEN"}, {"token": "file:/run/token"}])
def test_what_fits_is_accepted_and_a_secret_is_judged_by_where_it_is_alone(given: dict[str, Any] | None) -> None:
    assert check_start(a_flow(), {}, given) is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"size": "big"}, 'size: "big" is not of type "integer"'),
        ({"regoin": "us"}, "there is no variable 'regoin'; did you mean 'region'?"),
        ({"token": "hunter2hunter2"}, "token is secret and given as env:NAME or file:PATH, never in clear"),
        ({"token": 7}, "token is secret"),
    ],
)
@pytest.mark.parametrize(
    "variables", [VARIABLES, {"properties": VARIABLES}, {"type": "object", "properties": VARIABLES}]
)
def test_what_does_not_fit_is_refused_in_words(variables: Any, given: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        check_start(a_flow(variables), {}, given)
    assert says in raised.value.message
    assert "hunter2" not in raised.value.message


def test_without_variables_none_can_be_given() -> None:
    with pytest.raises(InvalidInputError, match="there is no variable 'x'"):
        check_start(a_flow(None), {}, {"x": 1})


def test_a_schema_that_is_open_takes_others() -> None:
    schema = {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}}
    assert check_start(a_flow(schema), {}, {"b": 1}) is None
    with pytest.raises(InvalidInputError, match="b: "):
        check_start(a_flow(schema), {}, {"b": "x"})


def test_a_default_is_the_value_of_a_variable_that_nobody_gave() -> None:
    assert a_flow().variable_defaults == {"region": "eu"}
