"""The commands as a user types them: real processes on a real file, their words as the `aio wf` page shows them."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stepflow.cli.live import place_of
from stepflow.cli.main import VERBS
from stepflow.cli.text import json_text
from tests.cli.conftest import Call

ORDER = """\
name: order-flow
input_schema: {type: object, required: [orderId], properties: {orderId: {type: string}}}
steps:
  - {id: validate-order, type: echo, input: {id: $.input.orderId}}
  - {id: check-inventory, type: echo, input: {$step: validate-order, path: id}}
output: {processed: true, id: $.steps.check-inventory.output}
"""
FAILS = (
    "steps:\n  - {id: good, type: noop}\n  - {id: bad, type: fail, input: {message: no stock}, depends_on: [good]}\n"
)
SLOW = "steps:\n  - {id: nap, type: wait, input: {seconds: 60}}\n"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in (("order.yaml", ORDER), ("fails.yaml", FAILS), ("slow.yaml", SLOW)):
        (tmp_path / name).write_text(text)
    return tmp_path


def masked(text: str) -> str:
    text = re.sub(r"exec_[0-9a-z]{16}", "exec_ID", text)
    text = re.sub(r"(?<=[/:])[0-9a-z]{16}\b", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE TIME", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "DATE HH:MM", text)
    return re.sub(r"\b\d\d:\d\d:\d\d\b", "HH:MM:SS", text)


def run_id_of(done: subprocess.CompletedProcess[str]) -> str:
    found = re.search(r"exec_[0-9a-z]{16}", done.stdout)
    assert found is not None, done
    return found[0]


def test_the_complete_workflow_of_the_page(run: Run, files: Path) -> None:
    created = run("create", "order-flow", "--dsl", "order.yaml", "-d", "Order processing")
    assert created.stdout == (
        "✓ Template 'order-flow' created\n  TRN: trn:stepflow:default:template/order-flow\n  Version: 1\n"
    )
    assert created.returncode == 0
    ran = run("run", "order-flow", "--input", '{"orderId": "ORD-123"}')
    assert masked(ran.stdout) == (
        "✓ Workflow execution started\n"
        "  Run ID: exec_ID\n"
        "  TRN: trn:stepflow:default:execution/order-flow/ID\n"
        "  Status: queued\n\n"
        'Result:\n{"processed": true, "id": "ORD-123"}\n'
    )
    assert [line.strip() for line in ran.stderr.splitlines()] == [
        "▶ validate-order",
        "✓ validate-order",
        "▶ check-inventory",
        "✓ check-inventory",
    ]
    run_id = run_id_of(ran)
    assert masked(run("list").stdout) == (
        "NAME                     VERSION    UPDATED\n" + "─" * 65 + "\n"
        "order-flow               1          DATE TIME\n\nShowing 1 of 1 templates\n"
    )
    assert masked(run("executions", "--template", "order-flow", "--status", "completed").stdout).splitlines()[2:] == [
        "trn:stepflow:...:exec/ID  order-flow         completed    DATE HH:MM"
    ]
    assert masked(run("execution", run_id).stdout) == (
        "┌───────────────────────────────────────────────────────┐\n"
        "│ Execution: exec_ID                      │\n"
        "├───────────────────────────────────────────────────────┤\n"
        "│ TRN          │ trn:stepflow:...:exec/ID │\n"
        "│ Workflow     │ order-flow                             │\n"
        "│ Status       │ completed                              │\n"
        "│ Started      │ DATE TIME                    │\n"
        "│ Completed    │ DATE TIME                    │\n"
        "└───────────────────────────────────────────────────────┘\n\n"
        'Input:\n{"orderId": "ORD-123"}\n\nResult:\n{"processed": true, "id": "ORD-123"}\n'
    )
    assert masked(run("steps", run_id).stdout) == (
        "STEP                           STATUS          STARTED\n" + "─" * 70 + "\n"
        "validate-order                 completed       HH:MM:SS\n"
        "check-inventory                completed       HH:MM:SS\n"
    )
    assert masked(run("stream", run_id).stdout).splitlines() == [
        "ℹ Streaming events for: exec_ID",
        "─" * 64,
        "[HH:MM:SS] run_created",
        "[HH:MM:SS] run_started",
        "[HH:MM:SS] step_started validate-order",
        "[HH:MM:SS] step_completed validate-order",
        "[HH:MM:SS] step_started check-inventory",
        "[HH:MM:SS] step_completed check-inventory",
        "[HH:MM:SS] run_completed",
    ]
    (files / "order.yaml").write_text(ORDER.replace("processed: true", "processed: yes"))
    assert (
        run("update", "order-flow", "--dsl", "order.yaml").stdout == "✓ Template 'order-flow' updated\n  Version: 2\n"
    )
    assert "│ Version      │ 2                                    │" in run("get", "order-flow").stdout
    assert run("delete", "order-flow", "--force").stdout == "✓ Template 'order-flow' deleted\n"


def test_a_failure_exits_with_1_and_can_be_retried(run: Run, files: Path) -> None:
    failed = run("run", "fails.yaml")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == "✗ Execution failed: bad: no stock"
    run_id = run_id_of(failed)
    assert "bad: no stock" in run("execution", run_id).stdout
    retried = run("retry", run_id)
    assert masked(retried.stdout) == "✓ Execution redriven\n  New Run TRN: trn:stepflow:...:exec/ID\n"
    assert run("cancel", run_id).returncode == 1


def test_an_asynchronous_run_goes_on_by_itself_and_can_be_cancelled(run: Run, files: Path) -> None:
    started = run("run", "slow.yaml", "--async")
    assert started.returncode == 0
    run_id = run_id_of(started)
    cancelled = run("cancel", run_id, "--reason", "enough")
    assert cancelled.stdout.splitlines()[0] == "✓ Execution cancelled"
    assert json.loads(run("execution", run_id, "--json").stdout)["status"] == "cancelled"


def test_two_asynchronous_runs_share_one_background_worker(run: Run, files: Path) -> None:
    for _ in range(2):
        run("run", "slow.yaml", "--async")
    alive = [json.loads(line) for line in run("workers", "--json").stdout.splitlines()]
    assert len([worker for worker in alive if worker["alive"]]) == 1


def test_without_a_worker_a_run_stays_queued_and_says_why(run: Run, files: Path) -> None:
    started = run("run", "order.yaml", "--input", '{"orderId": "1"}', "--async", "--no-worker")
    assert "Status: queued" in started.stdout
    assert started.stderr == "⚠ The execution is queued: no worker is running; start one with `stepflow worker`\n"
    assert run("workers", "--json").stdout == ""


def test_json_is_one_object_a_line(run: Run, files: Path) -> None:
    done = run("run", "order.yaml", "--input", '{"orderId": "1"}', "--json")
    record = json.loads(done.stdout)
    assert record["output"] == {"processed": True, "id": "1"}
    assert [json.loads(line)["key"] for line in run("steps", record["id"], "--json").stdout.splitlines()] == [
        "validate-order",
        "check-inventory",
    ]
    events = [json.loads(line) for line in run("stream", record["id"], "--json").stdout.splitlines()]
    assert [event["run_seq"] for event in events] == list(range(1, 8))
    assert events[-1]["event_type"] == "run.completed"
    assert json.loads(run("list", "--json").stdout)["name"] == "order-flow"
    assert json.loads(run("executions", "--json").stdout)["id"] == record["id"]
    assert json.loads(run("get", "order-flow", "--json").stdout)["dsl"] == ORDER


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "order-flw"], "✗ Template 'order-flw' not found; did you mean 'order-flow'?"),
        (
            ["create", "order-flow", "--dsl", "order.yaml"],
            "✗ Template 'order-flow' already exists\n  Save it as its next version: stepflow update order-flow",
        ),
        (["run", "order"], "✗ Template 'order' not found; there is a file of that name: stepflow run ./order.yaml"),
        (["run", "order-flow", "--version", "9"], "✗ Template 'order-flow' not found in version 9; its newest is 1"),
        (["update", "nothing", "--dsl", "order.yaml"], "✗ Template 'nothing' not found"),
        (["create", "x", "--dsl", "ordr.yaml"], "✗ DSL file 'ordr.yaml' not found; did you mean 'order.yaml'?"),
        (["create", "x", "--dsl", "."], "✗ DSL file '.' is a folder; name a file in it"),
        (["create", "x", "--dsl", "latin.yaml"], "is not UTF-8 text"),
        (["run", "order-flow", "--input", "{bad"], "in line 1, column 2 of --input"),
        (["run", "order-flow", "--input", "@missing.json"], "✗ Input file 'missing.json' not found"),
        (["run", "order-flow", "--input", "{}"], '"orderId" is a required property'),
        (["execution", "exec_nothing"], "✗ Execution 'exec_nothing' not found"),
        (["steps", "abc"], "give at least 4 characters"),
        (["run", "order-flow", "--input", ""], "✗ The input is empty: --input says nothing\n  Write it like"),
        (["cancel", "exec_nothing"], "not found"),
        (["--db", "text.db", "list"], "is not a StepFlow database"),
        (["--db", "newer.db", "list"], "upgrade StepFlow, or use another file with --db"),
        (["--db", ".", "list"], "is a folder, not a database file"),
        (["--db", "postgresql://x/y", "list"], "not available in this release"),
        (["--workspace", "nowhere", "list"], "is not a folder"),
    ],
)
def test_a_mistake_is_said_with_its_way_out_and_exit_1(
    call: Call, files: Path, arguments: list[str], says: str
) -> None:
    call("create", "order-flow", "--dsl", "order.yaml")
    (files / "order-flow.yaml").write_text((files / "order.yaml").read_text())
    (files / "latin.yaml").write_bytes("name: caf\xe9".encode("latin-1"))
    (files / "text.db").write_text("some text that is no database at all, whatever its name is. " * 20)
    connection = sqlite3.connect(files / "newer.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    done = call(*arguments)
    assert done.exit_code == 1
    assert says in done.stderr
    assert done.stdout == ""


def test_an_invalid_template_names_every_mistake_and_its_place(run: Run, files: Path) -> None:
    (files / "bad.yaml").write_text("steps:\n  - id: a\n  - {id: b, type: echo, input: $.steps.zz.output}\n")
    done = run("validate", "bad.yaml")
    assert done.returncode == 1
    assert done.stdout.splitlines()[:3] == [
        "✗ DSL validation failed",
        "  • Missing required field: steps[0].type",
        "      bad.yaml:2:5: say what it runs, e.g. `type: http.get`",
    ]
    created = run("create", "x", "--dsl", "bad.yaml")
    assert created.returncode == 1
    assert created.stderr.splitlines()[0] == "✗ DSL validation failed"
    assert run("validate", "order.yaml").stdout == "✓ DSL is valid\n"
    assert json.loads(run("validate", "bad.yaml", "--json").stdout)["valid"] is False


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lst"], "Unknown command 'lst'; did you mean 'list'?"),
        (["list", "--limt", "3"], "did you mean '--limit'?"),
        (["list", "--limit", "x"], "takes a whole number from 1 to 10000, not 'x'"),
        (["create", "x"], "Missing option '--dsl'"),
        (["worker", "--grace", "5"], "a duration needs a unit"),
        ([], "Usage:"),
    ],
)
def test_a_wrong_command_line_exits_with_2(run: Run, arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_help_with_an_example(run: Run, verb: str) -> None:
    done = run(verb, "--help")
    assert done.returncode == 0
    assert f"stepflow {verb}" in done.stdout.partition("Example")[2]


def test_aio_is_the_same_command(files: Path, environment: dict[str, str]) -> None:
    script = "from stepflow.cli.main import aio; aio()"
    for word in ("wf", "workflow"):
        done = subprocess.run(
            [sys.executable, "-c", script, word, "list"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Showing 0 of 0 templates")
    done = subprocess.run([sys.executable, "-c", script, "wff"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "did you mean 'wf'" in done.stderr


def test_what_comes_from_a_run_cannot_command_the_terminal(run: Run, files: Path) -> None:
    (files / "evil.yaml").write_text(
        'steps:\n  - {id: a, type: fail, input: {message: "\\e]0;owned\\a\\e[2J [bold]x[/]"}}\n'
    )
    done = run("run", "evil.yaml")
    assert "\x1b" not in done.stdout + done.stderr
    assert "\\x1b[2J [bold]x[/]" in done.stderr
    assert "\x1b" not in run("stream", run_id_of(done)).stdout


def test_colour_is_for_terminals_that_want_it(run: Run, files: Path, environment: dict[str, str]) -> None:
    def on_a_terminal(**more: str) -> str:
        master, slave = pty.openpty()
        subprocess.run(
            [sys.executable, "-m", "stepflow.cli.main", "validate", str(files / "order.yaml")],
            env={**environment, "TERM": "xterm", **more}, stdout=slave, stderr=slave, stdin=slave, check=True,
        )  # fmt: skip
        os.close(slave)
        text = os.read(master, 10_000).decode()
        os.close(master)
        return text

    assert "\x1b[32m✓\x1b[0m" in on_a_terminal()
    assert "\x1b" not in on_a_terminal(NO_COLOR="1")


def test_a_reader_that_goes_away_is_no_error(run: Run, files: Path, environment: dict[str, str]) -> None:
    run("create", "order-flow", "--dsl", "order.yaml")
    command = f"{sys.executable} -m stepflow.cli.main get order-flow | head -1"
    done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def _interrupt(process: subprocess.Popen[str], when: str) -> tuple[int, str]:
    """Ctrl-C once `when` was printed; the exit code and what came on stderr."""
    assert process.stdout is not None
    while when not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    return process.returncode, error


def test_interrupting_a_stream_or_a_run_is_quiet_and_harms_nothing(
    run: Run, files: Path, environment: dict[str, str]
) -> None:
    def begin(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-u", "-m", "stepflow.cli.main", *arguments],
            cwd=files, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    code, error = _interrupt(begin("run", "slow.yaml"), "Status:")
    assert code == 130
    assert "Traceback" not in error
    run_id = json.loads(run("executions", "--json").stdout)["id"]
    ways_out = f"  Watch it with `stepflow stream {run_id}`\n  Cancel it with `stepflow cancel {run_id}`\n"
    assert error.endswith(f"\nThe execution goes on\n{ways_out}")
    code, error = _interrupt(begin("stream", run_id), "───")
    assert (code, error) == (130, "")
    assert json.loads(run("execution", run_id, "--json").stdout)["status"] in ("running", "sleeping")
    assert run("cancel", run_id).returncode == 0


def test_a_worker_gives_its_runs_back_when_it_is_told_to_stop(
    run: Run, files: Path, environment: dict[str, str]
) -> None:
    (files / "long.yaml").write_text("steps:\n  - {id: a, type: shell.run, input: {command: [sleep, '30']}}\n")
    started = run("run", "long.yaml", "--async", "--no-worker")
    worker = subprocess.Popen(
        [sys.executable, "-m", "stepflow.cli.main", "worker", "--grace", "0s"],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    run_id = run_id_of(started)
    while json.loads(run("execution", run_id, "--json").stdout)["status"] != "running":
        assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    _, error = worker.communicate(timeout=20)
    assert worker.returncode == 0
    assert "giving executions back" in error
    assert json.loads(run("execution", run_id, "--json").stdout)["status"] == "queued"


def test_a_first_workspace_runs(run: Run, files: Path) -> None:
    made = "✓ Workspace 'my flows' made\n  Next: cd 'my flows' && stepflow run hello.yaml\n"
    assert run("init", "my flows").stdout == made
    assert run("init").stdout.endswith("\n  Next: stepflow run hello.yaml\n")
    assert "Nothing found" in run("lint", "my flows/hello.yaml").stdout
    done = run("run", "my flows/hello.yaml")
    assert (done.returncode, "hello.yaml" in done.stdout) == (0, True)
    assert "is a workspace" in run("init", "my flows").stderr


def test_an_input_file_may_begin_with_a_byte_order_mark(run: Run, files: Path) -> None:
    (files / "bom.json").write_text('{"orderId": "1"}', encoding="utf-8-sig")
    (files / "bom.yaml").write_text("orderId: '1'\n", encoding="utf-8-sig")
    for file in ("bom.json", "bom.yaml"):
        done = run("run", "order.yaml", "--input", f"@{file}", "--json", "--async", "--no-worker")
        assert json.loads(done.stdout)["input"] == {"orderId": "1"}


@pytest.mark.full
def test_a_large_input_comes_from_a_file(run: Run, files: Path) -> None:
    (files / "big.json").write_text(json.dumps({"orderId": "1", "big": "x" * 50_000_000}))
    done = run("run", "order.yaml", "--input", "@big.json")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it stands for a full disk, and only Linux has it")
def test_output_that_goes_nowhere_is_said_and_no_traceback() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "stepflow.cli.main", "components"], stdout=full, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "✗ The output cannot be written: No space left on device\n")


@pytest.mark.parametrize("text", ["\U000e0067\U000e007f", "\U0001fae8", "\x1b[2J\u202e", "plain ✓"])
def test_json_that_is_printed_says_what_it_was_and_no_terminal_obeys_it(text: str) -> None:
    printed = json_text({"a": text})
    assert json.loads(printed) == {"a": text}
    assert "\x1b" not in printed
    assert "\u202e" not in printed


def test_what_a_component_raised_is_said_with_its_kind_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stack = (
        f'  File "{tmp_path}/components/ops.py", line 43, in load\n    x / 0\n'
        '  File "/usr/lib/python3/json/decoder.py", line 3, in decode\n'
    )
    error = {"code": "COMPONENT_FAILED", "details": {"type": "ZeroDivisionError", "stack": stack}}
    assert place_of(error) == "ZeroDivisionError at components/ops.py:43"
    assert place_of({"details": {"type": "X", "stack": "nothing"}}) == ""
