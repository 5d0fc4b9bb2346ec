"""The engine: throughput, cost a step, latencies, recovery, size. Each worker is a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from stepflow.contracts.storage import CreateRun, TemplateText
from stepflow.model.event import EventType
from stepflow.model.flow import Flow, Step
from stepflow.model.ids import new_run_id
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage

STEPS = 10
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def chain(length: int) -> Flow:
    return Flow(
        steps=tuple(
            Step(key=f"s{i}", component="/builtin/noop", depends_on=(f"s{i - 1}",) if i else ()) for i in range(length)
        ),
        name=f"chain{length}",
    )


def fan_out(width: int) -> Flow:
    return Flow(steps=tuple(Step(key=f"s{i}", component="/builtin/noop") for i in range(width)), name=f"fan{width}")


def fill(storage: SQLiteStorage, flow: Flow, runs: int) -> list[str]:
    """Queue `runs` runs of `flow`."""
    text = TemplateText(flow.name, "", "yaml", flow, None, None, now_ms())
    version = storage.save_template(text, create=True, update=True).id
    ids = [new_run_id() for _ in range(runs)]
    done: list[Any] = []
    storage.submit(
        [
            (
                CreateRun(run_id, version, "{}", now_ms(), len(flow.steps)),
                lambda result, error: done.append(error or result),
            )
            for run_id in ids
        ]
    )
    while len(done) < runs:
        time.sleep(0.001)
    return ids


class WorkerProcess:
    """`python -m benchmarks.worker`: a worker that measures its own time and processor time."""

    def __init__(self, database: Path, slots: int, *, until_done: bool = True) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", str(database), str(slots), str(int(until_done))],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def result(self) -> dict[str, float]:
        output, _ = self.process.communicate(timeout=120)
        found: dict[str, float] = json.loads(output)
        return found

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()


def throughput(
    folder: Path, *, runs: int, slots: int, steps: int = STEPS, flow: Flow | None = None
) -> dict[str, float]:
    """`steps_per_second`, `cpu_ms_per_step`, `bytes_per_step` of one worker process on a queue that is full."""
    database = folder / f"throughput-{time.monotonic_ns()}.db"
    storage = SQLiteStorage(database)
    flow = flow or chain(steps)
    fill(storage, flow, runs)
    measured = WorkerProcess(database, slots).result()
    count = runs * len(flow.steps)
    assert storage.count_runs([RunStatus.COMPLETED], None) == runs
    size = storage.statistics()["bytes"]
    storage.close()
    return {
        "steps_per_second": count / measured["seconds"],
        "cpu_ms_per_step": measured["cpu_seconds"] * 1000 / count,
        "bytes_per_step": size / count,
        "us_per_step": measured["seconds"] * 1e6 / count,
    }


async def start_to_result_ms(folder: Path, count: int = 200) -> float:
    """A one-step run from `start` to its result, client and worker in one process: the median, in ms."""
    from stepflow.components.registry import builtin_registry
    from stepflow.runtime.bridge import Bridge
    from stepflow.runtime.followers import follow
    from stepflow.worker import make_worker

    storage = SQLiteStorage(folder / "latency.db")
    flow = chain(1)
    text = TemplateText(flow.name, "", "yaml", flow, None, None, now_ms())
    version = storage.save_template(text, create=True, update=True).id
    worker = make_worker(storage, builtin_registry())
    begun = asyncio.Event()
    task = asyncio.create_task(worker.run(begun.set))
    await begun.wait()
    bridge = Bridge(storage)
    log = follow(bridge, storage, None, None, 1000)
    times = []
    for _ in range(count):
        run_id = new_run_id()
        began = time.perf_counter()
        await bridge.perform(CreateRun(run_id, version, "{}", now_ms(), 1))
        async for events in log:
            if any(event.event_type == EventType.RUN_COMPLETED for event in events):
                break
        times.append(time.perf_counter() - began)
    await log.aclose()
    await worker.stop(0)
    await task
    bridge.close()
    storage.close()
    return statistics.median(times) * 1000


def queue_to_other_process_ms(folder: Path, count: int = 100) -> float:
    """From the commit that queues a run to its `run.started` in another process: the median, in ms."""
    database = folder / "queue.db"
    storage = SQLiteStorage(database)
    flow = chain(1)
    fill(storage, flow, 0)
    version = storage.get_template_version(flow.name).id
    worker = WorkerProcess(database, 100, until_done=False)
    times = []
    for _ in range(count):
        run_id = new_run_id()
        storage.perform(CreateRun(run_id, version, "{}", now_ms(), 1))
        began = time.perf_counter()
        while storage.get_run(run_id).started_at is None:
            time.sleep(0.0002)
        times.append(time.perf_counter() - began)
        while not storage.get_run(run_id).status.is_final:
            time.sleep(0.0005)
        time.sleep(0.005)
    worker.stop()
    storage.close()
    return statistics.median(times) * 1000


def recovery_seconds(folder: Path, runs: int = 200) -> float:
    """`runs` runs in flight, each in a step that does not end, kill -9: from the start of a new worker's loop, in which
    that step ends at once, until all runs have ended."""
    database = folder / "recovery.db"
    storage = SQLiteStorage(database)
    held = Flow(
        steps=(
            Step(key="before", component="/builtin/noop"),
            Step(key="held", component="/benchmarks/hold", depends_on=("before",)),
            Step(key="after", component="/builtin/noop", depends_on=("held",)),
        ),
        name="held",
    )
    fill(storage, held, runs)
    worker = WorkerProcess(database, runs, until_done=False)
    while any(run.steps_done < 1 for run in storage.list_runs(runs, None, None, None, False)[0]):
        time.sleep(0.01)
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    seconds = WorkerProcess(database, runs).result()["seconds"]
    assert storage.count_runs([RunStatus.COMPLETED], None) == runs
    storage.close()
    return seconds


def neighbour_commit_p99_ms(folder: Path, seconds: float = 4.0) -> float:
    """Another process's small commits beside a worker at full speed: the 99th percentile, in ms."""
    database = folder / "neighbour.db"
    storage = SQLiteStorage(database)
    fill(storage, chain(STEPS), 12_000)
    worker = WorkerProcess(database, 100)
    version = storage.get_template_version(f"chain{STEPS}").id
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and worker.process.poll() is None:
        began = time.perf_counter()
        storage.perform(CreateRun(new_run_id(), version, "{}", now_ms(), STEPS))
        times.append(time.perf_counter() - began)
        time.sleep(0.005)
    worker.process.kill()
    worker.process.wait()
    storage.close()
    return sorted(times)[int(len(times) * 0.99)] * 1000


def idle_cpu_percent(folder: Path, seconds: float = 20.0) -> float:
    """Processor time of a worker with nothing to do, in percent of one processor."""
    database = folder / "idle.db"
    SQLiteStorage(database).close()
    worker = WorkerProcess(database, 100, until_done=False)
    time.sleep(2)
    before = worker.cpu_seconds()
    time.sleep(seconds)
    used = worker.cpu_seconds() - before
    worker.stop()
    return used / seconds * 100
