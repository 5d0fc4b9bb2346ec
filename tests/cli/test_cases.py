"""`stepflow test`: what it finds, what it shows, what it rewrites, and its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Call

FLOW = """\
# prices
steps:
  - {id: get, type: http.get, input: {url: $.input.url}, retry: false}
  - {id: sum, type: echo, input: "${{ $.steps.get.output.body.price * 2 }}"}
output: {total: $.steps.sum.output, at: $.run.id}
tests:
  - name: doubles
    input: {url: "http://a.example"}
    mocks:
      get: {output: {status: 200, headers: {}, body: {price: 2}, elapsed_ms: 1}}
    expect: {output: {total: 4}}
  - name: no connection
    input: {url: "http://a.example"}
    mocks: {/http/get: {error: {code: HTTP_CONNECT, message: refused}}}
    expect:
      status: completed   # it was once
      steps: {sum: skipped}
"""
PASSES = "steps: [{id: a, type: noop}]\ntests: [{name: runs}]\n"


@pytest.fixture
def flow(folder: Path) -> Path:
    (folder / "flow.yaml").write_text(FLOW)
    return folder / "flow.yaml"


def test_cases_are_shown_with_what_differs(call: Call, flow: Path) -> None:
    done = call("test", "flow.yaml")
    assert done.stdout == (
        "flow.yaml\n"
        "  ✓ doubles\n"
        "  ✗ no connection\n"
        '      status: expected "completed", got "failed"\n'
        '      steps.sum.status: expected "skipped", got "failed"\n'
        "      error: refused\n"
        "\n"
        "✗ 1 passed, 1 failed\n"
    )
    assert (done.stderr, done.exit_code) == ("", 1)


def test_what_passes_exits_with_0(call: Call, folder: Path) -> None:
    (folder / "a.yaml").write_text(PASSES)
    done = call("test", "a.yaml")
    assert (done.stdout, done.exit_code) == ("a.yaml\n  ✓ runs\n\n✓ 1 passed, 0 failed\n", 0)


def test_json_is_one_object_a_case(call: Call, flow: Path) -> None:
    first, second = map(json.loads, call("test", "flow.yaml", "--json").stdout.splitlines())
    assert first == {
        "file": "flow.yaml", "name": "doubles", "passed": True, "updated": False, "differences": [], "error": None,
    }  # fmt: skip
    assert (second["passed"], second["error"]["code"]) == (False, "HTTP_CONNECT")


def test_update_rewrites_what_failed_and_nothing_else(call: Call, flow: Path) -> None:
    flow.write_bytes(FLOW.replace("\n", "\r\n").encode())
    done = call("test", "flow.yaml", "--update")
    assert (done.stderr, done.exit_code) == ("✓ Updated 1 of flow.yaml\n", 0)
    assert "  ✓ no connection (updated)\n      status: expected" in done.stdout
    assert done.stdout.endswith("✓ 1 passed, 0 failed, 1 updated\n")
    wanted = FLOW.replace("status: completed   #", "status: failed   #").replace("{sum: skipped}", "{sum: failed}")
    assert flow.read_bytes() == wanted.replace("\n", "\r\n").encode()
    again = call("test", "flow.yaml", "--update")
    assert (again.stderr, again.exit_code) == ("", 0)


def test_a_case_without_expectations_is_given_some(call: Call, folder: Path) -> None:
    text = "steps: [{id: a, type: fail, input: {message: no}}]\ntests:\n  - name: fails\n    # today\n"
    (folder / "a.yaml").write_text(text)
    assert call("test", "a.yaml", "--update").exit_code == 0
    wanted = text.replace("    # today\n", "    expect: {status: failed}\n    # today\n")
    assert (folder / "a.yaml").read_text() == wanted


def test_what_cannot_be_rewritten_is_said(call: Call, folder: Path) -> None:
    text = "x-one: &one {name: a, expect: {status: failed}}\nsteps: [{id: a, type: noop}]\ntests: [*one]\n"
    (folder / "a.yaml").write_text(text)
    done = call("test", "a.yaml", "--update")
    assert done.exit_code == 1
    assert done.stderr == "✗ a.yaml: its expectations cannot be rewritten where they stand; write them by hand\n"
    assert (folder / "a.yaml").read_text() == text


def test_without_files_the_templates_below_are_tested(call: Call, folder: Path) -> None:
    for name in ("b.yaml", "deep/a.yml", ".hidden/no.yaml", "node_modules/no.yaml"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(PASSES)
    (folder / "deep/c.json").write_text('{"steps": [{"id": "a", "type": "noop"}], "tests": [{"name": "runs"}]}')
    (folder / "pipeline.yaml").write_text("jobs:\n  test:\n    steps: [{run: make}]\n")
    (folder / "other.yaml").write_text("tests: [1, 2]\n")
    (folder / "untested.yaml").write_text("steps: [{id: tests, type: nop}]\n")
    (folder / "latin.yaml").write_bytes(b"tests: \xff steps:")
    done = call("test")
    assert [line for line in done.stdout.splitlines() if line[:1] not in ("", " ")] == [
        "b.yaml",
        "deep/a.yml",
        "deep/c.json",
        "✓ 3 passed, 0 failed",
    ]
    assert done.exit_code == 0
    assert call("test", "deep", "b.yaml").stdout.count("✓ runs") == 3


def test_a_template_that_is_wrong_fails_the_whole(call: Call, folder: Path) -> None:
    (folder / "a.yaml").write_text(PASSES)
    (folder / "wrong.yaml").write_text("steps: [{id: a}]\ntests: [{name: x}]\n")
    (folder / "no.yaml").write_text("steps: [\ntests:\n a: b: c\n")
    done = call("test")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, "✗ 1 passed, 2 failed")
    assert "✗ no.yaml: DSL validation failed\n" in done.stderr
    assert "✗ wrong.yaml: DSL validation failed\n  • Missing required field: steps[0].type\n" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "✗ No template has tests; write some under `tests:`\n"),
        (["untested.yaml"], "✗ No template has tests; write some under `tests:`\n"),
        (["missing.yaml"], "✗ DSL file 'missing.yaml' not found\n"),
    ],
)
def test_nothing_to_test_is_a_mistake(call: Call, folder: Path, arguments: list[str], says: str) -> None:
    (folder / "untested.yaml").write_text("steps: [{id: a, type: noop}]\n")
    done = call("test", *arguments)
    assert (done.stdout, done.stderr, done.exit_code) == ("", says, 1)


def test_components_perform_for_real_without_a_database(call: Call, folder: Path) -> None:
    (folder / "stepflow.toml").write_text("")
    (folder / "components").mkdir()
    (folder / "components/mine.py").write_text(
        "from stepflow import component\n\n\n@component('/user/twice')\ndef twice(input, ctx):\n"
        "    ctx.log('\\x1b[31mred')\n    return input['n'] * 2\n"
    )
    (folder / "components/broken.py").write_text("raise RuntimeError('\\x1b[2J')\n")
    (folder / "a.yaml").write_text(
        "steps:\n  - {id: a, component: /user/twice, input: {n: 4}}\n"
        "  - {id: b, type: shell.run, input: {command: [echo, hello]}}\n"
        "output: [$.steps.a.output, $.steps.b.output.stdout]\n"
        'tests: [{name: "real", expect: {output: [8, "hello\\n"]}}, {name: "\\e[31m", expect: {output: 1}}]\n'
    )
    done = call("test")
    assert "  ✓ real\n  ✗ \\x1b[31m\n" in done.stdout
    assert "      a: \\x1b[31mred\n" in done.stdout
    assert "components of broken.py are not available: RuntimeError: \\x1b[2J" in done.stderr
    assert "\x1b" not in done.output
    assert not (folder / "x.db").exists()


def test_interrupting_it_ends_what_performs(folder: Path) -> None:
    command = "echo $$ > pid; echo begun >&2; exec sleep 60"
    (folder / "a.yaml").write_text(
        "steps:\n  - {id: a, type: shell.run, input: {command: "
        f"{json.dumps(command)}, shell: true}}}}\ntests: [{{name: long}}]\n"
    )
    os.mkfifo(folder / "pid")
    process = subprocess.Popen(
        [sys.executable, "-m", "stepflow.cli.main", "test", "a.yaml"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    pid = int((folder / "pid").read_text())
    process.send_signal(signal.SIGINT)
    assert (process.communicate(timeout=30), process.returncode) == (("", ""), 130)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
