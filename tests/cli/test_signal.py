"""`stepflow signal`: to an execution that waits, to one that does not, to none."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from stepflow.dsl.validate import read_flow
from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call
from tests.support.engine import finish, start, until, working

APPROVAL = {
    "name": "ask",
    "steps": [{"id": "may", "type": "approval"}],
    "output": "$.steps.may.output.data",
}


async def test_a_step_that_waits_goes_on_with_what_it_is_given(storage: SQLiteStorage, call: Call) -> None:
    flow = read_flow(APPROVAL).flow
    assert flow is not None
    run_id = start(storage, flow)
    async with working(storage):
        await until(storage, run_id, "waiting")
        done = await asyncio.to_thread(call, "signal", run_id, "may", "--data", '{"by": "ada"}')
        run = await until(storage, run_id)
    assert (done.stdout, done.stderr, done.exit_code) == (f"✓ Signal 'may' sent\n  Run ID: {run_id}\n", "", 0)
    assert run.output == {"by": "ada"}


async def test_one_that_no_step_waits_for_is_said_to_be_kept(storage: SQLiteStorage, call: Call) -> None:
    flow = read_flow(APPROVAL).flow
    assert flow is not None
    run_id = start(storage, flow)
    async with working(storage):
        await until(storage, run_id, "waiting")
        done = await asyncio.to_thread(call, "signal", run_id, "mya")
    assert done.stdout == f"✓ Signal 'mya' sent\n  Run ID: {run_id}\n"
    assert done.stderr == "  ℹ No step waits for it yet; it is kept for the first that will\n    Waited for now: may\n"


async def test_what_a_step_asks_and_how_to_answer_it_is_said(storage: SQLiteStorage, call: Call) -> None:
    flow = read_flow(APPROVAL).flow
    assert flow is not None
    run_id = start(storage, flow)
    async with working(storage):
        await until(storage, run_id, "waiting")
        listed = await asyncio.to_thread(call, "steps", run_id)
    assert listed.stdout.splitlines()[-1] == f"  answer with `stepflow signal {run_id} may`"


async def test_one_that_comes_early_is_kept(storage: SQLiteStorage, call: Call, folder: Path) -> None:
    flow = read_flow(APPROVAL).flow
    assert flow is not None
    (folder / "data.json").write_text(json.dumps(["early"]))
    async with working(storage):
        run_id = start(storage, flow, start_at=None)
        done = await asyncio.to_thread(call, "signal", run_id, "may", "--data", "@data.json")
        run = await until(storage, run_id)
    assert (done.exit_code, run.output) == (0, ["early"])


async def test_a_finished_execution_refuses_it(storage: SQLiteStorage, call: Call) -> None:
    flow = read_flow({"steps": [{"id": "a", "type": "noop"}]}).flow
    assert flow is not None
    run = await finish(storage, flow)
    done = await asyncio.to_thread(call, "signal", run.id, "x")
    assert (done.stdout, done.exit_code) == ("", 1)
    assert done.stderr == f"✗ Execution {run.id} is completed and hears no signals any more\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["exec_nothing", "x"], 1, "✗ Execution 'exec_nothing' not found"),
        (["exec_nothing", "x", "--data", "{bad"], 1, 'Write it like --data \'{"orderId"'),
        (["exec_nothing", "x", "--data", "@no.json"], 1, "✗ Input file 'no.json' not found"),
        (["exec_nothing"], 2, "Missing argument 'NAME'"),
    ],
)
def test_a_mistake_is_said(storage: SQLiteStorage, call: Call, arguments: list[str], code: int, says: str) -> None:
    done = call("signal", *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert says in done.stderr
