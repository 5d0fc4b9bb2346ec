"""What a marked function is called with, and what it is said to take."""

from __future__ import annotations

import asyncio
import datetime
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import jsonschema_rs
import msgspec
import pytest

from stepflow.components.decorator import component, component_of
from stepflow.components.registry import check_input
from stepflow.contracts.component import Component, ComponentContext
from stepflow.errors import ComponentError
from stepflow.model import jsontext
from tests.components.recorder import Recorder


@dataclass
class Address:
    street: str
    city: str = "Oslo"


@dataclass
class Order:
    id: str
    count: int = 1
    tags: list[str] = field(default_factory=list)
    ship_to: Address | None = None
    parent: Order | None = None


class Customer(msgspec.Struct, rename="camel"):
    user_id: str
    is_new: bool = False


class Query(TypedDict):
    text: str
    limit: NotRequired[int]


class ModelError(ValueError):
    def errors(self) -> list[dict[str, Any]]:
        return [{"loc": ("lines", 0, "price"), "msg": "must be positive"}, {"loc": (), "msg": "is odd"}]


class Model:
    """What pydantic's models have, as far as it counts."""

    def __init__(self, price: int) -> None:
        self.price = price

    @classmethod
    def model_validate(cls, value: Any) -> Model:
        if value.get("price", 0) <= 0:
            raise ModelError("two\nlines")
        return cls(value["price"])

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return {"type": "object", "properties": {"price": {"$ref": "#/$defs/P"}}, "$defs": {"P": {"type": "integer"}}}


def marked(function: Callable[..., Any]) -> Component:
    made = component_of(component("/user/load")(function))
    assert made is not None
    return made


def call(function: Callable[..., Any], value: Any, context: Any = None) -> Any:
    made = marked(function)
    result = made.function(value, context or Recorder())
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def refusal(function: Callable[..., Any], value: Any) -> str:
    """What the input's own check says, which comes first, is another text: this is the conversion's."""
    with pytest.raises(ComponentError) as caught:
        call(function, value)
    assert caught.value.code == "INVALID_INPUT"
    assert caught.value.details["errors"]
    return caught.value.message.removeprefix("Input of /user/load: ")


# Named parameters


async def load(user_id: str, limit: int = 10, ctx: Any = None) -> list[Any]:
    return [user_id, limit, ctx.run_id]


def test_named_parameters_are_filled_by_name() -> None:
    assert call(load, {"user_id": "u1"}) == ["u1", 10, "exec_1"]
    assert call(load, {"limit": 3, "user_id": "u1"}) == ["u1", 3, "exec_1"]
    assert call(load, {"user_id": "u1", "limit": None}) == ["u1", 10, "exec_1"], "null is absent"


def test_their_annotations_become_a_schema() -> None:
    schema = marked(load).input_schema
    assert schema == {
        "type": "object",
        "properties": {"user_id": {"type": "string"}, "limit": {"type": ["integer", "null"], "default": 10}},
        "required": ["user_id"],
        "additionalProperties": False,
    }
    check_input(marked(load), {"user_id": "u1", "limit": None})
    with pytest.raises(ComponentError, match="'limt' was unexpected; did you mean 'limit'"):
        check_input(marked(load), {"user_id": "u1", "limt": 3})


def test_a_schema_that_is_given_is_kept() -> None:
    made = component_of(component("/user/x", input_schema={"type": "object"})(load))
    assert made is not None
    assert made.input_schema == {"type": "object"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"limit": 3}, "user_id: it is missing"),
        ({"user_id": 3}, "user_id: expected str, got int"),
        ({"user_id": "u", "limit": "3"}, "limit: expected int, got str"),
        ({"user_id": "u", "limit": True}, "limit: expected int, got bool"),
        ({"user_id": None}, "user_id: expected str, got null"),
        ({"user_id": "u", "limitt": 3}, "there is no 'limitt'; did you mean 'limit'?"),
        ({"user_id": "u", "zzz": 3}, "there is no 'zzz'; it takes user_id, limit"),
        (["u"], "expected an object with user_id, limit; got a list"),
        (None, "user_id: it is missing"),
    ],
)
def test_a_mismatch_names_the_parameter(value: Any, said: str) -> None:
    assert refusal(load, value) == said


def test_parameters_may_be_records_and_more() -> None:
    def f(  # type: ignore[no-untyped-def] # an unannotated parameter beside annotated ones takes what comes
        order: Order,
        at: datetime.datetime,
        *,
        kind: Literal["a", "b"] = "a",
        size: Annotated[int, msgspec.Meta(ge=1, description="of it")] = 1,
        model: Model | None = None,
        anything=None,
    ) -> list[Any]:
        return [order, at.year, kind, size, model, anything]

    value = {"order": {"id": "o", "ship_to": {"street": "s"}}, "at": "2026-01-02T03:04:05Z", "anything": [1]}
    assert call(f, value) == [Order("o", ship_to=Address("s")), 2026, "a", 1, None, [1]]
    assert call(f, {**value, "model": {"price": 3}})[4].price == 3
    assert refusal(f, {**value, "order": {"id": "o", "tags": ["x", 3]}}) == "order.tags[1]: expected str, got int"
    assert refusal(f, {**value, "order": {}}) == "order: 'id' is missing"
    assert refusal(f, {**value, "kind": "c"}) == "kind: invalid enum value 'c'"
    assert refusal(f, {**value, "size": 0}) == "size: expected int >= 1"
    assert refusal(f, {**value, "model": {}}) == "model: lines.0.price: must be positive; is odd"
    schema = marked(f).input_schema
    assert schema["properties"]["size"] == {
        "type": ["integer", "null"], "minimum": 1, "description": "of it", "default": 1,
    }  # fmt: skip
    assert schema["properties"]["kind"] == {"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}], "default": "a"}
    jsonschema_rs.validate(schema, {**value, "model": None, "kind": None})
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema, {**value, "order": {"id": 3}})


def test_a_component_may_take_nothing_but_the_context() -> None:
    def f(ctx: ComponentContext) -> str:
        return ctx.step_id

    assert call(f, None) == call(f, {}) == "build"
    assert refusal(f, {"x": 1}) == "there is no 'x'; it takes nothing"
    check_input(marked(f), None)


def test_the_context_is_known_by_its_name_or_its_type() -> None:
    def by_type(n: int, surroundings: ComponentContext) -> list[Any]:
        return [n, surroundings.run_id]

    def first(context: Any, n: int) -> list[Any]:
        return [n, context.run_id]

    def positional(value: Any, ctx: Any, /) -> list[Any]:
        return [value["n"], ctx.run_id]

    def keyword(value: Any, *, ctx: Any) -> list[Any]:
        return [value["n"], ctx.run_id]

    for function in (by_type, first, positional, keyword):
        assert call(function, {"n": 1}) == [1, "exec_1"], function


# One record


def test_a_record_is_made_from_the_whole_input() -> None:
    def f(order: Order, ctx: Any) -> list[Any]:
        return [order, ctx.run_id]

    assert call(f, {"id": "o", "parent": {"id": "p"}})[0] == Order("o", parent=Order("p"))
    assert call(f, {"id": "o", "count": None})[0] == Order("o"), "null is absent"
    assert refusal(f, {}) == "'id' is missing"
    assert refusal(f, {"id": "o", "ship_to": {"street": 3}}) == "ship_to.street: expected str, got int"
    assert refusal(f, {"id": "o", "cuont": 3}) == "there is no 'cuont'; did you mean 'count'?"
    assert refusal(f, "o") == "expected object, got str"
    schema = marked(f).input_schema
    assert schema["required"] == ["id"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["count"] == {"type": ["integer", "null"], "default": 1}
    jsonschema_rs.validate(schema, {"id": "o", "count": None, "parent": {"id": "p"}})
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema, {"id": "o", "parent": {"id": 3}})


def test_structs_typed_dicts_and_mappings_too() -> None:
    def struct(customer: Customer) -> Customer:
        return customer

    def query(query: Query) -> Query:
        return query

    def prices(prices: Mapping[str, int]) -> int:
        return sum(prices.values())

    assert call(struct, {"userId": "u"}) == Customer("u")
    assert refusal(struct, {"user_id": "u"}) == "there is no 'user_id'; did you mean 'userId'?"
    assert call(query, {"text": "t"}) == {"text": "t"}
    assert refusal(query, {"text": "t", "limit": "x"}) == "limit: expected int, got str"
    assert call(prices, {"a": 1, "b": 2}) == 3
    assert refusal(prices, {"a": "1"}).endswith("expected int, got str")
    assert marked(prices).input_schema == {"type": "object", "additionalProperties": {"type": "integer"}}


def test_a_model_checks_and_describes_itself() -> None:
    def f(model: Model) -> int:
        return model.price

    assert call(f, {"price": 3}) == 3
    assert refusal(f, {}) == "lines.0.price: must be positive; is odd"
    assert marked(f).input_schema == Model.model_json_schema()


@dataclass
class Part:
    size: int = 2
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Whole:
    id: str
    n: int = 3
    part: Part = field(default_factory=Part)
    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] = field(default_factory=dict)


class Holder(msgspec.Struct):
    part: Part


def test_the_defaults_of_a_dataclass_are_there_when_it_is_given_on() -> None:
    def whole(whole: Whole) -> Any:
        return {"whole": whole}

    def named(whole: Whole, holder: Holder) -> Any:
        return {"whole": whole, "holder": holder}

    part = {"size": 2, "tags": []}
    value = {"id": "x", "parts": [{}], "by_name": {"a": {"tags": ["t"]}}}
    given_on = {"id": "x", "n": 3, "part": part, "parts": [part], "by_name": {"a": {**part, "tags": ["t"]}}}
    assert jsontext.normalise(call(whole, value))[0] == {"whole": given_on}
    found = jsontext.normalise(call(named, {"whole": value, "holder": {"part": {}}}))[0]
    assert found == {"whole": given_on, "holder": {"part": part}}


def test_a_component_may_take_nothing() -> None:
    def f() -> str:
        return "done"

    assert call(f, None) == call(f, {}) == "done"
    assert refusal(f, {"x": 1}) == "there is no 'x'; it takes nothing"
    with pytest.raises(ComponentError, match="'x' was unexpected"):
        check_input(marked(f), {"x": 1})


# The input as it is


def test_without_annotations_or_as_a_dict_the_input_comes_as_it_is() -> None:
    def plain(value):  # type: ignore[no-untyped-def] # that is the point
        return value

    def anything(value: Any, ctx: Any) -> Any:
        return value

    def mapping(value: dict[str, Any]) -> Any:
        return value

    def legacy(value: dict, whatever):  # type: ignore[no-untyped-def, type-arg] # that is the point
        return [value, whatever.run_id]

    def factor(value, factor=3):  # type: ignore[no-untyped-def] # that is the point
        return value * factor

    for function in (plain, anything, mapping):
        for value in ({"a": 1}, [1], None, "x"):
            assert call(function, value) is value
        assert marked(function).input_schema is None
    assert call(legacy, 1) == [1, "exec_1"]
    assert call(factor, 2) == 6


# Functions no component can be made of


def nothing() -> None: ...
def three(a, b, c): ...  # type: ignore[no-untyped-def] # that is the point
def must_be_named(a, *, b): ...  # type: ignore[no-untyped-def] # that is the point
def rest(a: int, *others: int) -> None: ...
def any_names(a: int, **others: int) -> None: ...
def positional_only(a: int, b: int, /) -> None: ...
def no_json(a: int, b: complex) -> None: ...
def not_known(a: Unknown) -> None: ...  # type: ignore[name-defined] # noqa: F821 - that is the point


@pytest.mark.parametrize(
    ("function", "said"),
    [
        *((f, "must take") for f in (three, must_be_named, rest, any_names, positional_only)),
        (no_json, "no_json.. cannot be filled from a step's input: type <class 'complex'> is not supported"),
        (not_known, "the annotation of 'a' is not known when the file is loaded: name 'Unknown' is not defined"),
    ],
)
def test_some_functions_are_refused_when_they_are_marked(function: Callable[..., Any], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        component("/user/x")(function)
