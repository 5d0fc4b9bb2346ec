"""Executions that have ended, for the commands that look at them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepflow.client import Client
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.engine import until, working


async def perform(database: Path, template: str, *inputs: Any) -> list[str]:
    """One of a stored template for each input, to its end; their ids."""
    async with Client(str(database)) as client:
        runs = [await client.start_run(template, value) for value in inputs]
    storage = SQLiteStorage(database, durability="normal")
    async with working(storage):
        for run_id in runs:
            await until(storage, run_id)
    storage.close()
    return runs
