"""Child runs: eval, map and iterate on a real file; waiting gives up the slot, and nothing is lost or left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepflow.components.registry import Registry, builtin_registry
from stepflow.contracts.component import AwaitChildren, Component, FlowVersion
from stepflow.dsl.validate import read_flow
from stepflow.errors import ComponentError, ComponentNotFoundError
from stepflow.model.flow import Flow
from stepflow.model.statuses import RunStatus
from stepflow.runtime.templates import LoadedTemplates
from stepflow.storages.sqlite import SQLiteStorage
from tests.conftest import OpenStorage
from tests.support.engine import finish, save, start, steps_of, types_of, until, until_event, working

DOUBLE: dict[str, Any] = {
    "steps": [{"id": "d", "type": "echo", "input": "${{ $.input * 2 }}"}],
    "output": "$.steps.d.output",
}
FAILING: dict[str, Any] = {
    "steps": [{"id": "f", "type": "fail", "input": {"code": "ODD", "message": "odd"}, "when": "$.input % 2 == 1"}],
    "output": {"$from": {"step": "f"}},
}


def flow_of(dsl: dict[str, Any], name: str = "parent") -> Flow:
    read = read_flow({"name": name, **dsl}, components=builtin_registry().paths)
    assert read.flow is not None, read.diagnostics
    return read.flow


def one_step(component: str, value: dict[str, Any], **more: Any) -> Flow:
    return flow_of({"steps": [{"id": "s", "type": component, "input": value, **more}], "output": "$.steps.s.output"})


async def test_eval_gives_the_envelope_and_the_id_of_its_child(storage: SQLiteStorage) -> None:
    run = await finish(storage, one_step("eval", {"workflow": DOUBLE, "input": 21}))
    assert run.output["result"] == {"outcome": "success", "result": 42}
    child = storage.get_run(run.output["run_id"])
    assert (child.parent_run_id, child.template, child.output) == (run.id, "parent/s", 42)
    kinds = [event.split()[0] for event in types_of(storage, run.id)]
    assert kinds[3:6] == ["step.waiting", "run.waiting", "child.started"]
    assert kinds.count("child.ended") == 1
    assert storage.list_runs(10, None, None, None, False)[0][0].id == run.id
    assert storage.count_templates() == 1, "the flow written inside is not listed"


async def test_eval_of_a_value_and_of_a_template(storage: SQLiteStorage) -> None:
    save(storage, flow_of(DOUBLE, "doubler"))
    steps = [
        {"id": "made", "type": "echo", "input": {"$literal": {"flow": DOUBLE}}},
        {"id": "inline", "type": "eval", "input": {"workflow": "$.steps.made.output.flow", "input": 1, "unwrap": True}},
        {"id": "named", "type": "eval", "input": {"template": "doubler", "input": 2, "unwrap": True}},
        {"id": "text", "type": "eval", "input": {"workflow": {"$literal": "steps: [{id: a, type: noop}]"}}},
        {"id": "gone", "type": "eval", "input": {"template": "nobody"}, "on_error": "skip"},
        {"id": "bad", "type": "eval", "input": {"workflow": {"$coalesce": [{"x": 1}]}}, "on_error": "skip"},
    ]
    run = await finish(storage, flow_of({"steps": steps}))
    assert (run.output["inline"], run.output["named"]) == (2, 4)
    assert run.output["text"]["result"] == {"outcome": "success", "result": {"a": None}}
    found = steps_of(storage, run.id)
    assert found["gone"].error is not None
    assert found["gone"].error["code"] == "TEMPLATE_NOT_FOUND"
    assert found["bad"].error is not None
    assert found["bad"].error["code"] == "DSL_INVALID"
    diagnostics = found["bad"].error["details"]["diagnostics"]
    assert [one["path"] for one in diagnostics] == ["x", ""]
    said = "; ".join(one["message"] for one in diagnostics)
    assert found["bad"].error["message"] == f"DSL validation failed: {said}"


async def test_eval_unwrapped_fails_and_skips_as_its_child_does(storage: SQLiteStorage) -> None:
    failing = one_step("eval", {"workflow": FAILING, "input": 1, "unwrap": True})
    run = await finish(storage, failing)
    assert run.error is not None
    assert (run.error["code"], run.error["message"]) == ("ODD", "odd")
    run = await finish(storage, one_step("eval", {"workflow": FAILING, "input": 2, "unwrap": True}))
    assert run.output_skipped
    run = await finish(storage, one_step("eval", {"workflow": FAILING, "input": 2}))
    assert run.output["result"] == {"outcome": "skipped"}
    run = await finish(storage, one_step("eval", {"workflow": FAILING, "input": 1}))
    assert run.output["result"]["outcome"] == "failed"
    assert run.output["result"]["error"]["code"] == "ODD"


async def test_a_failed_child_is_retried_with_its_step(storage: SQLiteStorage) -> None:
    retry = {"max_attempts": 3, "delay": "1ms", "strategy": "fixed"}
    run = await finish(storage, one_step("eval", {"workflow": FAILING, "input": 1, "unwrap": True}, retry=retry))
    assert run.status is RunStatus.FAILED
    assert steps_of(storage, run.id)["s"].attempt == 3
    assert [event.split()[0] for event in types_of(storage, run.id)].count("child.ended") == 3


async def test_a_child_whose_input_violates_its_schema_fails(storage: SQLiteStorage) -> None:
    strict = {**DOUBLE, "input_schema": {"type": "integer"}}
    run = await finish(storage, one_step("map", {"workflow": strict, "items": [1, "two"]}))
    assert [result["outcome"] for result in run.output["results"]] == ["success", "failed"]
    assert run.output["results"][1]["error"]["code"] == "INVALID_INPUT"


async def test_a_component_nobody_knows_fails_inside_an_inline_flow_and_can_be_handled(storage: SQLiteStorage) -> None:
    inner = {"steps": [{"id": "x", "component": "/nobody/knows", "on_error": "continue"}]}
    outer = one_step("eval", {"workflow": {"$coalesce": [{"$literal": inner}]}, "unwrap": True})
    run = await finish(storage, outer)
    assert run.output == {"x": None}


async def test_a_component_that_is_gone_when_its_children_have_ended_fails_its_step(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, asked = Registry.get, list[str]()

    def once(self: Registry, path: str) -> Component:
        asked.append(path)
        if asked.count("/builtin/eval") > 1:
            raise ComponentNotFoundError(path)
        return get(self, path)

    monkeypatch.setattr(Registry, "get", once)
    run = await finish(storage, one_step("eval", {"workflow": DOUBLE, "input": 1}))
    assert run.error is not None
    assert run.error["code"] == "COMPONENT_NOT_FOUND"


async def test_map_keeps_the_order_and_counts(storage: SQLiteStorage) -> None:
    run = await finish(storage, one_step("map", {"workflow": FAILING, "items": [2, 1, 4, 3], "max_concurrency": 2}))
    assert [result["outcome"] for result in run.output["results"]] == ["skipped", "failed", "skipped", "failed"]
    assert (run.output["successful"], run.output["failed"], run.output["skipped"]) == (0, 2, 2)
    run = await finish(storage, one_step("map", {"workflow": DOUBLE, "items": []}))
    assert run.output == {"results": [], "successful": 0, "failed": 0, "skipped": 0}


async def test_map_starts_no_other_item_when_too_many_have_failed(storage: SQLiteStorage) -> None:
    value = {"workflow": FAILING, "items": [1] * 50, "max_concurrency": 1, "tolerated_failures": 2}
    run = await finish(storage, one_step("map", value))
    assert run.error is not None
    assert run.error["code"] == "MAP_FAILED"
    assert run.error["details"]["started"] == 3


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.full)])
async def test_map_of_many_items_is_woken_once(storage: SQLiteStorage, count: int) -> None:
    steps = [
        {"id": "many", "type": "map", "input": {"workflow": DOUBLE, "items": "$.input", "max_concurrency": 50}},
        {"id": "last", "type": "echo", "input": "$.steps.many.output.results[-1].result"},
    ]
    run_id = start(storage, flow_of({"steps": steps}), list(range(count)))
    async with working(storage):
        run = await until(storage, run_id)
    assert run.output == {"last": 2 * count - 2}
    kinds = [
        event.event_type
        for event in storage.get_events(run_id, after_seq=0, before_seq=None, limit=50_000, newest=False)
    ]
    assert kinds.count("child.ended") == count
    assert kinds.count("run.resumed") == 1


async def test_iterate_goes_on_until_a_result_or_its_cap(storage: SQLiteStorage) -> None:
    body = {
        "steps": [
            {"id": "end", "type": "echo", "when": "$.input >= 5", "input": {"result": "$.input"}},
            {"id": "more", "type": "echo", "when": "$.input < 5", "input": {"next": "${{ $.input + 1 }}"}},
        ],
        "output": {"$coalesce": ["$.steps.end.output", "$.steps.more.output"]},
    }
    run = await finish(storage, one_step("iterate", {"flow": body, "initial_input": 1}))
    assert run.output == {"result": 5, "iterations": 5, "terminated": False}
    run = await finish(storage, one_step("iterate", {"flow": body, "initial_input": 1, "max_iterations": 3}))
    assert run.output == {"result": 4, "iterations": 3, "terminated": True}
    run = await finish(storage, one_step("iterate", {"flow": DOUBLE, "initial_input": 1}))
    assert run.error is not None
    assert run.error["code"] == "INVALID_OUTPUT"


async def test_nested_sixteen_deep_with_one_slot_everywhere(storage: SQLiteStorage) -> None:
    dsl: dict[str, Any] = {**DOUBLE, "max_concurrency": 1}
    for _ in range(16):
        inner = {"workflow": dsl, "input": "$.input", "unwrap": True}
        dsl = {
            "steps": [{"id": "deeper", "type": "eval", "input": inner}],
            "output": "$.steps.deeper.output",
            "max_concurrency": 1,
        }
    run_id = start(storage, flow_of(dsl), 4)
    async with working(storage, slots=1):
        run = await until(storage, run_id)
    assert run.output == 8


async def test_runs_that_call_themselves_without_end_are_stopped(storage: SQLiteStorage) -> None:
    itself = one_step("eval", {"template": "parent", "unwrap": True})
    run = await finish(storage, itself)
    assert run.error is not None
    assert run.error["code"] == "NESTED_TOO_DEEP"


async def test_children_are_cancelled_with_their_parent(storage: SQLiteStorage) -> None:
    sleeper = {"steps": [{"id": "z", "type": "sleep", "input": {"duration": "1h"}}]}
    busy = {"steps": [{"id": "z", "component": "/shell/run", "input": {"command": ["sleep", "60"]}}]}
    steps = [
        {"id": "a", "type": "map", "input": {"workflow": sleeper, "items": [1, 2, 3], "max_concurrency": 2}},
        {"id": "b", "type": "eval", "input": {"workflow": busy}},
    ]
    run_id = start(storage, flow_of({"steps": steps}))
    async with working(storage):
        await until(storage, run_id, "waiting")
        async with asyncio.timeout(10):
            while len(children := storage.open_children(run_id)) < 3:
                await asyncio.sleep(0.01)
        for child in children:
            await until(storage, child, "sleeping", "running")
        storage.request_cancel(run_id, "enough", 1)
        assert (await until(storage, run_id)).status is RunStatus.CANCELLED
        for child in children:
            assert (await until(storage, child)).status is RunStatus.CANCELLED
    assert storage.open_children(run_id) == []


async def test_a_step_that_times_out_drops_its_children(storage: SQLiteStorage) -> None:
    sleeper = {"steps": [{"id": "z", "type": "sleep", "input": {"duration": "1h"}}]}
    run_id = start(storage, one_step("eval", {"workflow": sleeper}, timeout="100ms"))
    async with working(storage):
        run = await until(storage, run_id)
        assert run.error is not None
        assert run.error["code"] == "STEP_TIMEOUT"
        page, _ = storage.list_runs(10, None, None, None, True)
        (child,) = [one for one in page if one.parent_run_id == run_id]
        assert (await until(storage, child.id)).status is RunStatus.CANCELLED


async def test_a_parent_whose_worker_is_gone_goes_on_with_another(open_storage: OpenStorage) -> None:
    storage = open_storage()
    waiting = {"steps": [{"id": "w", "type": "wait_event", "input": {"name": "go"}}]}
    run_id = start(storage, one_step("map", {"workflow": waiting, "items": [1, 2]}))
    async with working(storage):
        await until(storage, run_id, "waiting")
        async with asyncio.timeout(10):
            while len(children := storage.open_children(run_id)) < 2:
                await asyncio.sleep(0.01)
        for child in children:
            await until(storage, child, "waiting")
    for child in children:
        storage.signal(child, "go", "1", 5)
    async with working(open_storage()):
        run = await until(storage, run_id)
    assert run.output["successful"] == 2


async def test_a_child_has_its_parents_priority_and_comes_before_younger_runs(storage: SQLiteStorage) -> None:
    parent = start(storage, one_step("eval", {"workflow": DOUBLE, "input": 1}), priority=3)
    others = [start(storage, flow_of(DOUBLE, "other"), 1) for _ in range(5)]
    async with working(storage, slots=1):
        await until(storage, parent)
        for other in others:
            await until(storage, other)
    child = storage.get_run(storage.get_run(parent).output["run_id"])
    assert child.priority == 3
    assert child.finished_at is not None
    assert all(child.finished_at <= finished for other in others if (finished := storage.get_run(other).started_at))


async def test_a_component_starts_children_and_keeps_blobs(storage: SQLiteStorage) -> None:
    save(storage, flow_of(DOUBLE, "doubler"))

    async def in_loop(value: Any, context: Any) -> Any:
        blob_id = await context.put_blob({"a": [1, "ä"]})
        return [await context.start_child("doubler", 4), blob_id, await context.get_blob(blob_id)]

    def in_thread(value: Any, context: Any) -> Any:
        blob_id = context.put_blob({"a": [1, "ä"]}, "kind")
        child = context.start_child("doubler", 5)
        with pytest.raises(ComponentError):
            context.get_blob("0" * 64)
        return [child, blob_id, context.get_blob(blob_id)]

    registry = builtin_registry()
    registry.register(Component("/test/loop", in_loop, "async", "x"))
    registry.register(Component("/test/thread", in_thread, "sync", "x"))
    steps = [{"id": "l", "component": "/test/loop"}, {"id": "t", "component": "/test/thread"}]
    read = read_flow({"name": "parent", "steps": steps})
    assert read.flow is not None
    run_id = start(storage, read.flow)
    async with working(storage, registry):
        run = await until(storage, run_id)
        (one, blob, data), (two, same_blob, _) = run.output["l"], run.output["t"]
        assert (await until(storage, one)).output == 8
        assert (await until(storage, two)).output == 10
    assert blob == same_blob == "b4e7d8a4" or len(blob) == 64
    assert data == {"a": [1, "ä"]}
    assert storage.get_run(one).parent_run_id == run_id


async def test_a_component_that_starts_no_children_goes_on_at_once(storage: SQLiteStorage) -> None:
    version = save(storage, flow_of(DOUBLE, "doubler"))

    def starts_none(value: Any, context: Any) -> AwaitChildren:
        return AwaitChildren(FlowVersion(version, "doubler", 1), (), "spec")

    def starts_one(value: Any, context: Any) -> AwaitChildren:
        return AwaitChildren(FlowVersion(version, "doubler", 1), (2,), "spec")

    def finishes(spec: Any, children: Any) -> Any:
        return [spec, len(children)]

    registry = builtin_registry()
    registry.register(Component("/test/none", starts_none, "inline", "x", finish=finishes))
    registry.register(Component("/test/unfinished", starts_one, "inline", "x"))
    steps = [{"id": "n", "component": "/test/none"}, {"id": "u", "component": "/test/unfinished", "on_error": "skip"}]
    read = read_flow({"name": "parent", "steps": steps})
    assert read.flow is not None
    run = await finish(storage, read.flow, registry=registry)
    assert run.output == {"n": ["spec", 0]}
    assert "no `finish`" in str(steps_of(storage, run.id)["u"].error)


async def test_long_outputs_are_kept_as_blobs_and_read_like_any_other(storage: SQLiteStorage) -> None:
    long = "x" * 300_000
    steps = [{"id": "a", "type": "echo", "input": "$.input"}, {"id": "b", "type": "echo", "input": "$.steps.a.output"}]
    run = await finish(storage, flow_of({"steps": steps}), long)
    assert run.output == {"b": long}
    assert steps_of(storage, run.id)["a"].output == long
    events = storage.get_events(run.id, after_seq=0, before_seq=None, limit=100, newest=False)
    assert [event.payload["result"] for event in events if event.event_type == "step.completed"] == [long, long]
    assert storage.fetch("SELECT count(*) FROM blobs") == [(2,)], "the same content is kept once"


async def test_put_blob_and_get_blob_hand_data_around(storage: SQLiteStorage) -> None:
    steps = [
        {"id": "put", "type": "put_blob", "input": {"data": {"b": 1, "a": [1.5, "ä"]}}},
        {"id": "get", "type": "get_blob", "input": {"blob_id": "$.steps.put.output.blob_id"}},
    ]
    run = await finish(storage, flow_of({"steps": steps}))
    assert run.output == {"get": {"data": {"b": 1, "a": [1.5, "ä"]}}}
    import hashlib

    expected = hashlib.sha256('{"b":1,"a":[1.5,"ä"]}'.encode()).hexdigest()
    assert steps_of(storage, run.id)["put"].output == {"blob_id": expected}


# Signals


async def test_a_signal_wakes_the_step_that_waits_for_it(storage: SQLiteStorage) -> None:
    steps = [
        {"id": "approve", "type": "approval", "input": {"message": "Deploy?", "who": "ada"}},
        {"id": "then", "type": "echo", "input": "$.steps.approve.output.data"},
    ]
    run_id = start(storage, flow_of({"steps": steps}))
    async with working(storage):
        await until(storage, run_id, "waiting")
        assert steps_of(storage, run_id)["approve"].awaits == "event approve"
        storage.signal(run_id, "other", "1", 5)
        storage.signal(run_id, "approve", '{"by":"ada"}', 5)
        run = await until(storage, run_id)
    assert run.output == {"then": {"by": "ada"}}
    (waiting,) = [
        event
        for event in storage.get_events(run_id, after_seq=0, before_seq=None, limit=100, newest=False)
        if event.event_type == "step.waiting"
    ]
    assert (waiting.payload["message"], waiting.payload["who"]) == ("Deploy?", "ada")


async def test_a_signal_that_comes_before_its_step_is_kept(storage: SQLiteStorage) -> None:
    wait = {"id": "w", "type": "wait_event", "input": {"name": "go"}}
    run_id = start(storage, flow_of({"steps": [wait]}))
    storage.signal(run_id, "go", "7", 5)
    async with working(storage):
        run = await until(storage, run_id)
    assert run.output == {"w": {"received": True, "timeout": False, "data": 7}}


async def test_signals_answer_waits_in_their_order_also_while_a_worker_takes_the_run_over(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [{"id": f"w{n}", "type": "wait_event", "input": {"name": "go"}} for n in (1, 2)]
    run_id = start(storage, flow_of({"order": "sequential", "steps": steps}))
    async with working(storage):
        await until(storage, run_id, "waiting")
    storage.signal(run_id, "go", '"first"', 5)
    may_load = asyncio.Event()
    load = LoadedTemplates.load

    async def waits(self: LoadedTemplates, number: int) -> Any:
        await may_load.wait()
        return await load(self, number)

    monkeypatch.setattr(LoadedTemplates, "load", waits)
    async with working(storage) as worker:
        async with asyncio.timeout(10):
            while worker._coming == 0:
                await asyncio.sleep(0.005)
        storage.signal(run_id, "go", '"second"', 5)
        may_load.set()
        await until(storage, run_id)
    found = steps_of(storage, run_id)
    assert [found[key].output["data"] for key in ("w1", "w2")] == ["first", "second"]


async def test_a_wait_that_nobody_answers_ends_with_its_timeout(storage: SQLiteStorage) -> None:
    run = await finish(storage, one_step("wait_event", {"name": "go", "timeout": "30ms"}))
    assert run.output == {"received": False, "timeout": True, "data": None}
    run = await finish(storage, one_step("wait_event", {"name": "go", "timeout": "1h"}, timeout="30ms"))
    assert run.error is not None
    assert run.error["code"] == "STEP_TIMEOUT"


@pytest.mark.parametrize(("received", "status"), [(True, RunStatus.FAILED), (False, RunStatus.COMPLETED)])
async def test_what_a_wait_gives_is_judged_by_its_steps_schema(
    storage: SQLiteStorage, received: bool, status: RunStatus
) -> None:
    schema = {"properties": {"received": {"const": received}}}
    run = await finish(storage, one_step("wait_event", {"name": "go", "timeout": "10ms"}, output_schema=schema))
    assert run.status is status
    assert (run.error or {}).get("code") == ("INVALID_OUTPUT" if received else None)


async def test_a_signal_reaches_a_run_that_is_busy_with_something_else(storage: SQLiteStorage) -> None:
    steps = [
        {"id": "busy", "component": "/shell/run", "input": {"command": "read line < fifo; echo $line", "shell": True}},
        {"id": "w", "type": "wait_event", "input": {"name": "go"}},
        {"id": "after", "type": "echo", "input": "$.steps.w.output.data"},
    ]
    steps[0]["input"] = {"command": ["sleep", "30"]}
    run_id = start(storage, flow_of({"steps": steps}))
    async with working(storage):
        await until_event(storage, run_id, "step.waiting", "w")
        storage.signal(run_id, "go", '"now"', 5)
        await until_event(storage, run_id, "step.completed", "after")
        assert storage.get_run(run_id).status is RunStatus.RUNNING
        storage.request_cancel(run_id, None, 5)
        await until(storage, run_id)
    assert steps_of(storage, run_id)["after"].output == "now"
