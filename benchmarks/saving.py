"""A watched workspace: from the rename that an editor saves with to the durable version, one file and a thousand, and
to the problem on the screen. The raw bound is the same save until the bare watcher, set as ours is, tells of it."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch
from watchfiles.main import FileChange

from benchmarks.processes import environment, stepflow
from benchmarks.report import Figure
from benchmarks.terminal import Terminal
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


def _write(file: Path, text: str) -> float:
    """As other editors do; when they have written it."""
    file.write_text(text)
    return time.perf_counter()


def shown(folder: Path, saves: int, save: Callable[[Path, str], float] = _save) -> list[float]:
    """Milliseconds from each of `saves` of a wrong text to its problem on the screen of templates."""
    (folder / "stepflow.toml").touch()
    file = folder / "x.yaml"
    file.write_text(_text("x", 0))
    times = []
    command = [*stepflow(folder / ".stepflow" / "x.db"), "--workspace", str(folder)]
    (folder / ".stepflow").mkdir()
    with Terminal(command, environment=environment(folder)) as terminal:
        terminal.expect("Executions")
        terminal.press("3")
        for n in range(saves):
            terminal.expect("has no description", "1 watched")
            terminal.pass_time(0.05 + n % 20 / 1000)
            began = save(file, _text("x", n).replace("type: echo", f"type: wrong{n}", 1))
            times.append((terminal.expect(f"/wrong{n}'") - began) * 1000)
            terminal.pass_time(0.05)
            _save(file, _text("x", n))
    return times


def _p99(times: list[float]) -> float:
    return sorted(times)[len(times) * 99 // 100]


def figures(folder: Path) -> list[Figure]:
    places = [folder / name for name in ("bare", "ours")]
    for place in places:
        place.mkdir()
    raw_times, raw_many = asyncio.run(bare(places[0], SAVES, FILES))
    times, many = asyncio.run(ours(places[1], SAVES, FILES))
    middle, late = statistics.median(times), _p99(times)
    wrong = []
    for name, save in (("renamed", _save), ("written", _write)):
        place = folder / name
        place.mkdir()
        wrong.append(_p99(shown(place, SAVES, save)))
    return [
        Figure("Save to durable version", middle, "ms", "at most 150", middle <= 150, statistics.median(raw_times)),
        Figure("Save to durable version, slowest", late, "ms p99", "at most 150", late <= 150, _p99(raw_times)),
        Figure("1,000 files saved at once to durable versions", many, "s", "at most 3", many <= 3, raw_many),
        Figure("Wrong save to the problem on the screen", wrong[0], "ms p99", "at most 200", wrong[0] <= 200),
        Figure("The same, written in place", wrong[1], "ms p99", "at most 200", wrong[1] <= 200),
    ]
