"""A watched workspace: from the rename that an editor saves with to the durable version, one file and a thousand. The
raw bound is the same save until the bare watcher, set as ours is, tells of it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch
from watchfiles.main import FileChange

from benchmarks.report import Figure
from stepflow.client import Client
from stepflow.client.workspace import Round, Saved
from stepflow.workspace.changes import MOST_MS, STEP_MS

SAVES = 100
FILES = 1000


def _text(name: str, n: int) -> str:
    """Five steps, none like the last time."""
    steps = "".join(
        f"  - id: s{i}\n    type: echo\n    input: {{ n: {n}, before: {f'$.steps.s{i - 1}.output' if i else 0} }}\n"
        for i in range(5)
    )
    return f"name: {name}\nsteps:\n{steps}"


def _save(file: Path, text: str) -> float:
    """As editors do; when the rename begins."""
    beside = file.with_name(f"{file.name}~")
    beside.write_text(text)
    began = time.perf_counter()
    beside.rename(file)
    return began


async def _until_told(batches: AsyncIterator[set[FileChange]], files: set[str]) -> None:
    while files:
        files -= {path for _, path in await anext(batches)}


async def _until_saved(rounds: AsyncGenerator[Round, None], names: set[str]) -> None:
    while names:
        names -= {one.template for one in (await anext(rounds)).outcomes if isinstance(one, Saved)}


async def _one_by_one(save: Callable[[int], float], heard: Callable[[], Awaitable[object]], count: int) -> list[float]:
    """Milliseconds of each save until it was heard of."""
    times = []
    for n in range(count):
        began = save(n)
        await heard()
        times.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.05 + n % 20 / 1000)  # what came of the file beside it is over, and no step is hit alike
    return times


async def bare(folder: Path, saves: int, files: int) -> tuple[list[float], float]:
    """Milliseconds until the watcher tells of each of `saves`, and seconds until it told of all of `files`."""
    file = folder / "x.yaml"
    file.touch()
    async with aclosing(awatch(folder, watch_filter=None, step=STEP_MS, debounce=MOST_MS)) as batches:
        first = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(0)
        (folder / "begin").touch()
        await first
        await asyncio.sleep(0.1)
        times = await _one_by_one(
            lambda n: _save(file, _text("x", n)), lambda: _until_told(batches, {str(file)}), saves
        )
        began = time.perf_counter()
        many = [folder / f"t{n}.yaml" for n in range(files)]
        waiting = asyncio.ensure_future(_until_told(batches, {str(one) for one in many}))
        await asyncio.to_thread(lambda: [_save(one, _text(one.stem, 0)) for one in many])
        await waiting
        return times, time.perf_counter() - began


async def ours(folder: Path, saves: int, files: int) -> tuple[list[float], float]:
    """The same until each is a durable version."""
    file = folder / "x.yaml"
    async with (
        Client(str(folder / ".stepflow" / "x.db"), folder) as client,
        aclosing(client.watch_workspace()) as rounds,
    ):
        await anext(rounds)
        times = await _one_by_one(lambda n: _save(file, _text("x", n)), lambda: _until_saved(rounds, {"x"}), saves)
        began = time.perf_counter()
        many = [folder / f"t{n}.yaml" for n in range(files)]
        waiting = asyncio.ensure_future(_until_saved(rounds, {one.stem for one in many}))
        await asyncio.to_thread(lambda: [_save(one, _text(one.stem, 0)) for one in many])
        await waiting
        return times, time.perf_counter() - began


def _p99(times: list[float]) -> float:
    return sorted(times)[len(times) * 99 // 100]


def figures(folder: Path) -> list[Figure]:
    places = [folder / name for name in ("bare", "ours")]
    for place in places:
        place.mkdir()
    raw_times, raw_many = asyncio.run(bare(places[0], SAVES, FILES))
    times, many = asyncio.run(ours(places[1], SAVES, FILES))
    middle, late = statistics.median(times), _p99(times)
    return [
        Figure("Save to durable version", middle, "ms", "at most 150", middle <= 150, statistics.median(raw_times)),
        Figure("Save to durable version, slowest", late, "ms p99", "at most 150", late <= 150, _p99(raw_times)),
        Figure("1,000 files saved at once to durable versions", many, "s", "at most 3", many <= 3, raw_many),
    ]
