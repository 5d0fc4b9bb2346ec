"""A file as version 1 of the schema left it, with runs in every status that its release knew."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from sqlite_utils import Database

from stepflow.core.facts import CancelRequested, Claimed, Slept, Stopped
from stepflow.core.transition import Event
from stepflow.model import jsontext
from stepflow.model.event import EVENT_CODES, EventType
from stepflow.model.flow import Flow, Step
from stepflow.model.ids import new_run_id
from stepflow.model.statuses import RUN_STATUS_CODES, STEP_STATUS_CODES, RunStatus, StepStatus
from stepflow.storages.sqlite.schema import migrations
from tests.core.driver import BEGIN, Driver
from tests.support.flows import chain, echo, flow, quick_retry, ref

DEAD_WORKER = 3
NAMES = ("work", "other")

WORK = flow(
    echo("a", {"n": 1}),
    Step(key="nap", component="/builtin/sleep", input={"duration_ms": 10}, depends_on=("a",)),
    echo("b", ref("a", "n"), depends_on=("nap",), retry=quick_retry(3, 10)),
    echo("skipped", 1, skip_if=ref("a")),
    name="work",
)


class Version1:
    """Writes rows with the statements of that release."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids: dict[str, str] = {}
        """Of the runs, by what was told of them."""
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = wal")
        migrations.apply(Database(self.connection, execute_plugins=False), stop_before="m002_children_signals_blobs")
        self.seq = 0
        self.runs = 0
        path.chmod(0o600)

    def template(self, number: int, made: Flow, *, deleted: bool = False, folder: str | None = None) -> None:
        values = (number, made.name, f"about {made.name}", 1, BEGIN, BEGIN, deleted)
        self.connection.execute("INSERT INTO templates VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        components = jsontext.encode(list(made.components))
        version = (number, number, 1, f"name: {made.name}", "yaml", made.to_json(), components, folder, BEGIN)
        self.connection.execute("INSERT INTO template_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", version)
        self.event(None, None, Event(EventType.TEMPLATE_SAVED, BEGIN, payload={"name": made.name, "version": 1}))

    def event(self, run: int | None, run_seq: int | None, event: Event) -> None:
        self.seq += 1
        payload = None if event.payload is None else jsontext.encode(event.payload)
        step = event.step
        values = (self.seq, run, run_seq, EVENT_CODES[event.type], step, event.attempt if step is not None else None)
        level = 3 if event.type in (EventType.STEP_FAILED, EventType.RUN_FAILED) else 1
        self.connection.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, level, event.at, payload)
        )

    def run(self, name: str, template: int, driver: Driver, **columns: Any) -> None:
        """What `driver` has come to, as a run of the template; `columns` of the run's row that are the storage's."""
        self.runs += 1
        run_id = self.ids[name] = new_run_id()
        state = driver.run.state
        events = [Event(EventType.RUN_CREATED, BEGIN), *columns.pop("before", ()), *driver.events]
        row = {
            "num": self.runs,
            "id": run_id,
            "template": template,
            "template_version": template,
            "status": RUN_STATUS_CODES[state.status],
            "created_at": BEGIN + self.runs,
            "started_at": state.started_at,
            "finished_at": state.finished_at,
            "wake_at": driver.last.wake_at if driver.last is not None and driver.last.release else None,
            "version": len(driver.events),
            "fence": 1 if driver.events else 0,
            "event_count": len(events),
            "step_count": len(driver.graph.nodes),
            "open_steps": driver.run.open,
            "losses": state.losses,
            "cancel_requested": state.cancel_requested,
            "reason": state.reason,
            "error": None if state.error is None else jsontext.encode(state.error),
            **columns,
        }
        names = ", ".join(row)
        marks = ", ".join("?" * len(row))
        self.connection.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", tuple(row.values()))
        self.connection.execute("INSERT INTO run_bodies VALUES (?, '{\"given\":1}', NULL, NULL)", (self.runs,))
        if driver.last is not None and driver.last.output is not None:
            self.connection.execute("INSERT INTO run_outputs VALUES (?, ?)", (self.runs, driver.last.output))
        for run_seq, event in enumerate(events, start=1):
            self.event(self.runs, run_seq, event)
        for index, step in enumerate(driver.run.steps):
            if step.status is StepStatus.PENDING and step.attempt == 0:
                continue
            values = (self.runs, index, step.attempt, STEP_STATUS_CODES[step.status], step.started_at)
            error = None if step.error is None else jsontext.encode(step.error)
            flags = step.recovered | step.reused << 1
            more = (step.finished_at, step.wake_at, step.reason, error, flags, '"its input"', driver.outputs.get(index))
            self.connection.execute("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, *more))


def begun() -> Driver:
    driver = Driver(WORK)
    driver.claim()
    return driver


def asleep() -> Driver:
    driver = begun()
    driver.succeed("a", {"n": 1})
    nap = driver.performing.pop("nap")
    driver.give(Slept(nap.step, nap.attempt, BEGIN + 10))
    return driver


def awake() -> Driver:
    driver = asleep()
    driver.now += 10
    driver.claim()
    return driver


def make(path: Path) -> dict[str, str]:
    """The file, closed; the ids of its runs by what they are."""
    file = Version1(path)
    file.template(1, WORK, folder="/folder")
    file.template(2, flow(echo("x"), name="other"))
    file.template(3, chain(2), deleted=True)
    file.connection.execute(
        "INSERT INTO workers VALUES (?, 'w_dead', 4711, ?, 'a boot', ?, 1e12, 10, 0, '[\"/builtin/echo\"]', NULL)",
        (DEAD_WORKER, socket.gethostname(), BEGIN),
    )
    completed = awake()
    completed.succeed("b", 1)
    file.run("completed", 1, completed)
    failed = awake()
    for _ in range(3):
        failed.fail("b")
        if not failed.run.state.status.is_final:
            failed.now += 10
            failed.claim()
    file.run("failed", 1, failed, priority=7)
    file.run("queued", 1, Driver(WORK))
    file.run("urgent", 2, Driver(flow(echo("x"))), priority=9, idempotency_key="once")
    scheduled = Event(EventType.RUN_SCHEDULED, BEGIN, payload={"start_at": BEGIN + 5})
    status = RUN_STATUS_CODES[RunStatus.SCHEDULED]
    file.run("scheduled", 1, Driver(WORK), status=status, wake_at=BEGIN + 5, before=[scheduled])
    file.run("sleeping", 1, asleep())
    file.run("held", 1, awake(), owner=DEAD_WORKER)
    file.run("claimed", 1, Driver(WORK), owner=DEAD_WORKER, fence=1, version=1)
    retrying = awake()
    retrying.fail("b")
    file.run("retrying", 1, retrying)
    cancelled = ask_to_cancel(begun())
    a = cancelled.performing.pop("a")
    cancelled.give(CancelRequested("enough"), Stopped(a.step, a.attempt))
    file.run("cancelled", 1, cancelled)
    file.run("to be cancelled", 1, ask_to_cancel(awake()), owner=DEAD_WORKER)
    stalled = begun()
    for _ in range(5):
        stalled.give(Claimed())
    file.run("stalled", 1, stalled)
    file.run("of a deleted template", 3, Driver(chain(2)))
    file.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.connection.close()
    return file.ids


def ask_to_cancel(driver: Driver) -> Driver:
    """As the storage does it: an event and a column."""
    driver.events.append(Event(EventType.RUN_CANCEL_REQUESTED, BEGIN, payload={"reason": "enough"}))
    driver.run.state = replace(driver.run.state, cancel_requested=True, reason="enough")
    return driver


def rows_of(path: Path | str) -> dict[str, list[tuple[Any, ...]]]:
    """All that version 1 had, by table: what a reader of its columns sees."""
    first = sqlite3.connect(":memory:")
    migrations.apply(Database(first, execute_plugins=False), stop_before="m002_children_signals_blobs")
    connection = sqlite3.connect(path)
    found = {}
    for (table,) in first.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlite%'"):
        columns = ", ".join(row[1] for row in first.execute(f"PRAGMA table_info({table})"))
        found[table] = sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
    connection.close()
    first.close()
    return found
