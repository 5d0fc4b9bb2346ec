"""Many inputs in several processes; what no signal stops, and what takes a process down, is found with its input."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections import Counter
from multiprocessing.queues import Queue
from multiprocessing.sharedctypes import Synchronized

from tests.fuzz.inputs import make_input
from tests.fuzz.run import Failure, run

MAX_MEMORY = 4 * 1024**3
STALLED_SECONDS = 120
"""Of a worker that has not come to its next input."""

_SPAWN = multiprocessing.get_context("spawn")


def run_campaign(seed: int, inputs: int, deadline: float, jobs: int) -> tuple[int, Counter[str]]:
    """How many inputs there were, and how many failed in which way; each way is printed once."""
    failures: Queue[Failure] = _SPAWN.Queue()
    workers = [_Worker(seed, range(job, inputs, jobs), deadline, failures) for job in range(jobs)]
    found: Counter[str] = Counter()
    while sum(worker.is_at_work() for worker in workers) or not failures.empty():
        while not failures.empty():
            failure = failures.get()
            found[failure.what] += 1
            if found[failure.what] == 1:
                print(f"\n{failure}", flush=True)
        time.sleep(0.2)
    for worker in workers:
        if worker.process.exitcode:
            what = f"a process ended with {worker.process.exitcode}"
            found[what] += 1
            print(Failure(what, seed, worker.index, make_input(seed, worker.index), ""), flush=True)
    return sum(worker.done.value for worker in workers), found


class _Worker:
    def __init__(self, seed: int, indexes: range, deadline: float, failures: Queue[Failure]) -> None:
        self._indexes = indexes
        self.done: Synchronized[int] = _SPAWN.Value("q", 0)
        self._seen = 0
        self._seen_at = time.monotonic()
        self.process = _SPAWN.Process(target=_work, args=(seed, indexes, deadline, self.done, failures))
        self.process.start()

    @property
    def index(self) -> int:
        """Of the input it is at."""
        return self._indexes[self.done.value]

    def is_at_work(self) -> bool:
        if self.done.value != self._seen:
            self._seen, self._seen_at = self.done.value, time.monotonic()
        elif time.monotonic() - self._seen_at > STALLED_SECONDS:
            self.process.kill()
        return self.process.is_alive()


def _work(seed: int, indexes: range, deadline: float, done: Synchronized[int], failures: Queue[Failure]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    for failure in run(seed, indexes):
        if failure is not None:
            failures.put(failure)
        done.value += 1
        if time.time() > deadline:
            return
