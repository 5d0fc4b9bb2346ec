"""Commands as processes of their own, on a database with a million executions that is in the page cache."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.processes import environment, stepflow
from benchmarks.report import Figure
from stepflow.client import Client
from stepflow.model.statuses import RunStatus

ROUNDS = 25
PAGE = 50
FAR_PAGE = 10_000

BARE = "bare Python"
HELP = "`stepflow --help`, beyond a bare Python start"


def commands(database: Path, cursor: str, run_id: str) -> dict[str, list[str]]:
    """Their command lines by what the table calls them."""
    command = stepflow(database)
    return {
        BARE: [sys.executable, "-c", "pass"],
        HELP: [*command, "--help"],
        "`stepflow list`": [*command, "list"],
        "`stepflow executions`, page 1": [*command, "executions"],
        f"`stepflow executions`, page {FAR_PAGE:,}": [*command, "executions", "--cursor", cursor],
        "`stepflow executions --status`": [*command, "executions", "--status", RunStatus.FAILED],
        "`stepflow executions --template`": [*command, "executions", "--template", "flow-03"],
        "`stepflow executions`, both": [*command, "executions", "--status", RunStatus.FAILED, "--template", "flow-03"],
        "`stepflow execution`": [*command, "execution", run_id],
        "`stepflow steps`": [*command, "steps", run_id],
    }


async def places(database: Path, page: int) -> tuple[str, str]:
    """The cursor where a page begins, and the id of an execution in it."""
    cursor, passed = None, PAGE * (page - 1)
    async with Client(str(database)) as client:
        while passed > 0:
            rows = min(passed, 10_000)
            cursor = (await client.list_runs(rows, cursor)).next_cursor
            passed -= rows
        assert cursor is not None
        return cursor, (await client.list_runs(1, cursor)).items[0].id


def times_ms(folder: Path, lines: dict[str, list[str]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Of each command, sorted. They are called in turn, so that what else the machine does hits all of them alike; the
    first round, which compiles and fills the page cache, does not count."""
    variables = environment(folder)
    times: dict[str, list[float]] = {name: [] for name in lines}
    for measured in range(-1, rounds):
        for name, line in lines.items():
            began = time.perf_counter()
            subprocess.run(line, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            if measured >= 0:
                times[name].append((time.perf_counter() - began) * 1000)
    return {name: sorted(found) for name, found in times.items()}


def figures(folder: Path, large: Path) -> list[Figure]:
    """`large`: a database as `million` makes it."""
    times = times_ms(folder, commands(large, *asyncio.run(places(large, FAR_PAGE))))
    medians = {name: statistics.median(found) for name, found in times.items()}
    bare = medians.pop(BARE)
    over = medians.pop(HELP) - bare
    slowest = max(found[len(found) * 95 // 100] for name, found in times.items() if name not in (BARE, HELP))
    return [
        Figure(HELP, over, "ms", "at most 60", over <= 60, bare),
        *(Figure(name, ms, "ms", "at most 150", ms <= 150, bare) for name, ms in medians.items()),
        Figure("The slowest of these, 95th percentile", slowest, "ms", "at most 150", slowest <= 150, bare),
    ]
