"""Where the outcomes of a simulation come from: the order of the sources, attempts, durations, secrets."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from stepflow.contracts.component import Component
from stepflow.dsl.cases import Mock
from stepflow.dsl.validate import read_flow
from stepflow.errors import InvalidInputError
from stepflow.model.flow import Flow
from stepflow.model.stats import percentile_ms
from stepflow.simulate.planned import History, Plan
from stepflow.simulate.report import Simulation
from stepflow.workbench import Workbench

PAY = "/user/pay"


def flow_of(*steps: dict[str, Any], **more: Any) -> Flow:
    read = read_flow({"steps": list(steps), **more})
    assert read.flow is not None, read.diagnostics
    return read.flow


def never(value: Any, context: Any) -> Any:
    raise AssertionError("a simulation performs nothing")


@pytest.fixture
def bench() -> Workbench:
    """Knows a component that must not be called."""
    bench = Workbench(None)
    example = {"output": {"from": "example"}}
    schema = {"type": "object", "properties": {"from": {"const": "schema"}}}
    bench.registry.register(Component(PAY, never, "sync", "Pays", example=example, output_schema=schema))
    return bench


def source_of(made: Simulation) -> tuple[str, Any]:
    return made.steps[0].source, made.output


PLENTY = Plan(
    fail={"pay": "NO"},
    mocks={"pay": (Mock(output={"from": "mock"}),)},
    history=History(outputs={"pay": {"from": "history"}}, executions=1),
    use_outputs=True,
)


def test_each_source_beats_the_ones_below_it(bench: Workbench) -> None:
    step = {"id": "pay", "component": PAY}
    flow = flow_of({**step, "simulate": {"output": {"from": "simulate"}}}, output="$.steps.pay.output")
    plain = flow_of(step, output="$.steps.pay.output")
    seen = []
    for plan, one in (
        (PLENTY, flow),
        (msgspec.structs.replace(PLENTY, fail={}), flow),
        (msgspec.structs.replace(PLENTY, fail={}, mocks={}), flow),
        (msgspec.structs.replace(PLENTY, fail={}, mocks={}), plain),
        (msgspec.structs.replace(PLENTY, fail={}, mocks={}, use_outputs=False), plain),
    ):
        made = bench.simulate(one, {}, plan)
        seen.append((made.steps[0].source, None if made.output is None else made.output.get("from")))
    assert seen == [
        ("told to fail", None),
        ("mock", "mock"),
        ("simulate", "simulate"),
        ("history", "history"),
        ("example", "example"),
    ]


def test_without_an_example_the_output_schema_is_taken_the_steps_own_first(bench: Workbench) -> None:
    given = {"type": "object", "properties": {"n": {"minimum": 3, "type": "integer"}}}
    bench.registry.register(Component("/user/schema", never, "sync", "", output_schema={"const": "its own"}))
    output = "$.steps.a.output"
    made = bench.simulate(flow_of({"id": "a", "component": "/user/schema"}, output=output), {})
    assert source_of(made) == ("schema", "its own")
    step = {"id": "a", "component": "/user/schema", "output_schema": given}
    assert source_of(bench.simulate(flow_of(step, output=output), {})) == ("schema", {"n": 3})


def test_of_an_unknown_component_nothing_is_known(bench: Workbench) -> None:
    made = bench.simulate(flow_of({"id": "a", "component": "/elsewhere/x"}, output="$.steps.a.output"), {})
    assert source_of(made) == ("nothing known", None)


def test_what_needs_nothing_from_outside_is_computed_even_with_history(bench: Workbench) -> None:
    plan = Plan(history=History(outputs={"a": "remembered"}, executions=1), use_outputs=True)
    flow = flow_of({"id": "a", "type": "echo", "input": "$.input.n"}, output="$.steps.a.output")
    assert source_of(bench.simulate(flow, {"n": 4}, plan)) == ("computed", 4)


def test_a_component_can_be_mocked_wherever_it_runs_and_a_step_only_at_the_top(bench: Workbench) -> None:
    child = {"steps": [{"id": "pay", "component": PAY}], "output": "$.steps.pay.output"}
    flow = flow_of(
        {"id": "pay", "component": PAY},
        {"id": "child", "type": "eval", "input": {"workflow": child, "unwrap": True}},
        output={"top": "$.steps.pay.output", "below": "$.steps.child.output"},
    )
    mocks = {"pay": (Mock(output="by step"),), PAY: (Mock(output="by component"),)}
    made = bench.simulate(flow, {}, Plan(mocks=mocks))
    assert made.output == {"top": "by step", "below": "by component"}


def test_mocks_are_one_for_each_attempt_the_last_for_all_that_follow(bench: Workbench) -> None:
    broken = [Mock(error={"code": "BUSY", "message": str(number)}) for number in (1, 2)]
    step = {"id": "pay", "component": PAY, "retry": {"max_attempts": 5, "delay": "1m", "strategy": "fixed"}}
    flow = flow_of(step, output="$.steps.pay.output")
    made = bench.simulate(flow, {}, Plan(mocks={"pay": (*broken, Mock(output=3))}))
    assert (made.output, made.steps[0].attempts, made.duration_ms) == (3, 3, 120_000)
    made = bench.simulate(flow, {}, Plan(mocks={"pay": broken}))
    assert (made.success, made.steps[0].attempts) == (False, 5)
    assert made.error is not None
    assert (made.error["code"], made.error["message"]) == ("BUSY", "2")


def test_a_step_told_to_fail_fails_in_every_attempt_and_its_handler_follows(bench: Workbench) -> None:
    step = {"id": "pay", "component": PAY, "retry": {"max_attempts": 3, "delay": "1s", "strategy": "fixed"}}
    flow = flow_of({**step, "on_error": {"action": "continue", "default_output": "none"}}, output="$.steps.pay.output")
    made = bench.simulate(flow, {}, Plan(fail={"pay": "CARD_DECLINED"}))
    assert (made.success, made.output, made.steps[0].attempts) == (True, "none", 3)


@pytest.mark.parametrize(
    ("error", "record"),
    [
        ({"code": "X", "message": "m"}, ("X", "m")),
        ({"code": "X"}, ("X", "simulated")),
        ("it broke", ("SIMULATED", "it broke")),
    ],
)
def test_a_step_may_say_itself_how_it_fails(bench: Workbench, error: Any, record: tuple[str, str]) -> None:
    step = {"id": "pay", "component": PAY, "retry": False, "simulate": {"error": error, "duration": "2s"}}
    made = bench.simulate(flow_of(step), {})
    assert made.error is not None
    assert (made.error["code"], made.error["message"], made.duration_ms) == (*record, 2000)


@pytest.mark.parametrize(
    ("simulate", "message"),
    [
        ({"duration": "soon"}, "'soon' is not a duration"),
        ({"duration": 5}, "needs a unit"),
        ({"outptu": 1}, "Unknown key 'outptu'"),
        ({"error": 5}, "'error' is {code, message}"),
        ([], "'simulate' is a mapping"),
    ],
)
def test_a_wrong_simulate_is_said_when_the_template_is_read(simulate: Any, message: str) -> None:
    read = read_flow({"steps": [{"id": "pay", "component": PAY, "simulate": simulate}]})
    assert read.flow is None
    assert message in read.diagnostics[0].message


def test_a_mocked_output_is_held_to_the_steps_schema(bench: Workbench) -> None:
    step = {"id": "pay", "component": PAY, "output_schema": {"type": "string"}, "retry": False}
    made = bench.simulate(flow_of(step), {}, Plan(mocks={"pay": (Mock(output=1),)}))
    assert made.error is not None
    assert made.error["code"] == "INVALID_OUTPUT"


def test_durations_are_those_of_history_and_a_steps_own_word_beats_them(bench: Workbench) -> None:
    history = History(durations_ms={"a": [10, 20, 30], "b": [1000]}, executions=3)
    flow = flow_of(
        {"id": "a", "component": PAY},
        {"id": "b", "component": PAY, "depends_on": ["a"], "simulate": {"duration": "5s"}},
    )
    made = bench.simulate(flow, {}, Plan(history=history))
    assert (made.duration_ms, made.predicted.median_ms, made.predicted.p95_ms) == (5020, 5020, 5029)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7], 0.95, 7),
        ([30, 10, 20], 0.5, 20),
        ([10, 1000], 0.5, 505),
        ([0, 100], 0.95, 95),
        (list(range(101)), 0.95, 95),
        ([5, 5, 5], 0.5, 5),
        ([], 0.5, None),
    ],
)
def test_percentiles_lie_between_their_neighbours(values: list[int], share: float, expected: int | None) -> None:
    assert percentile_ms(values, share) == expected


def test_secrets_are_neither_needed_nor_read(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    flow = flow_of(
        {"id": "a", "type": "echo", "input": {"token": "$.variables.token", "region": "$.variables.region"}},
        variables={"token": {"type": "string", "secret": True}, "region": {"type": "string"}},
        output="$.steps.a.output",
    )
    for variables in ({"region": "eu"}, {"region": "eu", "token": "env:TOKEN"}):
        assert bench.simulate(flow, {}, variables=variables).output == {"token": "***", "region": "eu"}


def test_what_a_start_would_refuse_a_simulation_refuses(bench: Workbench) -> None:
    n = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    flow = flow_of({"id": "a", "type": "noop"}, input_schema=n, variables=n)
    with pytest.raises(InvalidInputError, match='Invalid input: "n" is a required property'):
        bench.simulate(flow, {})
    with pytest.raises(InvalidInputError, match='Invalid variables: n: "x" is not of type "integer"'):
        bench.simulate(flow, {"n": 1}, variables={"n": "x"})
    assert bench.simulate(flow, {"n": 1}, variables={"n": 1}).success


def test_a_signal_is_assumed_to_come_at_once(bench: Workbench) -> None:
    flow = flow_of({"id": "ok", "type": "approval", "input": {"timeout": "2d"}}, output="$.steps.ok.output.received")
    assert source_of(bench.simulate(flow, {})) == ("assumed", True)
