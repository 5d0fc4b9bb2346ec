"""The layers of DESIGN: the contracts in pyproject.toml hold, and cover what exists."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from tests.house import tree

LINTER = tomllib.loads((tree.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
CONTRACTS = {contract["id"]: contract for contract in LINTER["contracts"]}

OPEN_TO_THE_SCREENS = {"client", "model", "dsl", "errors"}
SLOW_TO_IMPORT = ["textual", "httpx", "sqlite_utils", "croniter", "jsonschema_rs", "stepflow_tui"]


def test_every_contract_holds() -> None:
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
        "--no-cache",
    ]
    done = subprocess.run(command, cwd=tree.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[done.stdout.find("Contracts\n") :] + done.stderr


def test_contracts_read_as_sentences() -> None:
    for contract in CONTRACTS.values():
        assert re.match(r"[A-Z]\w*( \S+){5,}$", contract["name"]), contract["name"]


def test_the_screens_contract_knows_every_part_of_the_engine() -> None:
    parts = {path.stem for path in tree.ENGINE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    closed = {module.removeprefix("stepflow.") for module in CONTRACTS["screens"]["forbidden_modules"]}
    unknown = {part for part in parts if not part.startswith("_")} - closed - OPEN_TO_THE_SCREENS
    assert not unknown, f"add to the contract 'screens', or open to them on purpose: {sorted(unknown)}"


def test_engine_dot_stepflow_is_imported_nowhere() -> None:
    pattern = re.compile(r"^\s*(from|import)\s+engine\b", re.MULTILINE)
    guilty = [tree.name(path) for path in tree.modules() if pattern.search(path.read_text(encoding="utf-8"))]
    assert not guilty, "import stepflow, not engine.stepflow: " + ", ".join(guilty)


@pytest.mark.parametrize("module", ["stepflow", "stepflow.cli.main"])
def test_a_short_command_does_not_pay_for_what_it_does_not_use(module: str) -> None:
    program = f"import sys, {module}; print(*sorted(m for m in {SLOW_TO_IMPORT!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
