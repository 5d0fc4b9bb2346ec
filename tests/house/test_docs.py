"""The documents say what is: their commands exist, their files exist, their charts are drawn from the tables."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from tests.house import tree

README = tree.ROOT / "README.md"
ARCHITECTURE = tree.ROOT / "engine" / "ARCHITECTURE.md"
COMMANDS = tree.ROOT / "docs" / "commands.md"
PAGES = [path for path in tree.files() if path.suffix == ".md"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_readme_has_two_setup_commands_and_ci_runs_them_as_they_stand() -> None:
    setup = [
        line for block in blocks(README, "sh") for line in block.splitlines() if line.startswith("python3 -m venv")
    ]
    assert [command.rsplit("/", 1)[1] for command in setup] == ["stepflow demo", "pytest"]
    assert all("-c constraints.txt" in command for command in setup)

    ci = (tree.ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (pattern,) = re.findall(r'grep -E "(.*)" "\$root/README.md"', ci)
    asked = re.findall(r"readme_command '(.*)'", ci)
    found = [
        re.findall(pattern.replace("$1", end).replace("\\$", "$"), README.read_text(), re.MULTILINE) for end in asked
    ]
    assert found == [[command] for command in setup]
    assert 'bash -c "$main_job"' in ci
    assert 'bash -c "$tests"' in ci


def commands_in_documents() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.splitlines():
                if line.startswith(("stepflow", "aio ")):
                    yield tree.name(page), line


@pytest.mark.parametrize(("page", "line"), list(commands_in_documents()))
def test_every_command_in_a_document_exists_with_its_options(page: str, line: str) -> None:
    from stepflow.cli import main

    for is_pipe, piped in itertools.groupby(shlex.split(line, comments=True), "|".__eq__):
        program, *words = piped
        if is_pipe or program not in ("stepflow", "aio"):
            continue
        if program == "aio":
            assert words.pop(0) in ("wf", "workflow"), line
        command: click.Command = main.group
        context = click.Context(command)
        while words and isinstance(command, click.Group):
            if words[0] in ("--db", "--workspace"):
                del words[:2]
                continue
            found = command.get_command(context, words.pop(0))
            assert found is not None, f"{page}: {line}"
            command = found
        options = {option for parameter in command.params for option in parameter.opts}
        unknown = [word for word in words if word.startswith("-") and word not in options | {"-"}]
        assert not unknown, f"{page}: {line}: unknown {unknown}"


def test_every_local_link_leads_somewhere() -> None:
    broken = [
        f"{tree.name(page)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not broken, broken


def test_the_architecture_page_names_only_files_that_exist() -> None:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./]+/[\w./]*|[\w/]+\.(?:py|tcss|sql|toml))`", text))
    roots = [tree.ROOT, tree.ENGINE, tree.ENGINE.parent, tree.SCREENS]
    missing = sorted(path for path in named if not any((root / path).exists() for root in roots))
    assert named
    assert not missing, f"ARCHITECTURE.md speaks of {missing}"


def tool(name: str) -> Any:
    """A program of `tools/` as a module."""
    specification = importlib.util.spec_from_file_location(name, tree.ROOT / "tools" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_state_charts_are_drawn_from_the_tables_of_moves() -> None:
    page = ARCHITECTURE.read_text(encoding="utf-8")
    assert page == tool("charts").rewritten(page), "run: python tools/charts.py"
    assert "running --> awaiting_retry" in page


def test_the_reference_of_the_commands_is_written_from_them() -> None:
    page = COMMANDS.read_text(encoding="utf-8")
    assert page == tool("commands").page(), "run: python tools/commands.py"
    assert "### history\n\n```text\nstepflow history [OPTIONS] NAME\n```" in page


def test_the_reference_of_the_screen_is_written_from_its_tables() -> None:
    page = (tree.ROOT / "docs" / "screen.md").read_text(encoding="utf-8")
    assert page == tool("screen").page(), "run: python tools/screen.py"
    assert "| `c y` | Cancel the selected execution" in page


def test_the_reference_names_every_variable_of_the_environment_that_is_ours() -> None:
    read = {
        name
        for path in tree.modules(tree.ENGINE, tree.SCREENS)
        for name in re.findall(r"environ(?:\.get\(|\[)\"(STEPFLOW_\w+|NO_COLOR)\"", path.read_text(encoding="utf-8"))
    }
    assert "STEPFLOW_DB" in read
    assert not read - set(tool("commands").ENVIRONMENT)


def test_the_changelog_begins_with_the_version_that_is_built() -> None:
    version = tomllib.loads((tree.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    first = re.search(r"^## (\S+)", (tree.ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert first is not None
    assert first.group(1) == version


TEMPLATES_IN_DOCUMENTS = [
    (tree.name(page), block)
    for page in PAGES
    for block in blocks(page, "yaml")
    if re.search(r"^steps:", block, re.MULTILINE)
]


@pytest.mark.parametrize(("page", "text"), TEMPLATES_IN_DOCUMENTS)
async def test_a_template_in_a_document_is_one_and_passes_its_own_tests(page: str, text: str) -> None:
    from stepflow.workbench import Workbench

    workbench = Workbench(None)
    read = workbench.validate(text)
    assert read.flow is not None, (page, read.diagnostics)
    assert not read.diagnostics, page
    assert [case.differences for case in await workbench.test(read.flow, None) if not case.passed] == [], page


def test_the_readme_shows_templates() -> None:
    assert [page for page, _ in TEMPLATES_IN_DOCUMENTS].count("README.md") >= 2
