"""What is said of a database that is well, and of each that is not; and that looking changes nothing."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepflow.components.registry import builtin_registry
from stepflow.contracts.storage import ProcessGroup, WorkerIdentity
from stepflow.model.flow import Step
from stepflow.model.health import Finding
from stepflow.model.statuses import RUN_STATUS_CODES, STEP_STATUS_CODES, RunStatus, StepStatus
from stepflow.model.times import now_ms
from stepflow.process_groups import start_time
from stepflow.runtime.processes import boot_id
from stepflow.storages.sqlite import SQLiteStorage, health
from stepflow.storages.sqlite.connect import SCHEMA_VERSION
from stepflow.storages.sqlite.examination import Look
from stepflow.storages.sqlite.health import examine
from stepflow.storages.sqlite.walindex import read_wal_index
from tests.support.engine import start, working
from tests.support.flows import chain, flow

A_DAY_MS = 86_400_000
OURS = builtin_registry().paths


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """With one execution, which nobody performs."""
    path = tmp_path / "x.db"
    storage = SQLiteStorage(path, durability="normal")
    start(storage, chain(2))
    storage.close()
    return path


@pytest.fixture
def storage(database: Path) -> Iterator[SQLiteStorage]:
    storage = SQLiteStorage(database, durability="normal")
    yield storage
    storage.close()


def look(path: Path, *, full: bool = False, now: int | None = None) -> list[Finding]:
    now = now_ms() if now is None else now
    return list(examine(Look(path=path, now=now, monotonic=time.monotonic(), boot_id=boot_id(), full=full)))


def of(found: list[Finding], check: str) -> Finding:
    (one,) = [finding for finding in found if finding.check == check]
    return one


def bad(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.check, finding.level) for finding in found if finding.level in ("warning", "wrong")]


def change(path: Path, sql: str, *parameters: object) -> None:
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(sql, parameters).rowcount != 0, "the test changes nothing"
    connection.close()


def worker(storage: SQLiteStorage, name: str = "w_1", *, lease: float = 60.0, offers: tuple[str, ...] = OURS) -> int:
    identity = WorkerIdentity(
        id=name, pid=os.getpid(), host=socket.gethostname(), boot_id=boot_id(), started_at=now_ms(), slots=10,
        background=False, offers=offers,
    )  # fmt: skip
    return storage.register_worker(identity, time.monotonic() + lease)


def test_of_a_database_that_is_well_nothing_is_wrong(storage: SQLiteStorage, database: Path) -> None:
    worker(storage)
    found = look(database, full=True)
    assert bad(found) == []
    assert of(found, "schema").message == f"version {SCHEMA_VERSION}"
    assert of(found, "references").level == "ok"
    assert of(found, "queued").message == "1 execution that workers can take"


def test_looking_changes_nothing(database: Path) -> None:
    before = database.read_bytes(), sorted(path.name for path in database.parent.iterdir() if "-" not in path.name)
    look(database, full=True)
    after = database.read_bytes(), sorted(path.name for path in database.parent.iterdir() if "-" not in path.name)
    assert after == before


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    found = look(tmp_path / "deep" / "x.db")
    assert "is not there yet" in of(found, "file").message
    assert bad(found) == []
    assert list(tmp_path.iterdir()) == []


def test_what_others_may_open_is_said_with_the_command(database: Path) -> None:
    database.chmod(0o644)
    database.parent.chmod(0o777)
    one, other = [finding for finding in look(database) if finding.check == "permissions"]
    assert (one.level, one.command) == ("warning", f"chmod 600 {database}")
    assert (other.level, other.command) == ("warning", f"chmod go-w {database.parent}")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"no database at all, but long enough to be one " * 50, "not an SQLite file"), (b"short", "not an SQLite file")],
)
def test_what_is_no_database_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "x.db").write_bytes(content)
    found = look(tmp_path / "x.db")
    assert (found[-1].level, found[-1].check) == ("wrong", "opening")
    assert said in found[-1].message


def test_a_name_that_cannot_be_looked_up_is_said(tmp_path: Path) -> None:
    (finding,) = look(tmp_path / ("x" * 300))
    assert (finding.level, "File name too long" in finding.message) == ("wrong", True)


def test_room_that_pruning_left_in_the_file_is_mentioned(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(database, "INSERT INTO signals (run, name, data, at) VALUES (1, 'a', ?, 0)", "x" * 100_000)
    change(database, "DELETE FROM signals")
    assert of(look(database), "free pages").level == "ok"
    monkeypatch.setattr(health, "MANY_FREE_BYTES", 50_000)
    finding = of(look(database), "free pages")
    assert (finding.level, finding.command) == ("info", "stepflow prune --older-than 30d --vacuum")


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    assert "is a folder" in of(look(tmp_path), "file").message


@pytest.mark.parametrize(("can_recover", "command"), [(True, ".recover"), (False, "")])
def test_a_damaged_file_is_wrong_and_the_rest_is_looked_at_all_the_same(
    database: Path, monkeypatch: pytest.MonkeyPatch, can_recover: bool, command: str
) -> None:
    program = database.parent / "bin" / "sqlite3"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexit {0 if can_recover else 1}\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    connection = sqlite3.connect(database)
    page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'events_by_run'").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 200)
    found = look(database)
    assert of(found, "integrity").level == "wrong"
    assert command in of(found, "integrity").command
    assert ("cannot" in of(found, "integrity").advice) is not can_recover
    assert of(found, "stalled").level == "ok"


@pytest.mark.parametrize(
    ("version", "level", "said"),
    [(SCHEMA_VERSION + 1, "wrong", "newer StepFlow"), (1, "info", "older StepFlow")],
)
def test_another_schema_is_said_and_its_tables_are_not_read(
    database: Path, version: int, level: str, said: str
) -> None:
    connection = sqlite3.connect(database)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    found = look(database)
    assert of(found, "schema").level == level
    assert said in of(found, "schema").message
    assert "queued" not in [finding.check for finding in found]


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION, SCHEMA_VERSION + 1])
def test_a_database_of_another_program_is_said_to_be_one(tmp_path: Path, version: int) -> None:
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    found = look(tmp_path / "x.db")
    assert (of(found, "schema").level, "another program" in of(found, "schema").message) == ("wrong", True)
    assert "queued" not in [finding.check for finding in found]


def test_a_place_where_no_database_can_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("")
    finding = of(look(tmp_path / "notes" / "x.db"), "file")
    assert (finding.level, finding.command) == ("wrong", f"ls -ld {tmp_path / 'notes'}")
    assert finding.message.endswith(f"cannot be made: {tmp_path / 'notes'} is no folder")


def test_a_check_of_integrity_that_would_take_long_is_broken_off(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) "
    change(database, f"INSERT INTO signals (run, name, data, at) {rows} SELECT 1, 'a', '1', 0 FROM n")
    monkeypatch.setattr(health, "QUICK_SECONDS", 0)
    finding = of(look(database), "integrity")
    assert (finding.level, finding.command) == ("info", "stepflow doctor --full")
    assert of(look(database, full=True), "integrity").level == "ok"


def test_rows_that_refer_to_nothing_are_found_by_a_full_look(database: Path) -> None:
    change(database, "DELETE FROM run_bodies")
    assert bad(look(database)) == [("queued", "warning")]
    finding = of(look(database, full=True), "references")
    assert (finding.level, finding.message) == ("wrong", "1 runs without an input")


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ((3, 40, 1), "info"), ((3, 51, 2), "info"), ((3, 44, 5), "info"), ((3, 50, 6), "info"), ((3, 45, 9), "info"),
        ((3, 51, 3), "ok"), ((3, 53, 0), "ok"), ((3, 44, 6), "ok"), ((3, 50, 7), "ok"), ((3, 34, 0), "wrong"),
    ],
)  # fmt: skip
def test_releases_of_sqlite_with_the_wal_reset_bug_are_named(
    database: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], level: str
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    assert of(look(database), "SQLite").level == level


def test_a_journal_that_another_program_changed_is_said(database: Path) -> None:
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA journal_mode = delete").fetchone() == ("delete",)
    connection.close()
    assert of(look(database), "journal").command == f"sqlite3 {database} 'PRAGMA journal_mode = wal'"


def test_a_database_that_another_program_keeps_to_itself_is_said_to_be_locked(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LOCK_SECONDS", 0.05)
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = delete")
    connection.execute("BEGIN EXCLUSIVE")
    finding = of(look(database), "opening")
    assert (finding.level, "is locked by another program" in finding.message) == ("wrong", True)
    connection.close()


# Locks


def test_a_program_that_holds_sqlites_lock_is_named(storage: SQLiteStorage, database: Path) -> None:
    browser = sqlite3.connect(database, isolation_level=None)
    browser.execute("BEGIN IMMEDIATE")
    finding = of(look(database), "lock")
    assert (finding.level, finding.details) == ("wrong", {"pid": os.getpid()})
    browser.execute("ROLLBACK")
    assert of(look(database), "lock").level == "ok"
    browser.close()


def test_looking_drops_no_lock_that_this_process_holds(database: Path) -> None:
    browser = sqlite3.connect(database, isolation_level=None)
    browser.execute("BEGIN IMMEDIATE")
    look(database, full=True)
    program = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    done = subprocess.run([sys.executable, "-c", program, str(database)], capture_output=True, text=True, check=False)
    assert "database is locked" in done.stderr
    browser.close()


def test_a_turnstile_that_nobody_leaves_is_wrong(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOCK_SECONDS", 0.05)
    with Path(f"{database}.lock").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        finding = of(look(database), "lock")
    held_by = f"ps -fp {os.getpid()}" if Path("/proc/locks").exists() else f"fuser -v {database}.lock"
    assert (finding.level, finding.command) == ("wrong", held_by)


def test_the_log_of_writes_says_how_much_of_it_is_in_the_file(storage: SQLiteStorage, database: Path) -> None:
    start(storage, chain(3))
    index = read_wal_index(database)
    assert index is not None
    assert index.frames >= index.copied >= 0
    assert index.frames * 4096 <= Path(f"{database}-wal").stat().st_size
    assert f"{index.copied} of {index.frames} pages" in of(look(database), "log of writes").message


# Workers


def test_a_hung_worker_and_one_in_trouble_are_wrong(storage: SQLiteStorage, database: Path) -> None:
    worker(storage, "w_hung", lease=-1)
    troubled = worker(storage, "w_troubled")
    storage.heartbeat(troubled, time.monotonic() + 60, "the disk is full")
    found = look(database)
    assert of(found, "hung").command == f"kill -9 {os.getpid()}"
    assert of(found, "in trouble").advice.endswith("the disk is full")


def test_a_dead_workers_executions_are_said_to_wait_for_a_worker(storage: SQLiteStorage, database: Path) -> None:
    number = worker(storage)
    change(database, "UPDATE runs SET owner = ?, status = ?", number, RUN_STATUS_CODES[RunStatus.RUNNING])
    Path(f"{database}.workers", "w_1.lock").unlink()
    finding = of(look(database), "dead")
    assert (finding.level, finding.command) == ("warning", "stepflow worker")
    worker(storage, "w_2")
    assert of(look(database), "dead").level == "info"


def test_a_living_worker_says_what_it_has_beside_ours(storage: SQLiteStorage, database: Path) -> None:
    worker(storage, offers=("/builtin/echo", "/data/merge", "/user/a"))
    assert of(look(database), "alive").message.endswith("holds 0 of 10, offers 3 components: ours, /user/a")


def test_lock_files_that_are_left_over_can_be_removed(storage: SQLiteStorage, database: Path) -> None:
    worker(storage)
    left = Path(f"{database}.workers", "w_gone.lock")
    left.touch()
    assert of(look(database), "lock files").command == f"rm {left}"


def test_a_worker_that_was_declared_dead_and_is_still_there_is_named(storage: SQLiteStorage, database: Path) -> None:
    worker(storage, "w_hung", lease=-1)
    assert storage.free_dead_workers(time.monotonic(), boot_id()) == 0
    assert "hung" not in [finding.check for finding in look(database)], "it may be about to register"
    finding = of(look(database, now=now_ms() + A_DAY_MS), "hung")
    assert (finding.level, finding.details["id"]) == ("warning", "w_hung")
    if Path("/proc/locks").exists():
        assert finding.command == f"kill -9 {os.getpid()}"


def test_the_last_trouble_of_the_background_worker_is_shown(database: Path) -> None:
    log = Path(f"{database}.worker.log")
    log.write_text("worker: w_1 works on x.db\n")
    log.chmod(0o600)
    assert of(look(database), "worker log").level == "ok"
    log.write_text("worker: trouble: the disk is full; trying again each second\nworker: nothing left to do\n")
    assert "the disk is full" in of(look(database), "worker log").advice


def test_a_command_that_outlived_its_execution_is_said(storage: SQLiteStorage, database: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        started = start_time(sleeper.pid)
        assert started is not None
        group = ProcessGroup(1, 0, 1, socket.gethostname(), boot_id(), sleeper.pid, started)
        storage.record_process_group(1, group)
        assert of(look(database), "left running").command == f"kill -TERM -- -{sleeper.pid}"
    finally:
        sleeper.kill()
        sleeper.wait()
    assert "left running" not in [finding.check for finding in look(database)]


# Executions


async def test_what_no_worker_can_take_is_said_with_what_it_needs(storage: SQLiteStorage, database: Path) -> None:
    run_id = start(storage, flow(Step(key="a", component="/user/lod"), name="needs"))
    async with asyncio.timeout(30), working(storage):
        while storage.load_run(run_id).fence < 2:  # it takes a look at it, and gives it back
            await asyncio.sleep(0.01)
        finding = next(one for one in look(database) if one.check == "queued" and one.level == "warning")
    assert finding.message == "no running worker offers /user/lod, for 1 execution of needs"


def test_without_a_worker_queued_executions_are_a_warning(database: Path) -> None:
    finding = of(look(database), "queued")
    assert (finding.level, finding.command) == ("warning", "stepflow worker")


def test_stalled_executions_are_named_with_their_reason(storage: SQLiteStorage, database: Path) -> None:
    for _ in range(4):
        start(storage, chain(1))
    change(database, "UPDATE runs SET status = ?, reason = 'it is so'", RUN_STATUS_CODES[RunStatus.STALLED])
    stalled = [finding for finding in look(database) if finding.check == "stalled"]
    assert [finding.message.endswith("it is so") for finding in stalled] == [True, True, True, False]
    assert stalled[-1].command == "stepflow executions --status stalled"


def test_a_timer_that_nobody_took_is_late(database: Path) -> None:
    sleeping = RUN_STATUS_CODES[RunStatus.SLEEPING]
    change(database, "UPDATE runs SET status = ?, wake_at = ?", sleeping, now_ms() - 30_000)
    assert of(look(database), "timers").level == "ok"
    change(database, "UPDATE runs SET wake_at = ?", now_ms() - A_DAY_MS)
    assert "was due 1d00h ago" in of(look(database), "timers").message


def test_a_cancel_that_nobody_does_is_late(storage: SQLiteStorage, database: Path) -> None:
    run = storage.list_runs(1, None, None, None, False)[0][0].id
    storage.request_cancel(run, None, now_ms() - A_DAY_MS)
    finding = of(look(database), "cancelling")
    assert finding.command == f"stepflow cancel {run}"


def test_a_wait_of_more_than_a_week_is_mentioned(database: Path) -> None:
    waiting = RUN_STATUS_CODES[RunStatus.WAITING]
    change(database, "UPDATE runs SET status = ?", waiting)
    values = (STEP_STATUS_CODES[StepStatus.WAITING], now_ms() - 8 * A_DAY_MS)
    change(database, "INSERT INTO steps (run, step, attempt, status, started_at, awaits) "
           "VALUES (1, 0, 1, ?, ?, 'event it is; so')", *values)  # fmt: skip
    finding = of(look(database), "waiting")
    assert (finding.level, "for 8d00h" in finding.message) == ("info", True)
    assert finding.command.endswith(" 'it is; so'")


def test_a_clock_that_was_set_back_is_said(database: Path) -> None:
    assert of(look(database), "clock").level == "ok"
    assert "1d00h in the future" in of(look(database, now=now_ms() - A_DAY_MS - 1000), "clock").message
