"""The crash sweep: a worker is killed after commit 1, 2 … n and around every effect, another finishes, and nothing
tells that anything happened but the log."""

from __future__ import annotations

import collections
import multiprocessing
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepflow.model.event import EventType
from stepflow.model.ids import new_run_id
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from tests.crash.flows import FLOWS
from tests.crash.victim import Death, live
from tests.support.engine import start, types_of
from tests.support.invariants import check_all_runs

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.crash.victim"])

LIFE_SECONDS = 30.0
STUCK_SECONDS = 5.0
"""Longer than a lease of these workers (3 s) nothing may stand still."""
MOST_POINTS = 120

Meddle = Callable[[SQLiteStorage, str], None]


def run_process(database: Path, effects: Path, death: Death, run_id: str, meddle: Meddle | None) -> int | None:
    """The exit code of a worker process (-9: it was killed)."""
    process = processes.Process(target=live, args=(str(database), str(effects), death))
    process.start()
    if meddle is not None:
        storage = SQLiteStorage(database, durability="normal")
        _until_it_waits(storage, run_id)
        meddle(storage, run_id)
        storage.close()
    process.join(LIFE_SECONDS)
    if process.is_alive():
        process.kill()
        pytest.fail(f"stuck with {death}")
    return process.exitcode


def _until_it_waits(storage: SQLiteStorage, run_id: str) -> None:
    """As a user does: from another process, once its step waits, or once its worker is dead."""
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        run = storage.get_run(run_id)
        if run.status.is_final or run.status in (RunStatus.SLEEPING, RunStatus.WAITING):
            break
        time.sleep(0.005)


def cancel(storage: SQLiteStorage, run_id: str) -> None:
    storage.request_cancel(run_id, "enough", 1)


def answer(storage: SQLiteStorage, run_id: str) -> None:
    """Once, however many workers die."""
    if "signal.received" not in types_of(storage, run_id):
        storage.signal(run_id, "go", '{"by":"ada"}', 1)


MEDDLING: dict[str, Meddle] = {"cancel": cancel, "cancel_children": cancel, "signal": answer}
"""What is done to some of the flows from outside."""


def outcome(storage: SQLiteStorage, run_id: str, *, cancelled: bool) -> Any:
    """What must not depend on any death. A run that is cancelled may have come as far as it likes."""
    run = storage.get_run(run_id)
    if cancelled:
        return run.status, run.reason, run.output
    rows = storage.fetch(
        "SELECT t.name, r.child_item, r.status, o.output FROM runs r JOIN templates t ON t.num = r.template "
        "LEFT JOIN run_outputs o ON o.run = r.num WHERE r.parent IS NOT NULL"
    )
    steps = storage.get_steps(run_id, bodies=True, attempts=False)
    error = None if run.error is None else (run.error["code"], run.error["message"])
    return (
        run.status,
        run.output,
        error,
        [
            (step.key, step.status, step.attempt, step.reason, step.recovered, step.error and step.error["code"])
            for step in steps
        ],
        [step.output if step.component != "/builtin/sleep" else None for step in steps],
        sorted(rows, key=repr),
    )


def check_nothing_is_left(storage: SQLiteStorage) -> None:
    """Every run has ended, children too, and nobody waits for them any more."""
    assert not storage.unfinished_runs()
    for table in ("child_groups", "child_inputs"):
        assert storage.fetch(f"SELECT * FROM {table}") == [], table
    assert storage.fetch("SELECT num FROM runs WHERE owner IS NOT NULL OR wake_at IS NOT NULL") == []
    marks = storage.fetch("SELECT substr(output, 2), run FROM steps WHERE substr(output, 1, 1) = '@'")
    marks += storage.fetch("SELECT substr(output, 2), run FROM run_outputs WHERE substr(output, 1, 1) = '@'")
    kept = storage.fetch("SELECT b.id, r.run FROM blobs b JOIN blob_refs r ON r.blob = b.id")
    assert set(marks) == set(kept), "a blob is missing, or nobody refers to it"


class Sweep:
    """One flow's runs: the undisturbed one, and those with deaths."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.flow = FLOWS[name]
        self.count = 0

    def live_through(self, deaths: list[Death]) -> tuple[Any, collections.Counter[str], int]:
        """The outcome after these deaths and a last worker that lives, the effects, and how many were killed."""
        self.count += 1
        database = self.folder / f"{self.count}.db"
        effects = self.folder / f"{self.count}.effects"
        storage = SQLiteStorage(database, durability="normal")
        run_id = start(storage, self.flow)
        storage.close()
        kills = 0
        meddle = MEDDLING.get(self.name)
        for death in deaths:
            kills += run_process(database, effects, death, run_id, meddle) == -9
        began = time.monotonic()
        assert run_process(database, effects, Death(), run_id, meddle) == 0
        assert time.monotonic() - began < STUCK_SECONDS, f"stuck after {deaths}"
        storage = SQLiteStorage(database, durability="normal")
        try:
            check_all_runs(storage)
            check_nothing_is_left(storage)
            self._check_committed_once(storage, run_id)
            result = outcome(storage, run_id, cancelled=meddle is cancel)
        finally:
            storage.close()
        performed = effects.read_text().split() if effects.exists() else []
        return result, collections.Counter(performed), kills

    def _check_committed_once(self, storage: SQLiteStorage, run_id: str) -> None:
        events = storage.get_events(run_id, after_seq=0, before_seq=None, limit=10_000, newest=False)
        endings = collections.Counter(
            event.step_key for event in events if event.event_type in (EventType.STEP_COMPLETED, EventType.STEP_SKIPPED)
        )
        assert all(count == 1 for count in endings.values()), endings

    def check(self, deaths: list[Death], undisturbed: Any, expected: collections.Counter[str]) -> int:
        result, effects, kills = self.live_through(deaths)
        assert result == undisturbed, f"{self.name}: {deaths} changed the outcome"
        for key, count in effects.items():
            # A death interrupts every run in flight: what several children perform counts for each of them.
            most = expected[key] * (1 + kills)
            assert count <= most, f"{self.name}: {key} was performed {count} times with {kills} kills"
        return kills


def points(sweep: Sweep) -> tuple[Any, collections.Counter[str], list[Death]]:
    """The undisturbed outcome, its effects, and every moment to die at."""
    undisturbed, expected, _ = sweep.live_through([])
    deaths = [Death("after_commit", count) for count in range(1, MOST_POINTS)]
    total = sum(expected.values())
    deaths += [Death(when, count) for when in ("before_effect", "after_effect") for count in range(1, total + 1)]
    return undisturbed, expected, deaths


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FLOWS)
def test_a_worker_killed_anywhere_changes_nothing_but_the_log(name: str, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, name)
    undisturbed, expected, deaths = points(sweep)
    lived_on = 0
    for death in deaths:
        if death.when == "after_commit" and lived_on:
            continue  # there are no more commits than that
        kills = sweep.check([death], undisturbed, expected)
        lived_on += death.when == "after_commit" and kills == 0
    assert lived_on == 1, "the sweep did not reach the last commit"


@pytest.mark.parametrize("name", FLOWS)
def test_a_worker_killed_at_some_points_changes_nothing_but_the_log(name: str, tmp_path: Path) -> None:
    """A sample of the sweep, with two deaths in a row among them; the seed is the printed run id."""
    seed = new_run_id()
    print(f"seed {seed}")
    chance = random.Random(seed)
    sweep = Sweep(tmp_path, name)
    undisturbed, expected, deaths = points(sweep)
    early = [death for death in deaths if death.count <= max(8, 2 * sum(expected.values()))]
    for _ in range(2):
        sweep.check([chance.choice(early)], undisturbed, expected)
    sweep.check([chance.choice(early), chance.choice(early)], undisturbed, expected)
