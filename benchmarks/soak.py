"""A soak: workers are killed at random for as long as you like, and nothing may be lost, stuck or done twice.

`python -m benchmarks.soak --minutes 10 --seed 7`: two worker processes on one file, random flows, a SIGKILL every
second or so. At its end every run has ended as its flow says and equals the fold of its events.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stepflow.contracts.storage import CreateRun, TemplateText
from stepflow.model.flow import Flow, OnError, RetryPolicy, Step
from stepflow.model.ids import new_run_id
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.invariants import check_run

WORKERS = 2
IN_FLIGHT = 40
LONGEST_END_SECONDS = 60


def random_flow(chance: random.Random) -> Flow:
    """Up to a dozen steps that echo, sleep, run a shell, fail or are skipped, each after some of the earlier ones."""
    steps: list[Step] = []
    for index in range(chance.randint(1, 12)):
        after = tuple(sorted({chance.choice(steps).key for _ in range(chance.randint(0, 2))})) if steps else ()
        kind = chance.choice(["echo", "echo", "echo", "sleep", "shell", "fail"])
        step = {
            "echo": Step(key=f"s{index}", component="/builtin/echo", input={"index": index}, depends_on=after),
            "sleep": Step(
                key=f"s{index}",
                component="/builtin/sleep",
                input={"duration_ms": chance.randint(1, 400)},
                depends_on=after,
            ),
            "shell": Step(
                key=f"s{index}",
                component="/shell/run",
                input={"command": ["sleep", f"{chance.random() / 3:.2f}"]},
                depends_on=after,
                skip_if=chance.random() < 0.2,
            ),
            "fail": Step(
                key=f"s{index}",
                component="/builtin/fail",
                input={"message": "on purpose"},
                depends_on=after,
                retry=RetryPolicy(strategy="fixed", max_attempts=2, base_delay_ms=50),
                on_error=OnError("continue", {"index": index}),
            ),
        }[kind]
        steps.append(step)
    return Flow(steps=tuple(steps), name=f"soak{chance.randrange(1_000_000)}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)
    print(f"seed {options.seed}", flush=True)
    database = Path(tempfile.mkdtemp(prefix="stepflow-soak-")) / "soak.db"
    storage = SQLiteStorage(database)
    command = [sys.executable, "-m", "benchmarks.worker", str(database), "20", "0"]
    workers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(WORKERS)]
    ids: list[str] = []
    kills = 0
    end = time.monotonic() + options.minutes * 60
    while time.monotonic() < end:
        live = sum(count for status, count in storage.status_counts(children=True).items() if not status.is_final)
        for _ in range(IN_FLIGHT - live):
            flow = random_flow(chance)
            text = TemplateText(flow.name, "", "yaml", flow, None, None, now_ms())
            version = storage.save_template(text, create=True, update=True).id
            ids.append(storage.perform(CreateRun(new_run_id(), version, "{}", now_ms(), len(flow.steps))))
        time.sleep(chance.random() * 2)
        victim = chance.randrange(WORKERS)
        workers[victim].send_signal(signal.SIGKILL)
        workers[victim].wait()
        workers[victim] = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        kills += 1
    deadline = time.monotonic() + LONGEST_END_SECONDS
    while storage.unfinished_runs() and time.monotonic() < deadline:
        time.sleep(0.1)
    for worker in workers:
        worker.terminate()
        worker.wait()
    stuck = [run_id for run_id in ids if not storage.get_run(run_id).status.is_final]
    for run_id in ids:
        check_run(storage, run_id)
    counts = {status.value: count for status, count in storage.status_counts(children=True).items()}
    print(f"{len(ids)} runs, {kills} kills, {counts}, stuck: {stuck or 'none'}")
    storage.close()
    stalled = counts.get(RunStatus.STALLED.value, 0)
    return 1 if stuck or stalled else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
