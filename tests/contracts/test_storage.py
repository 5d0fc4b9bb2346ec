"""What every storage must do: `contracts.storage`, said as tests. Another storage is one more fixture parameter."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

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
    WorkerIdentity,
)
from stepflow.core.decide import Decision, Missing, advance, decide
from stepflow.core.facts import Claimed, Fact, Succeeded
from stepflow.core.graph import build_graph
from stepflow.core.run import Run
from stepflow.errors import (
    IdempotencyConflictError,
    LeaseLostError,
    RunNotFoundError,
    StaleRunError,
    TemplateExistsError,
    TemplateNotFoundError,
)
from stepflow.model.flow import Flow
from stepflow.model.ids import new_run_id, run_trn, short_run_trn
from stepflow.model.statuses import RunStatus
from tests.support.engine import save, start, types_of
from tests.support.flows import chain, echo, fan_out, flow, ref

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
        self.run = Run(build_graph(flow), stored.id, stored.state, stored.steps)

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


@pytest.fixture
def worker(storage: Storage) -> int:
    return storage.register_worker(identity(), 1e12)


def hold(storage: Storage, worker: int, made: Flow) -> Hand:
    run_id = start(storage, made)
    (stored,) = [stored for stored in claim(storage, worker) if stored.id == run_id]
    return Hand(storage, stored, made)


# Templates


def test_a_new_version_is_made_only_when_the_flow_changed(storage: Storage) -> None:
    first = save(storage, chain(1))
    assert save(storage, chain(1)) == first
    assert save(storage, chain(2)) != first
    assert [version.version for version in storage.template_versions("flow")] == [2, 1]
    assert storage.get_template_version("flow").flow == chain(2)
    assert storage.get_template_version("flow", 1).flow == chain(1)


def test_create_and_update_say_what_they_may_not(storage: Storage) -> None:
    from stepflow.contracts.storage import TemplateText

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
    from stepflow.core.facts import ReleaseRequested

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
    new = CreateRun(new_run_id(), version, "{}", NOW, 2, retry_of=hand.stored.id, reused=(0,))
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
