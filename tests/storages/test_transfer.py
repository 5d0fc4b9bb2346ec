"""Exports and imports: what comes out goes in again and is the same, whatever it is; what is no export is refused."""

from __future__ import annotations

import asyncio
import io
import json
import multiprocessing
import os
import re
import signal
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stepflow.client import Client
from stepflow.contracts.storage import AppendLogs, Claim, LogLine
from stepflow.contracts.transfer import ImportedRuns, ImportedTemplate, NotImported
from stepflow.errors import ImportRefusedError
from stepflow.model import jsontext
from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage
from stepflow.storages.sqlite.exporting import KNOWN_COLUMNS
from tests.conftest import OpenStorage
from tests.crash.flows import FLOWS
from tests.crash.victim import Death, registry_with_effects
from tests.simulation.planned import registry_for_workers
from tests.simulation.test_random_flows import case_of
from tests.support.engine import finish, save, start, steps_of, types_of, until, working
from tests.support.flows import chain, echo, flow, ref
from tests.support.hand import NOW, identity
from tests.workspace.test_versions import run_of, versions, watched

processes = multiprocessing.get_context("forkserver")


async def exported(storage: SQLiteStorage, *runs: str, template: str | None = None) -> bytes:
    async with Client(storage.url, read_only=True) as client:
        return b"".join([chunk async for chunk in client.export(list(runs), template=template)])


async def imported(storage: SQLiteStorage, text: bytes, *, resume: bool = False) -> list[Any]:
    async with Client(storage.url, durability="normal") as client:
        return [one async for one in client.import_from(io.BytesIO(text), resume=resume)]


def comparable(text: bytes) -> list[str]:
    """Without what an import gives anew: the header's time and the numbers of the log."""
    lines = text.decode().splitlines()
    assert json.loads(lines[0])["type"] == "export"
    assert json.loads(lines[-1])["type"] == "end"
    return [re.sub(r'"seq":\d+,', "", line) for line in lines[1:]]


def lines_of(text: bytes, kind: str) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, text.splitlines()) if line["type"] == kind]


def records_of(storage: SQLiteStorage) -> dict[str, Any]:
    runs, _ = storage.list_runs(10_000, None, None, None, True)
    return {run.id: msgspec.structs.replace(run, last_seq=0) for run in runs}


async def check_round_trip(source: SQLiteStorage, target: SQLiteStorage) -> None:
    text = await exported(source)
    await imported(target, text, resume=True)
    assert comparable(await exported(target)) == comparable(text)
    assert records_of(target) == records_of(source)


def test_no_column_is_forgotten(storage: SQLiteStorage) -> None:
    tables = {name for (name,) in storage.fetch("SELECT name FROM sqlite_master WHERE type = 'table'")}
    of_this_machine = {"workers", "process_groups"}
    assert {one for one in tables if not one.startswith(("sqlite_", "_sqlite_"))} == set(
        KNOWN_COLUMNS
    ) | of_this_machine
    for table, known in KNOWN_COLUMNS.items():
        columns = {name for (name,) in storage.fetch(f"SELECT name FROM pragma_table_info('{table}')")}
        assert columns == set(known.split()) - {"|"}, table


async def test_every_kind_of_flow_comes_back_as_it_was(open_storage: OpenStorage, tmp_path: Path) -> None:
    source = open_storage("source.db")
    async with working(source, registry_with_effects(tmp_path / "effects", Death())):
        waiting = {name: start(source, FLOWS[name]) for name in ("cancel", "signal", "cancel_children")}
        ended = [start(source, made) for name, made in FLOWS.items() if name not in waiting]
        for run_id in ended:
            await until(source, run_id)
        await until(source, waiting["cancel"], "sleeping")
        await until(source, waiting["signal"], "waiting")
        await until(source, waiting["cancel_children"], "waiting")
        for child in source.open_children(waiting["cancel_children"]):
            await until(source, child, "sleeping")
    target = open_storage("target.db")
    await check_round_trip(source, target)

    # And what had not ended goes on there.
    target.request_cancel(waiting["cancel"], None, NOW)
    target.signal(waiting["signal"], "go", "{}", NOW)
    target.request_cancel(waiting["cancel_children"], None, NOW)
    async with working(target, registry_with_effects(tmp_path / "effects", Death())):
        ends = [(await until(target, run_id)).status for run_id in waiting.values()]
    assert ends == [RunStatus.CANCELLED, RunStatus.COMPLETED, RunStatus.CANCELLED]
    assert target.fetch("SELECT * FROM child_groups") == []


async def test_random_flows_come_back_as_they_were(open_storage: OpenStorage) -> None:
    source = open_storage("source.db")
    cases = [case_of(seed) for seed in range(40)]
    runs = [start(source, case.flow, case.made.input, variables=jsontext.encode(case.made.variables)) for case in cases]
    async with working(source, registry_for_workers()):
        for run_id in runs:
            await until(source, run_id)
    await check_round_trip(source, open_storage("target.db"))


async def test_values_that_json_readers_bend_come_back_as_they_were(open_storage: OpenStorage) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    value = {"long": 10**40, "half": "\ud800", "small": 1e-300, "text": 'a\n"\u2028é\x07', "none": None, "minus": -0.0}
    run = await finish(source, flow(echo("a", {"$from": {"workflow": "input"}}), echo("b", None)), value)
    await check_round_trip(source, target)
    again = target.get_run(run.id)
    assert jsontext.encode(again.input) == jsontext.encode(value)
    assert again.output == run.output


async def test_the_whole_of_which_an_execution_is_part_goes_with_it(open_storage: OpenStorage, tmp_path: Path) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    async with working(source, registry_with_effects(tmp_path / "effects", Death())):
        parent = start(source, FLOWS["map"])
        other = start(source, chain(2))
        await until(source, parent)
        await until(source, other)
    (child, *_), _ = source.list_runs(1, None, None, "flow/each", True)
    text = await exported(source, child.id, parent)
    assert len(lines_of(text, "run")) == 5
    assert lines_of(text, "run")[0]["id"] == parent
    assert {line["name"] for line in lines_of(text, "template")} == {"flow", "flow/each"}
    results = await imported(target, text)
    assert results[-1] == ImportedRuns(parent, 5)
    assert target.get_run(child.id).parent_run_id == parent
    text = await exported(source, template="flow")
    assert {line["id"] for line in lines_of(text, "run")} > {parent, other}


async def test_what_is_stored_stays_as_it_is(open_storage: OpenStorage) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    run = await finish(source, chain(2))
    text = await exported(source)
    await imported(target, text)
    before = comparable(await exported(target))
    seq = target.last_seq()
    assert (await imported(target, text))[-1] == ImportedRuns(run.id, 0)
    assert comparable(await exported(target)) == before
    assert target.last_seq() == seq


async def test_versions_with_the_same_flow_are_one_and_the_newest_stays(open_storage: OpenStorage) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    run = await finish(source, chain(1))
    other = await finish(source, chain(2))
    save(target, chain(5))
    save(target, chain(1))
    template = next(one for one in await imported(target, await exported(source)) if isinstance(one, ImportedTemplate))
    assert (template.versions, template.newest) == ({2: 3}, 2)
    assert target.get_run(run.id).version == 2
    assert target.get_run(other.id).version == 3
    assert target.get_template("flow").version == 2
    assert target.get_template_version("flow").flow == chain(1)
    save(target, chain(7))
    assert target.get_template("flow").version == 4


async def test_an_idempotency_key_stays_with_whom_it_belongs_to(open_storage: OpenStorage) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    for storage in (source, target):
        start(storage, chain(1), idempotency_key="k")
    (result,) = [one for one in await imported(target, await exported(source)) if isinstance(one, ImportedRuns)]
    assert result.lost_key == "k"
    assert target.count_runs(None, None) == 2


async def test_what_has_not_ended_waits_until_it_is_told_to_go_on(open_storage: OpenStorage) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    run_id = start(source, chain(3))
    result = (await imported(target, await exported(source)))[-1]
    assert result == ImportedRuns(run_id, 1, paused=True)
    other = start(target, chain(3))
    async with working(target):
        await until(target, other)
        assert target.get_run(run_id).status is RunStatus.PAUSED
        assert target.resume(run_id, NOW)
        assert (await until(target, run_id)).status is RunStatus.COMPLETED
    assert types_of(target, run_id)[:3] == ["run.created", "run.paused", "run.queued"]


SENSITIVE = flow(
    echo("open", {"$from": {"workflow": "input"}}),
    Step(key="large", component="/test/large", input={"key": "mouth"}, sensitive=True),
    Step(key="small", component="/test/flaky", input={"key": "word", "fails": 0}, sensitive=True),
    Step(key="end", component="/builtin/fail", input={"message": "it ends here"}, depends_on=("small", "large")),
)


async def test_what_sensitive_steps_gave_stays_where_it_is(open_storage: OpenStorage, tmp_path: Path) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    registry = registry_with_effects(tmp_path / "effects", Death())
    run = await finish(source, SENSITIVE, registry=registry)
    assert source.fetch("SELECT count(*) FROM blobs")[0][0] == 1
    text = await exported(source)
    assert b"mouthmouth" not in text
    assert lines_of(text, "blob") == []
    assert [step["output"] for step in lines_of(text, "step") if step["key"] == "small"] == ["[sensitive]"]
    await imported(target, text)
    assert comparable(await exported(target)) == comparable(text)
    assert steps_of(target, run.id)["small"].output == steps_of(source, run.id)["small"].output == "[sensitive]"

    # A retry there performs again what it cannot take over.
    async with Client(target.url, durability="normal") as client:
        retry = await client.retry(run.id)
    async with working(target, registry):
        await until(target, retry)
    assert {key: step.reused for key, step in steps_of(target, retry).items()} == {
        "open": True,
        "large": False,
        "small": False,
        "end": False,
    }
    rows = target.fetch("SELECT output FROM steps s JOIN runs r ON r.num = s.run WHERE r.id = ? AND step = 2", (retry,))
    assert rows == [('{"attempt":1}',)]


async def test_the_value_of_a_secret_is_in_no_export(
    open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "hunter-of-words")
    storage = open_storage()
    shell = Step(key="a", component="/shell/run", input={"command": ["echo", {"$from": {"variable": "key"}}]})
    made = flow(shell, variables={"type": "object", "properties": {"key": {"type": "string", "secret": True}}})
    run_id = start(storage, made, variables='{"key":"env:MY_KEY"}')
    async with working(storage):
        assert (await until(storage, run_id)).status is RunStatus.COMPLETED
    text = await exported(storage)
    assert (b"hunter-of" in text, b"***" in text, b"env:MY_KEY" in text) == (False, True, True)


async def test_children_that_nobody_could_have_started_are_refused(open_storage: OpenStorage, tmp_path: Path) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    async with working(source, registry_with_effects(tmp_path / "effects", Death())):
        run_id = start(source, FLOWS["cancel_children"])
        await until(source, run_id, "waiting")
        for child in source.open_children(run_id):
            await until(source, child, "sleeping")
    text = await exported(source)
    (group,) = lines_of(text, "run")[0]["child_groups"]
    assert group["inputs"] == {"2": 3}
    for changes, message in (
        ({"number": 2**40}, "told apart"),
        ({"total": 2**50}, "are missing"),
        ({"inputs": {"x": 1}}, "are missing"),
        ({"step_key": "zz"}, "does not have"),
        ({"version": 77}, "does not have"),
    ):
        with pytest.raises(ImportRefusedError, match=message):
            await imported(target, changed(text, "run", child_groups=[{**group, **changes}]))
    with pytest.raises(ImportRefusedError, match="told apart"):
        await imported(target, changed(text, "run", child_groups=[group, group]))
    assert target.count_runs(None, None) == 0


async def test_what_would_go_on_without_the_output_of_a_sensitive_step_is_not_imported(
    open_storage: OpenStorage,
) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    nap = Step(key="nap", component="/builtin/sleep", input={"duration_ms": 3_600_000}, depends_on=("secret",))
    run_id = start(source, flow(echo("secret", "word", sensitive=True), nap))
    async with working(source):
        await until(source, run_id, "sleeping")
    assert (await imported(target, await exported(source)))[-1] == NotImported(run_id)
    assert target.count_runs(None, None) == 0


async def test_blobs_go_with_the_executions_that_speak_of_them(open_storage: OpenStorage) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    put = Step(key="put", component="/builtin/put_blob", input={"data": {"n": 1}, "blob_type": "report"})
    get = Step(key="get", component="/builtin/get_blob", input={"blob_id": ref("put", "blob_id")})
    run = await finish(source, flow(put, get))
    await check_round_trip(source, target)
    blob = steps_of(source, run.id)["put"].output["blob_id"]
    assert target.get_blob(blob) == '{"n":1}'
    assert target.fetch("SELECT type FROM blobs") == [("report",)]


async def test_an_export_is_of_one_moment_and_holds_nobody_up(open_storage: OpenStorage) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    runs = [start(source, chain(1), {"x": "y" * 10_000}) for _ in range(100)]
    async with Client(source.url) as client:
        export = client.export()
        text = await anext(export)
        assert len(text) < 600_000
        start(source, chain(1))
        async with working(source):
            await until(source, runs[-1])
        text += b"".join([chunk async for chunk in export])
    assert [line["id"] for line in lines_of(text, "run")] == runs
    assert {line["status"] for line in lines_of(text, "run")} == {RunStatus.QUEUED.value}
    await imported(target, text)


async def test_an_export_costs_no_memory(open_storage: OpenStorage) -> None:
    storage = open_storage()
    run_id = start(storage, chain(1))
    number = storage.load_run(run_id).number
    line = LogLine(number, 0, 1, NOW, "log", "info", jsontext.encode({"message": "m" * 200}))
    for _ in range(50):
        storage.perform(AppendLogs((line,) * 1000))
    async with Client(storage.url) as client:
        tracemalloc.start()
        size = 0
        async for chunk in client.export():
            size += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert size > 15_000_000
    assert peak < 4_000_000


def import_and_die(path: str, file: str, after: int) -> None:
    import asyncio

    async def take_in() -> None:
        async with Client(path, durability="normal") as client:
            count = 0
            with open(file, "rb") as opened:
                async for _ in client.import_from(opened):
                    count += 1
                    if count == after:
                        os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(take_in())


@pytest.mark.full
async def test_an_import_that_was_killed_is_done_again_and_ends_as_if_nothing_was(
    open_storage: OpenStorage, tmp_path: Path
) -> None:
    source = open_storage("source.db")
    async with working(source, registry_with_effects(tmp_path / "effects", Death())):
        for run_id in [start(source, FLOWS[name]) for name in ("map", "chain", "eval", "large", "failure")]:
            await until(source, run_id)
    text = await exported(source)
    (tmp_path / "x.jsonl").write_bytes(text)
    target = open_storage("target.db")
    for after in (1, 5, 7, 9):
        victim = processes.Process(target=import_and_die, args=(target.url, str(tmp_path / "x.jsonl"), after))
        victim.start()
        victim.join()
        assert victim.exitcode == -signal.SIGKILL
    await imported(target, text)
    assert comparable(await exported(target)) == comparable(text)


# What is no export


def changed(text: bytes, kind: str, **changes: Any) -> bytes:
    """With other keys in the first line of that type; None takes one away."""
    lines = text.splitlines()
    index = next(index for index, line in enumerate(lines) if json.loads(line)["type"] == kind)
    line = {key: value for key, value in {**json.loads(lines[index]), **changes}.items() if value is not ...}
    return b"\n".join([*lines[:index], json.dumps(line).encode(), *lines[index + 1 :]]) + b"\n"


def without(text: bytes, kind: str, which: int = 0) -> bytes:
    lines = text.splitlines()
    found = [index for index, line in enumerate(lines) if json.loads(line)["type"] == kind]
    del lines[found[which]]
    return b"\n".join(lines) + b"\n"


HOSTILE = {
    "nothing": (lambda text: b"", "the file is empty"),
    "no JSON": (lambda text: b"\xff\xfe\x00", "Line 1: it is not a line of an export"),
    "other JSON": (lambda text: b"[1]\n", "Expected `object`"),
    "deep": (lambda text: b"[" * 100_000, "Line 1"),
    "no head": (lambda text: without(text, "export"), "an export begins with"),
    "another format": (lambda text: changed(text, "export", format=2), "in format 2, and this release reads 1"),
    "no end": (lambda text: without(text, "end"), "the file ends before its last line"),
    "half a line": (lambda text: text[:-100], "Line"),
    "a run is missing": (lambda text: changed(text, "end", runs=7), "7 executions were exported"),
    "a type of its own": (lambda text: changed(text, "run", type="cron"), "Invalid value 'cron'"),
    "a key of its own": (lambda text: changed(text, "run", owner=1), "unknown field `owner`"),
    "an id that is none": (lambda text: changed(text, "run", id="exec_../x"), "it is about exec_"),
    "a status that is none": (lambda text: changed(text, "run", status="done"), "Invalid enum value"),
    "another status": (lambda text: changed(text, "run", status="failed", output=...), "not what its log says"),
    "a number that is a text": (lambda text: changed(text, "run", priority="1"), "Expected `int`"),
    "a number too large": (lambda text: changed(text, "run", priority=10**30), "Line"),
    "a time without a zone": (lambda text: changed(text, "run", created_at="2025-01-20T00:00:00"), "timezone"),
    "an error that is none": (lambda text: changed(text, "run", error=3), "its error is no object"),
    "another end": (lambda text: changed(text, "run", finished_at="2025-01-20T00:00:00Z"), "not what its log says"),
    "more steps": (lambda text: changed(text, "run", step_count=3), "it has 3 steps, and its template 2"),
    "its own parent": (lambda text: changed(text, "run", parent_run_id="exec_abcdabcd"), "comes before its parent"),
    "no parent": (lambda text: changed(text, "run", child_group=1), "and no parent"),
    "no template": (lambda text: without(text, "template"), "is not in the file before it"),
    "a template's name": (lambda text: changed(text, "template", name="../x"), "cannot be the name"),
    "no flow": (lambda text: changed(text, "template", flow={"steps": 3}), "the flow of template"),
    "no steps": (lambda text: changed(text, "template", flow={"steps": []}), "the flow of template"),
    "a step of its own": (lambda text: changed(text, "step", key="zz"), "no step 'zz'"),
    "another step status": (lambda text: changed(text, "step", status="failed"), "step 's0' is not what"),
    "a step less": (lambda text: without(text, "step"), "step 's0' is not what its log says"),
    "an event less": (lambda text: without(text, "event", 2), "its log has no event 3"),
    "the last event less": (lambda text: without(text, "event", -1), "not what its log says"),
    "another first event": (lambda text: changed(text, "event", event_type="run.started"), "begin with its creation"),
    "an event that is none": (lambda text: text.replace(b'"run.started"', b'"run.x"'), "is the engine's own"),
    "a level that is none": (lambda text: changed(text, "event", level="loud"), "'loud' is no level"),
    "a payload that is none": (lambda text: changed(text, "event", payload=[1]), "is no object"),
    "reused steps that are none": (lambda text: changed(text, "event", payload={"reused": ["x"]}), "its log is none"),
    "reused steps out of range": (lambda text: changed(text, "event", payload={"reused": [7]}), "its log is none"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_is_no_export_is_refused_before_anything_of_it_is_written(
    open_storage: OpenStorage, name: str
) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    await finish(source, chain(2))
    change, message = HOSTILE[name]
    with pytest.raises(ImportRefusedError, match=re.escape(message)) as refused:
        await imported(target, change(await exported(source)))
    assert refused.value.message.startswith("Line ")
    assert target.count_runs(None, None) == 0
    assert target.fetch("SELECT count(*) FROM steps") == [(0,)]


async def test_what_comes_before_a_bad_line_is_imported(open_storage: OpenStorage) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    first, second = start(source, chain(1)), start(source, chain(1))
    text = await exported(source)
    place = next(n for n, line in enumerate(text.splitlines(), 1) if second.encode() in line)
    one, two = (f'"run_id":"{second}","run_seq":{number}'.encode() for number in (1, 2))
    with pytest.raises(ImportRefusedError, match=f"Line {place}: {second}: its log has no event 1"):
        await imported(target, text.replace(one, two))
    assert [run.id for run in target.list_runs(10, None, None, None, True)[0]] == [first]


async def test_a_line_too_long_is_refused_without_being_read(
    open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow.runtime.transfer.MAX_LINE", 10_000)
    with pytest.raises(ImportRefusedError, match="Line 1: it is longer than"):
        await imported(open_storage(), b'{"type":"export","stepflow":"' + b"x" * 20_000)


async def test_a_blob_that_is_not_what_its_id_says_is_refused(open_storage: OpenStorage) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    await finish(source, flow(Step(key="put", component="/builtin/put_blob", input={"data": {"n": 1}})))
    with pytest.raises(ImportRefusedError, match="is not what its id says"):
        await imported(target, changed(await exported(source), "blob", data={"n": 2}))
    assert target.count_runs(None, None) == 0


async def test_what_runs_a_version_that_gave_way_goes_with_that_one(open_storage: OpenStorage) -> None:
    source, target, other = open_storage("source.db"), open_storage("target.db"), open_storage("other.db")
    first, second = watched(source, chain(1), "1"), watched(source, chain(2), "2")
    assert first.version == second.version == 1
    old, new = run_of(source, first), run_of(source, second)
    async with working(source):
        await until(source, old)
        await until(source, new)
    await check_round_trip(source, target)

    # Alone, it is the only one of its template, and has a number like any.
    await imported(other, await exported(source, old))
    assert versions(other) == [1]
    assert other.get_run(old).output == source.get_run(old).output
    await imported(other, await exported(source))
    assert (versions(other), other.get_run(new).version) == ([2, 1], 2)


async def test_a_version_that_an_import_uses_does_not_give_way(open_storage: OpenStorage) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    run_id = run_of(source, watched(source, chain(1), "1"))
    watched(target, chain(1), "1")
    await imported(target, await exported(source), resume=True)
    for n in (2, 3, 4):
        watched(target, chain(n), str(n))
    async with working(target):
        assert (await until(target, run_id)).status is RunStatus.COMPLETED


async def test_what_a_worker_had_just_taken_is_taken_elsewhere(open_storage: OpenStorage) -> None:
    source, target = open_storage("source.db"), open_storage("target.db")
    hour_ms = 3_600_000
    run_id = start(source, flow(Step(key="nap", component="/builtin/sleep", input={"duration_ms": hour_ms})))
    async with working(source):
        await until(source, run_id, "sleeping")
    taken = source.perform(Claim(source.register_worker(identity(), 1e12), 1, now_ms() + hour_ms))
    assert [stored.id for stored in taken.runs] == [run_id]
    await imported(target, await exported(source), resume=True)
    async with working(target):
        while types_of(target, run_id).count("run.sleeping") < 2:
            await asyncio.sleep(0.005)
