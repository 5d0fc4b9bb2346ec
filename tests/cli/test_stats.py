"""`stepflow stats`: what is counted, of which time, and what is said where there is too much."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stepflow.client import Client
from stepflow.errors import TemplateNotFoundError
from stepflow.model.statuses import RUN_STATUS_CODES, RunStatus
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage, statistics
from tests.cli.conftest import Call
from tests.support.engine import start
from tests.support.flows import chain, echo, flow

HOUR_MS = 3_600_000


@pytest.fixture
def database(folder: Path) -> Path:
    """`slow` completed in 10, 20 … 100 s; `bad` failed twice and is queued once; one of `old` is three days old."""
    storage = SQLiteStorage(folder / "x.db", durability="normal")
    for name, count in (("slow", 10), ("bad", 3), ("old", 1)):
        for _ in range(count):
            start(storage, flow(echo("a"), name=name))
    storage.close()
    now = now_ms()
    ends = [(number, RunStatus.COMPLETED, number * 10_000, None) for number in range(1, 11)]
    ends += [(number, RunStatus.FAILED, 5, '{"code": "NO_STOCK"}') for number in (11, 12)]
    connection = sqlite3.connect(folder / "x.db")
    with connection:
        for number, status, took, error in ends:
            connection.execute(
                "UPDATE runs SET status = ?, created_at = ?, started_at = ?, finished_at = ?, error = ? WHERE num = ?",
                (RUN_STATUS_CODES[status], now - HOUR_MS, now - HOUR_MS + 50, now - HOUR_MS + 50 + took, error, number),
            )
        connection.execute("UPDATE runs SET created_at = ? WHERE num = 14", (now - 72 * HOUR_MS,))
    connection.close()
    return folder / "x.db"


def stats(call: Call, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call("stats", "--json", *options).stdout)
    return found


def test_executions_are_counted_by_status_template_and_failure(call: Call, database: Path) -> None:
    found = stats(call)
    assert (found["count"], found["is_whole"]) == (13, True)
    assert found["statuses"] == {"queued": 1, "completed": 10, "failed": 2}
    assert found["failures"] == {"NO_STOCK": 2}
    slow, bad = found["templates"]
    assert (slow["name"], slow["success_rate"], slow["median_ms"], slow["p95_ms"]) == ("slow", 1.0, 55_000, 95_500)
    assert (bad["name"], bad["count"], bad["success_rate"], bad["median_ms"]) == ("bad", 3, 0.0, None)
    assert found["per_hour"] == pytest.approx(12 / 24, rel=0.01)
    assert (found["wait_median_ms"], found["wait_p95_ms"]) == (50, 50)
    assert found["rows"]["runs"] == 14


def test_the_time_and_the_template_narrow_it(call: Call, database: Path) -> None:
    assert stats(call, "--since", "7d")["count"] == 14
    assert stats(call, "--since", "10m")["count"] == 1
    assert stats(call, "--template", "bad")["count"] == 3
    assert [one["name"] for one in stats(call, "--template", "bad")["templates"]] == ["bad"]


def test_for_people_it_is_a_page(call: Call, database: Path) -> None:
    lines = call("stats").stdout.splitlines()
    assert lines[0].startswith("13 executions since ")
    assert lines[1:4] == [
        "  queued 1, completed 10, failed 2",
        "  0.5 ended an hour",
        "  waited to begin: 50ms (median), 50ms (95 %)",
    ]
    assert lines[5].split() == ["TEMPLATE", "COUNT", "OK", "MEDIAN", "95", "%", "LAST", "RUN"]
    assert lines[7].split()[:6] == ["slow", "10", "100.0", "%", "55.0s", "1m35s"]
    assert "        2  NO_STOCK" in lines
    assert lines[-1] == "Workers   0 alive, 0 of 0 slots taken"


def test_of_too_many_the_newest_are_counted_and_that_is_said(
    call: Call, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "MOST_RUNS", 2)
    monkeypatch.setattr(statistics, "MOST_ROWS", 3)
    found = stats(call)
    assert (found["count"], found["is_whole"], found["rows"]["runs"]) == (2, False, None)
    assert call("stats").stdout.startswith("The newest 2 executions (since ")


def test_children_are_not_counted(call: Call, folder: Path) -> None:
    storage = SQLiteStorage(folder / "x.db", durability="normal")
    parent = start(storage, chain(1))
    start(storage, chain(1), parent_run_id=parent)
    storage.close()
    assert stats(call)["count"] == 1


def test_without_executions_there_are_none(call: Call, folder: Path) -> None:
    done = call("stats")
    assert done.exit_code == 0
    assert done.stdout.startswith("0 executions since ")
    assert not (folder / "x.db").exists()


@pytest.mark.parametrize(
    ("since", "said"),
    [("5", "needs a unit"), ("soon", "not a duration"), ("", "not a duration")],
)
def test_what_is_no_duration_is_refused(call: Call, since: str, said: str) -> None:
    done = call("stats", "--since", since)
    assert done.exit_code == 2
    assert said in done.stderr


def test_an_unknown_template_is_said_with_what_was_meant(call: Call, database: Path) -> None:
    done = call("stats", "--template", "slwo")
    assert (done.exit_code, "did you mean 'slow'?" in done.stderr) == (1, True)


async def test_a_deleted_templates_executions_still_count(database: Path) -> None:
    async with Client(str(database)) as client:
        await client.delete_template("bad")
        assert (await client.stats(timedelta(hours=2), "bad")).count == 3
        with pytest.raises(TemplateNotFoundError):
            await client.stats(template="none")
