"""`stepflow lint`: its words as the `aio wf` page shows them, its exit codes, and the file it puts right."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stepflow.cli.main import group

CALLS = """\
description: Two calls
steps:
  - id: process
    component: /http/get
    timeout: 5s
    retry: true
    input: { url: "http://a.example" }
  - id: call-api
    component: /http/get
    timeout: 5s
    on_error: fail
    input: { url: "http://a.example" }
"""
OLDER = "description: Older\nmaxConcurrency: 2\nsteps:\n  - { id: a, component: /builtin/echo }\n"
NEVER = 'description: Never\ntriggers: [{ cron: "0 0 31 2 *" }]\nsteps: [{ id: a, component: /builtin/echo }]\n'

Lint = Callable[..., Result]


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lint:
    """Runs `stepflow lint …` in a folder with four templates."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("calls", CALLS), ("older", OLDER), ("never", NEVER), ("broken", "steps:\n  - id: a\n")):
        Path(f"{name}.yaml").write_text(text)
    return lambda *arguments: CliRunner().invoke(group, ["lint", *arguments])


def test_findings_are_shown_as_the_page_shows_them(lint: Lint) -> None:
    done = lint("calls.yaml")
    shown = [line for line in done.stdout.splitlines() if not line.startswith("      ")]
    assert shown == [
        "ℹ Lint results for calls.yaml",
        "  ⚠ [warning] Step 'process' has no error handler",
        "  ⚠ [warning] Consider adding retry policy to step 'call-api'",
        "",
        "Summary: 2 issues (0 errors, 2 warnings)",
    ]
    assert "      calls.yaml:3:5: say what follows" in done.stdout
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["calls.yaml"], 0),
        (["--strict", "calls.yaml"], 1),
        (["--strict", "older.yaml"], 0),
        (["never.yaml"], 1),
        (["broken.yaml"], 1),
        (["calls.yaml", "never.yaml"], 1),
        (["missing.yaml"], 1),
        ([], 2),
    ],
)
def test_errors_exit_with_1_and_warnings_only_when_strict(lint: Lint, arguments: list[str], code: int) -> None:
    assert lint(*arguments).exit_code == code


def test_several_files_have_one_summary(lint: Lint) -> None:
    done = lint("calls.yaml", "older.yaml", "broken.yaml")
    assert done.stdout.count("ℹ Lint results for") == 3
    assert done.stdout.splitlines()[-1] == "Summary: 4 issues (1 error, 2 warnings, 1 note)"


def test_json_is_one_object_of_all_files(lint: Lint) -> None:
    done = lint("--json", "calls.yaml", "broken.yaml")
    said = json.loads(done.stdout)
    assert said["valid"] is False
    assert [one["file"] for one in said["diagnostics"]] == ["calls.yaml", "calls.yaml", "broken.yaml"]
    assert set(said["diagnostics"][0]) == {"code", "level", "message", "path", "file", "line", "column", "hint"}
    assert json.loads(lint("--json", "calls.yaml").stdout)["valid"] is True


def test_fix_puts_the_file_right_and_says_how_much(lint: Lint) -> None:
    Path("older.yaml").write_bytes(OLDER.replace("\n", "\r\n").encode())
    done = lint("--fix", "older.yaml", "calls.yaml")
    assert done.stderr == "✓ Fixed 1 issue in older.yaml\n"
    assert (
        Path("older.yaml").read_bytes()
        == OLDER.replace("maxConcurrency", "max_concurrency").replace("\n", "\r\n").encode()
    )
    assert Path("calls.yaml").read_text() == CALLS
    again = lint("--fix", "--json", "older.yaml")
    assert again.stderr == ""
    assert json.loads(again.stdout) == {"valid": True, "diagnostics": []}


def test_a_file_that_cannot_be_written_is_said(lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = Path.open

    def refuse_to_write(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if "w" in mode:
            raise OSError(errno.EROFS, "Read-only file system")
        return really_open(path, mode, *rest, **options)

    # Not by the file's mode: root may write everywhere.
    monkeypatch.setattr(Path, "open", refuse_to_write)
    done = lint("--fix", "older.yaml")
    assert done.exit_code == 1
    assert done.stderr == "✗ DSL file 'older.yaml' cannot be written: Read-only file system\n"


def test_help_shows_an_example(lint: Lint) -> None:
    assert "stepflow lint workflow.yaml" in lint("--help").stdout
