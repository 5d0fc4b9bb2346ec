"""Paused and let go on at any moment, by another process, while its workers are killed: every run ends as if nothing of
it had happened."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from stepflow.errors import WorkflowEngineError
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from stepflow.storages.sqlite import SQLiteStorage
from tests.crash.flows import FLOWS
from tests.crash.test_sweep import LIFE_SECONDS, check_nothing_is_left, outcome, processes, run_process
from tests.crash.victim import Death, live
from tests.support.engine import start
from tests.support.invariants import check_all_runs

PAUSED = ("chain", "retry", "timer", "map", "eval", "iterate", "needed")
LIVES = 4
"""Fewer than make a run stall."""


def pause_or_resume(storage: SQLiteStorage, run_id: str, dice: random.Random) -> None:
    """The run, or one of its children."""
    chosen = dice.choice([run_id, run_id, *storage.open_children(run_id)])
    try:
        dice.choice([storage.pause, storage.resume])(chosen, now_ms())
    except WorkflowEngineError:
        pass  # it has ended


def live_beside(storage: SQLiteStorage, effects: Path, death: Death, run_id: str, dice: random.Random) -> None:
    """A worker process that dies, or finds nothing to do any more, while somebody pauses and resumes."""
    process = processes.Process(target=live, args=(str(storage.url), str(effects), death))
    process.start()
    rest = LIFE_SECONDS
    while process.exitcode is None and rest > 0:
        pause_or_resume(storage, run_id, dice)
        step = dice.random() / 50
        process.join(step)
        rest -= step
    if process.exitcode is None:
        process.kill()
        pytest.fail(f"stuck with {death}")


def resume_all(storage: SQLiteStorage) -> None:
    runs, _ = storage.list_runs(1000, None, [RunStatus.PAUSED], None, True)
    for run in reversed(runs):
        storage.resume(run.id, now_ms())


@pytest.mark.full
@pytest.mark.parametrize("name", PAUSED)
def test_pausing_beside_workers_that_are_killed_changes_nothing_but_the_log(name: str, tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    dice = random.Random(seed)
    outcomes = []
    for disturbed in (False, True):
        database, effects = tmp_path / f"{disturbed}.db", tmp_path / f"{disturbed}.effects"
        storage = SQLiteStorage(database, durability="normal")
        run_id = start(storage, FLOWS[name])
        for _ in range(LIVES if disturbed else 0):
            death = Death(dice.choice(["after_commit", "before_effect", "after_effect"]), dice.randrange(1, 12))
            live_beside(storage, effects, death, run_id, dice)
        resume_all(storage)
        assert run_process(database, effects, Death(), run_id, None) == 0
        check_all_runs(storage)
        check_nothing_is_left(storage)
        outcomes.append(outcome(storage, run_id, cancelled=False))
        storage.close()
    assert outcomes[0] == outcomes[1]
