"""Executions for pictures, always the same to the millisecond: a morning of work by two workers, decided by the real
engine and written by the real storage, at times that a table sets.

`python -m tests.tui.demo FILE` writes them into a database, to be looked at by hand.
"""

from __future__ import annotations

import heapq
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import msgspec

from stepflow.components.registry import builtin_registry
from stepflow.contracts.outcomes import children_fact
from stepflow.contracts.storage import AppendLogs, Claim, Commit, CreateRun, LogLine, Storage, StoredRun, WorkerIdentity
from stepflow.core.decide import Missing, advance, decide
from stepflow.core.effects import Perform
from stepflow.core.facts import (
    Awaiting,
    CancelRequested,
    Children,
    ChildrenStarted,
    Claimed,
    DeadlineReached,
    Fact,
    Failed,
    Restated,
    Slept,
    Stopped,
    Succeeded,
    Woken,
)
from stepflow.core.graph import build_graph
from stepflow.core.run import Run
from stepflow.dsl.validate import read_flow
from stepflow.model import ids, jsontext
from stepflow.model.event import EventType
from stepflow.model.template import TemplateVersion
from stepflow.model.times import from_datetime

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
"""When the pictures are taken."""
MAP = "/builtin/map"
SHARDS = 24

TEMPLATES: dict[str, str] = {
    "backfill": """\
name: backfill
steps:
  - {id: plan, type: echo, input: "$.input.days"}
  - {id: copy, type: sleep, input: {seconds: 40}, depends_on: [plan]}
  - {id: verify, type: echo, input: 1, depends_on: [copy]}
""",
    "deploy-prod": """\
name: deploy-prod
steps:
  - {id: build, type: echo, input: "$.input.commit"}
  - {id: test, type: echo, input: 1, depends_on: [build]}
  - {id: approval, type: wait_event, input: {message: "Deploy to production?", who: ops}, depends_on: [test]}
  - {id: roll_out, type: echo, input: 1, depends_on: [approval]}
""",
    "etl-daily": """\
name: etl-daily
steps:
  - {id: fetch, type: echo, input: 1}
  - {id: clean, type: echo, input: 1, depends_on: [fetch]}
  - {id: load, type: echo, input: 1, depends_on: [clean], retry: {strategy: fixed, max_attempts: 3, base_delay: 20s}}
  - {id: report, type: echo, input: 1, depends_on: [load]}
  - {id: notify, type: log, input: {message: "done"}, depends_on: [report]}
""",
    "etl-hourly": """\
name: etl-hourly
timeout: 10m
steps:
  - {id: fetch, type: echo, input: 1}
  - {id: clean, type: echo, input: 1, depends_on: [fetch]}
  - {id: publish, type: echo, input: 1, depends_on: [clean]}
""",
    "feature-shard": """\
name: feature-shard
steps:
  - {id: read, type: echo, input: "$.input"}
  - {id: compute, type: echo, input: 1, depends_on: [read]}
""",
    "order-flow": """\
name: order-flow
description: Check an order, set its goods aside, take the money, send the confirmation
input_schema:
  type: object
  required: [orderId]
  properties:
    orderId: {type: string, pattern: "^ORD-[0-9]+$", description: as printed on the order}
    express: {type: boolean, default: false}
    priority: {type: string, enum: [low, normal, high], default: normal}
    copies: {type: integer, minimum: 1, default: 1}
steps:
  - {id: validate-order, type: echo, input: "$.input.orderId"}
  - {id: check-inventory, type: echo, input: 1, depends_on: [validate-order]}
  - id: process-payment
    type: echo
    input: 1
    depends_on: [check-inventory]
    timeout: 30s
    retry: {strategy: fixed, max_attempts: 5, base_delay: 2m}
  - {id: send-confirmation, type: echo, input: 1, depends_on: [process-payment]}
output:
  receipt: "$.steps.process-payment.output"
""",
    "render-video": """\
name: render-video
steps:
  - {id: render, component: /gpu/render, input: {scene: 7}}
  - {id: upload, type: echo, input: 1, depends_on: [render]}
""",
    "report-weekly": """\
name: report-weekly
steps:
  - {id: collect, type: echo, input: 1}
  - {id: until_monday, type: sleep, input: {seconds: 7200}, depends_on: [collect]}
  - {id: send, type: log, input: {message: "sent"}, depends_on: [until_monday]}
""",
    "train-model": """\
name: train-model
steps:
  - {id: fetch, type: echo, input: "$.input.data"}
  - {id: clean, type: echo, input: 1, depends_on: [fetch]}
  - {id: schema_check, type: echo, input: 1, depends_on: [clean], on_error: continue}
  - id: features
    component: /builtin/map
    input: {template: feature-shard, items: [1], max_concurrency: 8}
    depends_on: [clean]
  - {id: train, type: echo, input: {epochs: "$.input.epochs"}, depends_on: [features]}
  - {id: evaluate, type: echo, input: 1, depends_on: [train]}
  - {id: publish, type: echo, input: 1, depends_on: [evaluate, schema_check]}
""",
}

# What an attempt comes to: seconds and a value, a `Fails`, a `Sleeps`, `WAITS`, or `SHARDED`.


class Fails(msgspec.Struct, frozen=True):
    message: str
    code: str = "STEP_FAILED"
    details: dict[str, Any] = {}


class Sleeps(msgspec.Struct, frozen=True):
    seconds: float


WAITS, SHARDED = "waits for a signal", "runs a child for each shard"
Outcome = tuple[float, Any]
Plan = Mapping[str, Sequence[Outcome]]
"""By step, what its attempts come to; after the last it is the same again."""

OK = (0.4, {"ok": True})
USUAL: dict[str, Plan] = {
    "backfill": {"plan": [(0.2, {"days": 14})], "copy": [(40, {"rows": 81_402})]},
    "deploy-prod": {"build": [(42, "9f31c07")], "test": [(95, {"passed": 412})], "approval": [(0.1, WAITS)]},
    "etl-daily": {"fetch": [(31, {"rows": 48_112})], "clean": [(62, {"rows": 47_980})], "load": [(118, 47_980)]},
    "etl-hourly": {"fetch": [(12, {"rows": 1024})], "clean": [(21, {"rows": 1011})], "publish": [(34, 1011)]},
    "feature-shard": {"read": [(1.1, {"rows": 2000})], "compute": [(3.2, {"features": 64})]},
    "order-flow": {
        "validate-order": [(0.3, {"lines": 3})],
        "check-inventory": [(0.9, {"reserved": True})],
        "process-payment": [(2.4, "R-20418")],
        "send-confirmation": [(0.6, {"sent": True})],
    },
    "report-weekly": {"collect": [(8, {"pages": 12})], "until_monday": [(0.1, Sleeps(7200))]},
    "train-model": {
        "fetch": [(31, {"files": SHARDS})],
        "clean": [(62, {"rows": 480_000})],
        "schema_check": [(3, Fails("column 'ts' is missing"))],
        "features": [(0.2, SHARDED)],
        "train": [(240, {"loss": 0.21})],
        "evaluate": [(20, {"accuracy": 0.94})],
        "publish": [(5, "model-7")],
    },
}
WORDS: dict[tuple[str, str], Sequence[tuple[float, str, str]]] = {
    ("etl-daily", "fetch"): [(2, "info", "GET https://data.example/2026-01-01"), (30, "info", "48,112 rows")],
    ("etl-daily", "load"): [(1, "info", "connecting to the warehouse"), (9, "warn", "slow answer: 8.2 s")],
    ("etl-hourly", "publish"): [(30, "info", "1,011 rows published")],
    ("train-model", "train"): [
        *((20.0 * epoch, "info", f"epoch {epoch} loss={0.61 / epoch:.3f}") for epoch in range(1, 12)),
        (95, "warn", "gradient norm 12.4"),
    ],
    ("order-flow", "process-payment"): [(1, "debug", "POST /charges"), (1.5, "warn", "the gateway is slow")],
}
"""Log lines of a step: seconds after it began, level, text."""
GATEWAY = [(30, Fails("the gateway did not answer within 30s", "TIMEOUT"))]
UPSTREAM = [(11.8, Fails("HTTP 503 upstream", details={"url": "https://warehouse.example/load", "status": 503}))]
KEY_ERROR = [(4, Fails("KeyError: 'ts'", details={"file": "clean.py", "line": 41}))]

STARTS: Sequence[tuple[float, str, Any, Plan, Mapping[str, Any]]] = [
    # minutes ago, template, input, what is otherwise than usual, options
    (1380, "etl-daily", {}, {}, {}),
    (700, "etl-hourly", {}, {}, {}),
    (640, "etl-hourly", {}, {"publish": [(36, 1003)]}, {}),
    (610, "train-model", {"epochs": 10, "data": "s3://models/0611"}, {"train": [(212, {"loss": 0.22})]}, {}),
    (580, "etl-hourly", {}, {"publish": [(58, 1003)]}, {}),
    (560, "order-flow", {"orderId": "ORD-1001"}, {}, {}),
    (540, "etl-daily", {}, {"load": [*UPSTREAM, (120, 46_001)]}, {}),
    (520, "etl-hourly", {}, {}, {}),
    (500, "train-model", {"epochs": 10, "data": "s3://models/0611"}, {}, {}),
    (470, "order-flow", {"orderId": "ORD-1002"}, {"process-payment": GATEWAY}, {}),
    (460, "etl-hourly", {}, {"clean": KEY_ERROR}, {}),
    (430, "backfill", {"days": 14}, {}, {"cancel": 24}),
    (400, "etl-hourly", {}, {}, {}),
    (340, "etl-hourly", {}, {"clean": [(900, None)]}, {}),
    (300, "order-flow", {"orderId": "ORD-1003"}, {}, {}),
    (280, "etl-hourly", {}, {"clean": KEY_ERROR}, {}),
    (250, "report-weekly", {}, {}, {}),
    (225, "train-model", {"epochs": 10, "data": "s3://models/0612"}, {}, {}),
    (220, "etl-hourly", {}, {}, {}),
    (180, "etl-daily", {}, {"load": UPSTREAM}, {}),
    (160, "etl-hourly", {}, {"publish": [(48, 990)]}, {}),
    (120, "render-video", {"scene": 7}, {}, {"metadata": {"queue": "gpu"}}),
    (100, "etl-hourly", {}, {}, {}),
    (95, "report-weekly", {}, {}, {}),
    (64, "etl-daily", {}, {"load": UPSTREAM}, {}),
    (40, "etl-hourly", {}, {"clean": KEY_ERROR}, {}),
    (34, "deploy-prod", {"commit": "9f31c07"}, {}, {}),
    (20, "backfill", {"days": 2}, {"copy": [(600, None)]}, {"pause": 8}),
    (12, "etl-daily", {}, {"load": UPSTREAM}, {}),
    (5.2, "order-flow", {"orderId": "ORD-1004"}, {"process-payment": GATEWAY}, {}),
    (5, "train-model", {"epochs": 10, "data": "s3://models/0612"}, {}, {}),
    (1.6, "etl-hourly", {}, {"clean": [(400, None)]}, {}),
    (1.2, "etl-hourly", {}, {}, {"delay": 3600}),
    (0.2, "backfill", {"days": 30}, {}, {"queued": True}),
]


class Hand:
    """A worker's hold of one run."""

    def __init__(self, stored: StoredRun, template: TemplateVersion) -> None:
        self.stored = stored
        self.template = template
        self.run = Run(
            build_graph(template.flow),
            stored.id,
            stored.state,
            stored.steps,
            input=jsontext.decode(stored.input),
            signals=stored.signals,
        )


class Making:
    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.now = from_datetime(NOW) - 24 * 3_600_000
        self._chance = random.Random(7)
        self._plans: dict[str, Plan] = {}
        """By run."""
        self._held: dict[int, Hand] = {}
        self._templates: dict[int, TemplateVersion] = {}
        self._without: set[int] = set()
        """Versions that no worker can perform."""
        self._workers: list[int] = []
        self._claims: set[int] = set()
        """When it is claimed again."""
        self._closed = False
        """Nothing is claimed any more."""
        self._map = builtin_registry().by_path[MAP]

    def make(self) -> None:
        with patch.object(ids, "generate_id", self._next_id):
            self._make()

    def _make(self) -> None:
        for name, text in TEMPLATES.items():
            self._save(name, text)
            self.now += 1000
        self._save("etl-daily", TEMPLATES["etl-daily"].replace("20s", "30s"))
        for number, (host, minutes) in enumerate([("node-a", 1430), ("node-b", 1100)]):
            started = from_datetime(NOW) - minutes * 60_000
            offers = tuple(builtin_registry().by_path)
            worker = WorkerIdentity(f"worker_{host}", 4100 + number, host, "", started, 4, False, offers)
            self._workers.append(self._storage.register_worker(worker, 0))
        for minutes, template, given, other, options in STARTS:
            self._at(from_datetime(NOW) - round(minutes * 60_000), self._starter(template, given, other, options))
        while self._due and self._due[0][0] <= from_datetime(NOW):
            self.now, _, do = heapq.heappop(self._due)
            do()

    def _next_id(self) -> str:
        return ids._base36(self.now, 8) + ids._base36(self._chance.randrange(36**8), 8)

    def _save(self, name: str, text: str) -> None:
        from stepflow.contracts.storage import TemplateText

        read = read_flow(text, components=builtin_registry().by_path)
        assert read.flow is not None, read.diagnostics
        made = TemplateText(name, text, "yaml", read.flow, read.flow.description, None, self.now)
        version = self._storage.save_template(made, create=True, update=True)
        if any(step.component.startswith("/gpu/") for step in read.flow.steps):
            self._without.add(version.id)

    def _at(self, when: int, do: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (when, self._count, do))

    def _in(self, seconds: float, do: Callable[[], None]) -> None:
        self._at(self.now + round(seconds * 1000), do)

    # Executions

    def _starter(self, template: str, given: Any, other: Plan, options: Mapping[str, Any]) -> Callable[[], None]:
        def start() -> None:
            version = self._storage.get_template_version(template)
            delay = options.get("delay")
            create = CreateRun(
                id=ids.new_run_id(),
                template_version=version.id,
                input=jsontext.encode(given),
                created_at=self.now,
                step_count=len(version.flow.steps),
                start_at=None if delay is None else self.now + delay * 1000,
                metadata=jsontext.encode(options["metadata"]) if "metadata" in options else None,
            )
            run_id = self._storage.perform(create)
            self._plans[run_id] = {**USUAL.get(template, {}), **other}
            if "cancel" in options:
                self._in(options["cancel"], lambda: self._cancel(run_id))
            if "pause" in options:
                self._in(options["pause"], lambda: self._pause(run_id))
            if version.id in self._without:
                self._in(60, lambda: self._stall())
            self._closed = options.get("queued", False)
            self._claim()

        return start

    def _stall(self) -> None:
        self._storage.stall_unoffered(self._storage.offered(), self.now, self.now)

    def _cancel(self, run_id: str) -> None:
        self._storage.request_cancel(run_id, "a newer one took its place", self.now)
        self._hear()

    def _pause(self, run_id: str) -> None:
        self._storage.pause(run_id, self.now)
        self._hear()

    def _hear(self) -> None:
        for worker in self._workers:
            for request in self._storage.requests(worker):
                hand = self._held.get(request.run)
                if hand is None or request.version <= hand.stored.version:
                    continue
                hand.stored.version = request.version
                facts: list[Fact] = []
                if request.status is not hand.run.state.status:
                    facts.append(Restated(request.status))
                if request.cancel_requested:
                    facts.append(CancelRequested(request.reason))
                self._give(hand, *facts)

    # Workers

    def _claim(self) -> None:
        if self._closed:
            return
        for worker in sorted(self._workers, key=self._load):
            wish = Claim(worker, 4 - self._load(worker), self.now, frozenset(self._without))
            claimed = self._storage.perform(wish) if wish.limit else None
            for stored in claimed.runs if claimed is not None else ():
                template = self._templates.get(stored.template_version)
                if template is None:
                    template = self._storage.template_version_by_id(stored.template_version)
                    self._templates[stored.template_version] = template
                hand = self._held[stored.number] = Hand(stored, template)
                self._plans.setdefault(stored.id, USUAL["feature-shard"])
                self._give(hand, Claimed(), *self._collected(hand))
            if claimed is not None and claimed.next_wake is not None:
                self._claim_at(claimed.next_wake)

    def _claim_at(self, when: int) -> None:
        if when > self.now and when not in self._claims:
            self._claims.add(when)
            self._at(when, self._claim)

    def _load(self, worker: int) -> int:
        return sum(hand.stored.worker == worker for hand in self._held.values())

    def _collected(self, hand: Hand) -> list[Fact]:
        if not hand.run.waiting:
            return []
        return [children_fact(self._map, ended, None) for ended in self._storage.ended_children(hand.stored.number)]

    def _give(self, hand: Hand, *facts: Fact) -> None:
        decision = decide(hand.run, facts, self.now)
        while isinstance(decision, Missing):
            texts = self._storage.load_outputs(hand.stored.number, decision.steps)
            hand.run.values.update({step: jsontext.decode(text) for step, text in texts.items()})
            decision = decide(hand.run, facts, self.now)
        stored = hand.stored
        if decision.is_durable:
            worker, open_steps = stored.worker, decision.draft.open
            self._storage.perform(
                Commit(stored.number, stored.id, worker, stored.fence, stored.version, decision, open_steps)
            )
            stored.version += 1
        advance(hand.run, decision)
        for step in decision.stop:
            attempt = hand.run.steps[step].attempt
            self._in(0.3, lambda step=step, attempt=attempt: self._tell(hand, Stopped(step, attempt)))
        for perform in decision.perform:
            self._perform(hand, perform)
        if decision.release:
            self._held.pop(stored.number, None)
            if decision.wake_at is not None:
                self._claim_at(decision.wake_at)
            self._claim()
            return
        if hand.run.deadline is not None and hand.run.deadline > self.now:
            self._at(hand.run.deadline, lambda: self._tell(hand, DeadlineReached()))
        for step in decision.steps:
            if (wake := hand.run.waits.get(step)) is not None:
                self._at(wake, lambda step=step: self._tell(hand, Woken(step)))

    def _tell(self, hand: Hand, fact: Fact) -> None:
        if self._held.get(hand.stored.number) is hand:
            self._give(hand, fact)

    # Steps

    def _perform(self, hand: Hand, perform: Perform) -> None:
        node = hand.run.graph.nodes[perform.step]
        planned = self._plans[hand.stored.id].get(node.key, [OK])
        seconds, outcome = planned[min(perform.attempt, len(planned)) - 1]
        if hand.template.name == "feature-shard":
            seconds *= self._chance.choice((0.7, 0.8, 1.0, 1.0, 1.3, 2.4))
        fact = self._fact_of(hand, perform, outcome)
        self._in(seconds, lambda: self._tell(hand, fact))
        for offset, level, text in WORDS.get((hand.template.name, node.key), ()):
            if offset < seconds:
                self._in(offset, lambda level=level, text=text: self._say(hand, perform, level, text))

    def _say(self, hand: Hand, perform: Perform, level: str, text: str) -> None:
        if perform.step in hand.run.running:
            message = jsontext.encode({"message": text})
            line = LogLine(hand.stored.number, perform.step, perform.attempt, self.now, EventType.LOG, level, message)
            self._storage.perform(AppendLogs((line,)))

    def _fact_of(self, hand: Hand, perform: Perform, outcome: Any) -> Fact:
        step, attempt = perform.step, perform.attempt
        if isinstance(outcome, Fails):
            details = {"details": outcome.details} if outcome.details else {}
            return Failed(step, attempt, {"code": outcome.code, "message": outcome.message, **details})
        if isinstance(outcome, Sleeps):
            return Slept(step, attempt, self.now + round(outcome.seconds * 1000))
        if outcome == WAITS:
            message = {"message": "Deploy to production?", "who": "ops"}
            return Awaiting(step, attempt, hand.run.graph.nodes[step].key, None, message)
        if outcome == SHARDED:
            shard = self._storage.get_template_version("feature-shard")
            inputs = tuple(jsontext.encode({"shard": number}) for number in range(SHARDS))
            spec = {"items": SHARDS, "tolerated_failures": None}
            return ChildrenStarted(
                step, attempt, Children(shard.id, shard.name, len(shard.flow.steps), inputs, 8, spec)
            )
        return Succeeded(step, attempt, outcome, jsontext.encode(outcome))


def make_demo(storage: Storage) -> None:
    Making(storage).make()


if __name__ == "__main__":
    from stepflow.storages.sqlite import SQLiteStorage

    opened = SQLiteStorage(sys.argv[1])
    make_demo(opened)
    opened.close()
