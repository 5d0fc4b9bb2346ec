"""The cases of `tests:`: what they are compared with, and components that really perform inside them."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepflow.contracts.component import Component, SkipStep
from stepflow.dsl.validate import read_flow
from stepflow.model.flow import Flow, Json
from stepflow.simulate.cases import CaseResult, as_mentioned, differences
from stepflow.workbench import Workbench


def flow_of(*steps: dict[str, Any], tests: Json, **more: Any) -> Flow:
    read = read_flow({"steps": list(steps), "tests": tests, **more})
    assert read.flow is not None, read.diagnostics
    return read.flow


def bench_with(**functions: Callable[..., Any]) -> Workbench:
    """Knows each function as `/user/NAME`."""
    bench = Workbench(None)
    for name, function in functions.items():
        is_async = asyncio.iscoroutinefunction(function)
        bench.registry.register(Component(f"/user/{name}", function, "async" if is_async else "sync", name))
    return bench


async def only_case(bench: Workbench, flow: Flow) -> CaseResult:
    (result,) = await bench.test(flow, None)
    return result


# Comparing


@pytest.mark.parametrize(
    ("expected", "found", "says"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": {"b": [1]}}, {"a": {"b": [1], "c": 2}}, []),
        ({"a": [1]}, {"a": [1, 2]}, ["a: expected [1], got [1,2]"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 1, "c": 2}]}, ['a: expected [{"b":1}], got [{"b":1,"c":2}]']),
        ({"a": 1}, {"b": 2}, ["a: expected 1, there is none"]),
        ({"a": None}, {"b": 2}, []),
        ({"a": 1}, {"a": True}, ["a: expected 1, got true"]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": {"b": 1}}, {"a": None}, ['a: expected {"b":1}, got null']),
        ({"a": "x" * 300}, {"a": ""}, [f'a: expected "{"x" * 199}…, got ""']),
    ],
)
def test_objects_are_compared_partially_lists_and_values_exactly(expected: Json, found: Json, says: list[str]) -> None:
    assert differences(expected, found) == says


@pytest.mark.parametrize(
    ("expected", "found", "mentioned"),
    [
        ({"a": 1}, {"a": 2, "b": 3}, {"a": 2}),
        ({"a": {"x": 1}, "b": 1}, {"a": {"x": 2, "y": 3}}, {"a": {"x": 2}}),
        ({"a": 1}, {"b": 3}, {"b": 3}),
        ({"a": 1}, None, None),
        ([1], [2, 3], [2, 3]),
    ],
)
def test_an_update_speaks_of_what_the_case_spoke_of(expected: Json, found: Json, mentioned: Json) -> None:
    assert as_mentioned(expected, found) == mentioned


async def test_every_kind_of_expectation_is_held() -> None:
    flow = flow_of(
        {"id": "good", "type": "echo", "input": {"n": 1}},
        {"id": "never", "type": "noop", "when": False},
        {"id": "bad", "type": "fail", "input": {"message": "no stock", "code": "EMPTY"}, "retry": {"max_attempts": 2}},
        tests=[
            {
                "name": "right",
                "expect": {
                    "status": "failed",
                    "error": {"code": "EMPTY"},
                    "steps": {
                        "good": {"status": "completed", "output": {"n": 1}},
                        "never": "skipped",
                        "bad": {"attempts": 2, "error": "no stock"},
                    },
                },
            },
            {"name": "in words", "expect": {"error": "no stock"}},
            {"name": "by code", "expect": {"error": "EMPTY"}},
            {
                "name": "wrong",
                "expect": {"status": "completed", "error": "x", "steps": {"good": "failed", "never": {"reason": "x"}}},
            },
            {"name": "silent"},
        ],
    )
    results = await Workbench(None).test(flow, None)
    assert [result.differences for result in results] == [
        (),
        (),
        (),
        (
            'status: expected "completed", got "failed"',
            'error: expected "x", got "no stock"',
            'steps.good.status: expected "failed", got "completed"',
            'steps.never.reason: expected "x", got "when is false"',
        ),
        ('status: expected "completed", got "failed"',),
    ]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({"expect": {"steps": {"a": {"stauts": "completed"}}}}, "Unknown key 'stauts'"),
        ({"expect": {"steps": {"b": "completed"}}}, "There is no step 'b'"),
        ({"expect": {"status": "fine"}}, "'fine' is not a status"),
        ({"mocks": {"b": {"output": 1}}}, "'b' is neither a step nor a component"),
        ({"mocks": {"a": {"error": 5}}}, "'error' is {code, message}, or the message"),
        ({"mocks": {"a": {"output": 1, "skip": "x"}}}, "A mock is {output: …}"),
    ],
)
def test_a_wrong_case_is_said_when_the_template_is_read(case: Json, message: str) -> None:
    read = read_flow({"steps": [{"id": "a", "type": "noop"}], "tests": [case]})
    assert read.flow is None
    assert message in read.diagnostics[0].message


async def test_upstreams_way_of_writing_a_case_is_understood() -> None:
    cases = [
        {"name": "a", "input": {"n": 1}, "output": {"outcome": "success", "result": {"n": 1}}},
        {"name": "b", "input": {"n": 2}, "output": {"outcome": "failed"}},
    ]
    flow = flow_of({"id": "a", "type": "echo", "input": "$.input"}, tests={"cases": cases}, output="$.steps.a.output")
    first, second = await Workbench(None).test(flow, None)
    assert first.passed
    assert second.differences == ('status: expected "failed", got "completed"',)


async def test_a_case_that_could_not_start_is_a_failure_with_its_reason() -> None:
    schema = {"type": "object", "required": ["n"]}
    cases = [{"name": "none"}, {"name": "meant", "expect": {"error": {"code": "INVALID_INPUT"}}}]
    flow = flow_of({"id": "a", "type": "noop"}, tests=cases, input_schema=schema)
    none, meant = await Workbench(None).test(flow, None)
    assert none.error is not None
    assert (none.passed, none.error["message"]) == (False, 'Invalid input: "n" is a required property')
    assert meant.passed


# Mocks


async def test_mocks_may_skip_fail_and_answer_attempt_by_attempt() -> None:
    def never(value: Json, context: Any) -> Json:
        raise AssertionError("it is mocked")

    retry = {"max_attempts": 3, "delay": "1h", "strategy": "fixed"}
    mocks = {
        "a": [{"error": {"code": "BUSY", "message": "later"}}, {"error": "again"}, {"output": 3}],
        "/user/never": {"skip": "not today"},
    }
    flow = flow_of(
        {"id": "a", "component": "/user/never", "retry": retry},
        {"id": "b", "component": "/user/never"},
        tests=[{"mocks": mocks, "expect": {"output": {"a": 3}, "steps": {"a": {"attempts": 3}, "b": "skipped"}}}],
    )
    assert (await only_case(bench_with(never=never), flow)).differences == ()


# What really performs


async def test_components_of_every_mode_perform_for_real() -> None:
    threads: list[int] = []

    def in_thread(value: Json, context: Any) -> Json:
        threads.append(threading.get_ident())
        context.log("in a thread")
        return context.get_blob(context.put_blob({"n": value}))

    async def in_loop(value: Json, context: Any) -> Json:
        threads.append(threading.get_ident())
        await asyncio.sleep(0)
        return await context.get_blob(await context.put_blob(context.idempotency_key))

    flow = flow_of(
        {"id": "a", "component": "/user/in_thread", "input": 4},
        {"id": "b", "component": "/user/in_loop", "depends_on": ["a"]},
        output=["$.steps.a.output", "$.steps.b.output"],
        tests=[{"expect": {"output": [{"n": 4}, "exec_simulated/b"]}}],
    )
    result = await only_case(bench_with(in_thread=in_thread, in_loop=in_loop), flow)
    assert (result.differences, result.lines) == ((), ("a: in a thread",))
    assert [one == threading.get_ident() for one in threads] == [False, True]


async def test_an_attempt_that_takes_too_long_is_told_to_stop_and_times_out() -> None:
    told = threading.Event()
    cancelled = []

    def in_thread(value: Json, context: Any) -> None:
        context.cancelled.wait(60)
        told.set()

    async def in_loop(value: Json, context: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(context.step_id)

    steps = [
        {"id": name, "component": f"/user/{name}", "timeout": "20ms", "retry": False}
        for name in ("in_thread", "in_loop")
    ]
    error = {"code": "STEP_TIMEOUT", "message": "Step 'in_thread' did not finish within 20 ms"}
    expect = {"steps": {"in_thread": {"error": error}, "in_loop": {"error": {"code": "STEP_TIMEOUT"}}}}
    flow = flow_of(*steps, tests=[{"expect": expect}])
    assert (await only_case(bench_with(in_thread=in_thread, in_loop=in_loop), flow)).differences == ()
    assert await asyncio.to_thread(told.wait, 30)
    assert cancelled == ["in_loop"]


async def test_whatever_a_component_raises_fails_its_step() -> None:
    def stop_iteration(value: Json, context: Any) -> Json:
        return next(iter([]))

    def skips(value: Json, context: Any) -> Json:
        raise SkipStep("not needed")

    async def own_timeout(value: Json, context: Any) -> None:
        raise TimeoutError("of its own")

    def exits(value: Json, context: Any) -> None:
        sys.exit(2)

    async def exits_later(value: Json, context: Any) -> None:
        sys.exit(2)

    names = ("stop_iteration", "skips", "own_timeout", "exits", "exits_later")
    steps = [{"id": name, "component": f"/user/{name}", "retry": False, "timeout": "30s"} for name in names]
    expect = {
        "stop_iteration": {"error": {"code": "COMPONENT_FAILED"}},
        "skips": {"status": "skipped", "reason": "not needed"},
        "own_timeout": {"error": {"code": "COMPONENT_FAILED", "message": "of its own"}},
        "exits": {"error": {"code": "COMPONENT_FAILED", "message": "/user/exits called sys.exit(2)"}},
        "exits_later": {"error": {"code": "COMPONENT_FAILED", "message": "/user/exits_later called sys.exit(2)"}},
        "unknown": {"error": {"code": "COMPONENT_NOT_FOUND"}},
    }
    flow = flow_of(*steps, {"id": "unknown", "component": "/user/none"}, tests=[{"expect": {"steps": expect}}])
    bench = bench_with(
        stop_iteration=stop_iteration, skips=skips, own_timeout=own_timeout, exits=exits, exits_later=exits_later
    )
    assert (await only_case(bench, flow)).differences == ()


async def test_the_context_of_a_case_is_that_of_an_execution() -> None:
    def says(value: Json, ctx: Any) -> Json:
        assert ctx.metadata == {"team": "data", "owner": "ada"}, "the flow's with the step's over it"
        ctx.logger.warn("in a thread", n=1)
        return ctx.heartbeat()

    async def says_later(value: Json, ctx: Any) -> Json:
        ctx.logger.info("in the loop")
        return await ctx.heartbeat()

    def hides(value: Json, ctx: Any) -> Json:
        ctx.logger.info("sesame")
        return "sesame"

    steps: list[dict[str, Any]] = [
        {"id": "a", "component": "/user/says", "metadata": {"owner": "ada"}},
        {"id": "b", "component": "/user/says_later", "depends_on": ["a"]},
        {"id": "c", "component": "/user/hides", "depends_on": ["b"], "sensitive": True},
    ]
    tests = [{"expect": {"steps": dict.fromkeys("abc", "completed")}}]
    flow = flow_of(*steps, tests=tests, metadata={"team": "data", "owner": "nobody"})
    result = await only_case(bench_with(says=says, says_later=says_later, hides=hides), flow)
    assert result.differences == ()
    assert result.lines == ("a: in a thread", "b: in the loop", "c: ***")


async def test_an_output_must_keep_its_components_schema_in_a_case_too() -> None:
    bench = bench_with()
    bench.registry.register(
        Component("/user/x", lambda value, context: "x", "sync", "x", output_schema={"type": "integer"})
    )
    step = {"id": "a", "component": "/user/x", "retry": False}
    flow = flow_of(step, tests=[{"expect": {"error": {"code": "INVALID_OUTPUT"}}}])
    assert (await only_case(bench, flow)).differences == ()


async def test_a_component_of_the_workspace_that_takes_the_place_of_ours_is_judged_and_performed(
    tmp_path: Path,
) -> None:
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "own.py").write_text(
        "from stepflow import component\n"
        "@component('/http/get', override=True)\ndef get(page: int):\n    return {'page': page}\n"
    )
    bench = Workbench(tmp_path)
    text = {
        "steps": [{"id": "a", "type": "http.get", "input": {"page": 3}}],
        "tests": [{"expect": {"output": {"a": {"page": 3}}}}],
    }
    read = bench.validate(text)
    assert read.flow is not None, read.diagnostics
    assert (await only_case(bench, read.flow)).differences == ()
    (wrong,) = bench.validate({"steps": [{"id": "a", "type": "http.get", "input": {"page": "x"}}]}).diagnostics
    assert wrong.message == 'Input of /http/get: page: "x" is not of type "integer"'


async def test_children_run_in_the_case_too() -> None:
    child = {"steps": [{"id": "x", "component": "/user/double", "input": "$.input"}], "output": "$.steps.x.output"}
    flow = flow_of(
        {"id": "all", "type": "map", "input": {"workflow": child, "items": [1, 2, 3]}},
        output="${{ $.steps.all.output.results }}",
        tests=[{"expect": {"output": [{"outcome": "success", "result": n} for n in (2, 4, 6)]}}],
    )
    assert (await only_case(bench_with(double=lambda value, context: value * 2), flow)).differences == ()


async def test_a_secret_is_read_only_by_a_step_that_performs_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2hunter2")

    def leak(value: Json, context: Any) -> Json:
        context.log(f"with {value['token']}")
        if value["token"] != "hunter2hunter2":
            raise AssertionError("it is not the secret")
        return f"it is {value['token']}"

    output = "$.steps.a.output"
    flow = flow_of(
        {"id": "a", "component": "/user/leak", "input": {"token": "$.variables.token"}, "retry": False},
        {"id": "b", "type": "echo", "input": "${{ len($.steps.a.output) }}"},
        variables={"token": {"type": "string", "secret": True}},
        output=output,
        tests=[
            {"name": "given", "variables": {"token": "env:TOKEN"}, "expect": {"output": "x"}},
            {"name": "kept", "variables": {"token": "env:TOKEN"}, "expect": {"steps": {"b": {"output": 9}}}},
            {"name": "mocked", "mocks": {"a": {"output": "x"}}, "expect": {"output": "x"}},
            {"name": "not given", "expect": {"error": {"code": "SECRET_NOT_FOUND"}}},
        ],
    )
    given, kept, mocked, not_given = await bench_with(leak=leak).test(flow, None)
    assert given.differences == ('output: expected "x", got "it is ***"',)
    assert given.lines == ("a: with ***",)
    assert (kept.passed, mocked.passed, not_given.passed) == (True, True, True)


async def test_files_are_those_beside_the_template(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"n": 5}')
    flow = flow_of(
        {"id": "a", "type": "load_file", "input": {"path": "data.json"}},
        output="$.steps.a.output.data.n",
        tests=[{"expect": {"output": 5}}],
    )
    (result,) = await Workbench(None).test(flow, str(tmp_path))
    assert result.passed, result


async def test_a_case_that_is_given_up_ends_what_it_performs() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def waits(value: Json, context: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    flow = flow_of({"id": "a", "component": "/user/waits"}, tests=[{"name": "x"}])
    task = asyncio.create_task(bench_with(waits=waits).test(flow, None))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), 30)
    assert ended.is_set()


@pytest.mark.parametrize(
    "says", [lambda ctx: ctx.log("x", "loud"), lambda ctx: ctx.emit("step.mine"), lambda ctx: ctx.emit("")]
)
async def test_what_a_run_refuses_of_a_component_a_case_refuses_too(says: Callable[[Any], None]) -> None:
    flow = flow_of({"id": "a", "component": "/user/says"}, tests=[{"name": "one"}])
    result = await only_case(bench_with(says=lambda value, ctx: says(ctx)), flow)
    assert result.error is not None
    assert result.error["code"] == "COMPONENT_FAILED"
