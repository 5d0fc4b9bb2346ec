"""The steps of an execution: when, how long, how often, and why not."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from stepflow.client import Client
from stepflow.model.flow import Flow, OnError, Step
from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call
from tests.support.engine import finish, save, start, until, working
from tests.support.flows import chain, echo, flow, quick_retry

PLAIN = re.compile(r"(?m)^STEP {27}STATUS {10}STARTED\n─{70}\n((\S+ +(completed|skipped) +[\d:-]+\n)(  .*\n)*)+\Z")


def failing(message: str = "no stock", **options: Any) -> Step:
    return Step(key="charge", component="/builtin/fail", input={"message": message, "code": "REFUSED"}, **options)


def masked(text: str) -> str:
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "HH:MM:SS", text)
    return re.sub(r"\b\d+ms  +", "0ms       ", re.sub(r"\b\d+ms$", "0ms", text, flags=re.MULTILINE))


@pytest.fixture
def steps(storage: SQLiteStorage, call: Call) -> Callable[..., Any]:
    """Runs a flow to its end; what `stepflow steps` says of it."""

    async def show(made: Flow, *options: str) -> str:
        run = await finish(storage, made)
        done = await asyncio.to_thread(call, "steps", run.id, *options)
        assert (done.exit_code, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return show


async def test_the_table_of_a_plain_execution_is_the_one_of_the_page(steps: Callable[..., Any]) -> None:
    assert PLAIN.search(await steps(chain(3)))
    assert PLAIN.search(await steps(flow(echo("a"), echo("b", skip_if=True))))


async def test_below_a_failed_step_stands_why_and_the_others_say_how_long_they_took(steps: Callable[..., Any]) -> None:
    said = await steps(flow(echo("validate"), failing("no \x1b[31mstock\nleft"), echo("later", depends_on=("charge",))))
    assert masked(said).splitlines() == [
        "STEP                           STATUS          STARTED    DURATION",
        "─" * 70,
        "validate                       completed       HH:MM:SS   0ms",
        "charge                         failed          HH:MM:SS   0ms",
        "  REFUSED: no \\x1b[31mstock⏎left",
        "later                          failed          -          -",
        "  UPSTREAM_FAILED: Step 'charge' failed",
    ]


async def test_a_step_that_was_tried_again_says_how_often_and_each_attempt_has_its_row(
    steps: Callable[..., Any], storage: SQLiteStorage, call: Call
) -> None:
    said = await steps(flow(echo("a"), failing(retry=quick_retry(3))))
    header, _, first, *rest = masked(said).splitlines()
    assert header == "STEP                           STATUS          STARTED    DURATION  ATTEMPT"
    assert first.split() == ["a", "completed", "HH:MM:SS", "0ms", "1"]
    assert [line.split() for line in rest] == [
        ["charge", "failed", "HH:MM:SS", "0ms", "3"],
        ["REFUSED:", "no", "stock"],
    ]
    run_id = storage.list_runs(1, None, None, None, False)[0][0].id
    each = (await asyncio.to_thread(call, "steps", run_id, "--attempts")).stdout
    assert [line.split()[-1] for line in each.splitlines() if line.startswith("charge")] == ["1", "2", "3"]
    assert each.count("REFUSED: no stock") == 3
    lines = (await asyncio.to_thread(call, "steps", run_id, "--attempts", "--json")).stdout.splitlines()
    assert [(one["key"], one["attempt"]) for one in map(json.loads, lines)] == [
        ("a", 1),
        ("charge", 1),
        ("charge", 2),
        ("charge", 3),
    ]


async def test_attempts_of_a_plain_execution_are_one_each_with_their_durations(steps: Callable[..., Any]) -> None:
    header, _, row = (await steps(chain(1), "--attempts")).splitlines()
    assert header.split() == ["STEP", "STATUS", "STARTED", "DURATION", "ATTEMPT"]
    assert re.fullmatch(r"s0 +completed +\d\d:\d\d:\d\d +\d+ms +1", row)


async def test_why_a_step_was_skipped_went_on_or_was_taken_over_is_said(
    storage: SQLiteStorage, client: Client, call: Call
) -> None:
    made = flow(
        echo("good"),
        echo("no", skip_if=True),
        failing(on_error=OnError(action="continue", default_output=5)),
        Step(key="bad", component="/builtin/fail", input={"message": "x"}, depends_on=("good",)),
    )
    run = await finish(storage, made)
    said = (await asyncio.to_thread(call, "steps", run.id)).stdout
    assert "\n  REFUSED: no stock\n  went on with its default\n" in said
    assert re.search(r"\nno +skipped +- +-\n  \S", said)
    again = await client.retry(run.id)
    said = (await asyncio.to_thread(call, "steps", again)).stdout
    assert f"\n  taken over from {run.id}\n" in said


async def test_until_when_a_step_sleeps_and_what_it_waits_for_is_said(storage: SQLiteStorage, call: Call) -> None:
    made = flow(
        Step(key="nap", component="/builtin/sleep", input={"seconds": 3600}),
        Step(key="may", component="/builtin/wait_event", input={"name": "go"}),
    )
    run_id = start(storage, made)
    async with working(storage):
        await until(storage, run_id, "sleeping", "waiting")
    (nap, *_) = storage.get_steps(run_id, bodies=False, attempts=False)
    assert nap.wake_at is not None
    said = (await asyncio.to_thread(call, "steps", run_id)).stdout
    assert f"\n  until {nap.wake_at.astimezone():%Y-%m-%d %H:%M:%S}\n" in said
    assert f"\n  answer with `stepflow signal {run_id} go`\n" in said


async def test_a_step_that_runs_says_how_long_it_has_so_far(storage: SQLiteStorage, call: Call) -> None:
    made = flow(
        failing(on_error=OnError(action="continue")),
        Step(key="long", component="/shell/run", input={"command": ["sleep", "60"]}),
    )
    run_id = start(storage, made)
    async with working(storage):
        await until(storage, run_id, "running")
        async with asyncio.timeout(30):
            while [step.status for step in storage.get_steps(run_id, bodies=False, attempts=False)][1] != "running":
                await asyncio.sleep(0.01)
        said = (await asyncio.to_thread(call, "steps", run_id, "--attempts")).stdout
    (row,) = [line for line in said.splitlines() if line.startswith("long")]
    assert re.fullmatch(r"long +running +\d\d:\d\d:\d\d +[\d.]+m?s +1", row)


async def test_an_error_of_any_length_is_shortened_and_whole_as_json(
    storage: SQLiteStorage, call: Call, steps: Callable[..., Any]
) -> None:
    said = await steps(flow(failing("x" * 100_000)))
    assert max(map(len, said.splitlines())) < 600
    assert "xxx…\n" in said
    run_id = storage.list_runs(1, None, None, None, False)[0][0].id
    whole = json.loads((await asyncio.to_thread(call, "steps", run_id, "--json")).stdout)
    assert len(whole["error"]["message"]) > 600


def test_steps_of_an_execution_that_has_not_begun_are_pending(storage: SQLiteStorage, call: Call) -> None:
    save(storage, chain(2))
    done = call("steps", start(storage, chain(2)))
    assert [line.split() for line in done.stdout.splitlines()[2:]] == [["s0", "pending", "-"], ["s1", "pending", "-"]]
    assert done.stderr.startswith("⚠ The execution is queued: no worker is running; start one with")
