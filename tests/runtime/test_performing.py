"""The border around a component: what it raises, what it gives, what it says, and how it learns that it must stop."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from stepflow.components.registry import Registry, builtin_registry
from stepflow.contracts.component import AwaitChildren, Component, EndedChild
from stepflow.core.effects import Perform
from stepflow.core.facts import Fact, Stopped
from stepflow.dsl.validate import read_flow
from stepflow.errors import ComponentError
from stepflow.model.run import StepRecord
from stepflow.model.statuses import RunStatus
from stepflow.runtime.perform import Attempt
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.engine import start, steps_of, until, working


def offering(function: Any, **more: Any) -> Registry:
    """Ours, and `/test/it`."""
    registry = builtin_registry()
    mode = more.pop("mode", "async" if asyncio.iscoroutinefunction(function) else "sync")
    registry.register(Component("/test/it", function, mode, "It", **more))
    return registry


@asynccontextmanager
async def running(storage: SQLiteStorage, registry: Registry, **step: Any) -> AsyncIterator[str]:
    """The id of a run of a step `s` that runs `/test/it`, while a worker works."""
    body = {"id": "s", "component": "/test/it", "retry": "never", **step}
    read = read_flow({"name": "border", "steps": [body]}, components=registry.paths)
    assert read.flow is not None, read.diagnostics
    run_id = start(storage, read.flow)
    async with working(storage, registry):
        yield run_id


async def performed(storage: SQLiteStorage, function: Any, *, step: dict[str, Any] | None = None, **more: Any) -> Any:
    registry = offering(function, **more)
    async with running(storage, registry, **(step or {})) as run_id:
        await until(storage, run_id)
        return steps_of(storage, run_id)["s"]


def lines_of(storage: SQLiteStorage, event_type: str = "log") -> list[dict[str, Any]]:
    events = storage.get_events(None, after_seq=0, before_seq=None, limit=1000, newest=False)
    return [event.payload for event in events if event.event_type == event_type]


def error_of(step: StepRecord) -> dict[str, Any]:
    assert step.error is not None, step
    return step.error


@pytest.mark.parametrize("name", ["", "\x1b]0;mine\x07", "two\nlines", "run.completed"])
async def test_an_event_whose_name_is_not_one_to_be_shown_fails_its_step(storage: SQLiteStorage, name: str) -> None:
    """Names of events are printed as they stand."""
    step = await performed(storage, lambda value, ctx: ctx.emit(name))
    assert error_of(step)["code"] == "COMPONENT_FAILED"


async def test_an_attempt_that_is_stopped_before_it_began_says_so_at_once() -> None:
    """Its task never enters what it was made of."""

    async def never() -> Fact:
        raise AssertionError("it was stopped before")

    said: list[Fact] = []
    context: Any = SimpleNamespace(cancelled=threading.Event())
    Attempt(asyncio.create_task(never()), context, Perform(3, 2, None), said.append).stop()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert said == [Stopped(3, 2)]


# What it raises


FATAL = [
    (SystemExit(2), "/test/it called sys.exit(2)", "SystemExit"),
    (SystemExit(), "/test/it called sys.exit(None)", "SystemExit"),
    (KeyboardInterrupt(), "/test/it raised KeyboardInterrupt", "KeyboardInterrupt"),
    (GeneratorExit(), "/test/it raised GeneratorExit", "GeneratorExit"),
    (asyncio.CancelledError(), "/test/it raised CancelledError", "CancelledError"),
    (StopIteration(), "/test/it raised StopIteration", "StopIteration"),
]


@pytest.mark.parametrize("mode", ["inline", "sync"])
@pytest.mark.parametrize(("error", "said", "kind"), FATAL, ids=[kind for _, _, kind in FATAL])
async def test_what_would_end_the_worker_fails_the_step(
    storage: SQLiteStorage, mode: str, error: BaseException, said: str, kind: str
) -> None:
    def raises(value: Any, context: Any) -> None:
        raise error

    found = error_of(await performed(storage, raises, mode=mode))
    assert (found["code"], found["message"], found["details"]["type"]) == ("COMPONENT_FAILED", said, kind)
    assert "in raises" in found["details"]["stack"]


@pytest.mark.parametrize(("error", "said", "kind"), FATAL[:-1], ids=[kind for _, _, kind in FATAL[:-1]])
async def test_what_would_end_the_worker_fails_the_step_of_a_coroutine_too(
    storage: SQLiteStorage, error: BaseException, said: str, kind: str
) -> None:
    async def raises(value: Any, context: Any) -> None:
        await asyncio.sleep(0)
        raise error

    found = error_of(await performed(storage, raises))
    assert (found["code"], found["message"], found["details"]["type"]) == ("COMPONENT_FAILED", said, kind)


async def test_a_coroutine_that_waits_for_something_cancelled_fails_and_is_not_performed_for_ever(
    storage: SQLiteStorage,
) -> None:
    async def waits(value: Any, context: Any) -> None:
        other = asyncio.create_task(asyncio.sleep(60))
        other.cancel()
        await other

    assert error_of(await performed(storage, waits))["message"] == "/test/it raised CancelledError"


async def test_what_would_end_the_worker_when_children_have_ended_fails_the_step(storage: SQLiteStorage) -> None:
    async def begins(value: Any, context: Any) -> AwaitChildren:
        flow = await context.resolve_flow({"steps": [{"id": "a", "type": "noop"}]}, None)
        return AwaitChildren(flow, ({},), None)

    def finishes(spec: Any, children: tuple[EndedChild, ...]) -> None:
        sys.exit("done")

    found = error_of(await performed(storage, begins, finish=finishes))
    assert found["message"] == "/test/it called sys.exit('done')"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("zz"), "KeyError: 'zz'"),
        (KeyError(), "KeyError"),
        (AssertionError(), "AssertionError"),
        (ValueError("no such thing"), "no such thing"),
    ],
)
async def test_an_error_whose_text_says_nothing_alone_is_said_with_its_type(
    storage: SQLiteStorage, error: Exception, said: str
) -> None:
    def raises(value: Any, context: Any) -> None:
        raise error

    assert error_of(await performed(storage, raises))["message"] == said


# What it gives


@pytest.mark.parametrize("mode", ["inline", "sync"])
async def test_an_output_that_violates_the_components_schema_fails_the_step(storage: SQLiteStorage, mode: str) -> None:
    step = await performed(storage, lambda value, context: "x", mode=mode, output_schema={"type": "integer"})
    found = error_of(step)
    assert found["code"] == "INVALID_OUTPUT"
    assert found["message"] == 'The output of /test/it violates its schema: "x" is not of type "integer"'


async def test_both_schemas_must_be_kept(storage: SQLiteStorage) -> None:
    for output, said in ((3, ""), (-1, "The output of /test/it"), (30, "The output violates")):
        step = await performed(
            storage, lambda value, context, output=output: output,
            output_schema={"minimum": 0}, step={"output_schema": {"maximum": 9}},
        )  # fmt: skip
        assert (step.error or {"message": ""})["message"].startswith(said)
        assert (step.error is None) == (output == 3)


async def test_what_is_made_of_children_is_judged_too(storage: SQLiteStorage) -> None:
    async def begins(value: Any, context: Any) -> AwaitChildren:
        flow = await context.resolve_flow({"steps": [{"id": "a", "type": "noop"}]}, None)
        return AwaitChildren(flow, ({},), None)

    step = await performed(storage, begins, finish=lambda spec, children: "x", output_schema={"type": "integer"})
    assert error_of(step)["code"] == "INVALID_OUTPUT"


# What it says


async def test_the_logger_has_a_method_for_each_level(storage: SQLiteStorage) -> None:
    def tells(value: Any, ctx: Any) -> None:
        for level in ("trace", "debug", "info", "warn", "warning", "error"):
            getattr(ctx.logger, level)(f"at {level}", message="a field", level=1, self=None)

    assert (await performed(storage, tells)).error is None
    fields = {"message": "a field", "level": 1, "self": None}
    levels = {"trace": "debug", "warning": "warn"}
    assert lines_of(storage) == [
        {"level": levels.get(name, name), "message": f"at {name}", "fields": fields}
        for name in ("trace", "debug", "info", "warn", "warning", "error")
    ]


async def test_what_a_sensitive_step_says_is_hidden_and_counted(storage: SQLiteStorage) -> None:
    def tells(value: Any, ctx: Any) -> str:
        ctx.log("sesame", "warn", token="sesame")
        ctx.logger.info("sesame", stream="sesame")
        ctx.emit("progress", {"token": "sesame"})
        return "open"

    step = await performed(storage, tells, step={"sensitive": True})
    assert lines_of(storage) == [
        {"level": "warn", "message": "***", "fields": {"characters": 6}},
        {"level": "info", "message": "***", "fields": {"characters": 6}},
    ]
    assert lines_of(storage, "progress") == [{"hidden": "***", "characters": len('{"token":"sesame"}')}]
    assert step.status == "completed"  # as its word


async def test_the_lines_of_a_sensitive_command_are_hidden_and_its_failure_does_not_quote_them(
    storage: SQLiteStorage,
) -> None:
    command = {"command": "echo sesame; echo sesame >&2; exit 3", "shell": True}
    step = {"component": "/shell/run", "input": command, "sensitive": True}
    found = await performed(storage, lambda value, context: None, step=step)
    assert sorted(line["fields"]["stream"] for line in lines_of(storage)) == ["stderr", "stdout"]
    assert {line["message"] for line in lines_of(storage)} == {"***"}
    error = error_of(found)
    assert (error["code"], error["message"]) == ("SHELL_EXIT", "The command exited with 3")
    assert error["details"]["exit_code"] == 3
    assert "sesame" not in str(error)


@pytest.mark.parametrize("whose", ["component", "step"])
async def test_a_sensitive_output_that_violates_its_schema_is_not_quoted(storage: SQLiteStorage, whose: str) -> None:
    schema = {"output_schema": {"type": "integer"}}
    more, step = (schema, {}) if whose == "component" else ({}, schema)
    found = await performed(storage, lambda value, context: "sesame", step={**step, "sensitive": True}, **more)
    assert error_of(found)["message"].endswith("violates its schema: what it holds is hidden")
    assert "sesame" not in str(found.error)


# How it learns that it must stop


async def test_a_heartbeat_stops_a_component_in_its_thread(storage: SQLiteStorage) -> None:
    stopped = threading.Event()
    caught: list[BaseException] = []

    def beats(value: Any, ctx: Any) -> None:
        try:
            while True:
                ctx.heartbeat()
        except BaseException as error:
            caught.append(error)
            raise
        finally:
            stopped.set()

    async with running(storage, offering(beats), timeout="50ms") as run_id:
        run = await until(storage, run_id)
        assert await asyncio.to_thread(stopped.wait, 20)
    assert [type(error) for error in caught] == [asyncio.CancelledError]
    assert run.error is not None
    assert run.error["code"] == "STEP_TIMEOUT"


async def test_a_heartbeat_stops_a_coroutine_and_lets_others_work(storage: SQLiteStorage) -> None:
    stopped = asyncio.Event()

    async def beats(value: Any, ctx: Any) -> None:
        try:
            while True:
                await ctx.heartbeat()
        finally:
            stopped.set()

    async with running(storage, offering(beats)) as run_id:
        await until(storage, run_id, RunStatus.RUNNING)
        storage.request_cancel(run_id, "enough", 5)
        run = await until(storage, run_id)
        await stopped.wait()
    assert run.status is RunStatus.CANCELLED
    assert lines_of(storage) == []


async def test_a_heartbeat_of_one_who_may_go_on_says_nothing(storage: SQLiteStorage) -> None:
    def beats(value: Any, ctx: Any) -> Any:
        return [ctx.heartbeat(), ctx.heartbeat()]

    assert (await performed(storage, beats)).output == [None, None]
    assert lines_of(storage) == []


async def test_a_failure_of_its_own_is_as_it_was_raised(storage: SQLiteStorage) -> None:
    def raises(value: Any, context: Any) -> None:
        raise ComponentError("CLOSED", "The warehouse is closed", {"until": "Monday"})

    found = error_of(await performed(storage, raises))
    assert (found["code"], found["message"]) == ("CLOSED", "The warehouse is closed")
    assert found["details"]["data"] == {"until": "Monday"}
