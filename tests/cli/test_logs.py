"""What the steps of an execution said, and following it; and where the stream of events ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stepflow.client import Client
from stepflow.components.registry import Registry, builtin_registry
from stepflow.contracts.component import Component, ComponentContext
from stepflow.model.flow import Step
from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call, Run
from tests.support.engine import start, until, until_event, working
from tests.support.flows import echo, flow, quick_retry


def log(key: str, message: str, level: str = "info", **options: object) -> Step:
    return Step(key=key, component="/builtin/log", input={"message": message, "level": level}, **options)  # type: ignore[arg-type]  # a step's own


def saying() -> Registry:
    """`/user/say` says what it is given, in all the ways there are."""

    def say(value: object, context: ComponentContext) -> None:
        context.log("begins", "debug", value=value, deep={"a": [1]})
        context.emit("my.event", {"a": 1})
        context.log("fails \x1b[2J\nsoon", "error")
        raise RuntimeError("no")

    registry = builtin_registry()
    registry.register(Component("/user/say", say, "sync", "it"))
    return registry


def without_times(text: str) -> list[str]:
    return [re.sub(r"^\[\d\d:\d\d:\d\d\] ", "", line) for line in text.splitlines()]


async def test_lines_and_own_events_are_said_with_level_step_attempt_and_fields(
    storage: SQLiteStorage, call: Call
) -> None:
    said = Step(key="say", component="/user/say", input="it", retry=quick_retry(2))
    run_id = start(storage, flow(log("hello", "all is well", "warn"), said))
    async with working(storage, saying()):
        await until(storage, run_id)
    done = await asyncio.to_thread(call, "logs", run_id)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = without_times(done.stdout)
    assert sorted(lines) == sorted(
        [
            "warn  hello: all is well",
            'debug say: begins value=it deep={"a": [1]}',
            'info  say: my.event {"a": 1}',
            "error say: fails \\x1b[2J⏎soon",
            'debug say (attempt 2): begins value=it deep={"a": [1]}',
            'info  say (attempt 2): my.event {"a": 1}',
            "error say (attempt 2): fails \\x1b[2J⏎soon",
        ]
    )

    async def only(*arguments: str) -> list[str]:
        return without_times((await asyncio.to_thread(call, "logs", run_id, *arguments)).stdout)

    assert await only("--level", "warn") == [line for line in lines if line[:5] in ("warn ", "error")]
    assert await only("--step", "hello") == ["warn  hello: all is well"]
    assert await only("--step", "say", "--level", "info") == [
        line for line in lines if " say" in line and not line.startswith("debug")
    ]
    assert await only("--follow") == lines
    events = [json.loads(line) for line in await only("--json")]
    assert {event["event_type"] for event in events} == {"log", "my.event"}
    assert len(events) == len(lines)


def test_an_unknown_step_level_or_execution_is_said_with_the_way_out(storage: SQLiteStorage, call: Call) -> None:
    run_id = start(storage, flow(echo("validate"), echo("charge")))
    done = call("logs", run_id, "--step", "chrge")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"✗ Execution {run_id} has no step 'chrge'; did you mean 'charge'?\n"
    assert f"see `stepflow steps {run_id}`" in call("logs", run_id, "--step", "nothing-like-it").stderr
    assert call("logs", run_id, "--level", "loud").exit_code == 2
    assert call("logs", run_id, "--step", "charge", "--children").exit_code == 2
    assert "not found" in call("logs", "exec_none").stderr


def test_that_nothing_was_said_is_said(storage: SQLiteStorage, call: Call) -> None:
    run_id = start(storage, flow(echo("a")))
    done = call("logs", run_id)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "ℹ No log lines\n")
    done = call("logs", run_id, "--json")
    assert (done.stdout, done.stderr) == ("", "")


async def test_the_lines_of_children_and_of_theirs_are_shown_when_they_are_asked_for(
    client: Client, storage: SQLiteStorage, call: Call
) -> None:
    inner = {"steps": [{"id": "say", "type": "log", "input": {"message": "item ${{ $.input }}"}}]}
    middle = {"steps": [{"id": "each", "type": "map", "input": {"items": [1, 2], "workflow": inner}}]}
    outer = {"steps": [{"id": "deep", "type": "map", "input": {"items": [1, 2], "workflow": middle}}]}
    await client.create_template("outer", outer)
    run_id, other = await client.start_run("outer"), await client.start_run("outer")
    async with working(storage):
        for one in (run_id, other):
            await until(storage, one)
    own = await asyncio.to_thread(call, "logs", run_id)
    assert own.stdout == ""
    assert own.stderr == "ℹ Its steps started 2 executions; --children shows what was said in them too\n"
    for options in ([], ["--follow"]):
        lines = without_times((await asyncio.to_thread(call, "logs", run_id, "--children", *options)).stdout)
        assert (
            sorted(re.sub(r"[0-9a-z]{16}", "ID", line) for line in lines)
            == ["info  ID say: item 1"] * 2 + ["info  ID say: item 2"] * 2
        )
        runs = {line.split()[1] for line in lines}
        assert len(runs) == 4
    parents = {(await client.get_run(run)).parent_run_id for run in runs}
    assert {(await client.get_run(str(parent))).parent_run_id for parent in parents} == {run_id}


@pytest.mark.parametrize("children", [False, True])
async def test_following_shows_what_comes_and_ends_with_the_execution(
    client: Client, storage: SQLiteStorage, call: Call, children: bool
) -> None:
    inner = {"steps": [{"id": "low", "type": "log", "input": {"message": "below"}}]}
    await client.create_template(
        "slow",
        {
            "steps": [
                {"id": "first", "type": "log", "input": {"message": "before"}},
                {"id": "may", "type": "approval"},
                {"id": "last", "type": "log", "input": {"message": "after"}, "depends_on": ["may"]},
                {"id": "each", "type": "map", "input": {"items": [1], "workflow": inner}, "depends_on": ["last"]},
            ]
        },
    )
    run_id = await client.start_run("slow")
    async with working(storage):
        await until_event(storage, run_id, "step.waiting")
        options = ["--children"] if children else []
        following = asyncio.create_task(asyncio.to_thread(call, "logs", run_id, "-f", *options))
        await client.signal(run_id, "may")
        done = await asyncio.wait_for(following, 30)
    said = [line.split(": ")[-1] for line in done.stdout.splitlines()]
    assert said == (["before", "after", "below"] if children else ["before", "after"])


def begin(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "stepflow.cli.main", *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("verb", ["logs", "stream"])
async def test_an_interrupted_follower_ends_quietly_with_130(
    client: Client, storage: SQLiteStorage, environment: dict[str, str], verb: str
) -> None:
    steps = [{"id": "first", "type": "log", "input": {"message": "before"}}, {"id": "may", "type": "approval"}]
    await client.create_template("slow", {"steps": steps})
    run_id = await client.start_run("slow")
    async with working(storage):
        await until_event(storage, run_id, "step.waiting")
        follower = begin(environment, verb, run_id, *(["-f"] if verb == "logs" else []))
        assert follower.stdout is not None
        while "before" not in await asyncio.to_thread(follower.stdout.readline):
            assert follower.poll() is None
        follower.send_signal(signal.SIGINT)
        _, error = await asyncio.to_thread(follower.communicate, timeout=20)
    assert (follower.returncode, error) == (130, "")


@pytest.mark.parametrize("verb", ["logs", "stream"])
async def test_a_reader_that_goes_away_ends_the_follower_quietly(
    client: Client, storage: SQLiteStorage, environment: dict[str, str], verb: str
) -> None:
    lines = [{"id": f"s{index}", "type": "log", "input": {"message": "x" * 1000}} for index in range(300)]
    await client.create_template("many", {"steps": lines})
    run_id = await client.start_run("many")
    async with working(storage):
        await until(storage, run_id)
    follower = begin(environment, verb, run_id)
    assert follower.stdout is not None
    assert follower.stderr is not None
    await asyncio.to_thread(follower.stdout.readline)
    follower.stdout.close()
    assert await asyncio.to_thread(follower.wait, 20) == 0
    assert follower.stderr.read() == ""
    follower.stderr.close()


async def test_a_paused_execution_says_why_it_stands_still_and_how_it_goes_on(
    client: Client, storage: SQLiteStorage, environment: dict[str, str], call: Call
) -> None:
    await client.create_template("slow", {"steps": [{"id": "may", "type": "approval"}]})
    run_id = await client.start_run("slow")
    async with working(storage):
        await until_event(storage, run_id, "step.waiting")
        await client.pause(run_id)
        says = f"somebody paused it; let it go on with `stepflow resume {run_id}`"
        assert (await asyncio.to_thread(call, "execution", run_id)).stdout.endswith(f"\nReason:\n{says}\n")
        for verb in (["stream"], ["logs", "--follow"]):
            follower = begin(environment, *verb, run_id)
            assert follower.stderr is not None
            line = await asyncio.to_thread(follower.stderr.readline)
            assert line == f"⚠ The execution is paused: {says}\n"
            follower.send_signal(signal.SIGINT)
            await asyncio.to_thread(follower.communicate, timeout=20)
            assert follower.returncode == 130


@pytest.mark.parametrize("of_json", [False, True])
async def test_the_stream_of_an_execution_that_has_ended_ends_wherever_it_begins(
    client: Client, storage: SQLiteStorage, call: Call, of_json: bool
) -> None:
    first, second = start(storage, flow(echo("a"))), start(storage, flow(echo("a")))
    async with working(storage):
        for run_id in (first, second):
            await until(storage, run_id)
    events = storage.get_events(first, after_seq=0, before_seq=None, limit=99, newest=False)
    options = ["--json"] if of_json else []

    async def streamed(after: int) -> list[str]:
        done = await asyncio.wait_for(asyncio.to_thread(call, "stream", first, "--from", str(after), *options), 20)
        return [line for line in done.stdout.splitlines() if line.startswith(("[", "{"))]

    assert len(await streamed(0)) == len(events)
    assert len(await streamed(events[1].seq)) == len(events) - 2
    for after in (events[-1].seq, storage.last_seq(), 10**9):
        assert await streamed(after) == []


def test_logs_of_another_process_come_as_lines_in_a_pipe(run: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    command = {"shell": True, "command": "echo out; echo err >&2"}
    (tmp_path / "x.yaml").write_text(json.dumps({"steps": [{"id": "sh", "type": "shell.run", "input": command}]}))
    started = run("run", "x.yaml", "--json")
    lines = without_times(run("logs", json.loads(started.stdout)["id"]).stdout)
    assert sorted(lines) == ["info  sh: out", "warn  sh: err stream=stderr"]
