"""`stepflow pause` and `stepflow resume`, and `run --delay`: what they say, also when there is nothing to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Call

FLOW = "name: one\nsteps:\n  - {id: a, type: noop}\n"


@pytest.fixture
def started(call: Call, folder: Path) -> str:
    """The id of a queued execution that no worker takes."""
    (folder / "one.yaml").write_text(FLOW)
    done = call("run", "one.yaml", "--async", "--no-worker")
    assert done.exit_code == 0
    return done.stdout.split("Run ID: ")[1].split()[0]


def test_an_execution_is_paused_and_goes_on(call: Call, started: str) -> None:
    done = call("pause", started)
    assert (done.stdout, done.stderr) == (f"✓ Execution paused\n  Run ID: {started}\n", "")
    assert "paused" in call("executions").stdout
    assert f"let it go on with `stepflow resume {started}`" in call("execution", started).stdout
    done = call("resume", started[-4:], "--no-worker")
    assert (done.stdout, done.stderr) == (f"✓ Execution resumed\n  Run ID: {started}\n", "")


def test_what_cannot_be_is_refused_with_the_way_out(call: Call, started: str) -> None:
    done = call("resume", started, "--no-worker")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"✗ Execution {started} is neither paused nor stalled\n"
    call("pause", started)
    done = call("pause", started)
    assert (done.exit_code, done.stderr) == (1, f"✗ Execution {started} is paused already\n")
    call("cancel", started)
    assert call("pause", started).stderr == f"✗ Execution {started} is cancelled and cannot be paused\n"
    assert call("resume", started).stderr == f"✗ Execution {started} is cancelled; retry it instead\n"


def test_a_delayed_run_says_when_it_starts(call: Call, started: str) -> None:
    done = call("run", "one", "--delay", "2h", "--async", "--no-worker")
    assert "  Status: scheduled\n" in done.stdout
    at = datetime.now(UTC).astimezone() + timedelta(hours=2)
    assert f"  ℹ It starts at {at:%Y-%m-%d %H:}" in done.stderr
    run_id = done.stdout.split("Run ID: ")[1].split()[0]
    call("pause", run_id)
    call("resume", run_id, "--no-worker")
    assert '"status": "scheduled"' in call("execution", run_id, "--json").stdout


def test_a_delay_without_a_unit_asks_for_it(call: Call, started: str) -> None:
    done = call("run", "one", "--delay", "5")
    assert done.exit_code == 2
    assert "5s" in done.stderr


def test_ways_out_lead_to_the_database_that_was_named(call: Call, started: str, folder: Path) -> None:
    (folder / "x.db").rename(folder / "my own.db")
    here = ("--db", "my own.db")
    call(*here, "pause", started)
    said = call(*here, "execution", started).stdout
    assert f"let it go on with `stepflow --db 'my own.db' resume {started}`" in said
    call(*here, "resume", started, "--no-worker")
    assert "start one with `stepflow --db 'my own.db' worker`" in call(*here, "execution", started).stdout
