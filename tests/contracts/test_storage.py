"""What every storage must do: `contracts.storage`, said as tests. Another storage is one more fixture parameter."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from stepflow.contracts.storage import (
    AppendLogs,
    Claim,
    ClaimedRuns,
    Commit,
    CreateRun,
    LogLine,
    ProcessGroup,
    Storage,
    StoredRun,
    TemplateText,
    Write,
)
from stepflow.core.decide import MAX_LOSSES, Decision, decide
from stepflow.core.facts import (
    Awaiting,
    CancelRequested,
    Children,
    ChildrenStarted,
    Claimed,
    Collected,
    Fact,
    Failed,
    ReleaseRequested,
    Succeeded,
    Woken,
)
from stepflow.errors import (
    IdempotencyConflictError,
    LeaseLostError,
    RunNotFoundError,
    StaleRunError,
    StorageError,
    TemplateExistsError,
    TemplateNotFoundError,
    WorkflowEngineError,
)
from stepflow.model import jsontext
from stepflow.model.flow import Flow
from stepflow.model.ids import first_run_id, new_run_id, run_trn, short_run_trn
from stepflow.model.run import BodyPart
from stepflow.model.statuses import RunStatus
from stepflow.model.times import now_ms
from tests.support.engine import save, start, types_of
from tests.support.flows import chain, echo, fan_out, flow, ref
from tests.support.hand import HERE, NOW, Hand, claim, hold, identity


@pytest.fixture
def worker(storage: Storage) -> int:
    return storage.register_worker(identity(), 1e12)


# Templates


def test_a_new_version_is_made_only_when_the_flow_changed(storage: Storage) -> None:
    first = save(storage, chain(1))
    assert save(storage, chain(1)) == first
    assert save(storage, chain(2)) != first
    assert [version.version for version in storage.template_versions("flow")] == [2, 1]
    assert storage.get_template_version("flow").flow == chain(2)
    assert storage.get_template_version("flow", 1).flow == chain(1)


def test_other_words_for_the_same_flow_are_kept_with_the_same_version(storage: Storage) -> None:
    text = TemplateText("x", "steps: …", "yaml", chain(1), "what it is", "/here", NOW, "x.yaml")

    def saved(**changes: str) -> tuple[str, int]:
        version = storage.save_template(msgspec.structs.replace(text, **changes), create=True, update=True)
        return version.change, version.version

    assert [saved(), saved()] == [("version", 1), ("nothing", 1)]
    assert saved(source="# a comment\nsteps: …", file="y.yaml") == ("text", 1)
    kept = storage.get_template_version("x")
    assert (kept.source, kept.file) == ("# a comment\nsteps: …", "y.yaml")
    assert saved(source=kept.source, file="y.yaml", description="another") == ("text", 1)
    assert storage.get_template("x").description == "another"
    assert saved(base_dir="/there") == ("version", 2)


def test_create_and_update_say_what_they_may_not(storage: Storage) -> None:
    text = TemplateText("x", "steps: …", "yaml", chain(1), "what it is", None, NOW)
    with pytest.raises(TemplateNotFoundError):
        storage.save_template(text, create=False, update=True)
    storage.save_template(text, create=True, update=False)
    with pytest.raises(TemplateExistsError):
        storage.save_template(text, create=True, update=False)
    assert storage.get_template("x").description == "what it is"


def test_a_deleted_template_is_hidden_and_its_runs_stay(storage: Storage) -> None:
    run_id = start(storage, chain(1))
    storage.delete_template("flow", NOW)
    assert storage.list_templates(10, 0) == []
    assert storage.count_templates() == 0
    with pytest.raises(TemplateNotFoundError):
        storage.get_template_version("flow")
    assert storage.get_run(run_id).template == "flow"
    assert storage.get_template_version("flow", 1).version == 1
    save(storage, chain(1))
    assert storage.get_template("flow").version == 2


def test_versions_are_counted_with_their_runs(storage: Storage) -> None:
    """Also those of a deleted template."""
    save(storage, chain(1))
    start(storage, chain(2))
    start(storage, chain(2))
    save(storage, chain(3))
    storage.delete_template("flow", NOW)
    assert storage.count_runs_by_version("flow") == {2: 2}
    assert [version.version for version in storage.template_versions("flow", 2)] == [3, 2]
    assert storage.count_runs_by_version("nothing") == {}


def test_a_missing_template_suggests_what_was_meant(storage: Storage) -> None:
    save(storage, flow(echo("a"), name="order-flow"))
    with pytest.raises(TemplateNotFoundError, match="did you mean 'order-flow'"):
        storage.get_template_version("order-flw")


# Runs


def test_the_same_idempotency_key_gives_the_same_run(storage: Storage) -> None:
    first = start(storage, chain(1), {"a": 1}, idempotency_key="k")
    assert start(storage, chain(1), {"a": 1}, idempotency_key="k") == first
    with pytest.raises(IdempotencyConflictError):
        start(storage, chain(1), {"a": 2}, idempotency_key="k")
    assert start(storage, flow(echo("x"), name="other"), {"a": 2}, idempotency_key="k") != first


def test_an_execution_is_found_by_whatever_people_type(storage: Storage) -> None:
    run_id = start(storage, chain(1))
    bare = run_id.removeprefix("exec_")
    for typed in (
        run_id,
        bare,
        bare[:12],
        f"exec_{bare[:14]}",
        bare[-4:],
        run_trn(run_id, "flow"),
        short_run_trn(run_id),
    ):
        assert storage.find_run(typed) == run_id
    for typed in ("exec_zzzzzz", "abc", "", "exec_", "%%%%%"):
        with pytest.raises(RunNotFoundError):
            storage.find_run(typed)


def test_a_prefix_of_several_executions_is_refused(storage: Storage) -> None:
    ids = [start(storage, chain(1)) for _ in range(2)]
    common = ids[0][: next(n for n in range(len(ids[0])) if ids[0][n] != ids[1][n])]
    with pytest.raises(RunNotFoundError, match="several match"):
        storage.find_run(common)


def test_pages_give_each_run_once_while_others_come(storage: Storage) -> None:
    ids = [start(storage, chain(1)) for _ in range(25)]
    seen: list[str] = []
    cursor = None
    while True:
        runs, cursor = storage.list_runs(10, cursor, None, None, False)
        seen += [run.id for run in runs]
        start(storage, chain(1))
        if cursor is None:
            break
    assert seen == list(reversed(ids))


def test_lists_and_counts_know_status_and_template(storage: Storage, worker: int) -> None:
    other = start(storage, flow(echo("x"), name="other"))
    ids = [start(storage, chain(1)) for _ in range(3)]
    assert storage.count_runs([RunStatus.QUEUED], None) == 4
    assert storage.count_runs(None, "other") == 1
    assert [run.id for run in storage.list_runs(9, None, [RunStatus.QUEUED], "other", False)[0]] == [other]
    assert [run.id for run in storage.list_runs(9, None, None, "flow", False)[0]] == list(reversed(ids))
    assert storage.list_runs(9, None, [RunStatus.FAILED], None, False) == ([], None)
    assert storage.status_counts() == {RunStatus.QUEUED: 4}


# Claims and commits


def test_claims_go_by_priority_then_age_and_never_twice(storage: Storage, worker: int) -> None:
    low = [start(storage, chain(1)) for _ in range(3)]
    high = [start(storage, chain(1), priority=5) for _ in range(2)]
    assert [stored.id for stored in claim(storage, worker, 4)] == [*high, *low[:2]]
    assert [stored.id for stored in claim(storage, worker, 4)] == [low[2]]
    assert claim(storage, worker, 4) == []


def test_runs_of_versions_that_a_worker_cannot_perform_are_left(storage: Storage, worker: int) -> None:
    run_id = start(storage, chain(1))
    version = storage.get_template_version("flow").id
    assert claim(storage, worker, without=frozenset({version})) == []
    assert [stored.id for stored in claim(storage, worker)] == [run_id]


def test_a_delayed_run_is_claimed_when_it_is_due(storage: Storage, worker: int) -> None:
    start(storage, chain(1), start_at=NOW + 5000)
    claimed: ClaimedRuns = storage.perform(Claim(worker, 10, NOW))
    assert (claimed.runs, claimed.next_wake) == ([], NOW + 5000)
    claimed = storage.perform(Claim(worker, 10, NOW + 5000))
    assert len(claimed.runs) == 1


def test_many_workers_claim_every_run_once(storage: Storage) -> None:
    ids = {start(storage, chain(1)) for _ in range(60)}
    claimed: list[str] = []

    def work(number: int) -> None:
        worker = storage.register_worker(identity(number), 1e12)
        while runs := claim(storage, worker, 3):
            claimed.extend(stored.id for stored in runs)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 60
    assert set(claimed) == ids


def test_a_decision_is_committed_whole(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(2))
    hand.give(Claimed())
    decision = hand.give(Succeeded(0, 1, {"x": 1}, '{"x":1}'))
    stored = storage.load_run(hand.stored.id)
    assert stored.state == decision.state
    assert stored.steps[0].status == "completed"
    assert stored.steps[1].status == "running"
    assert types_of(storage, hand.stored.id)[-2:] == ["step.completed s0", "step.started s1"]
    assert storage.load_outputs(hand.stored.number, [0, 1]) == {0: '{"x":1}'}
    record = storage.get_run(hand.stored.id)
    assert (record.steps_done, record.steps_total, record.worker) == (1, 2, "w_1")


def test_a_stale_decision_writes_nothing(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(2))
    hand.give(Claimed())
    before = (storage.load_run(hand.stored.id), types_of(storage, hand.stored.id))
    late = hand.commit_of(hand.decide(Succeeded(0, 1, None, "null")))
    hand.stored.version -= 1
    with pytest.raises(StaleRunError):
        storage.perform(hand.commit_of(hand.decide(Succeeded(0, 1, None, "null"))))
    assert (storage.load_run(hand.stored.id), types_of(storage, hand.stored.id)) == before
    storage.perform(late)


def test_a_lost_lease_refuses_its_late_decision_and_gives_the_run_to_another(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(1))
    hand.give(Claimed())
    assert storage.free_dead_workers(1e13, HERE) == 1
    with pytest.raises(LeaseLostError):
        storage.perform(hand.commit_of(hand.decide(Succeeded(0, 1, None, "null"))))
    other = storage.register_worker(identity(2), 1e14)
    (stored,) = claim(storage, other)
    assert stored.id == hand.stored.id
    assert stored.fence > hand.stored.fence
    assert not storage.heartbeat(worker, 1e14, None)


def test_a_refusal_in_a_group_is_only_its_own_callers(storage: Storage, worker: int) -> None:
    good = hold(storage, worker, chain(1))
    bad = hold(storage, worker, chain(1))
    good_commit, bad_commit = good.commit_of(good.decide(Claimed())), bad.commit_of(bad.decide(Claimed()))
    bad.stored.fence += 1
    bad_commit = bad.commit_of(bad.decide(Claimed()))
    outcomes: dict[str, BaseException | None] = {}
    done = threading.Event()

    def note(name: str) -> Callable[[Any, BaseException | None], None]:
        def noted(_: Any, error: BaseException | None) -> None:
            outcomes[name] = error
            if len(outcomes) == 2:
                done.set()

        return noted

    storage.submit([(bad_commit, note("bad")), (good_commit, note("good"))])
    assert done.wait(10)
    assert outcomes["good"] is None
    assert isinstance(outcomes["bad"], LeaseLostError)
    assert storage.load_run(good.stored.id).state.status is RunStatus.RUNNING
    assert storage.load_run(bad.stored.id).state.status is RunStatus.QUEUED


def test_a_run_released_and_claimed_in_one_group_is_read_with_its_steps(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(2))
    hand.give(Claimed())
    decision = hand.decide(ReleaseRequested(), Succeeded(0, 1, 5, "5"))
    assert decision.release
    results: list[Any] = []
    done = threading.Event()
    storage.submit(
        [
            (hand.commit_of(decision), lambda result, error: results.append(error)),
            (Claim(worker, 10, NOW), lambda result, error: (results.append(result), done.set())),
        ]
    )
    assert done.wait(10)
    assert results[0] is None
    assert results[1].runs[0].steps[0].status == "completed"


def test_a_first_decision_is_committed_with_its_claim(storage: Storage, worker: int) -> None:
    made = chain(1)
    run_id = start(storage, made)

    def begin(stored: StoredRun) -> Commit:
        hand = Hand(storage, stored, made)
        return hand.commit_of(hand.decide(Claimed()))

    claim(storage, worker, begin=begin)
    assert types_of(storage, run_id) == ["run.created", "run.started", "step.started s0"]


# Requests


def test_a_cancel_request_is_seen_by_the_holder_and_makes_its_decision_stale(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(2))
    hand.give(Claimed())
    assert storage.request_cancel(hand.stored.id, "enough", NOW)
    assert storage.request_cancel(hand.stored.id, "again", NOW)
    (request,) = storage.requests(worker)
    assert (request.run, request.version) == (hand.stored.number, hand.stored.version + 1)
    assert (request.cancel_requested, request.reason) == (True, "enough")
    with pytest.raises(StaleRunError):
        storage.perform(hand.commit_of(hand.decide(Succeeded(0, 1, None, "null"))))
    assert storage.get_run(hand.stored.id).cancel_requested
    with pytest.raises(RunNotFoundError):
        storage.request_cancel("exec_unknown", None, NOW)


def test_a_worker_is_not_woken_for_a_run_that_it_may_not_take(storage: Storage) -> None:
    """A run that a dead worker left is due at once; for one that cannot perform it, it never is."""
    version = save(storage, chain(1))
    start(storage, chain(1))
    gone = storage.register_worker(identity(), 1e12)
    assert len(claim(storage, gone)) == 1
    assert storage.free_dead_workers(1e13, HERE) == 1
    other = storage.register_worker(identity(2), 1e14)
    claimed: ClaimedRuns = storage.perform(Claim(other, 10, NOW, frozenset({version})))
    assert (claimed.runs, claimed.next_wake) == ([], None)
    assert len(claim(storage, other)) == 1


def test_what_a_worker_may_not_take_is_no_work_of_its(storage: Storage) -> None:
    version = save(storage, chain(1))
    start(storage, chain(1))
    assert storage.unfinished_runs()
    assert not storage.unfinished_runs({version})


def test_a_cancelled_run_without_a_holder_is_due_at_once(storage: Storage, worker: int) -> None:
    run_id = start(storage, chain(1), start_at=NOW + 10**9)
    storage.request_cancel(run_id, None, NOW)
    (stored,) = claim(storage, worker)
    assert stored.state.cancel_requested


# The log


def test_the_log_pages_both_ways_with_bodies(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, fan_out(5))
    hand.give(Claimed())
    for step in range(5):
        hand.give(Succeeded(step, 1, {"n": step}, f'{{"n":{step}}}'))
    run_id = hand.stored.id
    everything = storage.get_events(run_id, after_seq=0, before_seq=None, limit=100, newest=False)
    paged = []
    seq = 0
    while page := storage.get_events(run_id, after_seq=seq, before_seq=None, limit=3, newest=False):
        paged += page
        seq = page[-1].seq
    assert paged == everything
    newest = storage.get_events(run_id, after_seq=0, before_seq=None, limit=3, newest=True)
    assert newest == everything[-3:]
    older = storage.get_events(run_id, after_seq=0, before_seq=newest[0].seq, limit=3, newest=True)
    assert older == everything[-6:-3]
    results = [event.payload["result"] for event in everything if event.event_type == "step.completed"]
    assert results == [{"n": step} for step in range(5)]
    assert everything[-1].payload["results"] == {f"s{step}": {"n": step} for step in range(5)}
    assert storage.last_seq() == everything[-1].seq


def test_log_lines_are_numbered_and_nothing_follows_the_end(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(1))
    hand.give(Claimed())
    line = LogLine(hand.stored.number, 0, 1, NOW, "log", "info", '{"level":"info","message":"hello"}')
    storage.perform(AppendLogs((line, line)))
    hand.give(Succeeded(0, 1, None, "null"))
    storage.perform(AppendLogs((line,)))
    events = storage.get_events(hand.stored.id, after_seq=0, before_seq=None, limit=100, newest=False)
    assert [event.run_seq for event in events] == list(range(1, 8))
    assert [event.event_type for event in events].count("log") == 2
    assert events[-1].event_type == "run.completed"


# Workers


def test_a_removed_worker_leaves_its_runs_to_others(storage: Storage, worker: int) -> None:
    hold(storage, worker, chain(1))
    storage.remove_worker(worker)
    assert storage.workers() == []
    other = storage.register_worker(identity(2), 1e12)
    assert len(claim(storage, other)) == 1


def test_process_groups_are_remembered_until_they_are_forgotten(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(1))
    group = ProcessGroup(hand.stored.number, 0, 1, "host", "boot", 4711, 99)
    storage.record_process_group(worker, group)
    assert list(storage.process_groups([hand.stored.number])) == [group]
    storage.forget_process_group(group)
    assert list(storage.process_groups([hand.stored.number])) == []


def test_a_retry_copies_the_outputs_it_takes_over(storage: Storage, worker: int) -> None:
    made = flow(echo("a"), echo("b", ref("a")))
    hand = hold(storage, worker, made)
    hand.give(Claimed())
    hand.give(Succeeded(0, 1, {"kept": True}, '{"kept":true}'))
    version = storage.get_template_version("flow").id
    new = CreateRun(new_run_id(), version, "{}", NOW, 2, retry_of=hand.stored.id, reused={0: 0})
    run_id = storage.perform(new)
    stored = storage.load_run(run_id)
    assert stored.steps[0].reused
    assert storage.load_outputs(stored.number, [0]) == {0: '{"kept":true}'}
    assert storage.get_run(run_id).steps_done == 1


def test_statistics_count_what_there_is(storage: Storage) -> None:
    start(storage, chain(1))
    statistics = storage.statistics()
    assert (statistics["runs"], statistics["events"]) == (1, 2)
    assert statistics["bytes"] > 0


# Signals


def wait_for(storage: Storage, worker: int, *names: str) -> Hand:
    """A run that waits for a signal of each name, and that nobody holds."""
    hand = hold(storage, worker, flow(*(echo(name) for name in names), name="waits"))
    hand.give(Claimed())
    decision = hand.give(*(Awaiting(step, 1, name) for step, name in enumerate(names)))
    assert decision.state.status is RunStatus.WAITING
    return hand


def test_a_signal_makes_a_waiting_run_due_at_once_and_comes_with_it(storage: Storage, worker: int) -> None:
    waits = wait_for(storage, worker, "go")
    assert claim(storage, worker) == []
    storage.signal(waits.stored.id, "go", '{"by":"ada"}', NOW)
    (stored,) = claim(storage, worker)
    assert [(signal.name, signal.data) for signal in stored.signals] == [("go", {"by": "ada"})]
    decision = Hand(storage, stored, flow(echo("go"))).give(Claimed())
    assert decision.state.status is RunStatus.COMPLETED
    assert storage.load_run(stored.id).signals == []
    assert "signal.received" in types_of(storage, stored.id)


def test_a_signal_is_seen_by_the_holder_and_makes_its_decision_stale(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(2))
    hand.give(Claimed())
    assert storage.requests(worker) == []
    storage.signal(hand.stored.id, "one", "1", NOW)
    storage.signal(hand.stored.id, "two", "[2]", NOW)
    (request,) = storage.requests(worker)
    assert (request.run, request.version) == (hand.stored.number, hand.stored.version + 2)
    assert [(signal.name, signal.data) for signal in request.signals] == [("one", 1), ("two", [2])]
    assert (request.cancel_requested, request.children_ended) == (False, False)
    with pytest.raises(StaleRunError):
        storage.perform(hand.commit_of(hand.decide(Succeeded(0, 1, None, "null"))))
    received = [
        event.payload
        for event in storage.get_events(hand.stored.id, after_seq=0, before_seq=None, limit=99, newest=False)
        if event.event_type == "signal.received"
    ]
    assert received == [{"name": "one", "data": 1}, {"name": "two", "data": [2]}]


def test_a_stale_decision_consumes_no_signal(storage: Storage, worker: int) -> None:
    waits = wait_for(storage, worker, "go", "other")
    storage.signal(waits.stored.id, "go", "1", NOW)
    (stored,) = claim(storage, worker)
    hand = Hand(storage, stored, flow(echo("go"), echo("other")))
    late = hand.commit_of(hand.decide(Claimed()))
    assert late.decision.consumed
    storage.signal(stored.id, "other", "2", NOW)
    with pytest.raises(StaleRunError):
        storage.perform(late)
    (request,) = storage.requests(worker)
    assert [signal.name for signal in request.signals] == ["go", "other"]


def test_a_signal_waits_for_a_run_that_has_not_begun_and_does_not_hurry_it(storage: Storage, worker: int) -> None:
    run_id = start(storage, chain(1), start_at=NOW + 5000)
    storage.signal(run_id, "early", "null", NOW)
    assert claim(storage, worker) == []
    claimed: ClaimedRuns = storage.perform(Claim(worker, 10, NOW + 5000))
    assert [signal.name for signal in claimed.runs[0].signals] == ["early"]


def test_a_run_that_has_ended_or_is_unknown_hears_no_signal(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(1))
    hand.give(Claimed())
    hand.give(Succeeded(0, 1, None, "null"))
    before = types_of(storage, hand.stored.id)
    with pytest.raises(WorkflowEngineError, match="is completed and hears no signals") as caught:
        storage.signal(hand.stored.id, "go", "1", NOW)
    assert caught.value.code == "INVALID_STATE"
    assert types_of(storage, hand.stored.id) == before
    with pytest.raises(RunNotFoundError):
        storage.signal("exec_unknown", "go", "1", NOW)


def test_requests_are_of_the_workers_own_runs_and_say_all_at_once(storage: Storage, worker: int) -> None:
    other = storage.register_worker(identity(2), 1e12)
    mine = hold(storage, worker, chain(1))
    theirs = hold(storage, other, chain(1))
    for hand in (mine, theirs):
        hand.give(Claimed())
        storage.signal(hand.stored.id, "go", "1", NOW)
    storage.request_cancel(mine.stored.id, "enough", NOW)
    (request,) = storage.requests(worker)
    assert (request.run, request.cancel_requested, len(request.signals)) == (mine.stored.number, True, 1)
    assert [one.run for one in storage.requests(other)] == [theirs.stored.number]
    assert storage.requests(99) == []


# Children

CHILD = flow(echo("c"), name="child")
PARENT = flow(echo("p"), echo("other"), name="parent")


def children(storage: Storage, count: int, at_once: int, tolerated: int | None = None, step: int = 0) -> Fact:
    inputs = tuple(str(item) for item in range(count))
    what = Children(save(storage, CHILD), "child", 1, inputs, at_once, {"of": step}, tolerated)
    return ChildrenStarted(step, 1, what)


def parent_of(storage: Storage, worker: int, count: int, at_once: int, tolerated: int | None = None) -> Hand:
    """A run whose only step waits for children; nobody holds it."""
    hand = hold(storage, worker, flow(echo("p"), name="parent"))
    hand.give(Claimed())
    hand.give(children(storage, count, at_once, tolerated))
    assert hand.run.state.status is RunStatus.WAITING
    return hand


def claim_children(storage: Storage, worker: int) -> list[Hand]:
    """All that are queued, begun, in the order of their items."""
    hands = [Hand(storage, stored, CHILD) for stored in claim(storage, worker, 100)]
    for hand in hands:
        assert hand.stored.is_child
        hand.give(Claimed())
    return sorted(hands, key=lambda hand: int(hand.stored.input))


def ended(value: int | None) -> Fact:
    """A child's only step, done or failed."""
    if value is None:
        return Failed(0, 1, {"code": "ODD", "message": "odd"})
    return Succeeded(0, 1, value, str(value))


def submit(storage: Storage, *writes: Write) -> list[Any]:
    """As one group; what became of each."""
    outcomes: list[Any] = [None] * len(writes)
    left = threading.Semaphore(0)

    def note(index: int) -> Callable[[Any, BaseException | None], None]:
        def noted(result: Any, error: BaseException | None) -> None:
            outcomes[index] = error or result
            left.release()

        return noted

    storage.submit([(write, note(index)) for index, write in enumerate(writes)])
    for _ in writes:
        assert left.acquire(timeout=10)
    return outcomes


def counts(storage: Storage, run_id: str) -> dict[str, int]:
    kinds = types_of(storage, run_id)
    return {kind: kinds.count(f"child.{kind}") for kind in ("started", "ended")}


def test_children_start_in_the_commit_that_says_so(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, PARENT)
    hand.give(Claimed())
    hand.give(children(storage, 3, 2))
    open_children = storage.open_children(hand.stored.id)
    assert len(open_children) == 2
    for child in open_children:
        record = storage.get_run(child)
        assert (record.parent_run_id, record.status, record.template) == (hand.stored.id, RunStatus.QUEUED, "child")
        assert storage.load_run(child).depth == 1
    events = storage.get_events(hand.stored.id, after_seq=0, before_seq=None, limit=99, newest=False)
    told = [event.payload for event in events if event.event_type == "child.started"]
    assert told == [{"child_run_id": child, "kind": "child", "item": item} for item, child in enumerate(open_children)]
    assert [run.id for run in storage.list_runs(10, None, None, None, False)[0]] == [hand.stored.id]
    assert len(storage.list_runs(10, None, None, None, True)[0]) == 3
    assert storage.count_runs(None, None) == 1


def test_a_stale_decision_starts_no_children(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, PARENT)
    hand.give(Claimed())
    before = (storage.load_run(hand.stored.id), types_of(storage, hand.stored.id), storage.statistics()["runs"])
    start_them = hand.commit_of(hand.decide(children(storage, 3, 2)))
    assert start_them.decision.children
    storage.request_cancel(hand.stored.id, None, NOW)
    (outcome,) = submit(storage, start_them)
    assert isinstance(outcome, StaleRunError)
    assert storage.free_dead_workers(1e13, HERE) == 1
    (outcome,) = submit(storage, start_them)
    assert isinstance(outcome, LeaseLostError)
    assert storage.open_children(hand.stored.id) == []
    assert storage.ended_children(hand.stored.number) == []
    assert storage.statistics()["runs"] == before[2]
    assert types_of(storage, hand.stored.id)[:-1] == before[1]


def test_each_end_starts_the_next_and_the_last_makes_the_parent_due(storage: Storage, worker: int) -> None:
    parent = parent_of(storage, worker, 5, 2)
    run = parent.stored
    seen: list[int] = []
    for round_ in range(1, 5):
        hands = claim_children(storage, worker)
        seen += [int(hand.stored.input) for hand in hands]
        last = hands[-1]
        last.give(ended(int(last.stored.input)))
        assert storage.ended_children(run.number) == []
        assert len(storage.open_children(run.id)) == min(2, 5 - round_)
        if round_ == 1:
            first = hands[0]
    assert seen == [0, 1, 2, 3, 4], "in their order, each once"
    assert claim(storage, worker) == [], "the parent sleeps until all have ended"
    first.give(ended(None))
    (group,) = storage.ended_children(run.number)
    assert (group.step, group.attempt, group.spec) == (0, 1, {"of": 0})
    assert [child.output for child in group.children] == [None, *({"c": item} for item in range(1, 5))]
    assert [child.status for child in group.children] == [RunStatus.FAILED, *[RunStatus.COMPLETED] * 4]
    error = group.children[0].error
    assert error is not None
    assert error["code"] == "ODD"
    (stored,) = claim(storage, worker)
    assert stored.id == run.id
    again = Hand(storage, stored, flow(echo("p"), name="parent"))
    decision = again.give(Claimed(), Collected(group.group, Succeeded(0, 1, "all", '"all"')))
    assert decision.state.status is RunStatus.COMPLETED
    assert storage.ended_children(run.number) == []
    assert counts(storage, run.id) == {"started": 5, "ended": 5}


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_ends_that_are_committed_together_are_counted_each(storage: Storage, worker: int, order: list[int]) -> None:
    parent = parent_of(storage, worker, 7, 3)
    left = 7
    while left:
        hands = claim_children(storage, worker)
        assert len(hands) == min(3, left)
        commits = [hand.commit_of(hand.decide(ended(1))) for hand in hands]
        picked = [index for index in order if index < len(commits)]
        assert submit(storage, *(commits[index] for index in picked)) == [None] * len(picked)
        left -= len(picked)
    (group,) = storage.ended_children(parent.stored.number)
    assert len(group.children) == 7
    assert counts(storage, parent.stored.id) == {"started": 7, "ended": 7}


def test_children_that_end_from_many_threads_are_counted_each(storage: Storage, worker: int) -> None:
    parent = parent_of(storage, worker, 60, 8)

    def work(number: int) -> None:
        own = storage.register_worker(identity(number), 1e12)
        while storage.open_children(parent.stored.id):
            for stored in claim(storage, own, 2):
                if stored.is_child:
                    hand = Hand(storage, stored, CHILD)
                    hand.give(Claimed())
                    hand.give(ended(int(stored.input)))
                else:
                    storage.free_run(stored.number, own)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (group,) = storage.ended_children(parent.stored.number)
    assert [child.output for child in group.children] == [{"c": item} for item in range(60)]


def test_too_many_failures_start_no_other_and_those_that_run_are_waited_for(storage: Storage, worker: int) -> None:
    parent = parent_of(storage, worker, 10, 3, tolerated=1)
    one, two, three = claim_children(storage, worker)
    one.give(ended(None))
    (four,) = claim_children(storage, worker)
    two.give(ended(None))
    assert claim_children(storage, worker) == []
    three.give(ended(3))
    assert storage.ended_children(parent.stored.number) == []
    four.give(ended(4))
    (group,) = storage.ended_children(parent.stored.number)
    assert [child.status for child in group.children] == [
        RunStatus.FAILED,
        RunStatus.FAILED,
        RunStatus.COMPLETED,
        RunStatus.COMPLETED,
    ]
    assert storage.open_children(parent.stored.id) == []


def test_failures_within_the_tolerance_start_the_next(storage: Storage, worker: int) -> None:
    parent = parent_of(storage, worker, 4, 1, tolerated=4)
    for _ in range(4):
        (hand,) = claim_children(storage, worker)
        hand.give(ended(None))
    (group,) = storage.ended_children(parent.stored.number)
    assert len(group.children) == 4


def test_a_step_without_any_children_hears_so_at_once(storage: Storage, worker: int) -> None:
    parent = parent_of(storage, worker, 0, 1)
    (group,) = storage.ended_children(parent.stored.number)
    assert group.children == ()
    assert [stored.id for stored in claim(storage, worker)] == [parent.stored.id]


def test_the_holder_is_told_of_ended_children_and_its_decisions_stay_valid(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, PARENT)
    hand.give(Claimed())
    hand.give(children(storage, 2, 2))
    late = hand.commit_of(hand.decide(Succeeded(1, 1, None, "null")))
    for child in claim_children(storage, worker):
        assert storage.requests(worker) == []
        child.give(ended(1))
    (request,) = storage.requests(worker)
    assert (request.run, request.children_ended) == (hand.stored.number, True)
    assert request.version == hand.stored.version, "children that come and go make no decision stale"
    storage.perform(late)
    assert late.decision.release
    (stored,) = claim(storage, worker)
    assert stored.id == hand.stored.id, "let go of in that moment, it is due at once"


@pytest.mark.parametrize("child_first", [True, False])
def test_a_run_let_go_of_while_its_last_child_ends_is_due(storage: Storage, worker: int, child_first: bool) -> None:
    hand = hold(storage, worker, PARENT)
    hand.give(Claimed())
    hand.give(children(storage, 1, 1))
    (child,) = claim_children(storage, worker)
    writes = [child.commit_of(child.decide(ended(1))), hand.commit_of(hand.decide(Succeeded(1, 1, None, "null")))]
    assert submit(storage, *(writes if child_first else writes[::-1])) == [None, None]
    assert [stored.id for stored in claim(storage, worker)] == [hand.stored.id]


def test_other_children_of_the_same_step_are_another_group(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, PARENT)
    hand.give(Claimed())
    hand.give(children(storage, 1, 1))
    groups = []
    for _ in range(3):
        (child,) = claim_children(storage, worker)
        child.give(ended(1))
        (group,) = storage.ended_children(hand.stored.number)
        groups.append(group.group)
        more = children(storage, 1, 1)
        assert isinstance(more, ChildrenStarted)
        decision = hand.give(Collected(group.group, more))
        assert decision.events == []
        assert storage.ended_children(hand.stored.number) == []
        assert storage.requests(worker) == []
    assert len(set(groups)) == 3
    assert len(storage.open_children(hand.stored.id)) == 1


def hold_parent_of_two(storage: Storage, worker: int) -> tuple[Hand, Hand, Hand, Decision]:
    """A held run with two of five children, and the decision that cancels it."""
    hand = hold(storage, worker, PARENT)
    hand.give(Claimed())
    hand.give(children(storage, 5, 2))
    one, two = claim_children(storage, worker)
    storage.request_cancel(hand.stored.id, "enough", NOW)
    hand.stored.version += 1
    decision = hand.decide(CancelRequested("enough"), Succeeded(1, 1, None, "null"))
    assert decision.state.status is RunStatus.CANCELLED
    return hand, one, two, decision


def end_all(storage: Storage, worker: int, *held: Hand) -> None:
    """Children that are to be cancelled end, those that are held and those that nobody holds."""
    assert {request.run for request in storage.requests(worker)} == {hand.stored.number for hand in held}
    for hand in held:
        hand.stored.version += 1
        hand.give(CancelRequested("its parent is gone"), ended(2))
    for stored in claim(storage, worker):
        assert stored.state.cancel_requested
        Hand(storage, stored, CHILD).give(Claimed())
    assert not storage.unfinished_runs()


def test_a_child_that_ends_just_before_its_parent_starts_one_that_ends_with_the_others(
    storage: Storage, worker: int
) -> None:
    hand, ends, lives, decision = hold_parent_of_two(storage, worker)
    assert submit(storage, ends.commit_of(ends.decide(ended(1))), hand.commit_of(decision)) == [None, None]
    assert types_of(storage, hand.stored.id)[-4:] == [
        "child.ended",
        "child.started",
        "step.completed other",
        "run.cancelled",
    ]
    assert storage.ended_children(hand.stored.number) == []
    assert len(storage.open_children(hand.stored.id)) == 2
    assert all(storage.get_run(child).cancel_requested for child in storage.open_children(hand.stored.id))
    end_all(storage, worker, lives)
    assert counts(storage, hand.stored.id) == {"started": 3, "ended": 1}


def test_a_child_that_ends_just_after_its_parent_learns_of_that_first(storage: Storage, worker: int) -> None:
    hand, ends, lives, decision = hold_parent_of_two(storage, worker)
    gone, late = submit(storage, hand.commit_of(decision), ends.commit_of(ends.decide(ended(1))))
    assert gone is None
    assert isinstance(late, StaleRunError), "it was asked to cancel in that moment"
    assert types_of(storage, hand.stored.id)[-1] == "run.cancelled"
    end_all(storage, worker, ends, lives)
    assert counts(storage, hand.stored.id) == {"started": 2, "ended": 0}, "nothing follows the end of a run"


def test_the_end_of_a_parent_is_passed_on_to_children_of_children(storage: Storage, worker: int) -> None:
    parent = parent_of(storage, worker, 1, 1)
    (child,) = claim_children(storage, worker)
    child.give(children(storage, 2, 1))
    (grandchild,) = storage.open_children(child.stored.id)
    assert storage.load_run(grandchild).depth == 2
    storage.request_cancel(parent.stored.id, "enough", NOW)
    for made in (flow(echo("p"), name="parent"), CHILD, CHILD):
        (stored,) = claim(storage, worker, 1)
        assert stored.state.cancel_requested
        Hand(storage, stored, made).give(Claimed())
    assert storage.get_run(grandchild).status is RunStatus.CANCELLED
    assert not storage.unfinished_runs()
    assert counts(storage, child.stored.id) == {"started": 1, "ended": 0}


def test_a_step_that_no_longer_waits_cancels_its_own_children_alone(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, flow(echo("p", timeout_ms=5), echo("other"), echo("busy"), name="parent"))
    hand.give(Claimed())
    hand.give(children(storage, 4, 2))
    hand.give(children(storage, 4, 2, step=1))
    first, second = storage.open_children(hand.stored.id)[:2], storage.open_children(hand.stored.id)[2:]
    decision = decide(hand.run, [Woken(0)], NOW + 5)
    assert isinstance(decision, Decision)
    assert decision.dropped == [0]
    storage.perform(hand.commit_of(decision))
    assert [storage.get_run(child).cancel_requested for child in (*first, *second)] == [True, True, False, False]
    for stored in claim(storage, worker):
        if stored.state.cancel_requested:
            Hand(storage, stored, CHILD).give(Claimed())
    assert storage.open_children(hand.stored.id) == second, "the step starts no other of them"
    assert storage.ended_children(hand.stored.number) == []


def test_a_stalled_parent_is_not_woken_by_its_children_and_can_be_cancelled(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, PARENT)
    hand.give(Claimed())
    hand.give(children(storage, 2, 2))
    held = hand.stored
    for _ in range(MAX_LOSSES):
        storage.free_run(held.number, worker)
        (held,) = [stored for stored in claim(storage, worker) if not stored.is_child]
        Hand(storage, held, PARENT).give(Claimed())
    assert storage.get_run(held.id).status is RunStatus.STALLED
    storage.remove_worker(worker)
    other = storage.register_worker(identity(2), 1e12)
    for child in claim_children(storage, other):
        child.give(ended(1))
    assert len(storage.ended_children(held.number)) == 1
    assert claim(storage, other) == []
    storage.request_cancel(held.id, "enough", NOW)
    (stored,) = claim(storage, other)
    assert Hand(storage, stored, PARENT).give(Claimed()).state.status is RunStatus.CANCELLED
    assert storage.ended_children(held.number) == []
    assert not storage.unfinished_runs()


def test_a_child_that_nobody_waits_for_is_told_to_its_parent_and_ends_with_it(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, PARENT)
    hand.give(Claimed())
    version = save(storage, CHILD)
    new = CreateRun(new_run_id(), version, "1", NOW, 1, parent_run_id=hand.stored.id, idempotency_key="k")
    child = storage.perform(new)
    assert storage.perform(CreateRun(new_run_id(), version, "1", NOW, 1, idempotency_key="k")) == child
    assert storage.open_children(hand.stored.id) == [child]
    assert storage.requests(worker) == []
    assert counts(storage, hand.stored.id) == {"started": 1, "ended": 0}
    hand.give(Failed(0, 1, {"code": "ODD", "message": "odd"}), Succeeded(1, 1, None, "null"))
    assert storage.get_run(child).cancel_requested
    with pytest.raises(StorageError, match="has ended and starts no children"):
        storage.perform(CreateRun(new_run_id(), version, "1", NOW, 1, parent_run_id=hand.stored.id))


def test_children_are_claimed_by_their_roots_priority_and_age(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, PARENT)
    younger = storage.perform(CreateRun(new_run_id(), save(storage, chain(1)), "{}", now_ms() + 1000, 1))
    hand.give(Claimed())
    hand.give(children(storage, 2, 2))
    urgent = start(storage, chain(1), priority=5)
    open_children = storage.open_children(hand.stored.id)
    assert [stored.id for stored in claim(storage, worker)] == [urgent, *open_children, younger]


def test_deleting_a_template_stops_no_children(storage: Storage, worker: int) -> None:
    parent = parent_of(storage, worker, 3, 1)
    storage.delete_template("child", NOW)
    for _ in range(3):
        (hand,) = claim_children(storage, worker)
        hand.give(ended(1))
    assert len(storage.ended_children(parent.stored.number)[0].children) == 3


# Flows without a template of their own


def inline(name: str, made: Flow, base_dir: str | None = None) -> TemplateText:
    return TemplateText(name, "source", "json", made, None, base_dir, NOW)


def test_the_same_inline_flow_is_stored_once_and_listed_nowhere(storage: Storage) -> None:
    save(storage, PARENT)
    first = storage.save_inline_template(inline("parent/s", chain(1)), ["/builtin/echo"])
    again = storage.save_inline_template(inline("parent/s", chain(1)), ["/builtin/echo"])
    assert again == first
    others = [
        storage.save_inline_template(inline("parent/s", chain(2)), []),
        storage.save_inline_template(inline("parent/s", chain(1), "/elsewhere"), []),
        storage.save_inline_template(inline("parent/t", chain(1)), []),
    ]
    assert len({first.id, *(version.id for version in others)}) == 4
    assert storage.save_inline_template(inline("parent/s", chain(1)), []) == first
    assert [template.name for template in storage.list_templates(10, 0)] == ["parent"]
    assert storage.count_templates() == 1
    assert storage.template_version_by_id(first.id).flow == chain(1)
    with pytest.raises(TemplateNotFoundError) as caught:
        storage.get_template("parent/s")
    assert "parent/t" not in caught.value.message


def test_many_threads_that_save_the_same_inline_flow_get_one_version(storage: Storage) -> None:
    found: list[int] = []

    def store() -> None:
        found.extend(storage.save_inline_template(inline("parent/s", chain(length)), []).id for length in range(1, 6))

    threads = [threading.Thread(target=store) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert len(set(found)) == 5


def test_a_worker_takes_an_inline_flow_by_the_components_it_was_saved_with(storage: Storage, worker: int) -> None:
    version = storage.save_inline_template(inline("parent/s", chain(1)), ["/builtin/echo", "/user/special"])
    run_id = storage.perform(CreateRun(new_run_id(), version.id, "1", NOW, 1))
    reason = storage.get_run(run_id).reason
    assert reason == "no running worker offers /user/special"


# Blobs


def test_the_same_data_is_one_blob_under_its_hash(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(1))
    other = hold(storage, worker, chain(1))
    text = '{"b":1,"a":"ä"}'
    blob_id = storage.put_blob(hand.stored.number, text, "data", NOW)
    assert blob_id == hashlib.sha256(text.encode()).hexdigest()
    assert storage.put_blob(hand.stored.number, text, "data", NOW) == blob_id
    assert storage.put_blob(other.stored.number, text, "another label", NOW + 1) == blob_id
    assert storage.get_blob(blob_id) == text
    assert storage.get_blob("0" * 64) is None


LONG = "ä" * 300_000
LONG_TEXT = jsontext.encode(LONG)


def test_a_long_output_reads_like_any_other(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(2))
    hand.give(Claimed())
    hand.give(Succeeded(0, 1, LONG, LONG_TEXT))
    assert storage.load_outputs(hand.stored.number, [0]) == {0: LONG_TEXT}
    hand.give(Succeeded(1, 1, LONG, LONG_TEXT))
    run_id = hand.stored.id
    assert storage.get_run(run_id).output == {"s1": LONG}
    assert [step.output for step in storage.get_steps(run_id, bodies=True, attempts=False)] == [LONG, LONG]
    events = storage.get_events(run_id, after_seq=0, before_seq=None, limit=99, newest=False)
    assert [event.payload["result"] for event in events if event.event_type == "step.completed"] == [LONG, LONG]
    assert events[-1].payload["results"] == {"s1": LONG}


@pytest.mark.parametrize("output", [LONG, "short", None, {"b": [1, "ä"], "a": None}, "\ud800", 12345678901234567890])
def test_a_body_is_the_json_of_what_readers_are_given(storage: Storage, worker: int, output: Any) -> None:
    hand = hold(storage, worker, chain(2))
    hand.give(Claimed())
    run_id = hand.stored.id
    assert storage.get_body(run_id, "output") is None
    assert storage.get_body(run_id, "output", step="s0") is None
    hand.give(Succeeded(0, 1, output, jsontext.encode(output)))
    hand.give(Succeeded(1, 1, output, jsontext.encode(output)))
    run = storage.get_run(run_id)
    (first, second) = storage.get_steps(run_id, bodies=True, attempts=False)

    def body(part: BodyPart, step: str | None = None) -> Any:
        found = storage.get_body(run_id, part, step=step)
        return None if found is None else jsontext.decode(found)

    assert [body("input"), body("output")] == [run.input, run.output]
    assert [body("input", "s1"), body("output", "s0"), body("output", "s1")] == [
        second.input,
        first.output,
        second.output,
    ]
    assert storage.get_body(run_id, "output", step="s0", attempt=2) is None
    assert storage.get_body(run_id, "output", step="nope") is None
    with pytest.raises(RunNotFoundError):
        storage.get_body(new_run_id(), "input")


@pytest.mark.parametrize("output", ["word", LONG, "\ud800"])
@pytest.mark.parametrize(
    "options", [{}, {"output": ref("secret"), "has_output": True}, {"output": {"all": [ref("secret")], "n": 1}}]
)
def test_a_body_does_not_say_what_is_sensitive(
    storage: Storage, worker: int, output: Any, options: dict[str, Any]
) -> None:
    hand = hold(storage, worker, flow(echo("secret", 1, sensitive=True), echo("plain", 2), **options))
    hand.give(Claimed())
    hand.give(Succeeded(0, 1, output, jsontext.encode(output)))
    hand.give(Succeeded(1, 1, output, jsontext.encode(output)))
    run_id = hand.stored.id
    assert storage.get_body(run_id, "output", step="secret") == b'"[sensitive]"'
    found = storage.get_body(run_id, "output")
    assert found is not None
    assert jsontext.decode(found) == storage.get_run(run_id).output
    assert b"[sensitive]" in found


@pytest.mark.parametrize("output", ["@", "@" + "0" * 64, {"@": 1}])
def test_an_output_that_looks_like_a_reference_to_a_blob_is_data(storage: Storage, worker: int, output: Any) -> None:
    hand = hold(storage, worker, chain(1))
    hand.give(Claimed())
    hand.give(Succeeded(0, 1, output, jsontext.encode(output)))
    assert storage.get_run(hand.stored.id).output == {"s0": output}
    assert storage.get_steps(hand.stored.id, bodies=True, attempts=False)[0].output == output


def test_a_retry_takes_long_outputs_over_and_parents_get_those_of_children(storage: Storage, worker: int) -> None:
    parent = parent_of(storage, worker, 1, 1)
    (child,) = claim_children(storage, worker)
    child.give(Succeeded(0, 1, LONG, LONG_TEXT))
    (group,) = storage.ended_children(parent.stored.number)
    assert group.children[0].output == {"c": LONG}
    new = CreateRun(new_run_id(), child.stored.template_version, "0", NOW, 1, retry_of=child.stored.id, reused={0: 0})
    again = storage.load_run(storage.perform(new))
    assert storage.load_outputs(again.number, [0]) == {0: LONG_TEXT}
    assert storage.get_steps(again.id, bodies=True, attempts=False)[0].output == LONG


# Lists


def pages(storage: Storage, limit: int, *choice: Any, **more: Any) -> list[str]:
    """Ids of all pages."""
    statuses, template, children = choice or (None, None, False)
    ids: list[str] = []
    cursor: str | None = None
    while True:
        runs, cursor = storage.list_runs(limit, cursor, statuses, template, children, **more)
        assert len(runs) == limit or cursor is None
        ids += [run.id for run in runs]
        if cursor is None:
            return ids


def test_several_statuses_are_one_list_in_pages(storage: Storage, worker: int) -> None:
    hands = [hold(storage, worker, chain(1)) for _ in range(6)]
    for hand in hands[::2]:
        hand.give(Claimed())
    failed = hands[2]
    failed.give(Failed(0, 1, {"code": "NO", "message": "no"}))
    waiting = [start(storage, chain(1)), start(storage, flow(echo("x"), name="other"))]
    ids = [hand.stored.id for hand in hands]
    some = [RunStatus.FAILED, RunStatus.RUNNING]
    assert pages(storage, 2, some, None, False) == [ids[4], ids[2], ids[0]]
    assert pages(storage, 2, some, None, False, reverse=True) == [ids[0], ids[2], ids[4]]
    assert pages(storage, 2, [*some, RunStatus.QUEUED], "flow", False) == [waiting[0], *reversed(ids)]
    assert storage.count_runs([*some, RunStatus.QUEUED], "flow") == 7
    assert pages(storage, 1, [*some, *some], None, False, sort="started") == [ids[4], ids[2], ids[0]]


def test_a_list_begins_where_it_is_told(storage: Storage) -> None:
    version = save(storage, chain(1))

    def created(at: int) -> str:
        create = CreateRun(f"{first_run_id(at)}{at % 10:08d}", version, "{}", at, 1)
        return str(storage.perform(create))

    old, *young = [created(NOW + minutes * 60_000) for minutes in (0, 10, 10 + 20, 10 + 40)]
    late = created(NOW - 1)  # committed after those that are younger
    at = NOW + 10 * 60_000
    assert pages(storage, 1, since=at) == young[::-1]
    assert storage.count_runs(None, None, since=at) == 3
    assert pages(storage, 1, since=at + 1) == young[:0:-1]
    assert pages(storage, 9, since=0) == [late, *young[::-1], old]
    assert pages(storage, 9, since=at, sort="duration") == young[::-1]
    assert pages(storage, 9, [RunStatus.QUEUED, RunStatus.FAILED], "flow", False, since=at) == young[::-1]
    assert pages(storage, 9, since=at * 2) == []


@pytest.mark.parametrize("sort", ["started", "finished", "duration"])
@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_pages_of_a_sorted_list_give_each_run_once(
    storage: Storage, worker: int, sort: Any, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two have the same value, and three have none."""
    hands = [hold(storage, worker, chain(1)) for _ in range(4)]
    for hand, begins, takes in zip(hands, (300, 100, 200, 200), (50, 70, 60, 60), strict=True):
        monkeypatch.setattr("tests.support.hand.NOW", NOW + begins)
        hand.give(Claimed())
        monkeypatch.setattr("tests.support.hand.NOW", NOW + begins + takes)
        hand.give(Succeeded(0, 1, 1, "1"))
    ids = [hand.stored.id for hand in hands]
    open_ones = [start(storage, chain(1)) for _ in range(3)]
    ends = {"started": [0, 3, 2, 1], "finished": [0, 3, 2, 1], "duration": [1, 3, 2, 0]}[sort]
    listed = [ids[index] for index in ends]
    assert pages(storage, limit, sort=sort) == [*listed, *reversed(open_ones)]
    assert pages(storage, limit, sort=sort, reverse=True) == [*reversed(listed), *open_ones]


@pytest.mark.parametrize("cursor", ["x", "", "started:1", "started:1:2", "duration:x:1", "1:2:3", "duration::", "1"])
def test_the_cursor_of_another_list_is_refused(storage: Storage, cursor: str) -> None:
    sort: Any = "duration" if cursor in ("1", "started:1:2", "duration::", "duration:x:1") else "created"
    with pytest.raises(StorageError, match="is not a cursor of this list"):
        storage.list_runs(1, cursor, None, None, False, sort=sort)


def test_the_children_of_one_run_are_a_list(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, PARENT)
    hand.give(Claimed())
    hand.give(children(storage, 5, 5))
    start(storage, chain(1), parent_run_id=start(storage, chain(1)))
    listed = pages(storage, 2, parent=hand.stored.id)
    assert sorted(listed) == sorted(storage.open_children(hand.stored.id))
    assert listed == sorted(listed, reverse=True)
    assert storage.count_runs(None, None, parent=hand.stored.id) == 5
    assert pages(storage, 2, [RunStatus.QUEUED], "child", False, parent=hand.stored.id) == listed
    assert pages(storage, 2, parent="exec_none") == []


def test_what_steps_said_is_read_without_the_rest(storage: Storage, worker: int) -> None:
    hand = hold(storage, worker, chain(1))
    hand.give(Claimed())
    number = hand.stored.number
    lines = [LogLine(number, 0, 1, NOW, kind, "info", "{}") for kind in ("log", "my.own", "log.truncated")]
    storage.perform(AppendLogs(tuple(lines)))
    hand.give(Succeeded(0, 1, 1, "1"))
    for run_id in (hand.stored.id, None):
        events = storage.get_events(run_id, after_seq=0, before_seq=None, limit=99, newest=False, lines=True)
        assert [event.event_type for event in events] == ["log", "my.own", "log.truncated", "run.completed"]
