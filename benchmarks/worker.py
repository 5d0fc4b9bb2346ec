"""A worker process that measures itself: `python -m benchmarks.worker DATABASE SLOTS UNTIL_DONE`."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import time
from typing import Any

from stepflow.components.registry import Registry, builtin_registry
from stepflow.contracts.component import Component
from stepflow.storages.sqlite import SQLiteStorage
from stepflow.worker import make_worker, tune_process


def registry_that_holds(forever: bool) -> Registry:
    """Ours, and `/benchmarks/hold`: a step that does not end while this worker lives, or ends at once."""

    async def hold(value: Any, context: Any) -> None:
        if forever:
            await asyncio.Event().wait()

    registry = builtin_registry()
    registry.register(Component("/benchmarks/hold", hold, "async", "Holds"))
    return registry


async def main(database: str, slots: int, until_done: bool) -> None:
    storage = SQLiteStorage(database)
    tune_process()
    worker = make_worker(storage, registry_that_holds(not until_done), slots=slots)
    gc.collect()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    ready = asyncio.Event()
    wall, cpu = time.perf_counter(), time.process_time()
    task = asyncio.create_task(worker.run(ready.set))
    await ready.wait()
    print("ready", flush=True)
    while until_done and (worker.held_count or storage.unfinished_runs()):
        await asyncio.sleep(0.005)
    result = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
    if not until_done:
        await stop.wait()
    await worker.stop(0)
    await task
    storage.close()
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1"))
