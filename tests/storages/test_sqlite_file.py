"""The SQLite file itself: made by many at once, refused when it cannot serve, shared fairly, bounded, private."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sqlite3
import stat
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from stepflow.errors import DatabaseGoneError, NewerDatabaseError, StorageBusyError, StorageError
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage, connect, queries
from stepflow.storages.sqlite.connect import SCHEMA_VERSION
from stepflow.storages.sqlite.turnstile import Turnstile
from stepflow.storages.sqlite.writer import Writer
from tests.conftest import OpenStorage
from tests.support.engine import finish, save, start
from tests.support.flows import chain
from tests.support.hand import identity

PATIENCE_SECONDS = 20.0
processes = multiprocessing.get_context("forkserver")


def make_one(path: str, results: Any) -> None:
    try:
        storage = SQLiteStorage(path)
        start(storage, chain(1))
        storage.close()
        results.put("made")
    except Exception as error:  # noqa: BLE001 - reported to the test
        results.put(repr(error))


def test_processes_that_open_a_new_file_at_once_all_succeed(tmp_path: Path) -> None:
    path = str(tmp_path / "deep" / "new.db")
    results = processes.Queue()
    makers = [processes.Process(target=make_one, args=(path, results)) for _ in range(4)]
    for maker in makers:
        maker.start()
    assert [results.get(timeout=20) for _ in makers] == ["made"] * 4
    for maker in makers:
        maker.join()
    storage = SQLiteStorage(path)
    assert storage.count_runs(None, None) == 4
    storage.close()


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    storage = SQLiteStorage(tmp_path / "folder" / "x.db")
    save(storage, chain(1))
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700
    modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "folder").iterdir()}
    storage.close()
    assert set(modes.values()) == {"0o600"}, modes


def test_a_file_of_a_newer_release_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    SQLiteStorage(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(NewerDatabaseError, match="upgrade StepFlow, or use another file"):
        SQLiteStorage(path)


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be one " * 50, b"short"])
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.db").write_bytes(content)
    with pytest.raises(StorageError, match="is not a StepFlow database"):
        SQLiteStorage(tmp_path / "x.db")
    assert (tmp_path / "x.db").read_bytes() == content


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION, 99])
def test_a_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path, version: int) -> None:
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    content = (tmp_path / "x.db").read_bytes()
    with pytest.raises(StorageError, match="holds tables of another program; name another file"):
        SQLiteStorage(tmp_path / "x.db")
    assert (tmp_path / "x.db").read_bytes() == content
    assert not connect.is_current(tmp_path / "x.db")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is a folder"):
        SQLiteStorage(tmp_path)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="name another database with --db"):
        SQLiteStorage(tmp_path / "file" / "x.db")


def test_what_is_no_regular_file_is_refused_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    for name in ("pipe", "null"):
        with pytest.raises(StorageError, match=f"{name} is no regular file, which a database is"):
            SQLiteStorage(tmp_path / name)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["null", "pipe"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="a file system without room is needed")
def test_where_there_is_no_room_to_read_it_is_said() -> None:
    """SQLite calls it an I/O error when the index of its log finds no room."""
    assert os.statvfs("/proc").f_bavail == 0
    error = sqlite3.OperationalError("disk I/O error")
    assert connect.storage_error(error, Path("/proc/x.db")).message.startswith("The disk is full; free some space")
    elsewhere = connect.storage_error(error, Path("/x.db")).message
    assert elsewhere.startswith("x.db cannot be read or written (disk I/O error)")


def test_what_is_wrong_is_said_before_where_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "a-folder-whose-name-is-so-long-that-nothing-after-it-has-room-in-a-line"
    folder.mkdir()
    (folder / "x.db").write_text("this is a text that is long enough to be read as one")
    with pytest.raises(StorageError) as raised:
        SQLiteStorage(folder / "x.db")
    assert raised.value.message.startswith("x.db is not a StepFlow database")
    assert raised.value.message.endswith(f"({folder / 'x.db'})")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_a_file_without_permission_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    SQLiteStorage(path).close()
    path.chmod(0)
    with pytest.raises(StorageError, match="permission"):
        SQLiteStorage(path)


def read_as_a_stranger(path: str, results: Any) -> None:
    """As a user who may read the file and not write it; `os.access` asks for the real user, so root becomes another."""
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        storage = SQLiteStorage(path)
        results.put(storage.count_templates())
        save(storage, chain(2))
        results.put("written")
    except StorageError as error:
        results.put(error.message)


def test_a_file_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    storage = SQLiteStorage(folder / "x.db")
    save(storage, chain(1))
    storage.close()
    for path in (tmp_path, *tmp_path.parents):
        if path.owner() == "root" and path.stat().st_mode & 0o005 != 0o005 and os.geteuid() == 0:
            path.chmod(0o755)  # pytest's folders are private, and the reader is somebody else
    (folder / "x.db").chmod(0o444)
    folder.chmod(0o555)
    results = processes.Queue()
    reader = processes.Process(target=read_as_a_stranger, args=(str(folder / "x.db"), results))
    reader.start()
    assert results.get(timeout=20) == 1
    assert "for reading only" in results.get(timeout=20)
    reader.join()
    folder.chmod(0o755)


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_text = Path.read_text

    def mounts(self: Path, *arguments: Any, **options: Any) -> str:
        if str(self) == "/proc/mounts":
            return f"/dev/x / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n"
        return read_text(self, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", mounts)
    with pytest.raises(StorageError, match="network file system"):
        SQLiteStorage(tmp_path / "x.db")


def test_a_read_only_storage_reads_and_refuses_to_write(open_storage: OpenStorage) -> None:
    run_id = start(open_storage(), chain(1))
    reader = open_storage(read_only=True)
    assert reader.get_run(run_id).status is RunStatus.QUEUED
    with pytest.raises(StorageError, match="for reading only"):
        start(reader, chain(1))
    with pytest.raises(StorageError, match="for reading only"):
        reader.register_worker(identity(), 0.0)
    with pytest.raises(StorageError, match="for reading only"):
        reader.become_background_worker()


def test_where_a_worker_cannot_put_its_lock_is_said(storage: SQLiteStorage) -> None:
    Path(f"{storage.url}.workers").write_text("")
    with pytest.raises(StorageError, match=r"\.db\.workers cannot be made: File exists"):
        storage.register_worker(identity(), 0.0)


def test_another_programs_lock_is_waited_for_then_said_and_nothing_is_written(
    open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "BUSY_SECONDS", 0.1)
    storage = open_storage()
    other = sqlite3.connect(storage.url, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageBusyError, match="locked by another program"):
        save(storage, chain(1))
    other.execute("ROLLBACK")
    other.close()
    assert storage.count_templates() == 0
    save(storage, chain(1))


def test_a_turnstile_that_somebody_holds_for_long_is_said(
    open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage()
    holder = Turnstile(Path(storage.url))
    with monkeypatch.context() as hurried:
        hurried.setattr("stepflow.storages.sqlite.writer.PATIENCE_SECONDS", 0.2)
        with holder.pass_through(), pytest.raises(StorageBusyError, match="nothing was written, try again"):
            save(storage, chain(1))
    holder.close()
    save(storage, chain(2))
    assert storage.get_template("flow").version == 1


def test_who_lost_patience_with_the_turnstile_can_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepflow.storages.sqlite.writer.PATIENCE_SECONDS", 0.05)
    storage = SQLiteStorage(tmp_path / "x.db")
    closing = threading.Thread(target=storage.close, daemon=True)
    holder = Turnstile(Path(storage.url))
    with holder.pass_through():
        with pytest.raises(StorageBusyError):
            save(storage, chain(1))
        closing.start()
        closing.join(PATIENCE_SECONDS)
        assert not closing.is_alive(), "it waits for whoever holds the turnstile"
    holder.close()


def test_a_full_disk_loses_nothing_and_works_again(storage: SQLiteStorage) -> None:
    save(storage, chain(1))
    writer = storage._writer._connection
    assert writer is not None
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StorageError, match="is full; free some space"):
        start(storage, chain(1), {"big": "x" * 100_000})
    assert storage.count_runs(None, None) == 0
    writer.execute("PRAGMA max_page_count = 1000000")
    start(storage, chain(1), {"big": "x" * 100_000})
    assert storage.count_runs(None, None) == 1


def hammer(path: str, seconds: float, commits: Any) -> None:
    """Commits back to back."""
    storage = SQLiteStorage(path, durability="normal")
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        start(storage, chain(1))
        count += 1
    storage.close()
    commits.put(count)


@pytest.mark.full
def test_two_processes_that_write_back_to_back_share_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    SQLiteStorage(path).close()
    commits = processes.Queue()
    writers = [processes.Process(target=hammer, args=(path, 1.0, commits)) for _ in range(2)]
    for writer in writers:
        writer.start()
    counts = [commits.get(timeout=20) for _ in writers]
    for writer in writers:
        writer.join()
    assert min(counts) > sum(counts) / 5, counts


def hold_and_die(path: str) -> None:
    """Take the turnstile and be killed with it."""
    Turnstile(Path(path)).enter()
    os.kill(os.getpid(), 9)


def test_a_process_killed_in_the_turnstile_blocks_nobody(storage: SQLiteStorage) -> None:
    victim = processes.Process(target=hold_and_die, args=(storage.url,))
    victim.start()
    victim.join()
    assert victim.exitcode == -9
    save(storage, chain(1))


async def test_the_log_file_stays_bounded_beside_a_reader(
    storage: SQLiteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepflow.storages.sqlite.writer.PASSIVE_BYTES", 200_000)
    monkeypatch.setattr("stepflow.storages.sqlite.writer.RESTART_BYTES", 1_000_000)
    monkeypatch.setattr("stepflow.storages.sqlite.writer.RESTART_RETRY_SECONDS", 0.0)
    for _ in range(60):
        start(storage, chain(1), {"big": "x" * 100_000})
        storage.count_runs(None, None)
    assert Path(f"{storage.url}-wal").stat().st_size < 3_000_000


HEARD = 9


def start_and_say_when(path: str, asked: Any, said: Any) -> None:
    storage = SQLiteStorage(path, durability="normal")
    for _ in range(HEARD):
        asked.get(timeout=30)
        run_id = start(storage, chain(1))
        said.put((run_id, time.monotonic()))
    storage.close()


async def test_a_follower_hears_another_process_within_50_ms(storage: SQLiteStorage) -> None:
    from stepflow.runtime.bridge import Bridge
    from stepflow.runtime.followers import follow

    save(storage, chain(1))
    bridge = Bridge(storage)
    asked, said = processes.Queue(), processes.Queue()
    other = processes.Process(target=start_and_say_when, args=(storage.url, asked, said))
    log = follow(bridge, storage, storage.last_seq(), None, 100)
    other.start()
    late = []
    for _ in range(HEARD):
        waiting = asyncio.create_task(anext(log))
        asked.put(None)
        (event,) = await asyncio.wait_for(waiting, 20)
        heard = time.monotonic()
        run_id, committed = await asyncio.to_thread(said.get, timeout=10)
        assert event.run_id == run_id
        late.append(heard - committed)
    assert statistics.median(late) < 0.05, "one may be late where the machine is busy, and where nobody tells all are"
    await log.aclose()
    other.join()
    bridge.close()


async def test_without_sockets_the_poll_still_hears(open_storage: OpenStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepflow.storages.sqlite.wake.socket_folder", lambda database: None)
    run = await finish(open_storage(), chain(3))
    assert run.status is RunStatus.COMPLETED


async def test_followers_see_each_event_once_and_in_order(storage: SQLiteStorage) -> None:
    from stepflow.runtime.bridge import Bridge
    from stepflow.runtime.followers import follow

    bridge = Bridge(storage)
    log = follow(bridge, storage, 0, None, 7)
    seen: list[int] = []

    async def watch() -> None:
        async for events in log:
            seen.extend(event.seq for event in events)
            if any(event.event_type == "run.completed" for event in events):
                return

    watcher = asyncio.create_task(watch())
    await finish(storage, chain(40))
    await asyncio.wait_for(watcher, 20)
    assert seen == list(range(1, len(seen) + 1))
    await log.aclose()
    bridge.close()


@pytest.mark.parametrize("is_back", [False, True], ids=["deleted", "replaced"])
def test_a_file_that_is_deleted_or_replaced_is_used_no_more(tmp_path: Path, is_back: bool) -> None:
    path = tmp_path / "x.db"
    storage = SQLiteStorage(path)
    save(storage, chain(1))
    for file in tmp_path.glob("x.db*"):
        file.unlink()
    other = SQLiteStorage(path) if is_back else None
    for use in (storage.workers, lambda: start(storage, chain(1)), lambda: storage.count_runs(None, None)):
        with pytest.raises(DatabaseGoneError, match=r"x\.db was deleted or replaced while it was open here; .* start"):
            use()
    storage.close()
    if other is not None:
        start(other, chain(1))
        assert other.count_runs(None, None) == 1
        other.close()


def test_closing_twice_and_using_it_after_is_clear(open_storage: OpenStorage) -> None:
    storage = open_storage()
    storage.close()
    storage.close()
    with pytest.raises(StorageError, match="was closed"):
        save(storage, chain(1))
    assert isinstance(storage._writer, Writer)


def test_a_claim_walks_the_queue_in_its_order_however_long_it_is(storage: SQLiteStorage) -> None:
    plan = [row[3] for row in storage.fetch(f"EXPLAIN QUERY PLAN {queries.CLAIMABLE}", ("[]", 10))]
    assert plan[0] == "SCAN runs USING INDEX runs_claimable"
    assert not any("TEMP B-TREE" in line for line in plan)


def test_retries_of_a_page_are_found_without_looking_at_other_runs(storage: SQLiteStorage) -> None:
    plan = [row[3] for row in storage.fetch(f"EXPLAIN QUERY PLAN {queries.RETRIES}", ('["exec_1"]',))]
    assert any("USING INDEX runs_by_retried" in line for line in plan), plan
    assert not any(line.startswith("SCAN runs") for line in plan), plan
