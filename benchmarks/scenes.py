"""What the screen is measured on: executions with much in them, and steps that talk for as long as they are watched."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.engine import WorkerProcess, fan_out
from stepflow.contracts.storage import CreateRun, TemplateText
from stepflow.model import jsontext
from stepflow.model.flow import Flow, Step
from stepflow.model.ids import new_run_id
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage

LONG_STEPS, TALKERS, LINES_A_TALKER = 1000, 10, 9800
"""Two events a step, one a line: 100,000 in all."""
LARGE_ROWS = 100_000
"""About ten megabytes."""
MANY_STEPS = 10_000

TALK = """
import sys, time
rate, began, said = float(sys.argv[1]), time.monotonic(), 0
while True:
    due = int((time.monotonic() - began) * rate)
    for number in range(said, due):
        print(f"line {number} of what it says, which is about as long as such lines are")
    sys.stdout.flush()
    said = due
    time.sleep(0.01)
"""


def long_run(steps: int = LONG_STEPS, lines: int = LINES_A_TALKER, rows: int = LARGE_ROWS) -> tuple[Flow, object]:
    """A flow with many steps, some of which say much, and an input that one of them gives back."""
    echo = Step(key="rows", component="/builtin/echo", input={"$from": {"workflow": "input"}})
    quiet = (Step(key=f"s{number}", component="/builtin/noop") for number in range(steps))
    talking = (
        Step(key=f"says{number}", component="/shell/run", input={"command": ["seq", "-f", "line %g", str(lines)]})
        for number in range(TALKERS)
    )
    rows_given = [{"id": number, "name": f"customer {number}", "text": "x" * 60} for number in range(rows)]
    return Flow(name="long", steps=(echo, *quiet, *talking)), {"rows": rows_given}


def many_steps(steps: int = MANY_STEPS) -> tuple[Flow, object]:
    return fan_out(steps), {}


def talker(lines_a_second: float) -> tuple[Flow, object]:
    """A step that says so many lines a second and does not end."""
    command = [sys.executable, "-c", TALK, str(lines_a_second)]
    return Flow(name="talker", steps=(Step(key="talk", component="/shell/run", input={"command": command}),)), {}


def silent() -> tuple[Flow, object]:
    """A step that runs and says nothing."""
    step = Step(key="work", component="/shell/run", input={"command": ["sleep", "600"]})
    return Flow(name="silent", steps=(step,)), {}


def start(storage: SQLiteStorage, what: tuple[Flow, object]) -> str:
    """The id of its new run."""
    flow, given = what
    text = TemplateText(flow.name, "", "yaml", flow, None, None, now_ms())
    version = storage.save_template(text, create=True, update=True).id
    create = CreateRun(new_run_id(), version, jsontext.encode(given), now_ms(), len(flow.steps))
    return str(storage.perform(create))


def make(database: Path, *runs: tuple[Flow, object]) -> list[str]:
    """A database in which these have ended; their ids."""
    storage = SQLiteStorage(database)
    ids = [start(storage, one) for one in runs]
    storage.close()
    WorkerProcess(database, 100).result()
    return ids
