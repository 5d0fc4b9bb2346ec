"""What holds for every file of the tree."""

from __future__ import annotations

import ast
import re

import pytest

from stepflow.model.statuses import RunStatus, StepStatus
from tests.house import tree

INDEX_HOSTS = re.compile(r"(?i)\b(py" r"pi\.org|python" r"hosted\.org|--(extra-)?index" r"-url|regis" r"try\.npm)")
MACHINE_PATHS = re.compile(r"(?<![\w.$}])/(?:wo" r"rk|ro" r"ot|ho" r"me|Us" r"ers)/[\w.]")

STATUS_WORDS_ELSEWHERE: dict[str, dict[str, str]] = {
    "engine/stepflow/core/endings.py": {"failed": "details.failed of a run's error: how many steps failed"},
    "engine/stepflow/components/flow.py": {
        "failed": "the outcome of an envelope, and the count of such",
        "skipped": "the outcome of an envelope, and the count of such",
    },
    "engine/stepflow/cli/verbs/simulate.py": {"skipped": "a key of what --json prints: the steps that did not run"},
}
"""File -> word -> why that word is not a status there."""


@pytest.mark.parametrize(("pattern", "what"), [(INDEX_HOSTS, "a package index"), (MACHINE_PATHS, "one machine's path")])
def test_no_file_names_a_package_index_or_a_path_of_one_machine(pattern: re.Pattern[str], what: str) -> None:
    found = [
        f"{tree.name(path)}:{number}: {line.strip()[:100]}"
        for path in tree.files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found, f"{what} is named in\n" + "\n".join(found)


def test_every_module_says_what_it_is() -> None:
    silent = [
        tree.name(path)
        for path in tree.modules(tree.ENGINE, tree.SCREENS, tree.ROOT / "benchmarks", tree.ROOT / "tools")
        if path.read_text(encoding="utf-8").strip() and not ast.get_docstring(tree.parse(path))
    ]
    assert not silent, "no docstring: " + ", ".join(silent)


def test_statuses_are_written_in_one_module() -> None:
    words = {status.value for status in (*RunStatus, *StepStatus)}
    home = tree.ENGINE / "model" / "statuses.py"
    found = []
    for path in tree.modules(tree.ENGINE, tree.SCREENS):
        if path == home:
            continue
        module, allowed = tree.parse(path), STATUS_WORDS_ELSEWHERE.get(tree.name(path), {})
        prose = tree.docstrings(module) | tree.slots(module)
        found += [
            f"{tree.name(path)}:{node.lineno}: {node.value!r}"
            for node in ast.walk(module)
            if isinstance(node, ast.Constant) and node.value in words - set(allowed) and id(node) not in prose
        ]
    assert not found, "write RunStatus.X or StepStatus.X instead of\n" + "\n".join(found)


def test_the_words_allowed_elsewhere_are_still_used_there() -> None:
    for file, words in STATUS_WORDS_ELSEWHERE.items():
        text = (tree.ROOT / file).read_text(encoding="utf-8")
        assert [word for word in words if f'"{word}"' not in text] == [], file


def test_every_test_can_fail() -> None:
    """A test states something: an assert, an expected error, or a helper whose name says that it checks."""
    empty = [
        f"{tree.name(path)}:{node.lineno}: {node.name}"
        for path in tree.modules(tree.ROOT / "tests")
        for node in ast.walk(tree.parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not _states_something(node)
    ]
    assert not empty, "these cannot fail:\n" + "\n".join(empty)


def _states_something(function: ast.AST) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if re.search(r"raises|assert|check|expect|compare|wait|verify|fail|snap", called):
                return True
    return False


def test_every_exception_to_a_tool_has_its_reason() -> None:
    """A suppression without a word beside it is a question for the next reader."""
    bare = [
        f"{tree.name(path)}:{number}: {line.strip()[:100]}"
        for path in tree.modules(tree.ENGINE, tree.SCREENS)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"#\s*(noqa|type:\s*ignore)(:\s*[\w, ]+|\[[\w, -]+\])?\s*$", line)
    ]
    assert not bare, "\n".join(bare)
