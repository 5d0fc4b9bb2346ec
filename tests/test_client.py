"""The client against a real worker, and against dead ones."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stepflow.client import Client
from stepflow.components.registry import builtin_registry
from stepflow.errors import (
    DSLValidationError,
    InvalidInputError,
    NotFoundError,
    RunNotFoundError,
    StorageError,
    TemplateExistsError,
    TemplateNotFoundError,
    WorkflowEngineError,
)
from stepflow.model.run import Retried
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from tests.crash.victim import work
from tests.support.engine import until, until_event, working

processes = multiprocessing.get_context("forkserver")

TWO_STEPS = """
name: two
steps:
  - {id: a, type: echo, input: $.input}
  - {id: b, type: shell.run, input: {command: [sh, -c, "test -e $FLAG"], env: {FLAG: $.input.flag}}, depends_on: [a]}
"""


@pytest.fixture
async def client(storage: SQLiteStorage) -> AsyncIterator[Client]:
    async with Client(storage.url, durability="normal") as client:
        yield client


async def test_templates_are_saved_listed_changed_and_deleted(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    saved = await client.create_template(None, TWO_STEPS, file=str(file))
    assert (saved.name, saved.version, saved.base_dir) == ("two", 1, str(tmp_path))
    with pytest.raises(TemplateExistsError):
        await client.create_template("two", TWO_STEPS)
    assert (await client.update_template("two", TWO_STEPS, file=str(file))).version == 1
    assert (await client.update_template("two", {"steps": [{"id": "x", "type": "noop"}]})).version == 2
    assert [template.name for template in await client.list_templates()] == ["two"]
    assert await client.count_templates() == 1
    assert len(await client.template_versions("two")) == 2
    assert (await client.get_template("two", 1)).source == TWO_STEPS
    await client.delete_template("two")
    with pytest.raises(TemplateNotFoundError):
        await client.describe_template("two")


async def test_a_wrong_template_is_refused_with_its_diagnostics(client: Client) -> None:
    with pytest.raises(DSLValidationError) as raised:
        await client.create_template("x", "steps:\n  - id: a\n")
    assert raised.value.diagnostics[0].message == "Missing required field: steps[0].type"


@pytest.mark.parametrize(
    ("given", "like"),
    [("Bad Name", "bad-name"), ("sub/flow", "sub-flow"), ("../x", "x"), ("Größe", "grosse"), ("-x", "x"), ("a\n", "a")],
)
async def test_a_name_that_is_none_is_refused_with_one_that_is(client: Client, given: str, like: str) -> None:
    for save in (client.create_template, client.update_template, client.save_template):
        with pytest.raises(WorkflowEngineError, match="cannot be a template's name") as raised:
            await save(given, {"steps": [{"id": "x", "type": "noop"}]})
        assert raised.value.code == "INVALID_NAME"
        assert raised.value.message.endswith(f"use '{like}'")
    assert await client.count_templates() == 0


@pytest.mark.parametrize(
    ("file", "name"), [("sub/My Flow.yaml", "my-flow"), ("Größe.yml", "grosse"), ("a.b_c.json", "a.b_c")]
)
async def test_a_template_without_a_name_has_that_of_its_file(client: Client, file: str, name: str) -> None:
    text = '{"steps": [{"id": "x", "type": "noop"}]}'
    assert (await client.save_template(None, text, file=file)).name == name
    with pytest.raises(WorkflowEngineError, match="has no name"):
        await client.save_template(None, text, file="???.yaml")


async def test_saving_gives_back_what_there_is_to_say(client: Client) -> None:
    text = """\
name: mine
triggers: [{cron: "0 9 * * *"}]
steps: [{id: a, component: /user/load}]
"""
    saved = await client.create_template("other", text, file="flows/mine.yaml")
    assert [(one.code, one.level, one.place) for one in saved.diagnostics] == [
        ("W106", "warning", "flows/mine.yaml:1:7"),
        ("I131", "info", "flows/mine.yaml:2:1"),
        ("W151", "warning", "flows/mine.yaml:3:28"),
    ]
    assert "'other'" in saved.diagnostics[0].message
    assert "'mine'" in saved.diagnostics[0].message
    assert (await client.save_template("mine", text.replace("name: mine", "name: Mine"))).diagnostics[0].code == "I131"
    (diagnostic,) = (await client.create_template("third", {"name": "x", "steps": {"a": {"type": "noop"}}})).diagnostics
    assert (diagnostic.code, diagnostic.line) == ("W106", 0)


async def test_a_component_of_the_workspace_is_known_when_a_template_is_saved(
    storage: SQLiteStorage, tmp_path: Path
) -> None:
    folder = tmp_path / "components"
    folder.mkdir()
    (folder / "mine.py").write_text(
        'from stepflow import component\n\n\n@component("/http/load")\ndef load(input): return input\n'
    )
    flow = {"steps": [{"id": "a", "component": "/http/load"}]}
    async with Client(storage.url, tmp_path) as client:
        assert (await client.create_template("x", flow)).diagnostics == ()
        (folder / "broken.py").write_text("import nothing_like_this")
        said = (await client.create_template("y", {"steps": [{"id": "a", "component": "/user/x"}]})).diagnostics
    assert {one.code for one in said} == {"W151", "W152"}
    assert any("nothing_like_this" in one.message for one in said)


async def test_saving_says_what_changed(client: Client) -> None:
    assert (await client.create_template("two", TWO_STEPS)).change == "version"
    assert (await client.update_template("two", TWO_STEPS)).change == "nothing"
    again = await client.update_template("two", f"# why\n{TWO_STEPS}")
    assert (again.change, again.version) == ("text", 1)
    assert (await client.get_template("two")).source == f"# why\n{TWO_STEPS}"


async def test_a_signal_says_whether_a_step_waits_for_it(client: Client, storage: SQLiteStorage) -> None:
    await client.create_template("x", {"steps": [{"id": "may", "type": "approval"}]})
    run_id = await client.start_run("x")
    async with working(storage):
        await until(storage, run_id, RunStatus.WAITING)
        assert not await client.signal(run_id, "other")
        assert await client.signal(run_id, "may", {"by": "ada"})
        assert (await client.wait_for_run(run_id)).status is RunStatus.COMPLETED


async def test_a_wrong_input_starts_nothing(client: Client) -> None:
    schema = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    await client.create_template("x", {"input_schema": schema, "steps": [{"id": "a", "type": "noop"}]})
    with pytest.raises(InvalidInputError, match="n"):
        await client.start_run("x", {"n": "one"})
    with pytest.raises(InvalidInputError):
        await client.start_run("x", {"n": float("nan")})
    for priority in (10**10, -(10**30)):
        with pytest.raises(InvalidInputError, match="out of range"):
            await client.start_run("x", {"n": 1}, priority=priority)
    assert await client.count_runs() == 0


async def test_a_run_is_started_followed_and_read(client: Client, storage: SQLiteStorage) -> None:
    await client.create_template("x", {"steps": [{"id": "a", "type": "echo", "input": "$.input.n"}]})
    run_id = await client.start_run("x", {"n": 5}, metadata={"who": "me"}, priority=3)
    async with working(storage):
        run = await client.wait_for_run(run_id, timedelta(seconds=10))
    assert (run.output, run.input, run.metadata, run.priority) == ({"a": 5}, {"n": 5}, {"who": "me"}, 3)
    assert [step.output for step in await client.get_steps(run_id)] == [5]
    assert [event.event_type async for event in _until_end(client, run_id)][-1] == "run.completed"
    assert (await client.list_runs(status="succeeded", with_total=True)).total == 1
    assert await client.status_counts() == {RunStatus.COMPLETED: 1}
    with pytest.raises(WorkflowEngineError, match="use one of"):
        await client.list_runs(status="nonsense")


async def _until_end(client: Client, run_id: str) -> AsyncIterator[Any]:
    async for event in client.follow(0, run_id):
        yield event
        if event.event_type == "run.completed":
            return


async def test_a_blob_is_read_by_its_id(client: Client, storage: SQLiteStorage) -> None:
    await client.create_template("x", {"steps": [{"id": "a", "type": "put_blob", "input": {"data": {"n": 1}}}]})
    run_id = await client.start_run("x")
    async with working(storage):
        blob_id = (await until(storage, run_id)).output["a"]["blob_id"]
    assert await client.get_blob(blob_id) == {"n": 1}
    with pytest.raises(NotFoundError, match="There is no blob 0"):
        await client.get_blob("0" * 64)


async def test_waiting_gives_up_in_time(client: Client) -> None:
    await client.create_template("x", {"steps": [{"id": "a", "type": "noop"}]})
    run_id = await client.start_run("x")
    with pytest.raises(TimeoutError):
        await client.wait_for_run(run_id, timedelta(milliseconds=50))


async def test_a_retry_takes_over_what_completed(client: Client, storage: SQLiteStorage, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    await client.create_template("two", TWO_STEPS)
    failed = await client.start_run("two", {"flag": str(flag)})
    async with working(storage):
        assert (await client.wait_for_run(failed)).status is RunStatus.FAILED
        flag.touch()
        assert (await client.get_run(failed)).retried_as is None
        before = await client.retry(failed, from_step="b")
        await client.wait_for_run(before)
        retried = await client.retry(failed)
        run = await client.wait_for_run(retried)
    assert run.status is RunStatus.COMPLETED
    newest = Retried(retried, RunStatus.COMPLETED)
    assert (await client.get_run(failed)).retried_as == newest
    listed = {one.id: one.retried_as for one in (await client.list_runs()).items}
    assert listed == {failed: newest, before: None, retried: None}
    assert run.retry_of == failed
    assert [(step.key, step.reused) for step in await client.get_steps(retried)] == [("a", True), ("b", False)]
    with pytest.raises(WorkflowEngineError, match="run it anew"):
        await client.retry(retried)


async def test_a_retry_from_a_step_with_another_input_or_another_version_reuses_less(
    client: Client, storage: SQLiteStorage, tmp_path: Path
) -> None:
    await client.create_template("two", TWO_STEPS)
    failed = await client.start_run("two", {"flag": str(tmp_path / "never")})
    async with working(storage):
        await client.wait_for_run(failed)

        async def reused(**options: Any) -> list[str]:
            run_id = await client.retry(failed, **options)
            await client.wait_for_run(run_id)
            return [step.key for step in await client.get_steps(run_id) if step.reused]

        assert await reused() == ["a"]
        assert await reused(from_step="a") == []
        assert await reused(input={"flag": str(tmp_path / "other")}) == []
        await client.update_template("two", TWO_STEPS.replace("type: echo", "type: noop"))
        assert await reused(version=2) == []
        with pytest.raises(WorkflowEngineError, match="not a step"):
            await client.retry(failed, from_step="zz")


USES_A_VARIABLE = """
variables: {n: {type: integer, default: 1}}
steps:
  - {id: a, type: echo, input: $.variables.n}
  - {id: b, type: echo, input: {given: 1}}
  - {id: bad, type: fail, input: {message: "no"}}
"""


async def test_a_step_is_not_reused_where_a_default_or_a_value_became_another(
    client: Client, storage: SQLiteStorage
) -> None:
    await client.create_template("uses", USES_A_VARIABLE)
    failed = await client.start_run("uses")
    given = await client.start_run("uses", variables={"n": 5})
    async with working(storage):
        await client.wait_for_run(failed)
        await client.wait_for_run(given)
    assert (await client.plan_redrive(failed)).reused == ("a", "b")
    await client.update_template("uses", USES_A_VARIABLE.replace("default: 1", "default: 2"))
    assert (await client.plan_redrive(failed, version="latest")).reused == ("b",)
    assert (await client.plan_redrive(given, version="latest")).reused == ("a", "b")
    await client.update_template("uses", USES_A_VARIABLE.replace("given: 1", "given: true"))
    assert (await client.plan_redrive(failed, version="latest")).reused == ("a",)


@pytest.mark.parametrize("delay", [None, timedelta(hours=1)])
async def test_a_run_that_nobody_holds_is_cancelled_here_and_now(client: Client, delay: timedelta | None) -> None:
    await client.create_template("x", {"steps": [{"id": "a", "type": "noop"}]})
    run_id = await client.start_run("x", delay=delay)
    assert await client.cancel(run_id, "not needed")
    run = await client.get_run(run_id)
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "not needed")
    assert not await client.cancel(run_id)
    with pytest.raises(RunNotFoundError):
        await client.cancel("exec_nothing")


def live_until_killed(database: str) -> None:
    asyncio.run(work(SQLiteStorage(database, durability="normal"), builtin_registry()))


async def test_cancelling_a_dead_workers_run_kills_what_it_left_running(
    client: Client, storage: SQLiteStorage, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    command = ["sh", "-c", f"echo $$ > {pid_file}.new; mv {pid_file}.new {pid_file}; sleep 60"]
    await client.create_template("x", {"steps": [{"id": "a", "type": "shell.run", "input": {"command": command}}]})
    run_id = await client.start_run("x")
    victim = processes.Process(target=live_until_killed, args=(storage.url,))
    victim.start()
    async with asyncio.timeout(20):
        while not pid_file.exists():
            await asyncio.sleep(0.01)
    assert victim.pid is not None
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    pid = int(pid_file.read_text())
    assert Path(f"/proc/{pid}").exists()
    assert await client.cancel(run_id)
    assert (await client.get_run(run_id)).status is RunStatus.CANCELLED
    assert not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


async def test_a_large_input_is_taken_and_not_copied_into_every_step(client: Client, storage: SQLiteStorage) -> None:
    await client.create_template("x", {"steps": [{"id": "a", "type": "echo", "input": {"n": "$.input.n"}}]})
    run_id = await client.start_run("x", {"n": 1, "big": "x" * 50_000_000})
    async with working(storage):
        run = await until(storage, run_id)
    assert run.status is RunStatus.COMPLETED
    assert storage.statistics()["bytes"] < 60_000_000


async def test_of_large_values_only_the_size_is_told_to_those_who_ask_for_no_more(
    client: Client, storage: SQLiteStorage
) -> None:
    await client.create_template("x", {"steps": [{"id": "a", "type": "echo", "input": "$.input.n"}]})
    run_id = await client.start_run("x", {"n": "x" * 998}, metadata={"who": "me"})
    async with working(storage):
        whole = await until(storage, run_id)
    without = await client.get_run(run_id, bodies=False)
    assert (without.input, without.output, without.metadata) == (None, None, {})
    assert msgspec.structs.replace(without, input=whole.input, output=whole.output, metadata=whole.metadata) == whole
    for largest, told in ((1000, "x" * 998), (999, {"$omitted": {"size": 1000}})):
        assert (await client.get_run(run_id, largest=largest + 6)).output == (
            {"a": told} if largest == 1000 else {"$omitted": {"size": 1006}}
        )
        (step,) = await client.get_steps(run_id, step="a", largest=largest)
        assert step.output == told
        (step,) = await client.get_steps(run_id, step="a", at_seq=whole.last_seq, largest=largest)
        assert step.output == told
        (end,) = [one for one in await client.get_events(run_id, largest=largest) if one.event_type == "step.completed"]
        assert end.payload["result"] == told
    past = await client.get_run(run_id, whole.last_seq, largest=10)
    assert past.input == past.output == {"$omitted": {"size": 1006}}
    async for events in client.follow_batches(0, run_id, bodies=False):
        assert {event.payload.get("result") for event in events} == {None}
        break


async def test_a_worker_is_started_only_when_none_is_alive(client: Client, storage: SQLiteStorage) -> None:
    await client.create_template("x", {"steps": [{"id": "a", "type": "noop"}]})
    process = await client.ensure_worker()
    assert process is not None
    try:
        run = await client.wait_for_run(await client.start_run("x"), timedelta(seconds=20))
        assert run.status is RunStatus.COMPLETED
        assert await client.ensure_worker() is None
        (worker,) = await client.workers()
        assert worker.background
        assert worker.pid == process.pid
    finally:
        process.stop()
        async with asyncio.timeout(20):
            while process.is_alive():
                await asyncio.sleep(0.02)
    assert await client.workers() == []


async def test_a_client_that_is_not_open_says_so(storage: SQLiteStorage) -> None:
    with pytest.raises(WorkflowEngineError, match="async with"):
        await Client(storage.url).list_templates()


async def test_events_of_a_run_are_read_by_whatever_names_it(client: Client, storage: SQLiteStorage) -> None:
    await client.create_template("x", {"steps": [{"id": "a", "type": "noop"}]})
    run_id = await client.start_run("x")
    async with working(storage):
        await until_event(storage, run_id, "run.completed")
    assert len(await client.get_events(run_id[:-3])) == len(await client.get_events(run_id)) > 3
    assert await client.last_seq() == (await client.get_events(newest=True, limit=1))[0].seq


async def test_a_storage_that_is_only_read_says_so_at_every_write(storage: SQLiteStorage) -> None:
    async with Client(storage.url) as writer:
        await writer.create_template("x", {"steps": [{"id": "a", "type": "noop"}]})
    async with Client(storage.url, read_only=True) as reader:
        assert len(await reader.list_templates()) == 1
        with pytest.raises(StorageError, match="for reading only"):
            await reader.start_run("x")
        with pytest.raises(StorageError, match="for reading only"):
            await reader.delete_template("x")
