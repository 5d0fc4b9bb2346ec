"""From what a component gave, or raised, to a fact: whatever it is, the fact can be stored."""

from __future__ import annotations

from typing import Any

import pytest

from stepflow.contracts.component import (
    AwaitChildren,
    AwaitEvent,
    Component,
    EndedChild,
    FlowVersion,
    SkipStep,
    SleepUntil,
)
from stepflow.contracts.outcomes import children_fact, error_fact, outcome_fact
from stepflow.contracts.storage import EndedChildren
from stepflow.core.facts import ChildrenStarted, Failed, StepSkipped, Succeeded
from stepflow.errors import ComponentError
from stepflow.model import jsontext
from stepflow.model.statuses import RunStatus


def finishing(finish: Any) -> Component:
    return Component("/test/parent", lambda value, context: None, "inline", "x", finish=finish)


ENDED = EndedChildren(7, 2, 3, {"spec": 1}, (EndedChild("exec_1", RunStatus.COMPLETED, 5),))


class Odd:
    """Has no JSON form."""


@pytest.mark.parametrize("data", [float("nan"), Odd(), {"a": Odd()}, [float("inf")], "\ud800"])
def test_details_that_are_not_json_become_text(data: Any) -> None:
    fact = error_fact(ComponentError("BAD", "it is bad", data), 1, 2)
    assert isinstance(fact, Failed)
    assert (fact.step, fact.attempt, fact.error["code"], fact.error["message"]) == (1, 2, "BAD", "it is bad")
    jsontext.encode(fact.error).encode()


def test_details_that_nest_without_end_become_text() -> None:
    endless: list[Any] = []
    endless.append(endless)
    fact = error_fact(ComponentError("BAD", "it is bad", endless), 0, 1)
    assert isinstance(fact, Failed)
    assert "data" in fact.error["details"]["text"]


class _SaysNothing(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


def test_details_that_are_nested_too_deep_leave_code_and_message() -> None:
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    fact = error_fact(ComponentError("BAD", "it is bad", value), 0, 1)
    assert isinstance(fact, Failed)
    assert (fact.error["code"], fact.error["message"]) == ("BAD", "it is bad")


@pytest.mark.parametrize("error", [_SaysNothing(), SkipStep(5)])  # type: ignore[arg-type]  # as untyped code does
def test_an_error_that_cannot_even_be_told_fails_its_step(error: Exception) -> None:
    fact = error_fact(error, 0, 1)
    assert isinstance(fact, Failed)
    assert fact.error == {"code": "COMPONENT_FAILED", "message": type(error).__name__}


def test_a_code_and_a_message_of_other_types_are_text() -> None:
    fact = error_fact(ComponentError(Odd(), ValueError("why")), 0, 1)  # type: ignore[arg-type]  # as untyped code does
    assert isinstance(fact, Failed)
    assert fact.error["message"] == "why"
    jsontext.encode(fact.error)


def test_the_end_of_children_becomes_what_their_component_makes_of_it() -> None:
    def finish(spec: Any, children: tuple[EndedChild, ...]) -> Any:
        return [spec, children[0].output]

    assert children_fact(finishing(finish), ENDED, None).then == Succeeded(2, 3, [{"spec": 1}, 5], '[{"spec":1},5]')
    again = AwaitChildren(FlowVersion(1, "child", 1), (1,), None)
    assert isinstance(children_fact(finishing(lambda spec, children: again), ENDED, None).then, ChildrenStarted)
    refused = children_fact(finishing(finish), ENDED, lambda value: "not so").then
    assert isinstance(refused, Failed)
    assert refused.error["message"] == "not so"


@pytest.mark.parametrize("result", [SleepUntil(1), AwaitEvent("go")])
def test_a_component_that_waits_for_something_else_then_fails_its_step(result: Any) -> None:
    then = children_fact(finishing(lambda spec, children: result), ENDED, None).then
    assert isinstance(then, Failed)
    assert (then.step, then.attempt, then.error["code"]) == (2, 3, "INVALID_OUTPUT")


def test_a_component_without_a_finish_fails_its_step() -> None:
    then = children_fact(finishing(None), ENDED, None).then
    assert isinstance(then, Failed)
    assert "no `finish`" in then.error["message"]


def test_a_finish_that_raises_fails_its_step() -> None:
    def raises(spec: Any, children: tuple[EndedChild, ...]) -> Any:
        raise ZeroDivisionError("nothing to divide")

    then = children_fact(finishing(raises), ENDED, None).then
    assert isinstance(then, Failed)
    assert (then.error["code"], then.error["message"]) == ("COMPONENT_FAILED", "nothing to divide")


def test_an_output_or_a_childs_input_that_is_not_json_fails_the_step() -> None:
    for result in (Odd(), AwaitChildren(FlowVersion(1, "child", 1), (Odd(),), None)):
        fact = outcome_fact(0, 1, result, None)
        assert isinstance(fact, Failed)
        assert fact.error["code"] == "INVALID_OUTPUT"
    assert not isinstance(outcome_fact(0, 1, None, None), Failed | StepSkipped)
