"""A worker by hand, on a real storage: it claims, decides and commits when the test says so."""

from __future__ import annotations

from typing import Any

from stepflow.contracts.storage import Claim, ClaimedRuns, Commit, Storage, StoredRun, WorkerIdentity
from stepflow.core.decide import Decision, Missing, advance, decide
from stepflow.core.facts import Fact
from stepflow.core.graph import build_graph
from stepflow.core.run import Run
from stepflow.model.flow import Flow
from tests.support.engine import start

NOW = 1_700_000_000_000
HERE = "this boot"


def identity(number: int = 1) -> WorkerIdentity:
    return WorkerIdentity(f"w_{number}", 1, "elsewhere", HERE, NOW, 10, False, ("/builtin/echo",))


def claim(storage: Storage, worker: int, limit: int = 10, **more: Any) -> list[StoredRun]:
    claimed: ClaimedRuns = storage.perform(Claim(worker, limit, NOW, **more))
    return claimed.runs


class Hand:
    """A worker by hand: it holds one run and decides when told to."""

    def __init__(self, storage: Storage, stored: StoredRun, flow: Flow) -> None:
        self.storage = storage
        self.stored = stored
        self.run = Run(build_graph(flow), stored.id, stored.state, stored.steps, signals=stored.signals)

    def decide(self, *facts: Fact) -> Decision:
        decision = decide(self.run, facts, NOW)
        assert not isinstance(decision, Missing)
        return decision

    def commit_of(self, decision: Decision) -> Commit:
        stored = self.stored
        return Commit(
            stored.number, stored.id, stored.worker, stored.fence, stored.version, decision, decision.draft.open
        )

    def give(self, *facts: Fact) -> Decision:
        decision = self.decide(*facts)
        self.storage.perform(self.commit_of(decision))
        advance(self.run, decision)
        self.stored.version += 1
        return decision


def hold(storage: Storage, worker: int, made: Flow) -> Hand:
    run_id = start(storage, made)
    (stored,) = [stored for stored in claim(storage, worker) if stored.id == run_id]
    return Hand(storage, stored, made)
