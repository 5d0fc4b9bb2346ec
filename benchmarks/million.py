"""A large database: a million executions with five million events, written straight into our own tables.

`python -m benchmarks.million FILE [RUNS] [EVENTS]` makes one to look at. What a reader expects of rows that a worker
wrote holds of these: ids are ordered in time, numbers of events have no gaps, what has ended has a body.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepflow.contracts.storage import TemplateText
from stepflow.model.event import EVENT_CODES, LEVELS, EventType
from stepflow.model.flow import Flow, Step
from stepflow.model.ids import RUN_PREFIX
from stepflow.model.statuses import RUN_STATUS_CODES, STEP_STATUS_CODES, RunStatus, StepStatus
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage, queries

RUNS, EVENTS = 1_000_000, 5_000_000
TEMPLATES, VERSIONS = 20, 3
EVENTS_BESIDE_STEPS, EVENTS_A_STEP = 3, 2
MS_BETWEEN_RUNS = 200
MS_QUEUED, MS_RUN = 2, 88
OFFERED_BY_NOBODY = "/benchmarks/hold"
"""Queued executions stay queued, whatever worker is started beside them."""

Row = tuple[Any, ...]

_ENDS = {
    RunStatus.COMPLETED: (StepStatus.COMPLETED, EventType.STEP_COMPLETED, EventType.RUN_COMPLETED),
    RunStatus.FAILED: (StepStatus.FAILED, EventType.STEP_FAILED, EventType.RUN_FAILED),
    RunStatus.CANCELLED: (StepStatus.CANCELLED, EventType.STEP_CANCELLED, EventType.RUN_CANCELLED),
    RunStatus.TIMED_OUT: (StepStatus.CANCELLED, EventType.STEP_CANCELLED, EventType.RUN_TIMEOUT),
}
_ERROR = '{"code":"REFUSED","message":"The card was refused","details":{"step_key":"s0"}}'

_PAIRS = [a + b for a in "0123456789abcdefghijklmnopqrstuvwxyz" for b in "0123456789abcdefghijklmnopqrstuvwxyz"]


def make(path: Path, runs: int = RUNS, events: int = EVENTS) -> None:
    """Of a thousand executions 50 failed, ten each were cancelled and timed out, one is queued; 50 are children. They
    have as many steps as make about `events` in all, at least one."""
    steps = max(1, (events // runs - EVENTS_BESIDE_STEPS) // EVENTS_A_STEP)
    versions = _save_templates(path, steps)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = off")
    connection.execute("PRAGMA synchronous = off")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master "
        "WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('runs', 'events')"
    ).fetchall()
    connection.execute("BEGIN")
    # Built at once at the end, they take a fraction of the time.
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    first = now_ms() - runs * MS_BETWEEN_RUNS
    connection.executemany(
        "INSERT INTO runs (num, id, template, template_version, status, created_at, started_at, finished_at, version, "
        "event_count, step_count, open_steps, error, parent, depth, age) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        _runs(runs, steps, versions, first),
    )
    connection.execute("INSERT INTO run_bodies (run, input) SELECT num, '{\"order\":' || num || '}' FROM runs")
    completed = RUN_STATUS_CODES[RunStatus.COMPLETED]
    connection.execute(
        "INSERT INTO run_outputs (run, output) SELECT num, '{\"paid\":' || num || '}' FROM runs WHERE status = ?",
        (completed,),
    )
    connection.executemany(queries.UPSERT_STEP, _steps(runs, steps, first))
    seq = connection.execute(queries.NEWEST_SEQ).fetchone()[0] + 1
    connection.executemany(queries.INSERT_EVENT, _events(runs, steps, first, seq))
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = wal")
    connection.close()


def _save_templates(path: Path, steps: int) -> list[tuple[int, int]]:
    """The number of each version, with its template's; what the last one needs is offered by nobody."""
    storage = SQLiteStorage(path, durability="off")
    for template in range(TEMPLATES):
        component = OFFERED_BY_NOBODY if template == TEMPLATES - 1 else "/builtin/noop"
        for version in range(VERSIONS):
            flow = Flow(
                name=f"flow-{template:02}",
                description=f"Version {version}",
                steps=tuple(Step(key=f"s{i}", component=component) for i in range(steps)),
            )
            storage.save_template(
                TemplateText(flow.name, "", "yaml", flow, None, None, now_ms()), create=True, update=True
            )
    found: list[tuple[int, int]] = storage.fetch("SELECT template, num FROM template_versions ORDER BY num")
    storage.close()
    return found


def _status(run: int) -> RunStatus:
    match run % 100:
        case 3 | 33 | 53 | 73 | 93:
            return RunStatus.FAILED
        case 27:
            return RunStatus.CANCELLED
        case 57:
            return RunStatus.TIMED_OUT
        case 99 if run % 1000 == 999:
            return RunStatus.QUEUED
        case _:
            return RunStatus.COMPLETED


def _id(run: int, at: int) -> str:
    return RUN_PREFIX + _base36(at) + _base36(run * 2_654_435_761 % 36**8)


def _base36(number: int) -> str:
    """8 digits."""
    upper, lower = divmod(number, 36**4)
    return _PAIRS[upper // 1296] + _PAIRS[upper % 1296] + _PAIRS[lower // 1296] + _PAIRS[lower % 1296]


def _runs(runs: int, steps: int, versions: list[tuple[int, int]], first: int) -> Iterator[Row]:
    for run in range(1, runs + 1):
        at = first + run * MS_BETWEEN_RUNS
        status = _status(run)
        code = RUN_STATUS_CODES[status]
        if status is RunStatus.QUEUED:
            template, version = versions[-1]
            never_begun = (None, None, 0, 1, steps, steps, None)
            yield (run, _id(run, at), template, version, code, at, *never_begun, None, 0, at)
            continue
        template, version = versions[run * 7 % (len(versions) - VERSIONS)]
        began = at + MS_QUEUED
        error = _ERROR if status is RunStatus.FAILED else None
        parent, depth = (run - 1, 1) if run % 20 == 0 else (None, 0)
        written = EVENTS_BESIDE_STEPS + EVENTS_A_STEP * steps
        ended = (began, began + MS_RUN, 2, written, steps, 0, error)
        yield (run, _id(run, at), template, version, code, at, *ended, parent, depth, at)


def _steps(runs: int, steps: int, first: int) -> Iterator[Row]:
    codes = {status: STEP_STATUS_CODES[ends[0]] for status, ends in _ENDS.items()}
    for run in range(1, runs + 1):
        status = _status(run)
        if status is RunStatus.QUEUED:
            continue
        began = first + run * MS_BETWEEN_RUNS + MS_QUEUED
        error = _ERROR if status is RunStatus.FAILED else None
        output = "null" if status is RunStatus.COMPLETED else None
        for step in range(steps):
            yield (run, step, 1, codes[status], began, began + MS_RUN, None, None, error, 0, "null", output, None)


def _events(runs: int, steps: int, first: int, seq: int) -> Iterator[Row]:
    codes = {status: (EVENT_CODES[step], EVENT_CODES[end]) for status, (_, step, end) in _ENDS.items()}
    created, started = EVENT_CODES[EventType.RUN_CREATED], EVENT_CODES[EventType.RUN_STARTED]
    step_started = EVENT_CODES[EventType.STEP_STARTED]
    info = LEVELS.index("info")
    for run in range(1, runs + 1):
        at = first + run * MS_BETWEEN_RUNS
        status = _status(run)
        rows: list[tuple[int, int, int | None]] = [(at, created, None)]
        if status is not RunStatus.QUEUED:
            step_ended, ended = codes[status]
            began = at + MS_QUEUED
            rows.append((began, started, None))
            rows += ((began, step_started, step) for step in range(steps))
            rows += ((began + MS_RUN, step_ended, step) for step in range(steps))
            rows.append((began + MS_RUN, ended, None))
        for number, (moment, kind, step) in enumerate(rows, 1):
            yield (seq, run, number, kind, step, None if step is None else 1, info, moment, None)
            seq += 1


if __name__ == "__main__":
    make(Path(sys.argv[1]), *map(int, sys.argv[2:4]))
