"""`stepflow schema` as a user and an editor run it: a real process, in a workspace and away from one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pytest

LOAD = '''\
from stepflow import component


@component("/user/load")
def load(user_id: str, limit: int = 10) -> dict:
    """The last orders of a user."""
    return {}
'''

Schema = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    """Runs `stepflow schema …` in an empty folder, with a home of its own."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("STEPFLOW", "XDG"))}
    home = tmp_path / "home"
    (tmp_path / "here").mkdir()
    return lambda *arguments: subprocess.run(
        [sys.executable, "-B", "-m", "stepflow.cli.main", "schema", *arguments],
        cwd=tmp_path / "here",
        env={**kept, "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def workspace(tmp_path: Path, schema: Schema) -> Path:
    here = tmp_path / "here"
    (here / "components").mkdir()
    (here / "stepflow.toml").write_text('db = "work.db"\n')
    (here / "components" / "orders.py").write_text(LOAD)
    return here


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_away_from_a_workspace_it_is_printed_and_nothing_is_made(schema: Schema, tmp_path: Path) -> None:
    done = schema()
    assert (done.returncode, done.stderr) == (0, "")
    printed = json.loads(done.stdout)
    jsonschema_rs.meta.validate(printed)
    assert done.stdout == json.dumps(printed, indent=2, ensure_ascii=False) + "\n"
    assert jsonschema_rs.is_valid(printed, {"steps": [{"id": "a", "type": "echo"}]})
    assert not jsonschema_rs.is_valid(printed, {"steps": [{"id": "a", "type": "ecko"}]})
    assert files_in(tmp_path) == ["here"]


def test_it_is_the_same_each_time(schema: Schema) -> None:
    assert schema().stdout == schema().stdout


def test_the_components_of_the_workspace_are_in_it(schema: Schema, workspace: Path) -> None:
    before = files_in(workspace)
    done = schema()
    assert (done.returncode, done.stderr) == (0, "")
    defined = json.loads(done.stdout)["$defs"]
    assert {"const": "/user/load", "description": "The last orders of a user."} in [
        {key: one.get(key) for key in ("const", "description")} for one in defined["component"]["anyOf"]
    ]
    assert set(defined["input:/user/load"]["properties"]) == {"user_id", "limit"}
    assert files_in(workspace) == before


def test_a_component_that_cannot_be_loaded_is_said_beside_the_schema(schema: Schema, workspace: Path) -> None:
    (workspace / "components" / "broken.py").write_text("import nothing_of_this_name\n")
    done = schema()
    assert done.returncode == 0
    assert "broken.py" in done.stderr
    assert "input:/user/load" in json.loads(done.stdout)["$defs"]


def test_it_is_written_to_a_file_and_to_the_folder_that_is_not_there_yet(schema: Schema, workspace: Path) -> None:
    done = schema("--output", ".stepflow/template.schema.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "✓ Schema written to .stepflow/template.schema.json\n"
    assert (workspace / ".stepflow" / "template.schema.json").read_text(encoding="utf-8") == schema().stdout


@pytest.mark.parametrize(
    ("output", "why"), [("components", "Is a directory"), ("stepflow.toml/schema.json", "File exists")]
)
def test_a_file_that_cannot_be_written_is_said(schema: Schema, workspace: Path, output: str, why: str) -> None:
    done = schema("--output", output)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"✗ Schema file '{output}' cannot be written: {why}\n"
    assert (workspace / "stepflow.toml").read_text() == 'db = "work.db"\n'


def test_help_shows_how_an_editor_uses_it(schema: Schema) -> None:
    shown = schema("--help").stdout
    assert "stepflow schema --output .stepflow/template.schema.json" in shown
    assert "# yaml-language-server: $schema=.stepflow/template.schema.json" in shown
    assert '"yaml.schemas"' in shown
