"""What is said of an execution: why nobody goes on with it, where it failed, what it gave."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from stepflow.cli import watching
from stepflow.cli.verbs import run
from stepflow.cli.watching import Watch
from stepflow.client import Client, WorkerProcess
from stepflow.components.registry import builtin_registry
from stepflow.contracts.component import Component
from stepflow.storages.sqlite import SQLiteStorage
from stepflow.storages.sqlite.turnstile import Turnstile
from tests.cli.conftest import Call
from tests.support.engine import until, working

NOBODY_HAS_IT = "no running worker offers /user/lod"
FAILS = """\
# $.input.n < 'x' is not meant
name: fails
steps:
  - {id: good, type: echo, input: 1}
  - {id: bad, type: echo, input: "it is ${{ $.input.n < 'x' }}"}
"""
PLACE = "at fails.yaml:5:45"


@pytest.fixture
async def queued(client: Client) -> str:
    """An execution that needs what nobody offers."""
    await client.create_template("x", {"steps": [{"id": "a", "component": "/user/lod"}]})
    return await client.start_run("x")


def test_a_start_that_waits_for_another_writer_says_so(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "x.yaml").write_text("name: x\nsteps: [{id: a, type: echo, input: 1}]\n")
    call("create", "x", "--dsl", "x.yaml")
    holder = Turnstile(folder / "x.db")
    said: list[str] = []

    def note(text: str) -> None:
        said.append(text)
        holder.leave()

    monkeypatch.setattr(run, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(run, "note", note)
    holder.enter()
    done = call("run", "x", "--async", "--no-worker")
    holder.close()
    assert done.exit_code == 0
    assert said == ["ℹ Waiting for another process that writes to the database; `stepflow doctor` names it"]


async def is_left(storage: SQLiteStorage, run_id: str) -> None:
    """The worker has taken a look at it, which are two changes of hands, and will not again."""
    async with asyncio.timeout(60):
        while storage.load_run(run_id).fence < 2:
            await asyncio.sleep(0.01)


async def test_why_nobody_takes_an_execution_is_said_wherever_it_is_shown(
    storage: SQLiteStorage, call: Call, queued: str
) -> None:
    async with working(storage):
        await is_left(storage, queued)

        async def said(*arguments: str) -> tuple[str, str]:
            done = await asyncio.to_thread(call, *arguments)
            assert done.exit_code == 0, done.stderr
            return done.stdout, done.stderr

        assert (await said("execution", queued))[0].endswith(f"\n\nReason:\n{NOBODY_HAS_IT}\n")
        assert json.loads((await said("execution", queued, "--json"))[0])["reason"] == NOBODY_HAS_IT
        assert (await said("executions"))[0].splitlines()[-1] == f"  {NOBODY_HAS_IT}"
        assert json.loads((await said("executions", "--json"))[0])["reason"] == NOBODY_HAS_IT
        warning = f"⚠ The execution is queued: {NOBODY_HAS_IT}\n"
        assert (await said("steps", queued))[1] == warning
        assert (await said("steps", queued, "--json"))[1] == warning
        assert (await said("run", "x", "--async"))[1] == warning
        out, error = await said("run", "x", "--async", "--json")
        assert (json.loads(out)["reason"], error) == (NOBODY_HAS_IT, warning)


@pytest.mark.parametrize("verb", ["run", "stream"])
async def test_who_waits_for_its_end_is_told_at_once(
    storage: SQLiteStorage, call: Call, client: Client, queued: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "FIRST_LOOK_SECONDS", 3600.0)
    was_said = threading.Event()
    say_why = Watch.say_why

    async def say(watch: Watch) -> None:
        await say_why(watch)
        was_said.set()

    monkeypatch.setattr(Watch, "say_why", say)
    async with working(storage):
        await is_left(storage, queued)
        showing = asyncio.create_task(asyncio.to_thread(call, verb, {"run": "x", "stream": queued}[verb]))
        await asyncio.to_thread(was_said.wait, 30)
        for run in (await client.list_runs()).items:
            await client.cancel(run.id)
        done = await showing
    assert done.stderr.startswith(f"⚠ The execution is queued: {NOBODY_HAS_IT}\n")


async def test_without_a_worker_the_way_out_is_said(call: Call, queued: str) -> None:
    says = "no worker is running; start one with `stepflow worker`"
    assert (await asyncio.to_thread(call, "execution", queued)).stdout.endswith(f"Reason:\n{says}\n")
    assert (await asyncio.to_thread(call, "steps", queued)).stderr == f"⚠ The execution is queued: {says}\n"


async def test_another_worker_is_started_when_the_last_one_is_gone(
    client: Client, storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watching, "FIRST_LOOK_SECONDS", 0.05)
    started: list[WorkerProcess] = []
    ensure_worker = client.ensure_worker

    async def ensure() -> WorkerProcess | None:
        process = await ensure_worker()
        started.extend([process] if process is not None else [])
        return process

    monkeypatch.setattr(client, "ensure_worker", ensure)
    await client.create_template("x", {"steps": [{"id": "may", "type": "approval"}]})
    run_id = await client.start_run("x")
    async with working(storage):
        await until(storage, run_id, "waiting")
    await client.signal(run_id, "may")
    try:
        async for event in Watch(client, run_id, keeps_alive=True).events():
            if event.event_type == "run.completed":
                break
        assert len(started) == 1
        assert capsys.readouterr().err.startswith("⚠ Its worker is gone; another one was started (what they say is in ")
    finally:
        for process in started:
            process.stop()
            while process.is_alive():
                await asyncio.sleep(0.02)


async def test_who_starts_no_worker_says_once_that_there_is_none(
    client: Client, storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watching, "FIRST_LOOK_SECONDS", 0.01)
    await client.create_template("x", {"steps": [{"id": "may", "type": "approval"}]})
    run_id = await client.start_run("x")
    async with working(storage):
        await until(storage, run_id, "waiting")
    looks = 0
    looked = Watch.say_why

    async def say_why(watch: Watch) -> None:
        nonlocal looks
        await looked(watch)
        looks += 1
        if looks == 3:
            await client.signal(run_id, "may")

    monkeypatch.setattr(Watch, "say_why", say_why)
    async for event in Watch(client, run_id).events():
        if event.event_type == "signal.received":
            break
    said = capsys.readouterr().err
    assert said == "⚠ The execution is waiting: no worker is running; start one with `stepflow worker`\n"
    assert await client.workers() == []


async def test_where_it_failed_is_shown_below_the_failure(storage: SQLiteStorage, call: Call, folder: Path) -> None:
    (folder / "fails.yaml").write_text(FAILS)
    async with working(storage):
        ran = await asyncio.to_thread(call, "run", "fails.yaml", "--input", '{"n": 1}')
    message = "bad: a number < a text: only numbers with numbers, text with text"
    assert ran.stderr.endswith(f"✗ Execution failed: {message}\n  {PLACE}\n")
    run_id = storage.list_runs(1, None, None, None, False)[0][0].id
    assert (await asyncio.to_thread(call, "execution", run_id)).stdout.endswith(f"Error:\n{message}\n  {PLACE}\n")
    assert (await asyncio.to_thread(call, "steps", run_id)).stdout.endswith(f": {message[5:]}\n  {PLACE}\n")


async def test_a_skipped_result_says_so(storage: SQLiteStorage, call: Call, folder: Path) -> None:
    (folder / "skips.yaml").write_text(
        "steps: [{id: b, type: noop}, {id: a, type: noop, when: false}]\noutput: [$.steps.b.output, $.steps.a.output]\n"
    )
    async with working(storage):
        ran = await asyncio.to_thread(call, "run", "skips.yaml")
    assert ran.stdout.endswith("Result:\nnull (skipped: step 'a' was skipped)\n")
    run_id = storage.list_runs(1, None, None, None, False)[0][0].id
    shown = await asyncio.to_thread(call, "execution", run_id)
    assert shown.stdout.endswith("Result:\nnull (skipped: step 'a' was skipped)\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["list"], 0), (["executions"], 0), (["workers"], 0), (["steps", "exec_none"], 1), (["get", "x"], 1)],
)
def test_what_only_looks_makes_no_database(call: Call, folder: Path, arguments: list[str], code: int) -> None:
    done = call("--db", "no/such/x.db", *arguments)
    assert done.exit_code == code
    assert done.stderr.startswith("ℹ There is no database no/such/x.db yet\n")
    assert list(folder.iterdir()) == []


async def test_a_component_of_the_users_worker_is_offered(storage: SQLiteStorage, call: Call, queued: str) -> None:
    registry = builtin_registry()
    registry.register(Component("/user/lod", lambda value, context: 1, "sync", "it"))
    async with working(storage, registry):
        await until(storage, queued)
        shown = await asyncio.to_thread(call, "execution", queued)
    assert "Reason" not in shown.stdout
    assert '{"a": 1}' in shown.stdout
