"""Secrets: read when a step needs them, and never found in the database file, whatever the step does with them."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

from stepflow.client import Client
from stepflow.components.registry import Registry, builtin_registry
from stepflow.contracts.component import AwaitChildren, AwaitEvent, Component, FlowVersion, SkipStep
from stepflow.core.secrets import with_marks
from stepflow.dsl.validate import read_flow
from stepflow.errors import ComponentError, InvalidInputError
from stepflow.model.flow import Flow
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus
from stepflow.runtime.secrets import LARGEST_FILE, PIECE, Secrets, read_secret
from stepflow.storages.sqlite import SQLiteStorage
from tests.components.server import serving
from tests.support.engine import save, start, steps_of, types_of, until, working

SECRET = "correct-horse-battery-staple"
VARIABLES = '{"token":"env:STEPFLOW_TEST_TOKEN"}'
TOKEN = {"token": {"type": "string", "secret": True}}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPFLOW_TEST_TOKEN", SECRET)


def flow_with(registry: Registry, *steps: dict[str, Any], **more: Any) -> Flow:
    read = read_flow({"name": "secretive", "variables": TOKEN, "steps": list(steps), **more}, components=registry.paths)
    assert read.flow is not None, read.diagnostics
    return read.flow


def with_components(**functions: Any) -> Registry:
    registry = builtin_registry()
    for name, function in functions.items():
        mode = "async" if asyncio.iscoroutinefunction(function) else "sync"
        registry.register(Component(f"/test/{name}", function, mode, name))
    return registry


async def perform(
    storage: SQLiteStorage, registry: Registry, *steps: dict[str, Any], variables: str | None = VARIABLES, **more: Any
) -> RunRecord:
    run_id = start(storage, flow_with(registry, *steps, **more), variables=variables)
    async with working(storage, registry):
        return await until(storage, run_id)


async def perform_one(storage: SQLiteStorage, function: Any, value: Any = "$.variables.token") -> StepRecord:
    """A step `s` with the secret as its input."""
    registry = with_components(it=function)
    step = {"id": "s", "component": "/test/it", "input": value, "retry": "never"}
    run = await perform(storage, registry, step)
    return steps_of(storage, run.id)["s"]


def error_of(step: StepRecord) -> dict[str, Any]:
    assert step.error is not None, step
    return step.error


def everything_shown(storage: SQLiteStorage) -> str:
    runs, _ = storage.list_runs(100, None, None, None, True)
    events = storage.get_events(None, after_seq=0, before_seq=None, limit=10_000, newest=False)
    steps = [storage.get_steps(run.id, bodies=True, attempts=True) for run in runs]
    return f"{[storage.get_run(run.id) for run in runs]} {steps} {events}"


def check_nowhere(storage: SQLiteStorage, *secrets: str) -> None:
    """Not in what readers get, nor in the bytes of any file of the database, nor as JSON writes it."""
    shown = everything_shown(storage)
    files = [path for path in Path(storage.url).parent.iterdir() if path.is_file()]
    assert any(path.name.endswith("-wal") for path in files)
    written = b"".join(path.read_bytes() for path in files)
    for secret in secrets:
        assert secret not in shown
        for spelled in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
            assert spelled.encode() not in written
    assert "\ue000".encode() not in written, "nor is a mark, which means something to this process alone"


# It works


async def test_a_secret_reaches_the_environment_of_a_command_and_is_masked_in_its_input(storage: SQLiteStorage) -> None:
    step = {
        "id": "s",
        "component": "/shell/run",
        "input": {
            "shell": True,
            "command": f'test "$TOKEN" = "{SECRET[:9]}""{SECRET[9:]}" && echo same',
            "env": {"TOKEN": "$.variables.token"},
        },
    }
    run = await perform(storage, builtin_registry(), step)
    found = steps_of(storage, run.id)["s"]
    assert found.output["stdout"] == "same\n"
    assert found.input["env"] == {"TOKEN": "***"}
    check_nowhere(storage, SECRET)


async def test_a_secret_reaches_a_header_and_is_masked_around_its_text(storage: SQLiteStorage) -> None:
    async with serving() as server:
        server.reply("/", body={"ok": True})
        headers = {"Authorization": "Bearer ${{ $.variables.token }}"}
        step = {"id": "s", "type": "http.get", "input": {"url": f"{server.url}/", "headers": headers}}
        run = await perform(storage, builtin_registry(), step)
        assert run.status is RunStatus.COMPLETED, run.error
        assert server.asked[0].headers["authorization"] == f"Bearer {SECRET}"
    assert steps_of(storage, run.id)["s"].input["headers"] == {"Authorization": "Bearer ***"}
    check_nowhere(storage, SECRET)


async def test_a_secret_is_read_from_a_file_without_its_last_newline(storage: SQLiteStorage, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "token").write_text("from a file\n", encoding="utf-8")
    seen: list[Any] = []

    def see(value: Any, context: Any) -> None:
        seen.append(value)

    variables = json.dumps({"token": f"file:{folder / 'token'}"})
    step = {"id": "s", "component": "/test/see", "input": ["$.variables.token", {"deep": "$.variables.token"}]}
    run = await perform(storage, with_components(see=see), step, variables=variables)
    assert run.status is RunStatus.COMPLETED, run.error
    assert seen == [["from a file", {"deep": "from a file"}]]
    check_nowhere(storage, "from a file")


async def test_the_file_of_a_secret_is_looked_for_in_the_workspace(
    storage: SQLiteStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, elsewhere = tmp_path / "workspace", tmp_path / "elsewhere"
    for folder in (workspace, elsewhere):
        folder.mkdir()
        (folder / "token").write_text(f"of the {folder.name}")
    monkeypatch.chdir(elsewhere)
    seen: list[Any] = []
    registry = with_components(see=lambda value, context: seen.append(value))
    flow = flow_with(registry, {"id": "s", "component": "/test/see", "input": "$.variables.token"})
    for given in (workspace, None):
        run_id = start(storage, flow, variables='{"token": "file:token"}')
        async with working(storage, registry, workspace=given):
            await until(storage, run_id)
    assert seen == ["of the workspace", "of the elsewhere"]


async def test_each_attempt_reads_the_secret_anew(storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def rotates(value: Any, context: Any) -> None:
        seen.append(value)
        monkeypatch.setenv("STEPFLOW_TEST_TOKEN", "rotated-token-value")
        if len(seen) == 1:
            raise ComponentError("EXPIRED", f"{value} has expired")

    retry = {"max_attempts": 2, "strategy": "fixed", "delay": "1ms"}
    step = {"id": "s", "component": "/test/rotates", "input": "$.variables.token", "retry": retry}
    run = await perform(storage, with_components(rotates=rotates), step)
    assert run.status is RunStatus.COMPLETED
    assert seen == [SECRET, "rotated-token-value"]
    check_nowhere(storage, SECRET, "rotated-token-value")


async def test_another_worker_reads_the_secret_for_itself(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marks live as long as their process; nothing of them is stored, so another process goes on."""
    seen: list[Any] = []

    def see(value: Any, context: Any) -> None:
        seen.append(value)

    registry = with_components(see=see)
    wait = {"id": "w", "type": "wait_event", "input": {"name": "go"}}
    step = {"id": "s", "component": "/test/see", "input": "$.variables.token", "depends_on": ["w"]}
    run_id = start(storage, flow_with(registry, wait, step), variables=VARIABLES)
    async with working(storage, registry):
        await until(storage, run_id, RunStatus.WAITING)
    storage.signal(run_id, "go", "null", 5)
    monkeypatch.setattr("stepflow.core.secrets._NONCE", "another process")
    monkeypatch.setattr("stepflow.core.secrets._MARK", re.compile("\ue000another process:([^\ue001]*)\ue001"))
    async with working(storage, registry):
        assert (await until(storage, run_id)).status is RunStatus.COMPLETED
    assert seen == [SECRET]


# It is never written


async def test_a_secret_is_in_no_log_line_and_no_event(storage: SQLiteStorage) -> None:
    def tells(value: str, context: Any) -> None:
        context.log(f"the token is {value}", token=value, inside={"list": [value], value: 1})
        context.log("in a tuple", pair=("x", value), mapping=OrderedDict(key=value))
        context.log(value, "error")
        context.emit("told", {"token": value, "tuple": (value,)})

    step = await perform_one(storage, tells)
    assert step.status == "completed", step.error
    events = storage.get_events(None, after_seq=0, before_seq=None, limit=100, newest=False)
    lines = [event.payload for event in events if event.event_type == "log"]
    assert lines[0]["message"] == "the token is ***"
    assert lines[0]["fields"] == {"token": "***", "inside": {"list": ["***"], "***": 1}}
    assert lines[1]["fields"] == {"pair": ["x", "***"], "mapping": {"key": "***"}}
    assert [event.payload for event in events if event.event_type == "told"] == [{"token": "***", "tuple": ["***"]}]
    check_nowhere(storage, SECRET)


async def test_lines_that_a_command_prints_are_masked_as_they_are_logged(storage: SQLiteStorage) -> None:
    step = {
        "id": "s",
        "component": "/shell/run",
        "input": {"shell": True, "command": 'echo "it is $TOKEN" >&2; exit 3', "env": {"TOKEN": "$.variables.token"}},
        "retry": "never",
    }
    run = await perform(storage, builtin_registry(), step)
    assert run.status is RunStatus.FAILED
    assert "it is ***" in str(run.error)
    check_nowhere(storage, SECRET)


async def test_a_secret_is_in_no_error(storage: SQLiteStorage) -> None:
    def raises(value: str, context: Any) -> None:
        raise ComponentError("DENIED", f"{value} was refused", {"sent": (value, [value]), value: {"key": value}})

    error = error_of(await perform_one(storage, raises))
    assert (error["code"], error["message"]) == ("DENIED", "*** was refused")
    assert error["details"]["data"] == {"sent": ["***", ["***"]], "***": {"key": "***"}}
    check_nowhere(storage, SECRET)


async def test_a_secret_is_in_no_stack_of_an_unexpected_error(storage: SQLiteStorage) -> None:
    async def raises(value: str, context: Any) -> None:
        try:
            raise KeyError(value)
        except KeyError as error:
            raise RuntimeError(f"cannot use {value!r}") from error

    error = error_of(await perform_one(storage, raises))
    assert error["message"] == "cannot use '***'"
    assert "KeyError: '***'" in error["details"]["stack"]
    check_nowhere(storage, SECRET)


async def test_a_secret_is_in_no_reason_of_a_skip(storage: SQLiteStorage) -> None:
    def skips(value: str, context: Any) -> None:
        raise SkipStep(f"nothing to do with {value}")

    step = await perform_one(storage, skips)
    assert step.reason == "nothing to do with ***"
    check_nowhere(storage, SECRET)


async def test_a_secret_is_in_no_question_that_people_are_asked(storage: SQLiteStorage) -> None:
    registry = builtin_registry()
    asking = {"name": "go ${{ $.variables.token }}", "message": "use ${{ $.variables.token }}?", "who": "ada"}
    step = {"id": "w", "type": "wait_event", "input": asking}
    run_id = start(storage, flow_with(registry, step), variables=VARIABLES)
    async with working(storage, registry):
        await until(storage, run_id, RunStatus.WAITING)
    assert steps_of(storage, run_id)["w"].awaits == "event go ***"
    (waiting,) = [
        event.payload
        for event in storage.get_events(run_id, after_seq=0, before_seq=None, limit=100, newest=False)
        if event.event_type == "step.waiting"
    ]
    assert waiting["message"] == "use ***?"
    check_nowhere(storage, SECRET)


async def test_a_component_that_waits_with_a_secret_is_masked_too(storage: SQLiteStorage) -> None:
    def waits(value: str, context: Any) -> AwaitEvent:
        return AwaitEvent("go", context.now() + 1, {"message": f"use {value}?"})

    step = await perform_one(storage, waits)
    assert step.output == {"received": False, "timeout": True, "data": None}
    check_nowhere(storage, SECRET)


async def test_an_input_that_violates_its_schema_does_not_quote_the_secret(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long messages are cut, so only a part of it may be left."""
    key = "\n".join(f"line {number} of a private key {number * 7919:016x}" for number in range(40))
    monkeypatch.setenv("STEPFLOW_TEST_TOKEN", key)
    step = {"id": "s", "type": "sleep", "input": {"seconds": "$.variables.token"}, "retry": "never"}
    run = await perform(storage, builtin_registry(), step)
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert run.error["code"] == "INVALID_INPUT"
    check_nowhere(storage, key, *(line[-16:] for line in key.splitlines()))


async def test_an_output_that_violates_its_schema_does_not_quote_the_secret(storage: SQLiteStorage) -> None:
    def gives(value: str, context: Any) -> Any:
        return {"token": value}

    schema = {"properties": {"token": {"type": "integer"}}}
    step = {"id": "s", "component": "/test/gives", "input": "$.variables.token", "output_schema": schema}
    run = await perform(storage, with_components(gives=gives), {**step, "retry": "never"})
    assert run.error is not None
    assert run.error["code"] == "INVALID_OUTPUT"
    assert "***" in run.error["message"]
    check_nowhere(storage, SECRET)


async def test_one_line_of_a_secret_of_several_is_hidden_too(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["first line of it", "second line of it", 'third, with "quotes"']
    monkeypatch.setenv("STEPFLOW_TEST_TOKEN", "\n".join(lines))

    def prints(value: str, context: Any) -> None:
        for line in value.splitlines():
            context.log(f"> {line} <")
        raise ComponentError("BROKEN", repr(value))

    await perform_one(storage, prints)
    logged = [
        event.payload["message"]
        for event in storage.get_events(None, after_seq=0, before_seq=None, limit=100, newest=False)
        if event.event_type == "log"
    ]
    assert logged == ["> *** <"] * 3
    check_nowhere(storage, *lines)


async def test_a_secret_inside_another_leaves_nothing_of_it(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPFLOW_TEST_SHORT", "horse")

    def tells(value: list[str], context: Any) -> None:
        context.log(" and ".join(value))
        context.log(f"{SECRET} {SECRET[:-1]}")

    registry = with_components(tells=tells)
    variables = {**TOKEN, "short": {"secret": True}}
    step = {"id": "s", "component": "/test/tells", "input": ["$.variables.short", "$.variables.token"]}
    made = {"name": "secretive", "variables": variables, "steps": [step]}
    read = read_flow(made, components=registry.paths)
    assert read.flow is not None
    given = '{"token":"env:STEPFLOW_TEST_TOKEN","short":"env:STEPFLOW_TEST_SHORT"}'
    run_id = start(storage, read.flow, variables=given)
    async with working(storage, registry):
        assert (await until(storage, run_id)).status is RunStatus.COMPLETED
    check_nowhere(storage, SECRET, "horse", "battery", "correct")


def test_pieces_are_hidden_and_what_only_looks_alike_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def that_read(secret: str) -> Secrets:
        monkeypatch.setenv("STEPFLOW_TEST_TOKEN", secret)
        references = {"token": "env:STEPFLOW_TEST_TOKEN"}
        secrets = Secrets(references)
        marks = with_marks(flow_with(builtin_registry(), {"id": "a", "type": "noop"}), references)
        assert secrets.reveal(marks["token"]) == secret
        return secrets

    secret = "abcdefghijklmnopqrstuvwxyz"
    assert Secrets({}).hide({"nothing was read": secret}) == {"nothing was read": secret}
    secrets = that_read(secret)
    assert secrets.hide(secret[3 : 3 + PIECE]) == "***"
    assert secrets.hide(f"<{secret[:PIECE]}|{secret[-PIECE:]}>") == "<***|***>"
    assert secrets.hide(secret[3 : 2 + PIECE]) == secret[3 : 2 + PIECE]
    assert secrets.hide(f"{secret}{secret} {secret[1:]}x") == "****** ***x"
    assert that_read("ab").hide("ab") == "ab", "too short to be told from other words"


# It is not there


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("env:STEPFLOW_TEST_ABSENT", "environment has no STEPFLOW_TEST_ABSENT"),
        ("file:/nowhere/token", "/nowhere/token: No such file or directory"),
        ("file:/", "/: Is a directory"),
    ],
)
async def test_a_missing_secret_fails_the_step_and_names_the_place(
    storage: SQLiteStorage, reference: str, says: str
) -> None:
    step = {"id": "s", "type": "echo", "input": {"a": "$.variables.token"}, "retry": "never"}
    run = await perform(storage, builtin_registry(), step, variables=json.dumps({"token": reference}))
    assert run.status is RunStatus.FAILED
    assert run.error is not None
    assert run.error["code"] == "SECRET_NOT_FOUND"
    assert "'token'" in run.error["message"]
    assert says in run.error["message"]
    assert run.error["details"]["step_key"] == "s"


async def test_a_missing_secret_is_handled_like_any_failure(storage: SQLiteStorage) -> None:
    handled = {"action": "continue", "default_output": "without"}
    step = {"id": "s", "type": "echo", "input": "$.variables.token", "retry": "never", "on_error": handled}
    other = {"id": "other", "type": "echo", "input": 1}
    run = await perform(storage, builtin_registry(), step, other, variables='{"token":"env:STEPFLOW_TEST_ABSENT"}')
    assert run.output == {"s": "without", "other": 1}


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ComponentError, match="binary: not text") as caught:
        read_secret("token", f"file:{tmp_path / 'binary'}")
    assert caught.value.code == "SECRET_NOT_FOUND"


def test_a_pipe_or_a_file_too_large_for_a_secret_is_not_read(tmp_path: Path) -> None:
    """A pipe would be waited for, with the whole worker."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_text("x" * (LARGEST_FILE + 1))
    for name in ("pipe", "large"):
        with pytest.raises(ComponentError, match="not a file of at most 64 KB") as caught:
            read_secret("token", f"file:{name}", tmp_path)
        assert caught.value.code == "SECRET_NOT_FOUND"


@pytest.mark.parametrize("plain", ["hunter2hunter2", "user:hunter2hunter2", ""])
def test_what_is_no_reference_is_refused_without_quoting_it(plain: str) -> None:
    with pytest.raises(ComponentError, match="not given as env:NAME or file:PATH") as caught:
        read_secret("token", plain)
    assert "hunter2" not in caught.value.message


async def test_a_step_that_does_not_use_a_missing_secret_does_not_miss_it(storage: SQLiteStorage) -> None:
    uses = {"id": "uses", "type": "echo", "input": "$.variables.token", "when": False}
    run = await perform(storage, builtin_registry(), uses, {"id": "a", "type": "noop"}, variables=None)
    assert run.status is RunStatus.COMPLETED


# Children


INNER = {"steps": [{"id": "x", "type": "echo", "input": "$.input"}]}


@pytest.mark.parametrize(
    "value",
    [
        {"type": "eval", "input": {"workflow": INNER, "input": {"token": "$.variables.token"}}},
        {"type": "eval", "input": {"workflow": INNER, "input": "Bearer ${{ $.variables.token }}"}},
        {"type": "map", "input": {"workflow": INNER, "items": ["$.variables.token", 1]}},
        {"type": "iterate", "input": {"flow": INNER, "initial_input": "$.variables.token"}},
        {"type": "eval", "input": {"workflow": {"$coalesce": [{"$literal": INNER}]}, "input": ["$.variables.token"]}},
        {
            "type": "eval",
            "input": {"workflow": {"$coalesce": [{"steps": [{"id": "a", "input": "$.variables.token"}]}]}},
        },
        {"type": "eval", "input": {"workflow": "{steps: [{id: a, type: noop, input: '${{ $.variables.token }}'}]}"}},
    ],
)
async def test_a_secret_cannot_go_into_the_input_of_a_child(storage: SQLiteStorage, value: dict[str, Any]) -> None:
    run = await perform(storage, builtin_registry(), {"id": "s", **value})
    assert run.error is not None
    assert run.error["code"] == "INVALID_INPUT"
    assert "a secret cannot" in run.error["message"].lower()
    assert not [line for line in types_of(storage, run.id) if line.startswith("child")]
    assert storage.fetch("SELECT count(*) FROM runs WHERE parent IS NOT NULL") == [(0,)]
    assert storage.fetch("SELECT count(*) FROM child_groups") == [(0,)]
    check_nowhere(storage, SECRET)


async def test_a_component_cannot_give_a_secret_to_a_child_it_starts(storage: SQLiteStorage) -> None:
    registry = builtin_registry()
    version = save(storage, flow_with(registry, {"id": "x", "type": "noop"}, name="child"))

    async def starts(value: str, context: Any) -> Any:
        with pytest.raises(ComponentError, match="cannot be handed to a child"):
            await context.start_child("child", {"deep": [f"Bearer {value}"]})
        return await context.start_child("child", {"other": 1})

    def returns(value: str, context: Any) -> Any:
        return AwaitChildren(FlowVersion(version, "child", 1), ({"token": value},), None)

    registry.register(Component("/test/starts", starts, "async", "x"))
    registry.register(Component("/test/returns", returns, "inline", "x"))
    steps = [
        {"id": "a", "component": "/test/starts", "input": "$.variables.token"},
        {"id": "b", "component": "/test/returns", "input": "$.variables.token", "on_error": "skip"},
    ]
    run = await perform(storage, registry, *steps)
    assert run.status is RunStatus.COMPLETED, run.error
    assert error_of(steps_of(storage, run.id)["b"])["code"] == "INVALID_INPUT"
    check_nowhere(storage, SECRET)


async def test_a_child_is_started_beside_a_secret_that_it_does_not_get(storage: SQLiteStorage) -> None:
    child = {"id": "c", "type": "eval", "input": {"workflow": INNER, "input": 1, "unwrap": True}}
    used = {"id": "u", "component": "/test/uses", "input": "$.variables.token"}

    def uses(value: str, context: Any) -> bool:
        return value == SECRET

    run = await perform(storage, with_components(uses=uses), used, child)
    assert run.output == {"u": True, "c": {"x": 1}}
    check_nowhere(storage, SECRET)


async def test_a_secret_that_is_given_in_clear_is_refused_at_the_start(storage: SQLiteStorage) -> None:
    save(storage, flow_with(builtin_registry(), {"id": "s", "type": "noop"}))
    async with Client(storage.url) as client:
        with pytest.raises(InvalidInputError, match="env:NAME or file:PATH"):
            await client.start_run("secretive", variables={"token": SECRET})
    check_nowhere(storage, SECRET)


async def test_a_log_steps_output_does_not_repeat_the_secret(storage: SQLiteStorage) -> None:
    step = {"id": "s", "type": "log", "input": {"message": "the token is ${{ $.variables.token }}"}}
    await perform(storage, builtin_registry(), step)
    check_nowhere(storage, SECRET)


# What a step gives


def warnings_of(storage: SQLiteStorage) -> list[str]:
    events = storage.get_events(None, after_seq=0, before_seq=None, limit=100, newest=False)
    return [event.payload["message"] for event in events if event.event_type == "log" and event.level == "warn"]


KEPT = "held the secret 'token'; it is kept as ***; refer to the variable where it is needed"


async def test_an_output_is_kept_without_the_secret_and_says_so_once(storage: SQLiteStorage) -> None:
    echo = {"id": "s", "type": "echo", "input": {"a": "Bearer ${{ $.variables.token }}", "b": ["$.variables.token"]}}
    after = {"id": "t", "type": "echo", "input": "$.steps.s.output"}
    run = await perform(storage, builtin_registry(), echo, after)
    assert run.output == {"t": {"a": "Bearer ***", "b": ["***"]}}
    assert warnings_of(storage) == [f"the output {KEPT}"]
    check_nowhere(storage, SECRET)


@pytest.mark.parametrize("mode", ["inline", "sync", "async"])
async def test_it_is_so_in_every_mode_and_for_keys(storage: SQLiteStorage, mode: Any) -> None:
    def gives(value: str, context: Any) -> Any:
        return {value: {"x": (value, 3)}}

    async def gives_later(value: str, context: Any) -> Any:
        return gives(value, context)

    registry = builtin_registry()
    registry.register(Component("/test/gives", gives_later if mode == "async" else gives, mode, "x"))
    run = await perform(storage, registry, {"id": "s", "component": "/test/gives", "input": "$.variables.token"})
    assert run.output == {"s": {"***": {"x": ["***", 3]}}}
    assert warnings_of(storage) == [f"the output {KEPT}"]
    check_nowhere(storage, SECRET)


async def test_the_output_of_a_command_is_kept_without_the_secret(storage: SQLiteStorage) -> None:
    command = {"command": "echo $TOKEN; echo $TOKEN >&2", "shell": True, "env": {"TOKEN": "$.variables.token"}}
    run = await perform(storage, builtin_registry(), {"id": "s", "type": "shell.run", "input": command})
    assert run.output == {"s": {"exit_code": 0, "stdout": "***\n", "stderr": "***\n"}}
    check_nowhere(storage, SECRET)


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_blob_is_kept_without_the_secret(storage: SQLiteStorage, mode: str) -> None:
    async def keeps_later(value: str, context: Any) -> Any:
        return await context.get_blob(await context.put_blob({"deep": [value]}))

    def keeps(value: str, context: Any) -> Any:
        return context.get_blob(context.put_blob({"deep": [value]}))

    step = await perform_one(storage, keeps if mode == "sync" else keeps_later)
    assert step.output == {"deep": ["***"]}
    assert warnings_of(storage) == [f"the blob {KEPT}"]
    check_nowhere(storage, SECRET)


async def test_an_output_that_only_shares_a_piece_with_a_secret_stays_as_it_is(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPFLOW_TEST_TOKEN", "https://orders.example.com/hook/9f3a-secret")

    def gives(value: str, context: Any) -> Any:
        return "https://orders.example.com/orders"

    step = await perform_one(storage, gives)
    assert step.output == "https://orders.example.com/orders"
    assert warnings_of(storage) == []


async def test_a_secret_of_several_lines_is_kept_in_no_spelling(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = 'a line with "quotes" in it\nand the second line, ü'
    monkeypatch.setenv("STEPFLOW_TEST_TOKEN", secret)

    def gives(value: str, context: Any) -> Any:
        return [*value.splitlines(), json.dumps({"key": value}), json.dumps([value], ensure_ascii=False)]

    step = await perform_one(storage, gives)
    assert step.output == ["***", "***", '{"key": "***"}', '["***"]']
    check_nowhere(storage, secret, *secret.splitlines())


async def test_an_output_is_judged_as_it_was_given_and_then_kept_without_the_secret(storage: SQLiteStorage) -> None:
    schema = {"const": SECRET}
    step = {"id": "s", "type": "echo", "input": "$.variables.token", "output_schema": schema}
    registry = builtin_registry()
    read = read_flow({"name": "secretive", "variables": TOKEN, "steps": [step]}, components=registry.paths)
    assert read.flow is not None
    run_id = start(storage, read.flow, variables=VARIABLES)
    async with working(storage, registry):
        run = await until(storage, run_id)
    assert (run.status, run.output) == (RunStatus.COMPLETED, {"s": "***"})


async def test_an_events_name_and_a_blobs_label_do_not_repeat_the_secret(storage: SQLiteStorage) -> None:
    def tells(value: str, context: Any) -> None:
        context.emit(f"got-{value}")
        context.put_blob([1], blob_type=value)

    step = await perform_one(storage, tells)
    assert step.error is None
    assert storage.fetch("SELECT type FROM blobs") == [("***",)]
    check_nowhere(storage, SECRET)
