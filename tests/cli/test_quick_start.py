"""Commands that only look start at once: they import little. What they take is measured by `benchmarks/commands.py`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stepflow.contracts.storage import CreateRun, TemplateText
from stepflow.model.flow import Flow, Step
from stepflow.model.ids import new_run_id
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage

NEVER = {"asyncio", "importlib.metadata", "jsonschema_rs", "sqlite_utils", "stepflow.core.decide", "yaml"}
"""Each costs milliseconds, and none is needed to look at what is stored."""
NOR_FOR_HELP = {"msgspec", "sqlite3", "stepflow.client", "stepflow.dsl", "stepflow.model"}
NOR_FOR_LISTS = {"stepflow.core.graph"}


@pytest.fixture
def database(tmp_path: Path) -> tuple[str, str]:
    """With one execution, whose id this gives."""
    storage = SQLiteStorage(tmp_path / "x.db", durability="off")
    flow = Flow(steps=(Step(key="a", component="/builtin/noop"),), name="one")
    text = TemplateText(flow.name, "", "yaml", flow, None, None, now_ms())
    version = storage.save_template(text, create=True, update=True).id
    run_id = storage.perform(CreateRun(new_run_id(), version, "{}", now_ms(), 1))
    storage.close()
    return str(tmp_path / "x.db"), run_id


def imported(*arguments: str, database: str = "") -> set[str]:
    """The modules that a command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stepflow.cli.main", *arguments],
        env={**os.environ, "STEPFLOW_DB": database},
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def test_help_imports_nothing_of_the_engine() -> None:
    found = imported("--help")
    assert "click" in found
    assert found & (NEVER | NOR_FOR_HELP) == set()


@pytest.mark.parametrize("command", ["list", "executions"])
def test_a_list_compiles_no_flow_and_waits_for_no_event_loop(command: str, database: tuple[str, str]) -> None:
    found = imported(command, database=database[0])
    assert "stepflow.storages.sqlite" in found
    assert found & (NEVER | NOR_FOR_LISTS) == set()


@pytest.mark.parametrize("command", ["execution", "steps"])
def test_what_shows_one_execution_waits_for_no_event_loop(command: str, database: tuple[str, str]) -> None:
    assert imported(command, database[1], database=database[0]) & NEVER == set()
