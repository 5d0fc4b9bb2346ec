"""Lines instead of a screen: the real command, with words on its stdin."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.presentation.plain import event_sentence, run_sentence, spoken
from tests.support.engine import finish, save, start
from tests.support.flows import chain
from tests.tui.test_dashboard import failing, sleeping

Words = Callable[..., "subprocess.CompletedProcess[str]"]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def words(storage: SQLiteStorage) -> Iterator[Words]:
    """Gives lines to `stepflow … --plain`; the worker it may start is ended after the test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STEPFLOW")}
    environment |= {"STEPFLOW_DB": storage.url, "STEPFLOW_DURABILITY": "normal"}

    def stepflow(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stepflow.cli.main", *arguments],
            input=given, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    yield lambda *lines, arguments=("--plain",): stepflow(*arguments, given="\n".join(lines) + "\n")
    stepflow("workers", "stop", "--all")


async def test_it_lists_opens_and_helps_without_a_sign_or_a_colour(storage: SQLiteStorage, words: Words) -> None:
    await finish(storage, failing())
    done = words("1", "9", "lits", "frobnicate", "more", "", "help", "close", "steps", "quit", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    said = done.stdout.splitlines()
    assert said[1] == "1 execution, newest first."
    assert said[2].startswith("1. failing, failed, took less than a second, bad: no such column, id exec_")
    assert "  bad, failed, took less than a second, no such column" in said
    assert "There is no number 9 in the list; list reads it again." in said
    assert "There is no word 'lits'; did you mean 'list'?" in said
    assert "There is no word 'frobnicate'; help lists them" in said
    assert "There are no older ones." in said
    assert "cancel: cancel the open execution" in said
    assert said[-1] == "No execution is open. Give its number in the list."


def test_it_runs_follows_and_retries(storage: SQLiteStorage, words: Words) -> None:
    save(storage, failing())
    said = words("run", "run failing {", "run nothing", "run failing {}", "follow").stdout
    assert "Which template?" in said
    assert "The input is not JSON: " in said
    assert "Error: Template 'nothing' not found" in said
    assert "Started as exec_" in said
    assert "bad, step failed, no such column" in said
    said = words("1", "retry", "follow").stdout
    assert "Retried as exec_" in said
    assert "bad, step failed, no such column" in said
    assert storage.count_runs([RunStatus.FAILED], None) == 2


def test_following_ends_with_the_execution_where_nobody_can_end_it(storage: SQLiteStorage, words: Words) -> None:
    save(storage, chain(2))
    said = words("run flow", "follow").stdout.splitlines()
    assert any(line.endswith("run completed") for line in said)
    assert said[-1] == "Not following any more."


def test_it_cancels_pauses_and_resumes_by_words(storage: SQLiteStorage, words: Words) -> None:
    run_id = start(storage, sleeping())
    said = words("1", "pause", "resume", "cancel", "no", "cancel", "yes", "quit").stdout
    assert f"Cancel sleeper, {run_id}? Type yes." in said
    assert said.index("Paused.") < said.index("It goes on.") < said.index("Not cancelled.") < said.index("Cancelling.")
    assert storage.get_run(run_id).cancel_requested or storage.get_run(run_id).status is RunStatus.CANCELLED


def test_only_reading_changes_nothing(storage: SQLiteStorage, words: Words, tmp_path: Path) -> None:
    run_id = start(storage, chain(1))
    done = words("1", "cancel", "run flow", "retry", arguments=("open", run_id, "--plain", "--read-only"))
    assert done.stdout.count("is off: this only reads (--read-only)") == 3
    assert storage.get_run(run_id).status is RunStatus.QUEUED
    none = words("", arguments=("--db", str(tmp_path / "none.db"), "--read-only", "--plain"))
    assert none.returncode == 1
    assert "There is no database" in none.stderr
    assert not (tmp_path / "none.db").exists()


def test_what_is_wrong_on_the_command_line_is_said_before_anything_else(storage: SQLiteStorage, words: Words) -> None:
    start(storage, chain(1))
    done = words("", arguments=("open", "exec_none", "--plain"))
    assert (done.returncode, done.stderr) == (1, "✗ Execution 'exec_none' not found\n")
    done = words("", arguments=("--read-only", "list"))
    assert done.returncode == 2
    assert "--read-only is for the terminal UI" in done.stderr
    assert words("", arguments=("--plain", "list")).returncode == 2


def test_an_empty_database_says_what_to_do(words: Words) -> None:
    said = words("templates", "follow", "steps").stdout
    assert "Nothing has run yet." in said
    assert "There are no templates yet" in said


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than a second"),
        (1, "1 second"),
        (65, "1 minute 5 seconds"),
        (7200, "2 hours"),
        (90061, "1 day 1 hour"),
    ],
)
def test_durations_are_spoken(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_what_runs_say_is_only_text() -> None:
    run = RunRecord(
        id="exec_1", template="t\x1b[2J", version=1, status=RunStatus.AWAITING_RETRY, created_at=NOW,
        started_at=NOW - timedelta(minutes=2), reason="a\nb", steps_total=4, steps_done=1, cancel_requested=True,
    )  # fmt: skip
    assert run_sentence(run, NOW) == (
        "t·[2J, awaiting retry, to be cancelled, for 2 minutes, 1 of 4 steps, a⏎b, id exec_1"
    )
    event = WorkflowEvent(
        seq=1, run_id="exec_1", kind="t\x1b", event_type="step.started", timestamp=NOW, step_key="s\x07",
        run_seq=1, payload={}, attempt=1, level="info",
    )  # fmt: skip
    assert event_sentence(event, with_run=True).endswith(", t·, s·, step started")
