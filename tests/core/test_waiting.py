"""Waiting for signals and children, and the claims that follow, decided by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from stepflow.core.decide import MAX_LOSSES, Decision, Draft, decide
from stepflow.core.facts import (
    Awaiting,
    CancelRequested,
    Children,
    ChildrenStarted,
    Claimed,
    Collected,
    Failed,
    Signalled,
    Slept,
    StepSkipped,
    Succeeded,
    Woken,
)
from stepflow.core.run import Run
from stepflow.model.flow import OnError
from stepflow.model.statuses import RunStatus
from tests.core.driver import Driver
from tests.support.flows import echo, flow, quick_retry, ref

Drive = Callable[..., Driver]


def awaits(run: Driver, key: str, name: str, until: int | None = None) -> Decision:
    perform = run.performing.pop(key)
    return run.give(Awaiting(perform.step, perform.attempt, name, until))


def children_of(run: Driver, key: str, inputs: tuple[str, ...] = ("1",)) -> ChildrenStarted:
    perform = run.performing.pop(key)
    return ChildrenStarted(perform.step, perform.attempt, Children(1, "child", 1, inputs, 2, {"spec": True}))


# Signals


def test_a_signal_that_is_heard_twice_is_received_once(drive: Drive) -> None:
    """A worker may be told of it by its storage more than once before its consumption is durable."""
    run = drive(flow(echo("first"), echo("second", depends_on=("first",))))
    run.claim()
    awaits(run, "first", "go")
    signal = Signalled(7, "go", 1)
    decision = decide(run.run, [signal, signal], run.now)
    assert isinstance(decision, Decision)
    assert decision.consumed == [7]
    assert not decision.draft.signals, "there is none left for a later wait"


def test_a_signal_that_was_received_is_not_heard_again_by_a_later_wait(drive: Drive) -> None:
    run = drive(flow(echo("first"), echo("second", depends_on=("first",)), echo("beside")))
    run.claim()
    awaits(run, "first", "go")
    run.give(Signalled(7, "go", 1))
    run.give(Signalled(7, "go", 1))
    awaits(run, "second", "go")
    assert run.status("second") == "waiting"
    run.give(Signalled(8, "go", 2))
    assert run.run.values.get(run.index("second"), {}).get("data") == 2


def test_a_signal_that_waited_for_its_step_is_not_heard_again(drive: Drive) -> None:
    run = drive(flow(echo("first"), echo("second", depends_on=("first",)), echo("beside")))
    run.claim()
    early = Signalled(3, "go", 1)
    run.give(early)
    decision = awaits(run, "first", "go")
    assert decision.consumed == [3]
    assert run.status("first") == "completed"
    run.give(early)
    awaits(run, "second", "go")
    assert run.status("second") == "waiting"


def test_signals_of_one_name_answer_waits_in_their_order(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b", ref("a")), echo("c", ref("b")), echo("beside")))
    run.claim()
    run.give(Signalled(1, "go", "one"), Signalled(2, "other", "x"), Signalled(3, "go", "two"))
    awaits(run, "a", "go")
    assert run.performing["b"].input["data"] == "one"
    awaits(run, "b", "go")
    assert run.performing["c"].input["data"] == "two"
    awaits(run, "c", "go")
    assert run.status("c") == "waiting"
    assert [signal.number for signal in run.run.signals] == [2]


def test_one_signal_ends_every_wait_for_it(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b"), echo("c", [ref("a", "data"), ref("b", "data")]), echo("beside")))
    run.claim()
    awaits(run, "a", "go")
    awaits(run, "b", "go")
    decision = run.give(Signalled(1, "go", 5))
    assert decision.consumed == [1]
    assert run.performing["c"].input == [5, 5]


def test_a_signal_and_the_end_of_its_wait_at_once_answer_it_once(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("beside")))
    run.claim()
    awaits(run, "a", "go", until=run.now + 10)
    run.now += 10
    decision = run.give(Signalled(1, "go", 5), Woken(0))
    assert decision.outputs == {0: '{"received":true,"timeout":false,"data":5}'}


# Children


def test_a_step_waits_for_its_children_and_gives_up_the_worker(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b", ref("a"))))
    run.claim()
    decision = run.give(children_of(run, "a"))
    assert decision.state.status is RunStatus.WAITING
    assert decision.release
    assert [start.step for start in decision.children] == [0]
    assert run.run.steps[0].awaits == "children"


def test_the_end_of_children_is_heard_once_and_by_the_attempt_that_waits(drive: Drive) -> None:
    run = drive(flow(echo("a", retry=quick_retry(2, 0)), echo("beside")))
    run.claim()
    run.give(children_of(run, "a"))
    decision = run.give(Collected(4, Failed(0, 1, {"code": "ODD", "message": "odd"})))
    assert (decision.collected, decision.dropped) == ([4], [0])
    assert run.status("a") == "awaiting_retry"
    late = run.give(Collected(4, Succeeded(0, 1, 5, "5")))
    assert (late.collected, late.events) == ([], [])
    run.give(Woken(0))
    run.give(children_of(run, "a"))
    assert run.give(Collected(4, Succeeded(0, 1, 5, "5"))).collected == [], "it is the second attempt that waits"
    assert run.give(Collected(5, Succeeded(0, 2, 6, "6"))).outputs == {0: "6"}


def test_children_that_are_followed_by_others_keep_the_step_waiting(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("beside")))
    run.claim()
    first = children_of(run, "a")
    run.give(first)
    decision = run.give(Collected(1, first))
    assert (decision.events, decision.collected) == ([], [1])
    assert len(decision.children) == 1
    assert decision.is_durable
    assert run.status("a") == "waiting"


def test_a_step_that_skips_after_its_children_skips(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b", ref("a"))))
    run.claim()
    run.give(children_of(run, "a"))
    run.claim_anew()
    run.run.waiting.add(0)
    decision = decide(run.run, [Claimed(), Collected(1, StepSkipped(0, 1, "nothing to do"))], run.now)
    assert isinstance(decision, Decision)
    assert decision.state.status is RunStatus.COMPLETED
    assert decision.steps[0].reason == "nothing to do"


def test_a_cancelled_run_hears_its_children_no_more(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("busy")))
    run.claim()
    run.give(children_of(run, "a"))
    decision = decide(
        run.run, [CancelRequested("enough"), Collected(1, Failed(0, 1, {"code": "ODD", "message": "odd"}))], run.now
    )
    assert isinstance(decision, Decision)
    assert decision.steps[0].status == "failed"
    assert decision.stop == [1]


# Stalled, lost, cancelled


def stalled(run: Driver) -> Driver:
    run.claim()
    for _ in range(MAX_LOSSES):
        run.claim_anew()
    assert run.run.state.status is RunStatus.STALLED
    return run


def with_request(run: Driver) -> Run:
    state = msgspec.structs.replace(run.run.state, cancel_requested=True, reason="enough")
    return Run(run.graph, run.run.id, state, dict(enumerate(run.run.steps)))


def test_a_stalled_run_that_is_to_be_cancelled_is_ended_by_the_worker_that_claims_it(drive: Drive) -> None:
    run = stalled(drive(flow(echo("a"), echo("b", ref("a")))))
    decision = decide(with_request(run), [Claimed()], run.now)
    assert isinstance(decision, Decision)
    assert [event.type for event in decision.events] == ["run.queued", "run.resumed", "run.cancelled"]
    assert (decision.state.reason, decision.release) == ("enough", True)


def test_a_stalled_run_is_cancelled_without_a_worker(drive: Drive) -> None:
    run = stalled(drive(flow(echo("a"), echo("b", ref("a")))))
    decision = decide(with_request(run), [CancelRequested("enough")], run.now)
    assert isinstance(decision, Decision)
    assert [event.type for event in decision.events] == ["run.cancelled"]


def test_a_cancel_comes_before_the_stalling_of_a_run_that_lost_its_last_worker(drive: Drive) -> None:
    run = drive(flow(echo("a")))
    run.claim()
    for _ in range(MAX_LOSSES - 1):
        run.claim_anew()
    assert run.run.state.status is RunStatus.RUNNING
    decision = decide(with_request(run), [Claimed()], run.now)
    assert isinstance(decision, Decision)
    assert decision.state.status is RunStatus.CANCELLED


@pytest.mark.parametrize("options", [{}, {"evaluate": "needed"}])
def test_ending_a_cancelled_run_reads_no_outputs(drive: Drive, options: dict[str, Any]) -> None:
    """A client without a worker relies on it."""
    default = OnError("continue", ref("a"))
    below = echo("below", ref("c"), when={"$expr": "$.steps.a.output == 1 or $.steps.b.status == 'failed'"})
    run = drive(flow(echo("a"), echo("b", ref("a"), on_crash="fail", on_error=default), echo("c"), below, **options))
    run.claim()
    run.succeed("a", 1)
    decision = decide(with_request(run), [Claimed()], run.now)
    assert isinstance(decision, Decision)
    assert decision.state.status is RunStatus.CANCELLED
    assert isinstance(decision.draft, Draft)
    assert decision.stop == [], "what ran was another worker's"


# Sleeps


def sleeps(run: Driver, key: str, for_ms: int) -> Decision:
    perform = run.performing.pop(key)
    return run.give(Slept(perform.step, perform.attempt, run.now + for_ms))


@pytest.mark.parametrize(("for_ms", "status"), [(300, "failed"), (200, "completed"), (100, "completed")])
def test_a_sleep_that_is_longer_than_its_step_may_take_times_out(drive: Drive, for_ms: int, status: str) -> None:
    run = drive(flow(echo("nap", timeout_ms=200)))
    run.claim()
    decision = sleeps(run, "nap", for_ms)
    assert decision.wake_at == run.now + min(for_ms, 200)
    run.now = decision.wake_at
    run.claim()
    assert run.status("nap") == status
    error = run.run.steps[0].error
    assert (error["code"] if error else None) == ("STEP_TIMEOUT" if status == "failed" else None)


def test_a_sleep_that_timed_out_is_tried_again(drive: Drive) -> None:
    run = drive(flow(echo("nap", timeout_ms=200, retry=quick_retry(2, 50))))
    run.claim()
    sleeps(run, "nap", 1000)
    run.now += 200
    assert run.claim().state.status is RunStatus.AWAITING_RETRY
    run.now += 50
    run.claim()
    sleeps(run, "nap", 100)
    run.now += 100
    assert run.claim().state.status is RunStatus.COMPLETED


def test_a_step_that_is_woken_twice_is_tried_once_and_then_waits_again(drive: Drive) -> None:
    patient = quick_retry(5, 1000)
    run = drive(flow(echo("a", 1, retry=patient), echo("b", 2, retry=patient), max_concurrency=1))
    run.claim()
    run.fail("a")
    run.fail("b")
    run.now += 1000
    run.claim_anew()
    run.give(Woken(0), Woken(1))  # its worker's timers ring too
    assert list(run.performing) == ["a"]
    run.fail("a")
    assert list(run.performing) == ["b"]
    run.fail("b")
    assert not run.performing
    assert set(run.statuses.values()) == {"awaiting_retry"}
