"""The raw bound: the same rows written by a bare sqlite3 loop with the same batching, and nothing else."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from stepflow.storages.sqlite import SQLiteStorage, queries

AT = 1_700_000_000_000


def _connect(folder: Path) -> sqlite3.Connection:
    """Our own tables, so that the rows cost what ours cost."""
    path = folder / "raw.db"
    if not path.exists():
        SQLiteStorage(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = full")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


def steps_per_second(folder: Path, *, per_commit: int, seconds: float = 1.0) -> float:
    """A step is two events, a row when it starts and the row again when it ends, and the guarded UPDATE of its run;
    `per_commit` steps share a transaction."""
    connection = _connect(folder)
    runs = max(1, per_commit)
    base = (connection.execute("SELECT coalesce(max(num), 0) FROM runs").fetchone()[0] or 0) + 1
    connection.execute("BEGIN IMMEDIATE")
    for run in range(base, base + runs):
        connection.execute(
            "INSERT INTO runs (num, id, template, template_version, status, created_at, step_count, open_steps) "
            "VALUES (?, ?, 1, 1, 2, ?, 1, 1)",
            (run, f"exec_{run}", AT),
        )
    connection.execute("COMMIT")
    seq = connection.execute(queries.NEWEST_SEQ).fetchone()[0]
    step = 0
    version = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        connection.execute("BEGIN IMMEDIATE")
        rows, events = [], []
        for run in range(base, base + runs):
            connection.execute(queries.GUARDED_STEP_CHANGE, (2, 1, 0, run, version, 0, None)).fetchone()
            rows.append((run, step, 1, 5, AT, AT, None, None, None, 0, None, "null", None))
            rows.append((run, step + 1, 1, 1, AT, None, None, None, None, 0, None, None, None))
            events.append((seq + 1, run, 2 * step + 1, 16, step, 1, 1, AT, None))
            events.append((seq + 2, run, 2 * step + 2, 15, step + 1, 1, 1, AT, None))
            seq += 2
        connection.executemany(queries.UPSERT_STEP, rows)
        connection.executemany(queries.INSERT_EVENT, events)
        connection.execute("COMMIT")
        step += 1
        version += 1
    elapsed = time.perf_counter() - began
    connection.close()
    return step * runs / elapsed


def commit_ms(folder: Path, count: int = 300) -> float:
    """The median of one small durable commit, in milliseconds."""
    connection = _connect(folder)
    times = []
    for _ in range(count):
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE runs SET version = version + 1 WHERE num = 1")
        connection.execute("COMMIT")
        times.append(time.perf_counter() - began)
    connection.close()
    return sorted(times)[len(times) // 2] * 1000
