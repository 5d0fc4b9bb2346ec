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
from stepflow.model.flow import Step
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.plain import error_sentences, event_sentence, run_sentence, spoken
from tests.support.engine import finish, save, start, until, working
from tests.support.flows import chain, echo, flow
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
    assert words("?").stdout.splitlines()[3:] == said[said.index("list: the newest executions, with numbers") : -2]
    assert said[-1] == "No execution is open. Give its number in the list."


def test_it_runs_follows_and_retries(storage: SQLiteStorage, words: Words) -> None:
    save(storage, failing())
    said = words("run", "run failing {", "run nothing", "run failing {}", "n", "run failing {}", "y", "follow").stdout
    assert "Which template?" in said
    assert "The input is not JSON: " in said
    assert "Error: Template 'nothing' not found" in said
    assert "Run failing with {}? Type y.\nNot run.\n" in said
    assert "Started as exec_" in said
    assert "bad, step failed, no such column" in said
    said = words("1", "retry", "y", "follow").stdout
    assert "? It keeps nothing, and runs bad. Type y.\nRetried as exec_" in said
    assert "Retried as exec_" in said
    assert "bad, step failed, no such column" in said
    assert storage.count_runs([RunStatus.FAILED], None) == 2


def test_following_ends_with_the_execution_where_nobody_can_end_it(storage: SQLiteStorage, words: Words) -> None:
    save(storage, chain(2))
    said = words("run flow", "y", "follow").stdout.splitlines()
    assert any(line.endswith("run completed") for line in said)
    assert said[-1] == "Not following any more."


def test_it_cancels_pauses_and_resumes_by_words(storage: SQLiteStorage, words: Words) -> None:
    run_id = start(storage, sleeping())
    said = words("1", "pause", "y", "resume", "y", "cancel", "no", "cancel", "yes", "quit").stdout
    assert f"Cancel sleeper, {run_id}? Type y." in said
    assert said.index("Paused.") < said.index("It goes on.") < said.index("Not cancelled.") < said.index("Cancelling.")
    assert storage.get_run(run_id).cancel_requested or storage.get_run(run_id).status is RunStatus.CANCELLED


def test_what_is_to_be_changed_may_be_named_by_its_number(storage: SQLiteStorage, words: Words) -> None:
    first, second = start(storage, sleeping()), start(storage, sleeping())
    asked = ("cancel 2", "y", "9", "pause 9", "pause 1", "n", f"terminate {second}", "nothing", "terminate 1")
    said = words(*asked, second, "cancel 2", "retry 1", "n", "steps 2").stdout
    assert f"Cancel sleeper, {first}? Type y.\nCancelling.\n" in said
    assert f"Pause sleeper, {second}? Nothing more of it starts. Type y.\nNot paused.\n" in said
    assert said.count("There is no number 9 in the list") == 2
    assert f"That is not {short_id(second)}; it goes on." in said
    assert "It is cancelled." in said
    assert f"sleeper, {first}, is cancelled; there is nothing to cancel." in said
    assert f"Retry sleeper, {second}? It keeps nothing, and runs nap. Type y.\nNot retried.\n" in said
    assert {storage.get_run(one).status for one in (first, second)} == {RunStatus.CANCELLED}


async def test_a_waiting_step_is_answered(storage: SQLiteStorage, words: Words) -> None:
    asks = flow(Step(key="gate", component="/builtin/wait_event", input={"message": "Deploy?"}), name="deploy")
    run_id = start(storage, asks)
    async with working(storage):
        await until(storage, run_id, RunStatus.WAITING)
    said = words(
        "1", "answer", "answer {", 'answer {"approved": true}', "n", 'answer {"approved": true}', "y", "follow"
    ).stdout
    assert "waits for gate: Deploy?, id" in said
    assert 'gate waits for gate. Deploy? Answer it like answer {"approved": true}' in said
    assert "It is not JSON: Expecting property name" in said
    assert f'Deploy? Answer gate of deploy, {run_id}, with {{"approved": true}}? Type y.\nNothing was given.' in said
    assert "Given; it goes on.\n" in said
    await until(storage, run_id, RunStatus.COMPLETED)
    said = words("1", "values gate", "answer 1").stdout
    assert '"data": {"approved": true}' in said
    assert f"deploy, {run_id}, is completed; there is nothing to answer." in said


def test_a_signal_may_come_before_it_is_waited_for(storage: SQLiteStorage, words: Words) -> None:
    run_id = start(storage, sleeping())
    said = words("1", "answer 1", "signal", "signal paid 1 2", "signal paid", "y").stdout
    assert f"sleeper, {run_id}, waits for no answer." in said
    assert "Write it like signal NAME JSON" in said
    assert "more than one value" in said
    assert f"Give paid to sleeper, {run_id}, with null? Type y.\nGiven; it is kept" in said


async def test_log_values_and_errors_are_read(storage: SQLiteStorage, words: Words) -> None:
    broken = flow(
        echo("first"),
        Step(key="code", component="/shell/run", input={"command": ["sh", "-c", "echo oops >&2; exit 3"]}),
        echo("after", depends_on=("code",)),
        name="broken",
    )
    await finish(storage, broken, {"n": 7})
    said = words("1", "log", "log code", "log cod", "values", "values code", "error").stdout
    assert "The log of broken, the last lines:" in said
    assert "That is where it begins." in said
    assert "There is no step 'cod'; did you mean 'code'?" in said
    assert 'input: {"n": 7}' in said
    assert 'input: {"command": ["sh", "-c", "echo oops >&2; exit 3"]}' in said
    errors = said.rpartition("output: null")[2]
    assert "code, failed" in errors
    assert "  SHELL_EXIT: The command exited with 3: oops\n  exit_code: 3" in errors
    assert "after, failed" not in errors


async def test_only_those_that_match_are_listed_a_page_at_a_time(storage: SQLiteStorage, words: Words) -> None:
    for _ in range(12):
        start(storage, sleeping())
    await finish(storage, failing())
    said = words("filter template:sleeper", "more", "more", "filter status:nope", "filter err~column", "filter").stdout
    assert "12 of 13 executions match template:sleeper, newest first." in said
    assert "\n12. sleeper, " in said
    assert "There are no older ones." in said
    assert "There is no status 'nope'" in said
    assert "1 of 13 executions matches err~column" in said
    assert said.count("13 executions, newest first.") == 2


def test_a_simulation_is_told(storage: SQLiteStorage, words: Words) -> None:
    save(storage, sleeping())
    said = words("simulate sleeper {}").stdout
    assert "It would be completed, takes 1 hour. 1 of 1 steps would run." in said
    assert "  nap, completed, takes 1 hour" in said
    assert storage.count_runs(None, None) == 0


def test_an_error_is_told_with_its_cause_before_its_stack() -> None:
    because = "The above exception was the direct cause of the following exception:"
    stack = f"Traceback:\n  File a\nKeyError: 'ts'\n\n{because}\n\nTraceback:\nValueError: \x1b[2J\n"
    details = {"step_key": "load", "type": "ValueError", "stack": stack, "file": "a.py", "line": 7}
    said = error_sentences({"code": "PYTHON", "message": "no\nrow", "details": details})
    assert said[:4] == ["PYTHON: no⏎row", "Caused by KeyError: 'ts'", "At a.py, 7", "type: ValueError"]
    assert (said[4], said[-1]) == ("stack:", "  ValueError: ·[2J")


def test_only_reading_changes_nothing(storage: SQLiteStorage, words: Words, tmp_path: Path) -> None:
    run_id = start(storage, chain(1))
    done = words("1", "cancel", "run flow", "retry", arguments=("open", run_id, "--plain", "--read-only"))
    assert done.stdout.count("is off: this only reads (--read-only, or so its profile says)") == 3
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
