"""Drives `decide` without a storage or a worker: outcomes come from the test."""

from __future__ import annotations

from typing import Any

from stepflow.core.decide import Decision, Missing, advance, decide
from stepflow.core.effects import Perform
from stepflow.core.facts import Claimed, Fact, Failed, Succeeded
from stepflow.core.graph import build_graph
from stepflow.core.run import Run
from stepflow.core.transition import Event, RunState, fold
from stepflow.model import jsontext
from stepflow.model.flow import Flow

BEGIN = 1_000_000


class Driver:
    def __init__(self, flow: Flow, input: Any = None) -> None:  # noqa: A002
        self.graph = build_graph(flow)
        self.run = Run(self.graph, "exec_test", RunState(), {}, input=input)
        self.now = BEGIN
        self.events: list[Event] = []
        self.performing: dict[str, Perform] = {}
        self.last: Decision | None = None
        self.outputs: dict[int, str] = {}
        """As they are stored."""
        self.workers = 1

    def give(self, *facts: Fact) -> Decision:
        decision = decide(self.run, facts, self.now)
        while isinstance(decision, Missing):
            assert self.workers > 1, "its first worker has every output at hand"
            assert decision.steps, "it asks for nothing"
            assert decision.steps.isdisjoint(self.run.values), "it asks for what it has"
            self.run.values.update({step: jsontext.decode(self.outputs[step]) for step in decision.steps})
            decision = decide(self.run, facts, self.now)
        advance(self.run, decision)
        self.events += decision.events
        self.outputs.update(decision.outputs)
        for perform in decision.perform:
            self.performing[self.graph.nodes[perform.step].key] = perform
        self.last = decision
        # What is kept in memory never differs from the fold of what would be stored.
        state, steps = fold(self.events, len(self.graph.nodes))
        assert (state, steps) == (self.run.state, self.run.steps)
        return decision

    def claim(self) -> Decision:
        return self.give(Claimed())

    def claim_anew(self) -> Decision:
        """Its worker is gone, and another claims it: at hand is what is stored, without the outputs."""
        before = self.run
        steps = dict(enumerate(before.steps))
        self.run = Run(self.graph, before.id, before.state, steps, input=before.input, signals=before.signals)
        self.performing.clear()
        self.workers += 1
        return self.claim()

    def succeed(self, key: str, value: Any = None) -> Decision:
        return self.give(self.success(key, value))

    def success(self, key: str, value: Any = None) -> Succeeded:
        perform = self.performing.pop(key)
        return Succeeded(perform.step, perform.attempt, value, jsontext.encode(value))

    def fail(self, key: str, code: str = "BROKEN", message: str = "it broke") -> Decision:
        perform = self.performing.pop(key)
        return self.give(Failed(perform.step, perform.attempt, {"code": code, "message": message}))

    def index(self, key: str) -> int:
        return next(node.index for node in self.graph.nodes if node.key == key)

    def status(self, key: str) -> str:
        return self.run.steps[self.index(key)].status.value

    @property
    def statuses(self) -> dict[str, str]:
        return {node.key: self.run.steps[node.index].status.value for node in self.graph.nodes}

    @property
    def types(self) -> list[str]:
        """The log, as `step.started a`."""
        nodes = self.graph.nodes
        return [event.type if event.step is None else f"{event.type} {nodes[event.step].key}" for event in self.events]
