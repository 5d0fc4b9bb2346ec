"""A worker process that measures itself: `python -m benchmarks.worker DATABASE SLOTS UNTIL_DONE`."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import time

from stepflow.components.registry import builtin_registry
from stepflow.storages.sqlite import SQLiteStorage
from stepflow.worker import make_worker, tune_process


async def main(database: str, slots: int, until_done: bool) -> None:
    storage = SQLiteStorage(database)
    tune_process()
    worker = make_worker(storage, builtin_registry(), slots=slots)
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
