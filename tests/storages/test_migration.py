"""From version 1 of the schema to today's: nothing is lost, runs go on, whoever opens the file and whoever dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from stepflow.core.transition import NOT_NEEDED
from stepflow.errors import StorageError
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow.storages.sqlite.connect import SCHEMA_VERSION
from tests.conftest import OpenStorage
from tests.runtime.test_children import DOUBLE, flow_of
from tests.storages.version_1 import NAMES, make, rows_of
from tests.support.engine import save, start, steps_of, types_of, until, working
from tests.support.invariants import check_all_runs

processes = multiprocessing.get_context("forkserver")

ENDS = {
    "completed": "completed",
    "failed": "failed",
    "queued": "completed",
    "urgent": "completed",
    "scheduled": "completed",
    "sleeping": "completed",
    "held": "completed",
    "claimed": "completed",
    "retrying": "completed",
    "cancelled": "cancelled",
    "to be cancelled": "cancelled",
    "stalled": "stalled",
    "of a deleted template": "completed",
}


@pytest.fixture
def old(tmp_path: Path) -> dict[str, str]:
    """`stepflow.db` of version 1: its runs by what they are."""
    return make(tmp_path / "stepflow.db")


def user_version(path: Path | str) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def test_everything_is_readable_and_as_it_was(tmp_path: Path, old: dict[str, str], open_storage: OpenStorage) -> None:
    path = tmp_path / "stepflow.db"
    assert user_version(path) == 1
    before = rows_of(path)
    assert len(before["runs"]) == len(old) == len(ENDS)
    storage = open_storage()
    assert user_version(path) == SCHEMA_VERSION == 5
    assert rows_of(path) == before, "a reader of version 1's columns sees the same"
    check_all_runs(storage)
    runs, _ = storage.list_runs(100, None, None, None, True)
    assert [run.id for run in runs] == list(reversed(old.values()))
    assert {run.parent_run_id for run in runs} == {None}
    assert storage.count_runs(None, None) == len(old)
    assert {template.name for template in storage.list_templates(10, 0)} == set(NAMES)
    record = storage.get_run(old["completed"])
    assert (record.output, record.input) == ({"b": 1}, {"given": 1})
    steps = steps_of(storage, old["completed"])
    assert (steps["a"].output, steps["a"].input, steps["skipped"].status) == ({"n": 1}, "its input", "skipped")
    assert NOT_NEEDED not in {step.reason for step in steps.values()}
    failed = storage.get_run(old["failed"])
    assert failed.error is not None
    assert (failed.error["code"], failed.priority) == ("BROKEN", 7)
    assert storage.get_run(old["sleeping"]).status is RunStatus.SLEEPING
    assert steps_of(storage, old["sleeping"])["nap"].awaits is None
    assert len(storage.get_events(None, after_seq=0, before_seq=None, limit=1000, newest=False)) == storage.last_seq()
    assert storage.find_run(old["held"][-6:]) == old["held"]


async def test_unfinished_runs_go_on_and_finish(old: dict[str, str], open_storage: OpenStorage) -> None:
    storage = open_storage()
    async with working(storage):
        for name, status in ENDS.items():
            assert (await until(storage, old[name], status)).status == status, name
    outputs = {name: storage.get_run(run_id).output for name, run_id in old.items()}
    for name in ("queued", "scheduled", "sleeping", "held", "claimed", "retrying"):
        assert outputs[name] == outputs["completed"], name
    assert "run.released" in types_of(storage, old["held"])
    assert steps_of(storage, old["held"])["b"].attempt == 1, "a lost worker charges no attempt"
    assert steps_of(storage, old["retrying"])["b"].attempt == 2
    assert storage.get_run(old["to be cancelled"]).reason == "enough"
    assert storage.workers() == []


async def test_old_runs_come_before_new_ones_of_their_priority(old: dict[str, str], open_storage: OpenStorage) -> None:
    storage = open_storage()
    new = start(storage, flow_of(DOUBLE, "new"), 1)
    async with working(storage, slots=1):
        await until(storage, new)
    begun = [
        event.run_id
        for event in storage.get_events(None, after_seq=0, before_seq=None, limit=1000, newest=False)
        if event.event_type == "run.started" and event.run_id in (old["urgent"], old["queued"], new)
    ]
    assert begun == [old["urgent"], old["queued"], new]


async def test_todays_features_work_in_an_old_file(old: dict[str, str], open_storage: OpenStorage) -> None:
    storage = open_storage()
    waits = {"id": "ask", "type": "wait_event", "input": {"name": "go"}}
    large = {"id": "large", "type": "map", "input": {"workflow": DOUBLE, "items": [1, 2], "max_concurrency": 1}}
    run_id = start(storage, flow_of({"steps": [waits, large]}))
    async with working(storage):
        await until(storage, run_id, RunStatus.WAITING)
        storage.signal(run_id, "go", "1", 5)
        run = await until(storage, run_id)
    assert run.output["large"]["successful"] == 2


def test_an_idempotency_key_of_an_old_run_still_counts(old: dict[str, str], open_storage: OpenStorage) -> None:
    storage = open_storage()
    other = storage.get_template_version("other").flow
    assert start(storage, other, {"given": 1}, idempotency_key="once") == old["urgent"]
    assert save(storage, other) == storage.load_run(old["urgent"]).template_version, "the same flow is no new version"


def test_an_old_file_ends_with_the_tables_of_a_new_one(
    tmp_path: Path, old: dict[str, str], open_storage: OpenStorage
) -> None:
    migrated, new = open_storage(), open_storage("new.db")
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    assert migrated.fetch(schema) == new.fetch(schema)
    assert migrated.fetch("PRAGMA integrity_check") == [("ok",)]
    assert old


def open_and_look(path: str, results: Any) -> None:
    try:
        storage = SQLiteStorage(path)
        results.put((storage.count_runs(None, None), user_version(path)))
        storage.close()
    except Exception as error:  # noqa: BLE001 - reported to the test
        results.put(repr(error))


@pytest.mark.full
def test_processes_that_open_an_old_file_at_once_all_succeed(tmp_path: Path, old: dict[str, str]) -> None:
    path = tmp_path / "stepflow.db"
    before = rows_of(path)
    results = processes.Queue()
    openers = [processes.Process(target=open_and_look, args=(str(path), results)) for _ in range(4)]
    for opener in openers:
        opener.start()
    assert [results.get(timeout=20) for _ in openers] == [(len(old), SCHEMA_VERSION)] * 4
    for opener in openers:
        opener.join()
    assert rows_of(path) == before
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM _sqlite_migrations").fetchone() == (SCHEMA_VERSION,)
    connection.close()


def open_and_die(path: str, statements: int) -> None:
    """Killed at a statement of the migration."""
    execute = Database.execute
    count = 0

    def counted(self: Database, *arguments: Any, **options: Any) -> Any:
        nonlocal count
        count += 1
        if count == statements:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(self, *arguments, **options)

    Database.execute = counted  # type: ignore[method-assign]  # the point of it
    SQLiteStorage(path).close()


@pytest.mark.full
@pytest.mark.parametrize("made", ["old", "new"])
def test_a_process_killed_while_it_migrates_leaves_the_file_to_the_next(tmp_path: Path, made: str) -> None:
    deaths = 0
    for statements in range(1, 200, 5):
        path = tmp_path / f"{statements}.db"
        before = None
        if made == "old":
            make(path)
            before = rows_of(path)
        process = processes.Process(target=open_and_die, args=(str(path), statements))
        process.start()
        process.join(20)
        assert process.exitcode in (0, -9)
        died = process.exitcode == -9
        if died and made == "old":
            assert user_version(path) < SCHEMA_VERSION  # each migration is a transaction of its own
            assert rows_of(path) == before
        storage = SQLiteStorage(path)
        assert user_version(path) == SCHEMA_VERSION
        assert storage.count_runs(None, None) == (0 if before is None else len(ENDS))
        storage.close()
        if before is not None:
            assert rows_of(path) == before
        deaths += died
        if not died:
            break
    assert deaths > 5
    assert not died, "it was killed at every statement"


def read_as_a_stranger(path: str, results: Any) -> None:
    """As a user who may read the file and not write it."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        SQLiteStorage(path).close()
        results.put("opened")
    except StorageError as error:
        results.put(error.message)


def test_an_old_file_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    make(folder / "x.db")
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and path.stat().st_mode & 0o005 != 0o005 and os.geteuid() == 0:
            path.chmod(0o755)  # pytest's folders are private, and the reader is somebody else
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    results = processes.Queue()
    reader = processes.Process(target=read_as_a_stranger, args=(str(folder / "x.db"), results))
    reader.start()
    said = results.get(timeout=20)
    reader.join()
    folder.chmod(0o755)
    assert f"older StepFlow (schema 1, this release reads {SCHEMA_VERSION})" in said
    assert "open it once as its owner" in said
    assert user_version(folder / "x.db") == 1
