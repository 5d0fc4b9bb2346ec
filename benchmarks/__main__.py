"""Measures everything and writes README.md: `python -m benchmarks [--only WORD]`."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import commands, engine, language, million, raw, saving, screen
from benchmarks.machine import machine
from benchmarks.report import Figure, write

ROUNDS = 3


def median_of(measure: Callable[[], float], rounds: int = ROUNDS) -> float:
    return statistics.median(measure() for _ in range(rounds))


def engine_figures(folder: Path) -> list[Figure]:
    raw_many = median_of(lambda: raw.steps_per_second(folder, per_commit=100))
    raw_one = median_of(lambda: raw.steps_per_second(folder, per_commit=1))
    raw_commit = raw.commit_ms(folder)
    many = [engine.throughput(folder, runs=2000, slots=100) for _ in range(ROUNDS)]
    one = [engine.throughput(folder, runs=150, slots=1) for _ in range(ROUNDS)]
    wide = [engine.throughput(folder, runs=1, slots=100, flow=engine.fan_out(10_000)) for _ in range(ROUNDS)]
    narrow = [engine.throughput(folder, runs=100, slots=1, flow=engine.fan_out(100)) for _ in range(ROUNDS)]

    def middle(results: list[dict[str, float]], key: str) -> float:
        return statistics.median(result[key] for result in results)

    many_rate, one_rate = middle(many, "steps_per_second"), middle(one, "steps_per_second")
    cpu, size = middle(many, "cpu_ms_per_step"), middle(many, "bytes_per_step")
    ratio = middle(wide, "us_per_step") / middle(narrow, "us_per_step")
    start = asyncio.run(engine.start_to_result_ms(folder))
    queue = engine.queue_to_other_process_ms(folder)
    recovery = median_of(lambda: engine.recovery_seconds(_new(folder)))
    neighbour = median_of(lambda: engine.neighbour_commit_p99_ms(_new(folder)))
    idle = engine.idle_cpu_percent(folder)
    return [
        Figure("Steps/s, 100 runs in flight", many_rate, "steps/s", "at least 5,000", many_rate >= 5000, raw_many),
        Figure("Steps/s, one run at a time", one_rate, "steps/s", "at least 1,500", one_rate >= 1500, raw_one),
        Figure("Processor time a step", cpu, "ms", "at most 0.2", cpu <= 0.2),
        Figure("1-step run, start to result", start, "ms", "1 median", start <= 1, 4 * raw_commit),
        Figure("Queue to another process", queue, "ms", "5 median", queue <= 5, 2 * raw_commit),
        Figure("200 runs in flight, kill -9, all ended by a new process", recovery, "s", "1", recovery <= 1),
        Figure("Fan-out of 10,000 against 100, per step", ratio, "times", "at most 1.5", ratio <= 1.5),
        Figure("Disk a no-op step with its full history", size, "bytes", "at most 450", size <= 450),
        Figure("Idle worker", idle, "% CPU", "at most 0.5", idle <= 0.5),
        Figure("Commits beside a worker at full speed", neighbour, "ms p99", "at most 20", neighbour <= 20, raw_commit),
    ]


def _new(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder))


def main(arguments: list[str]) -> int:
    only = arguments[arguments.index("--only") + 1] if "--only" in arguments else None
    folder = Path(tempfile.mkdtemp(prefix="stepflow-benchmarks-"))
    figures: list[Figure] = []
    try:
        if only in (None, "engine"):
            figures += engine_figures(folder)
        if only in (None, "language"):
            figures += language.figures()
        large = folder / "million.db"
        if only in (None, "commands", "screen"):
            million.make(large)
        if only in (None, "commands"):
            figures += commands.figures(_new(folder), large)
        if only in (None, "saving"):
            figures += saving.figures(_new(folder))
        if only in (None, "screen"):
            figures += screen.figures(_new(folder), large)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = write(figures, machine(), datetime.now(UTC).date().isoformat())
    print(text)
    if only is None:
        (Path(__file__).parent / "README.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
