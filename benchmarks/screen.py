"""The screen, through a real pseudo-terminal: how soon it is there, how soon a key and a commit are seen, and what it
takes of the processor, the line and the memory meanwhile."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import bare, scenes
from benchmarks.engine import WorkerProcess, chain, fill
from benchmarks.processes import environment, stepflow
from benchmarks.report import Figure
from benchmarks.terminal import Picture, Terminal
from stepflow.contracts.storage import CreateRun
from stepflow.model.ids import new_run_id
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage

PAINTS = 9
KEYS = 100
IDLE_SECONDS = 20.0
WATCHED_SECONDS = 15.0
LINES_A_SECOND = 1000
EVENTS_A_SECOND = 20
COMMITS = 300
SLOW_LINE = 200_000
"""Bytes a second."""
LIST, STEPS = "Executions", "Timeline"
"""Titles of the panes in which the cursor moves."""
BESIDE_RUNS = 30_000
"""More than a worker performs while keys are pressed beside it."""

_FOLLOWER = """
import asyncio, sys
from stepflow.client import Client

async def follow():
    async with Client(sys.argv[1]) as client:
        print("follows", flush=True)
        async for event in client.follow(0):
            print(event.run_id, flush=True)

asyncio.run(follow())
"""


class Screens:
    """Opens the screen, again and again, and keeps the most memory that any of them had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {**environment(folder), "XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder)}
        self.most_megabytes = 0.0

    @contextmanager
    def on(self, database: Path, *, bytes_a_second: int | None = None) -> Iterator[Terminal]:
        """It only reads, so that no worker is started by it."""
        command = [*stepflow(database), "open", "--read-only"]
        with Terminal(command, environment=self._environment, bytes_a_second=bytes_a_second) as terminal:
            yield terminal
            self.most_megabytes = max(self.most_megabytes, terminal.most_megabytes())

    @contextmanager
    def bare(self, *arguments: str) -> Iterator[Terminal]:
        command = [sys.executable, "-m", "benchmarks.bare", *arguments]
        with Terminal(command, environment=self._environment) as terminal:
            terminal.expect(bare.BEGUN)
            yield terminal

    @contextmanager
    def follower(self, database: Path) -> Iterator[Terminal]:
        with Terminal([sys.executable, "-c", _FOLLOWER, str(database)], environment=self._environment) as terminal:
            terminal.expect("follows")
            yield terminal


@contextmanager
def working(database: Path, slots: int = 100) -> Iterator[None]:
    """A worker process of its own."""
    worker = WorkerProcess(database, slots, until_done=False)
    try:
        yield
    finally:
        worker.stop()


def percentile(times: list[float], percent: int) -> float:
    return sorted(times)[len(times) * percent // 100]


# How soon


def first_paint_seconds(screens: Screens, database: Path, rounds: int = PAINTS) -> tuple[float, float]:
    """Until its executions are seen; and the bare app's. In turn, so that what else the machine does hits both."""
    ours, bares = [], []
    for measured in range(-1, rounds):
        with screens.bare() as terminal:
            bares.append(terminal.expect(bare.BEGUN) - terminal.began)
        with screens.on(database) as terminal:
            ours.append(terminal.expect("Executions", "flow-0") - terminal.began)
        if measured < 0:
            ours, bares = [], []  # it compiled
    return statistics.median(ours), statistics.median(bares)


def under_cursor(pane: str) -> Callable[[Picture], str]:
    """What a key that moves the cursor changes in a pane: the name of what is there."""
    return lambda picture: picture.under_cursor(picture.column_of(pane) + 3)[:20]


def keys_ms(terminal: Terminal, pane: str, count: int = KEYS, pause: float = 0.03) -> list[float]:
    """Down and up, each until its frame is whole."""
    times = []
    for number in range(count):
        key = "j" if number % 2 == 0 else "k"
        times.append(terminal.seconds_until_seen(key, under_cursor(pane)) * 1000)
        terminal.pass_time(pause)
    return times


def to_steps(terminal: Terminal) -> None:
    """From the executions to the one under the cursor, alone."""
    terminal.settle()
    terminal.press("\r")
    terminal.settle()
    terminal.press("\r")
    terminal.expect("Timeline")


def keys_beside_the_engine_ms(screens: Screens, database: Path, count: int = KEYS) -> tuple[list[float], list[float]]:
    """While a worker performs as many steps as it can, on the same file; and the bare app's beside the same worker."""
    storage = SQLiteStorage(database)
    with screens.on(database) as terminal, screens.bare() as other:
        terminal.settle()
        other.settle()
        fill(storage, chain(10), BESIDE_RUNS)
        terminal.settle()
        with working(database):
            terminal.pass_time(1.0)
            ours = keys_ms(terminal, LIST, count)
            assert storage.unfinished_runs(), "the engine ended before the keys were pressed"
            bares = keys_ms(other, bare.BEGUN, count)
    storage.close()
    return ours, bares


def visible_ms(screens: Screens, database: Path, count: int = COMMITS) -> tuple[list[float], list[float]]:
    """From the commit of an event to its line on the screen, `EVENTS_A_SECOND` of them at random; and to the line that
    a bare follower prints."""
    storage = SQLiteStorage(database)
    fill(storage, chain(1), 0)
    version = storage.get_template_version("chain1").id

    def seen_ms(terminal: Terminal, line: str) -> list[float]:
        chance, times = random.Random(1), []
        for _ in range(count):
            run_id = new_run_id()
            storage.perform(CreateRun(run_id, version, "{}", now_ms(), 1))
            began = time.perf_counter()
            times.append((terminal.expect(line.format(run_id[-4:])) - began) * 1000)
            terminal.pass_time(max(0.0, chance.expovariate(EVENTS_A_SECOND) - times[-1] / 1000))
        return times

    with screens.on(database) as terminal:
        terminal.settle(1.0)
        ours = seen_ms(terminal, "{} chain1 run.created")
    with screens.follower(database) as terminal:
        bares = seen_ms(terminal, "{}")
    storage.close()
    return ours, bares


def large_value(screens: Screens, database: Path, cycles: int = KEYS // 20) -> tuple[float, list[float], float]:
    """Of a value of ten megabytes: seconds from the key to its first rows; the keys that unfold it, move in it and fold
    it; and the megabytes of memory that the process had at most."""
    with screens.on(database) as terminal:
        terminal.expect("Executions")
        to_steps(terminal)
        terminal.settle()
        terminal.press("g")
        terminal.settle()
        began = time.perf_counter()
        terminal.press("i")
        opened = terminal.expect('"rows": [') - began
        terminal.settle()
        terminal.press("j")
        terminal.settle(0.1)
        times = []
        for key in ("x" + "j" * 9 + "k" * 9 + "x") * cycles:
            times.append(terminal.seconds_until_seen(key, under_cursor("Input/Output")) * 1000)
            terminal.pass_time(0.03)
        return opened, times, terminal.most_megabytes()


def open_ms(screens: Screens, database: Path, header: str, rounds: int = 5) -> list[float]:
    """From the key to the steps of the execution, with `header`."""
    times = []
    for _ in range(rounds):
        with screens.on(database) as terminal:
            terminal.expect("Executions")
            terminal.settle()
            terminal.press("\r")
            terminal.settle()
            began = time.perf_counter()
            terminal.press("\r")
            times.append((terminal.expect(header, "Timeline") - began) * 1000)
    return times


# What it takes


def idle(screens: Screens, database: Path) -> tuple[float, float]:
    """Percent of a processor and bytes a second, once it has settled."""
    with screens.on(database) as terminal:
        terminal.expect("Executions")
        terminal.settle(2.0)
        return terminal.cost(IDLE_SECONDS)


def watched(screens: Screens, database: Path) -> dict[str, tuple[float, float]]:
    """The same, by screen, while an execution is seen whose step runs and says nothing."""
    found = {}
    storage = SQLiteStorage(database)
    scenes.start(storage, scenes.silent())
    with working(database), screens.on(database) as terminal:
        terminal.expect("silent", "0/1")
        terminal.settle()
        terminal.pass_time(3.0)
        found["dashboard"] = terminal.cost(WATCHED_SECONDS)
        to_steps(terminal)
        terminal.pass_time(3.0)
        found["alone"] = terminal.cost(WATCHED_SECONDS)
    storage.close()
    return found


def flooded(screens: Screens, database: Path) -> tuple[tuple[float, float], list[float], list[float]]:
    """What a log of `LINES_A_SECOND` takes; keys beside it; and on a line that carries `SLOW_LINE`."""
    storage = SQLiteStorage(database)
    for _ in range(30):
        scenes.start(storage, (chain(1), {}))
    with working(database):
        scenes.start(storage, scenes.talker(LINES_A_SECOND))
        with screens.on(database) as terminal:
            terminal.expect("talk line")
            terminal.pass_time(3.0)
            cost = terminal.cost(WATCHED_SECONDS)
            keys = keys_ms(terminal, LIST, pause=0.07)
        with screens.on(database, bytes_a_second=SLOW_LINE) as terminal:
            terminal.expect("talk line")
            terminal.pass_time(3.0)
            slow = keys_ms(terminal, LIST, pause=0.07)
    storage.close()
    return cost, keys, slow


def bare_flood(screens: Screens) -> tuple[float, float]:
    """The least that lines of a file take that come as fast, drawn ten times a second."""
    file = screens.folder / "lines"
    with file.open("w") as written:
        talking = subprocess.Popen([sys.executable, "-c", scenes.TALK, str(LINES_A_SECOND)], stdout=written)
    try:
        with screens.bare(str(file)) as terminal:
            terminal.pass_time(3.0)
            return terminal.cost(WATCHED_SECONDS)
    finally:
        talking.kill()
        talking.wait()


def figures(folder: Path, large: Path) -> list[Figure]:
    """`large`: a database as `million` makes it."""
    screens = Screens(folder)
    paint, bare_paint = first_paint_seconds(screens, large)
    idle_cpu, idle_bytes = idle(screens, large)
    seen = watched(screens, folder / "watched.db")
    watched_cpu, watched_bytes = max(cpu for cpu, _ in seen.values()), max(written for _, written in seen.values())
    (flood_cpu, flood_bytes), flood_keys, slow_keys = flooded(screens, folder / "flood.db")
    bare_cpu, bare_bytes = bare_flood(screens)
    with screens.bare() as terminal:
        terminal.settle()
        bare_key = percentile(keys_ms(terminal, bare.BEGUN), 95)
    with screens.on(large) as terminal:
        terminal.settle(1.0)
        list_key = percentile(keys_ms(terminal, LIST), 95)
    scenes.make(folder / "long.db", scenes.long_run())
    scenes.make(folder / "wide.db", scenes.many_steps())
    long_steps = scenes.LONG_STEPS + scenes.TALKERS + 1
    opened = statistics.median(open_ms(screens, folder / "long.db", f"{long_steps:,} steps"))
    wide = statistics.median(open_ms(screens, folder / "wide.db", f"{scenes.MANY_STEPS:,} steps"))
    value_opened, value_keys, value_megabytes = large_value(screens, folder / "long.db")
    with screens.on(folder / "wide.db") as terminal:
        to_steps(terminal)
        terminal.settle(1.0)
        steps_key = percentile(keys_ms(terminal, STEPS), 95)
    beside, bare_beside = (percentile(times, 95) for times in keys_beside_the_engine_ms(screens, folder / "beside.db"))
    late, bare_late = (percentile(times, 99) for times in visible_ms(screens, folder / "visible.db"))
    memory = screens.most_megabytes

    def at_most(what: str, value: float, unit: str, most: float, raw: float | None = None) -> Figure:
        return Figure(f"Screen: {what}", value, unit, f"at most {most:g}", value <= most, raw)

    return [
        at_most("first paint, a million executions", paint, "s", 0.4, bare_paint),
        at_most("idle", idle_cpu, "% CPU", 0.3),
        at_most("idle", idle_bytes, "bytes/s", 0),
        at_most("a watched execution", watched_cpu, "% CPU", 1),
        at_most("a watched execution", watched_bytes / 1000, "KB/s", 10),
        at_most("log of 1,000 lines/s", flood_cpu, "% CPU", 6, bare_cpu),
        Figure("Screen: log of 1,000 lines/s", flood_bytes / 1000, "KB/s", "", True, bare_bytes / 1000),
        at_most("key to paint, a million executions", list_key, "ms p95", 20, bare_key),
        at_most("key to paint, 10,000 steps", steps_key, "ms p95", 20, bare_key),
        at_most("key to paint, the engine at full speed", beside, "ms p95", 20, bare_beside),
        at_most("key to paint, log of 1,000 lines/s", percentile(flood_keys, 95), "ms p95", 20, bare_key),
        Figure(f"Screen: the same on a line of {SLOW_LINE:,} bytes/s", percentile(slow_keys, 95), "ms p95", "", True),
        at_most("commit to visible, 20 events/s", late, "ms p99", 50, bare_late),
        at_most("open an execution of 100,000 events", opened, "ms", 200),
        at_most("open one of 10,000 steps", wide, "ms", 200),
        at_most("10 MB value in Input/Output: open", value_opened, "s", 0.7),
        at_most("10 MB value in Input/Output: key to paint", percentile(value_keys, 95), "ms p95", 20),
        at_most("10 MB value in Input/Output: memory", value_megabytes, "MB", 120),
        at_most("memory, the most in all of this", memory, "MB", 120),
    ]
