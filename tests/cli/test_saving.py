"""`stepflow create`, `update` and `run FILE`: what there is to say of a template that is saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Call

TEXT = """\
name: mine
triggers: [{cron: "0 9 * * *"}]
steps: [{id: a, component: /user/load}]
"""
NOTES = """\
  ℹ mine.yaml:2:1: Triggers are checked and kept, but schedules are not active yet
      start it with `stepflow run`, from cron for example
  ⚠ mine.yaml:3:28: Component '/user/load' is not one of StepFlow's
      a worker must offer it: put it into the workspace's components/ folder
"""
OTHER_NAME = """\
  ⚠ mine.yaml:1:7: It is saved as 'other', and calls itself 'mine'
      give both the same name, or leave `name:` out
"""


@pytest.fixture(autouse=True)
def file(folder: Path) -> Path:
    file = folder / "mine.yaml"
    file.write_text(TEXT)
    return file


def test_create_says_what_validate_says_and_that_the_name_is_another(call: Call) -> None:
    assert call("create", "mine", "--dsl", "mine.yaml").stderr == NOTES == call("validate", "mine.yaml").stderr
    created = call("create", "other", "--dsl", "mine.yaml")
    assert (created.stderr, created.exit_code) == (OTHER_NAME + NOTES, 0)
    assert created.stdout.startswith("✓ Template 'other' created\n")


def test_update_says_whether_anything_changed(call: Call, file: Path) -> None:
    call("create", "mine", "--dsl", "mine.yaml")
    unchanged = call("update", "mine", "--dsl", "mine.yaml")
    assert (unchanged.stdout, unchanged.stderr) == ("✓ Template 'mine' unchanged\n  Version: 1\n", NOTES)
    file.write_text(TEXT + "# why\n")
    commented = call("update", "mine", "--dsl", "mine.yaml")
    assert commented.stdout == "✓ Template 'mine' unchanged\n  Version: 1\n"
    assert commented.stderr == "  ℹ Only its text or description is another, so version 1 stays\n" + NOTES
    assert "# why" in call("get", "mine").stdout
    file.write_text(TEXT.replace("/user/load", "/user/read"))
    assert call("update", "mine", "--dsl", "mine.yaml").stdout == "✓ Template 'mine' updated\n  Version: 2\n"


def test_run_of_a_file_says_it_too(call: Call) -> None:
    done = call("run", "mine.yaml", "--async", "--no-worker")
    assert done.stderr == NOTES + "⚠ The execution is queued: no worker is running; start one with `stepflow worker`\n"


def test_a_name_that_is_none_is_refused_and_that_of_a_file_made_one(call: Call, folder: Path) -> None:
    for name, like in (("Bad Name", "bad-name"), ("a/b", "a-b")):
        refused = call("create", name, "--dsl", "mine.yaml")
        assert (refused.stdout, refused.exit_code) == ("", 1)
        assert refused.stderr.startswith(f"✗ '{name}' cannot be a template's name")
        assert refused.stderr.endswith(f"use '{like}'\n")
    (folder / "My Flow.yaml").write_text("steps: [{id: a, type: noop}]\n")
    assert "execution/my-flow/" in call("run", "My Flow.yaml", "--async", "--no-worker").stdout


def test_warnings_are_said_beside_mistakes(call: Call, file: Path) -> None:
    file.write_text(TEXT + "steeps: []\n")
    validated = call("validate", "mine.yaml")
    assert validated.exit_code == 1
    assert validated.stdout.splitlines()[1].startswith("  • ")
    assert validated.stdout.endswith(NOTES)
    assert call("create", "mine", "--dsl", "mine.yaml").stderr.endswith(NOTES)
