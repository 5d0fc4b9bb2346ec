"""The demo's workspace in itself: complete, small, and needing nothing but `sh` and `python3`."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stepflow.model.statuses import FINAL_RUN_STATUSES

WORKSPACE = Path(__file__).resolve().parents[2] / "examples" / "demo"
ENTRIES = json.loads((WORKSPACE / "demo.json").read_text(encoding="utf-8"))
TEMPLATES = {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(WORKSPACE.glob("*.yaml"))}
PLAIN_PROGRAMS = {"sh", "python3", "cat", "echo", "wc"}


def steps_with(component: str) -> list[tuple[str, dict[str, object]]]:
    return [
        (f"{file}:{step['id']}", step["input"])
        for file, template in TEMPLATES.items()
        for step in template["steps"]
        if step["component"] == component
    ]


def test_the_list_names_every_template_once() -> None:
    assert sorted(entry["file"] for entry in ENTRIES) == sorted(TEMPLATES)
    for entry in ENTRIES:
        assert TEMPLATES[entry["file"]]["name"] == entry["template"]
        assert entry["expect"] in FINAL_RUN_STATUSES
        assert entry["start"] is True
        assert 20 < len(entry["why"]) < 120


def test_the_list_has_successes_and_one_failure_on_purpose() -> None:
    assert [entry["template"] for entry in ENTRIES if entry["expect"] == "failed"] == ["broken-import"]


@pytest.mark.parametrize(("where", "step_input"), steps_with("/python/call"))
def test_every_called_function_exists_and_says_what_it_does(where: str, step_input: dict[str, str]) -> None:
    module, _, name = step_input["function"].partition(":")
    parsed = ast.parse((WORKSPACE / f"{module}.py").read_text(encoding="utf-8"))
    functions = {node.name: node for node in parsed.body if isinstance(node, ast.FunctionDef)}
    assert name in functions, where
    assert ast.get_docstring(functions[name]), where
    parameters = {argument.arg for argument in functions[name].args.args}
    given = step_input.get("kwargs", {})
    assert set(given) <= parameters
    assert len(given) + len(step_input.get("args", [])) == len(parameters)


@pytest.mark.parametrize(("where", "step_input"), steps_with("/shell/run"))
def test_every_shell_step_starts_a_plain_program(where: str, step_input: dict[str, object]) -> None:
    command = step_input["command"]
    first = command[0] if isinstance(command, list) else "sh"
    assert first in PLAIN_PROGRAMS, where


def test_the_python_files_use_the_standard_library_alone() -> None:
    for path in WORKSPACE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names, path.name


def test_the_shipment_has_one_good_and_one_damaged_file() -> None:
    files = json.loads((WORKSPACE / "data" / "manifest.json").read_text(encoding="utf-8"))["files"]
    same = [hashlib.sha256((WORKSPACE / file["path"]).read_bytes()).hexdigest() == file["sha256"] for file in files]
    assert same == [True, False]


def test_the_sample_project_passes_its_own_tests_and_style(tmp_path: Path) -> None:
    project = shutil.copytree(WORKSPACE / "sample_project", tmp_path / "project")
    for command in (["-m", "unittest"], ["check_style.py"]):
        done = subprocess.run([sys.executable, *command], cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
