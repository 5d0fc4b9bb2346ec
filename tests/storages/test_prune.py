"""Pruning: what goes goes whole, nothing that lives is touched, and whoever works or follows beside it is unharmed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stepflow.client import Client
from stepflow.contracts.storage import ProcessGroup, PruneForecast, PruneRule
from stepflow.errors import EventsPrunedError, RunNotFoundError, TemplateNotFoundError, WorkflowEngineError
from stepflow.model.flow import Step
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from stepflow.runtime.bridge import Bridge
from stepflow.runtime.followers import follow
from stepflow.storages.sqlite import SQLiteStorage, prune
from stepflow.storages.sqlite.exporting import KNOWN_COLUMNS
from tests.conftest import OpenStorage
from tests.crash.flows import FLOWS
from tests.crash.victim import Death, registry_with_effects
from tests.support.engine import finish, save, start, steps_of, types_of, until, working
from tests.support.flows import chain, echo, flow, ref
from tests.support.hand import NOW, identity

processes = multiprocessing.get_context("forkserver")

OF_RUNS = ["process_groups", *(one for one in KNOWN_COLUMNS if not one.startswith("template") and one != "blobs")]


def rule(**more: Any) -> PruneRule:
    return PruneRule(**{"finished_before": now_ms() + 1, **more})


def pruned(storage: SQLiteStorage, **more: Any) -> int:
    """How many root runs went."""
    return sum(one.roots for one in storage.prune(rule(**more), now_ms()))


def counts(storage: SQLiteStorage) -> dict[str, int]:
    return {table: storage.fetch(f"SELECT count(*) FROM {table}")[0][0] for table in OF_RUNS}


def ids(storage: SQLiteStorage) -> list[str]:
    return [run.id for run in reversed(storage.list_runs(1000, None, None, None, True)[0])]


@contextmanager
def registered(storage: SQLiteStorage) -> Iterator[None]:
    worker = storage.register_worker(identity(), 1e12)
    yield
    storage.remove_worker(worker)


async def finished(storage: SQLiteStorage, folder: Path, *names: str) -> list[str]:
    async with working(storage, registry_with_effects(folder / "effects", Death())):
        runs = [start(storage, FLOWS[name]) for name in names]
        for name, run_id in zip(names, runs, strict=True):
            if name == "signal":
                await until(storage, run_id, "waiting")
                storage.signal(run_id, "go", "{}", NOW)
            await until(storage, run_id)
    return runs


async def test_what_goes_goes_whole(storage: SQLiteStorage, tmp_path: Path) -> None:
    await finished(storage, tmp_path, "map", "large", "signal", "failure", "iterate")
    storage.record_process_group(1, ProcessGroup(1, 0, 1, "host", "boot", 2, 3))
    stays = await finish(storage, chain(1))
    assert min(count for table, count in counts(storage).items() if table not in ("child_groups", "child_inputs")) > 0
    forecast = storage.forecast_prune(rule())
    assert forecast.by_template == {"flow": 5}
    assert forecast.runs == len(ids(storage)) - 1
    assert pruned(storage) == 5
    assert ids(storage) == [stays.id]
    left = counts(storage)
    of_it = {"runs": 1, "run_bodies": 1, "run_outputs": 1, "steps": 1}
    assert {table: count for table, count in left.items() if count and table != "events"} == of_it
    events = storage.get_events(None, after_seq=0, before_seq=None, limit=1000, newest=False)
    assert {event.run_id for event in events} == {stays.id, ""}


async def test_what_has_not_ended_stays_and_so_does_all_it_is_part_of(storage: SQLiteStorage, tmp_path: Path) -> None:
    nap = Step(key="nap", component="/builtin/sleep", input={"duration_ms": 3_600_000})
    asleep, queued = start(storage, flow(nap)), start(storage, chain(1), start_at=NOW * 2)
    async with working(storage):
        await until(storage, asleep, "sleeping")
    (ended, *_) = await finished(storage, tmp_path, "eval")
    start(storage, chain(1), start_at=NOW * 2)
    assert storage.forecast_prune(rule()).by_template == {"flow": 1}
    # A child that is not through with its end keeps the whole.
    child = storage.list_runs(1, None, None, "flow/deeper", True)[0] or storage.list_runs(2, None, None, None, True)[0]
    connection = storage._writer._connection
    assert connection is not None
    connection.execute("UPDATE runs SET status = 2 WHERE id = ?", (child[-1].id,))
    assert storage.forecast_prune(rule()).by_template == {}
    assert pruned(storage) == 0
    connection.execute("UPDATE runs SET status = 8 WHERE id = ?", (child[-1].id,))
    assert pruned(storage) == 1
    assert ids(storage)[:2] == [asleep, queued]
    with pytest.raises(RunNotFoundError):
        storage.get_run(ended)


async def test_the_age_the_template_the_status_and_the_newest_say_what_stays(storage: SQLiteStorage) -> None:
    fails = flow(Step(key="f", component="/builtin/fail", input={"message": "no"}), name="fails")
    runs = [start(storage, made) for made in (chain(1), fails, chain(1), fails, chain(1))]
    async with working(storage):
        for run_id in runs:
            await until(storage, run_id)

    def would_go(**more: Any) -> dict[str, int]:
        return storage.forecast_prune(rule(**more)).by_template

    assert would_go() == {"flow": 2, "fails": 2}, "the newest of all stays"
    assert would_go(finished_before=NOW) == {}
    assert would_go(template="fails") == {"fails": 2}
    assert would_go(statuses=(RunStatus.COMPLETED,)) == {"flow": 2}
    assert would_go(keep=1) == {"flow": 2, "fails": 1}
    assert would_go(keep=2) == {"flow": 1}
    assert would_go(keep=3) == {}
    with pytest.raises(TemplateNotFoundError):
        would_go(template="flw")
    assert pruned(storage, keep=2) == 1
    assert ids(storage) == runs[1:]
    assert storage.forecast_prune(rule(keep=2)) == PruneForecast({}, 0, 0)


async def test_a_retry_of_what_is_gone_goes_on_and_its_key_is_free(storage: SQLiteStorage) -> None:
    broken = flow(echo("a", 1), Step(key="f", component="/builtin/fail", input={"message": "no"}, depends_on=("a",)))
    old = start(storage, broken, idempotency_key="k")
    async with working(storage):
        await until(storage, old)
    async with Client(storage.url) as client:
        retry = await client.retry(old)
    assert pruned(storage) == 1
    assert start(storage, broken, idempotency_key="k") != old
    async with working(storage):
        await until(storage, retry)
    assert steps_of(storage, retry)["a"].output == 1
    assert storage.get_run(retry).retry_of == old


async def test_a_number_of_the_log_is_given_once(storage: SQLiteStorage) -> None:
    await finish(storage, chain(3))
    await finish(storage, chain(1))
    before = storage.last_seq()
    pruned(storage)
    assert storage.last_seq() == before + 1
    assert storage.oldest_whole_seq() == before + 1
    run = await finish(storage, chain(1))
    pruned(storage)
    assert storage.last_seq() > storage.get_events(run.id, after_seq=0, before_seq=None, limit=9, newest=True)[0].seq
    assert types_of(storage, run.id)[0] == "run.created"
    marks = storage.fetch("SELECT count(*) FROM events WHERE run IS NULL AND type = 32")
    assert marks == [(1,)]


async def test_a_follower_behind_is_told_and_one_that_has_seen_it_follows_on(storage: SQLiteStorage) -> None:
    bridge = Bridge(storage)
    await finish(storage, chain(3))
    await finish(storage, chain(1))
    behind, ahead = follow(bridge, storage, 3, None, 100), follow(bridge, storage, storage.last_seq(), None, 100)
    pruned(storage)
    with pytest.raises(EventsPrunedError) as told:
        await asyncio.wait_for(anext(behind), 20)
    assert told.value.oldest_seq == storage.oldest_whole_seq()
    again = follow(bridge, storage, told.value.oldest_seq - 1, None, 100)
    for follower in (ahead, again):
        (event,) = await asyncio.wait_for(anext(follower), 20)
        assert (event.event_type, event.payload) == ("cursor.skipped", {"oldest_seq": told.value.oldest_seq})
        await follower.aclose()
    bridge.close()


def prune_and_die(path: str, after: int) -> None:
    storage = SQLiteStorage(path, durability="normal")
    prune.ROWS_AT_ONCE = 1
    for count, _ in enumerate(storage.prune(rule(), now_ms()), start=1):
        if count == after:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.full
async def test_a_prune_that_was_killed_leaves_whole_runs_and_is_done_again(
    storage: SQLiteStorage, tmp_path: Path
) -> None:
    await finished(storage, tmp_path, "map", "iterate", "large")
    stays = await finish(storage, chain(1))
    total = len(ids(storage))
    for after in (1, 2, 5):
        victim = processes.Process(target=prune_and_die, args=(storage.url, after))
        victim.start()
        victim.join()
        assert victim.exitcode == -signal.SIGKILL
        total -= after
        assert len(ids(storage)) == total
        numbers = {number for (number,) in storage.fetch("SELECT num FROM runs")}
        for table in OF_RUNS:
            if table not in ("runs", "child_inputs"):
                found = {run for (run,) in storage.fetch(f"SELECT DISTINCT run FROM {table} WHERE run IS NOT NULL")}
                assert found <= numbers, table
        parents = {parent for (parent,) in storage.fetch("SELECT parent FROM runs WHERE parent IS NOT NULL")}
        assert parents <= numbers
    pruned(storage)
    assert ids(storage) == [stays.id]


async def test_others_commit_between_a_few_rows_at_a_time(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [start(storage, chain(5)) for _ in range(30)]
    async with working(storage):
        for run_id in runs:
            await until(storage, run_id)
    monkeypatch.setattr(prune, "ROWS_AT_ONCE", 100)
    sizes = []
    for one in storage.prune(rule(), now_ms()):
        sizes.append((one.runs, one.events))
        start(storage, chain(1))
    assert sum(count for count, _ in sizes) == 30
    assert max(events for _, events in sizes) < 100
    assert len(sizes) > 5


async def test_blobs_go_when_nobody_refers_to_them_and_they_are_a_day_old(storage: SQLiteStorage) -> None:
    put = flow(Step(key="put", component="/builtin/put_blob", input={"data": {"$from": {"workflow": "input"}}}))
    gone = (await finish(storage, put, {"n": 1})).output["put"]["blob_id"]
    used = (await finish(storage, put, {"n": 2})).output["put"]["blob_id"]
    pruned(storage)
    connection = storage._writer._connection
    assert connection is not None
    connection.execute("INSERT INTO blob_refs VALUES (?, 99)", (gone,))  # of a step that did not end in time
    assert sum(storage.prune_blobs(NOW)) == 0
    assert storage.get_blob(gone) == '{"n":1}'
    assert sum(storage.prune_blobs(now_ms() + 1)) == 1
    assert storage.get_blob(gone) is None
    assert storage.get_blob(used) == '{"n":2}'


PUTS = {"steps": [{"id": "put", "type": "put_blob", "input": {"data": 1}}], "output": "$.steps.put.output.blob_id"}


@pytest.mark.parametrize("how", ["input", "signal", "retry"])
async def test_a_blob_stays_while_a_run_that_was_given_its_id_does(storage: SQLiteStorage, how: str) -> None:
    puts = Step(key="puts", component="/builtin/eval", input={"workflow": PUTS, "unwrap": True})
    waits = Step(key="waits", component="/builtin/wait_event", input={"name": "go"}, depends_on=("puts",))
    first = start(storage, flow(puts, waits))
    gets = Step(key="gets", component="/builtin/get_blob", input={"blob_id": ref("puts")}, depends_on=("waits",))
    async with Client(storage.url, durability="normal") as client:
        async with working(storage):
            await until(storage, first, "waiting")
            while (blob_id := steps_of(storage, first)["puts"].output) is None:
                await asyncio.sleep(0.005)
            await client.cancel(first)
            await until(storage, first)
        save(storage, flow(puts, waits, gets))
        if how == "retry":
            second = await client.retry(first, version="latest")
        else:
            second = start(storage, chain(1), {"blob": blob_id} if how == "input" else None)
        if how == "signal":
            storage.signal(second, "go", f'"{blob_id}"', now_ms())
    assert pruned(storage) == 1
    list(storage.prune_blobs(now_ms() + 1))
    assert storage.get_blob(blob_id) == "1"
    storage.request_cancel(second, None, now_ms())
    async with working(storage):
        await until(storage, second)
    start(storage, chain(1))
    assert pruned(storage) == 1
    assert list(storage.prune_blobs(now_ms() + 1)) == [1]


async def test_flows_written_inside_others_go_while_no_worker_may_start_them(
    storage: SQLiteStorage, tmp_path: Path
) -> None:
    await finished(storage, tmp_path, "eval", "map")
    await finish(storage, chain(1))
    before = storage.fetch("SELECT count(*) FROM template_versions WHERE flow_hash IS NOT NULL")[0][0]
    assert storage.prune_inline_templates() == 0
    pruned(storage)
    with registered(storage):
        assert storage.prune_inline_templates() == 0
    assert storage.prune_inline_templates() == before > 1
    assert {template.name for template in storage.list_templates(10, 0)} == {"flow"}
    assert len(storage.template_versions("flow")) == 3
    (again,) = await finished(storage, tmp_path, "eval")
    assert storage.get_run(again).status is RunStatus.FAILED


async def test_room_is_given_back_to_the_disk_while_no_worker_lives(open_storage: OpenStorage) -> None:
    storage = open_storage()
    for _ in range(20):
        start(storage, chain(1), {"big": "x" * 100_000})
    async with working(storage):
        for run_id in ids(storage):
            await until(storage, run_id)
    pruned(storage)
    assert storage.free_bytes() > 1_500_000
    with registered(storage), pytest.raises(WorkflowEngineError, match="stop them first"):
        storage.vacuum()
    size = Path(storage.url).stat().st_size
    freed = storage.vacuum()
    assert freed > 1_500_000
    assert Path(storage.url).stat().st_size == size - freed
    assert storage.free_bytes() == 0
    assert (await finish(storage, chain(2))).status is RunStatus.COMPLETED
