"""What commands are measured on is what workers write, and what is measured succeeds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks import commands, million
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.invariants import check_run

RUNS, EVENTS = 1000, 7000
"""Two steps each; enough that every status is among them."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    million.make(tmp_path / "large.db", RUNS, EVENTS)
    return tmp_path / "large.db"


def test_a_large_database_is_one_that_workers_could_have_written(database: Path) -> None:
    storage = SQLiteStorage(database)
    ids = [run_id for (run_id,) in storage.fetch("SELECT id FROM runs ORDER BY num")]
    assert ids == sorted(ids)
    assert len(ids) == RUNS
    for run_id in ids[-300:]:
        check_run(storage, run_id)
    assert storage.status_counts().keys() == {*(status for status in RunStatus if status.is_final), RunStatus.QUEUED}
    assert storage.statistics()["events"] == pytest.approx(EVENTS, rel=0.02)
    storage.close()


def test_every_command_that_is_measured_succeeds_and_far_pages_are_other_pages(database: Path) -> None:
    cursor, run_id = asyncio.run(commands.places(database, 3))
    lines = commands.commands(database, cursor, run_id)
    times = commands.times_ms(database.parent, lines, rounds=1)
    assert {name: len(found) for name, found in times.items()} == dict.fromkeys(lines, 1)
    assert int(cursor) < RUNS - 2 * commands.PAGE
