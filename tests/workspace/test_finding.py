"""Which files are templates."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stepflow.workspace.finding import TEMPLATE_ENDINGS, files_in, is_left_out, is_template


def test_what_is_hidden_or_others_brought_is_left_out(tmp_path: Path) -> None:
    kept = ["a.yaml", "b.json", "flows/c.yml", "flows/deep/d.yaml"]
    left = [".hidden.yaml", ".git/x.yaml", "node_modules/p/x.json", "venv/lib/x.yaml", "db/x.json", "notes.txt"]
    for name in (*kept, *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    without = {str(tmp_path / "db")}
    found = [os.path.relpath(entry.path, tmp_path) for entry in files_in(str(tmp_path), TEMPLATE_ENDINGS, without)]
    assert found == kept
    inside = [name for name in left[1:5] if is_left_out(str(tmp_path / name), str(tmp_path), without)]
    assert inside == left[1:5]
    assert not any(is_left_out(str(tmp_path / name), str(tmp_path), without) for name in kept)


def test_a_folder_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert list(files_in(str(tmp_path / "nowhere"), TEMPLATE_ENDINGS)) == []


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("steps: []", "x.yaml"),
        ("name: x\n'steps' : {a: {type: noop}}", "x.yml"),
        ('{"steps": []}', "x.json"),
        ('{\n  "name": "x",\n  "steps": [\n', "x.json"),
        ("name: x\nsteps: [", "x.yaml"),
        ("{name: x, steps: [}", "x.yaml"),
        ("  name: x\n  steps: []", "x.yaml"),
    ],
)
def test_a_flow_is_a_template_and_so_is_what_was_meant_to_be_one(text: str, file: str) -> None:
    assert is_template(text, file)


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("", "x.yaml"),
        ("on: push\njobs:\n  build:\n    steps:\n      - run: make", "ci.yaml"),
        ('{"dependencies": {"steps": "1.0"}}', "package.json"),
        ("[1, 2", "x.json"),
        ("a: [steps", "x.yaml"),
        ("- steps: 1", "x.yaml"),
        ("text: |\n  steps: 1\n", "x.yaml"),
    ],
)
def test_other_files_are_left_alone(text: str, file: str) -> None:
    assert not is_template(text, file)
