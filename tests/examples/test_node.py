"""The example in Node, as its README runs it, with a real worker."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from stepflow.client import Client
from stepflow.components.registry import Registry, builtin_registry, check_input
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.engine import steps_of, working

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "node"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "node"))


def registry_of(workspace: Path) -> Registry:
    warnings: list[str] = []
    registry = Registry.for_workspace(workspace, warn=warnings.append)
    assert warnings == []
    return registry


async def run_of(storage: SQLiteStorage, workspace: Path, name: str, value: Any = None) -> tuple[RunRecord, list[str]]:
    """The run at its end, and the lines of its log."""
    async with Client(storage.url, workspace, durability="normal") as client:
        file = workspace / f"{name}.yaml"
        await client.create_template(None, file.read_text(encoding="utf-8"), file=str(file))
        registry = await asyncio.to_thread(registry_of, workspace)
        async with working(storage, registry, workspace=workspace):
            run = await client.wait_for_run(await client.start_run(name, value or {}), timedelta(seconds=30))
        events = await client.get_events(run.id)
        return run, [event.payload["message"] for event in events if event.event_type == "log"]


def test_it_says_what_it_offers(workspace: Path) -> None:
    registry = registry_of(workspace)
    offered = sorted(set(registry.paths) - set(builtin_registry().paths))
    assert offered == ["/node/charge", "/node/count", "/node/hello"]
    for path in offered:
        made = registry.get(path)
        check_input(made, made.example["input"])
        if made.output_schema is not None:
            jsonschema_rs.validate(made.output_schema, made.example["output"])


async def test_it_greets(storage: SQLiteStorage, workspace: Path) -> None:
    run, _ = await run_of(storage, workspace, "hello", {"name": "Ada"})
    assert run.status is RunStatus.COMPLETED
    assert run.output == {"said": "Hello, Ada"}


async def test_it_streams(storage: SQLiteStorage, workspace: Path) -> None:
    run, lines = await run_of(storage, workspace, "count")
    assert run.output == {"count": {"counted": 5}}
    assert lines == [f"number {number}" for number in range(1, 6)]


async def test_it_fails_with_a_code_of_its_own(storage: SQLiteStorage, workspace: Path) -> None:
    run, _ = await run_of(storage, workspace, "charge")
    assert run.status is RunStatus.FAILED
    step = steps_of(storage, run.id)["charge"]
    assert step.error is not None
    assert (step.error["code"], step.error["details"]["data"]) == ("CARD_REFUSED", {"limit": 100})


def test_the_program_alone_follows_the_protocol() -> None:
    """As somebody would try it by hand: two lines in, two lines out, and it ends with its stdin."""
    said = [
        {"type": "hello", "protocol": 1},
        {"type": "perform", "id": "1", "component": "/node/hello", "input": {"name": "Ada"}, "context": {}},
    ]
    done = subprocess.run(
        ["node", "components/hello.mjs"],
        cwd=EXAMPLE,
        input="".join(json.dumps(message) + "\n" for message in said),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    ready, answer = map(json.loads, done.stdout.splitlines())
    assert ready["type"] == "ready"
    assert answer == {"type": "result", "id": "1", "output": {"greeting": "Hello, Ada"}}
