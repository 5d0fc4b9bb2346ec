"""Deciding: the order of starts, skips, failures, retries, time-outs, cancellation, lost workers."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from stepflow.core.decide import MAX_LOSSES, Missing, advance, decide
from stepflow.core.facts import (
    CancelRequested,
    Claimed,
    DeadlineReached,
    Failed,
    ReleaseRequested,
    Slept,
    StepSkipped,
    Stopped,
    Succeeded,
    Woken,
)
from stepflow.core.graph import build_graph
from stepflow.core.run import Run
from stepflow.core.transition import StepState
from stepflow.model.flow import OnError, RetryPolicy, Step
from stepflow.model.statuses import RunStatus, StepStatus
from tests.core.driver import BEGIN, Driver
from tests.support.flows import chain, echo, fan_out, flow, quick_retry, ref

Drive = Callable[..., Driver]


def test_steps_without_dependencies_start_together_and_a_join_waits_for_all(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b"), echo("join", [ref("a"), ref("b")])))
    run.claim()
    assert set(run.performing) == {"a", "b"}
    run.succeed("a", 1)
    assert run.status("join") == "pending"
    run.succeed("b", 2)
    assert run.performing["join"].input == [1, 2]
    decision = run.succeed("join", "done")
    assert decision.state.status is RunStatus.COMPLETED
    assert decision.output == '{"join":"done"}'
    assert decision.release


def test_an_end_and_the_start_of_its_successor_are_one_decision(drive: Drive) -> None:
    run = drive(chain(2))
    run.claim()
    decision = run.succeed("s0", 5)
    assert [event.type for event in decision.events] == ["step.completed", "step.started"]
    assert decision.perform[0].input == 5


def test_facts_that_are_ready_together_are_decided_together(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b"), echo("join", [ref("a"), ref("b")])))
    run.claim()
    decision = run.give(run.success("a", 1), run.success("b", 2))
    assert [event.type for event in decision.events] == ["step.completed", "step.completed", "step.started"]


def test_deciding_changes_nothing_but_its_answer(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b", ref("a")), echo("c", skip_if=ref("a"))))
    run.claim()
    before = copy.deepcopy(
        (run.run.state, run.run.steps, run.run.remaining, list(run.run.ready), run.run.running, run.run.values)
    )
    fact = run.success("a", True)
    first = decide(run.run, [fact], run.now)
    second = decide(run.run, [fact], run.now)
    after = (run.run.state, run.run.steps, run.run.remaining, list(run.run.ready), run.run.running, run.run.values)
    assert after == before
    assert not isinstance(first, Missing)
    assert not isinstance(second, Missing)
    assert first.events == second.events


def test_at_most_max_concurrency_steps_run(drive: Drive) -> None:
    run = drive(fan_out(7, max_concurrency=3))
    run.claim()
    assert len(run.performing) == 3
    run.succeed("s0")
    assert len(run.performing) == 3
    assert set(run.performing) == {"s1", "s2", "s3"}


def test_sequential_order_runs_one_after_another(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b"), echo("c"), order="sequential"))
    run.claim()
    assert set(run.performing) == {"a"}
    run.succeed("a")
    assert set(run.performing) == {"b"}


def test_a_true_skip_if_skips_and_what_needs_it_is_skipped_too(drive: Drive) -> None:
    run = drive(
        flow(
            echo("flag"),
            echo("skipped", "x", skip_if=ref("flag")),
            echo("follows", ref("skipped")),
            echo("after", ref("follows")),
            echo("default", ref("skipped", **{"$default": "instead"})),
        )
    )
    run.claim()
    run.succeed("flag", True)
    assert run.status("skipped") == run.status("follows") == run.status("after") == "skipped"
    assert run.run.steps[run.index("after")].reason == "step 'skipped' was skipped"
    assert run.performing["default"].input == "instead"


@pytest.mark.parametrize("value", [False, None, 0, ""])
def test_only_false_null_zero_and_empty_text_are_false(drive: Drive, value: object) -> None:
    run = drive(flow(echo("flag"), echo("step", skip_if=ref("flag"))))
    run.claim()
    run.succeed("flag", value)
    assert run.status("step") == "running"


@pytest.mark.parametrize("value", [[], {}, "no", -1])
def test_everything_else_is_true(drive: Drive, value: object) -> None:
    run = drive(flow(echo("flag"), echo("step", skip_if=ref("flag"))))
    run.claim()
    run.succeed("flag", value)
    assert run.status("step") == "skipped"


def test_a_condition_is_judged_before_the_other_dependencies_are_done(drive: Drive) -> None:
    run = drive(flow(echo("flag"), echo("slow"), echo("step", ref("slow"), skip_if=ref("flag"))))
    run.claim()
    run.succeed("flag", True)
    assert run.status("step") == "skipped"
    assert run.status("slow") == "running"


def test_a_condition_on_the_input_alone_is_judged_at_the_start(drive: Drive) -> None:
    step = echo("step", ref("slow"), skip_if={"$from": {"workflow": "input"}, "path": "skip"})
    run = drive(flow(echo("slow"), step), input={"skip": True})
    run.claim()
    assert run.status("step") == "skipped"


def test_a_failure_fails_what_needs_it_and_lets_other_branches_go_on(drive: Drive) -> None:
    run = drive(flow(echo("bad"), echo("below", ref("bad")), echo("deeper", ref("below")), echo("other")))
    run.claim()
    run.fail("bad")
    assert run.statuses == {"bad": "failed", "below": "failed", "deeper": "failed", "other": "running"}
    deeper = run.run.steps[run.index("deeper")].error
    assert deeper is not None
    assert deeper["code"] == "UPSTREAM_FAILED"
    assert deeper["details"]["by"] == "bad"
    decision = run.succeed("other")
    assert decision.state.status is RunStatus.FAILED
    assert decision.state.error == {
        "code": "BROKEN",
        "message": "it broke",
        "details": {"step_key": "bad", "failed": 3},
    }


def test_a_failed_dependency_by_order_fails_the_step(drive: Drive) -> None:
    run = drive(flow(echo("bad"), echo("after", depends_on=("bad",))))
    run.claim()
    run.fail("bad")
    assert run.status("after") == "failed"


def test_fail_fast_stops_what_runs_and_starts_nothing_more(drive: Drive) -> None:
    run = drive(flow(echo("bad"), echo("beside"), echo("later", ref("beside")), fail_fast=True))
    run.claim()
    decision = run.fail("bad")
    assert decision.stop == [run.index("beside")]
    decision = run.give(Stopped(run.index("beside"), 1))
    assert decision.state.status is RunStatus.FAILED
    assert run.statuses == {"bad": "failed", "beside": "cancelled", "later": "cancelled"}


def test_a_retry_waits_durably_and_gives_up_its_worker(drive: Drive) -> None:
    run = drive(flow(echo("flaky", retry=quick_retry(3, 500))))
    run.claim()
    decision = run.fail("flaky")
    assert [event.type for event in decision.events] == ["step.failed", "step.retry", "run.retry"]
    assert decision.release
    assert decision.wake_at == BEGIN + 500
    assert decision.state.status is RunStatus.AWAITING_RETRY
    run.now += 500
    run.claim()
    assert run.types[-3:] == ["run.queued", "run.resumed", "step.started flaky"]
    assert run.performing["flaky"].attempt == 2


def test_retries_end_with_max_attempts(drive: Drive) -> None:
    run = drive(flow(echo("flaky", retry=quick_retry(2, 5))))
    run.claim()
    run.fail("flaky")
    run.now += 5
    run.claim()
    decision = run.fail("flaky")
    assert decision.state.status is RunStatus.FAILED


def test_codes_that_are_not_in_on_are_not_retried(drive: Drive) -> None:
    policy = RetryPolicy(strategy="fixed", max_attempts=3, on=("HTTP_TIMEOUT",))
    run = drive(flow(echo("step", retry=policy)))
    run.claim()
    assert run.fail("step", code="OTHER").state.status is RunStatus.FAILED


def test_a_retry_beside_a_running_step_keeps_the_worker(drive: Drive) -> None:
    run = drive(flow(echo("flaky", retry=quick_retry(2, 50)), echo("long")))
    run.claim()
    decision = run.fail("flaky")
    assert not decision.release
    assert decision.state.status is RunStatus.RUNNING
    run.now += 50
    decision = run.give(Woken(run.index("flaky")))
    assert decision.perform[0].attempt == 2


def test_on_error_continue_completes_the_step_with_its_default(drive: Drive) -> None:
    on_error = OnError("continue", {"from": ref("a")})
    run = drive(flow(echo("a"), echo("step", ref("a"), on_error=on_error), echo("after", ref("step"))))
    run.claim()
    run.succeed("a", 1)
    decision = run.fail("step")
    assert [event.type for event in decision.events] == ["step.failed", "step.completed", "step.started"]
    assert run.performing["after"].input == {"from": 1}
    assert run.run.steps[run.index("step")].recovered
    assert run.succeed("after").state.status is RunStatus.COMPLETED


def test_on_error_skip_skips_the_step_after_its_failure(drive: Drive) -> None:
    run = drive(flow(echo("step", on_error=OnError("skip")), echo("after", ref("step"))))
    run.claim()
    decision = run.fail("step")
    assert [event.type for event in decision.events][:2] == ["step.failed", "step.skipped"]
    assert run.statuses == {"step": "skipped", "after": "skipped"}
    assert decision.state.status is RunStatus.COMPLETED


def test_on_error_does_not_cover_a_mistake_in_the_steps_own_input(drive: Drive) -> None:
    step = echo("step", ref("a", "missing"), on_error=OnError("continue", 1), retry=quick_retry(3))
    run = drive(flow(echo("a"), step))
    run.claim()
    decision = run.succeed("a", {})
    assert run.status("step") == "failed"
    assert decision.state.error is not None
    assert decision.state.error["code"] == "EXPRESSION_FAILED"


def test_a_component_can_skip_its_own_step(drive: Drive) -> None:
    run = drive(flow(echo("step")))
    run.claim()
    run.give(StepSkipped(0, 1, "nothing to do"))
    assert run.run.steps[0] == StepState(StepStatus.SKIPPED, 1, BEGIN, BEGIN, None, "nothing to do")


def test_a_sleep_is_a_timer_that_completes_its_step(drive: Drive) -> None:
    run = drive(flow(echo("nap"), echo("after", depends_on=("nap",))))
    run.claim()
    decision = run.give(Slept(0, 1, BEGIN + 3_600_000))
    assert decision.state.status is RunStatus.SLEEPING
    assert decision.wake_at == BEGIN + 3_600_000
    run.now += 3_600_000
    run.claim()
    assert run.statuses == {"nap": "completed", "after": "running"}


def test_a_wake_up_that_comes_too_early_changes_nothing(drive: Drive) -> None:
    run = drive(flow(echo("nap"), echo("other")))
    run.claim()
    run.give(Slept(0, 1, BEGIN + 1000))
    assert run.give(Woken(0)).events == []


def test_no_step_starts_after_a_cancel_request_and_one_event_ends_the_run(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b"), echo("after", ref("a"))))
    run.claim()
    decision = decide(run.run, [CancelRequested("enough")], run.now)
    assert not isinstance(decision, Missing)
    assert decision.stop == [0, 1]
    advance(run.run, decision)
    done = decide(run.run, [Succeeded(0, 1, None, "null"), Stopped(1, 1)], run.now)
    assert not isinstance(done, Missing)
    assert done.perform == []
    assert done.state.status is RunStatus.CANCELLED
    assert done.state.reason == "enough"
    assert [event.type for event in done.events] == ["step.completed", "step.cancelled", "run.cancelled"]
    assert done.steps[2].status is StepStatus.CANCELLED


def test_a_queued_run_is_cancelled_without_a_worker() -> None:
    run = Run(build_graph(chain(2)), "exec_test", Driver(chain(2)).run.state, {})
    decision = decide(run, [CancelRequested()], BEGIN)
    assert not isinstance(decision, Missing)
    assert [event.type for event in decision.events] == ["run.cancelled"]


def test_a_failure_while_cancelling_is_not_retried(drive: Drive) -> None:
    run = drive(flow(echo("flaky", retry=quick_retry(5))))
    run.claim()
    run.run.stopping = "cancel"
    decision = decide(run.run, [Failed(0, 1, {"code": "X", "message": "x"})], run.now)
    assert not isinstance(decision, Missing)
    assert decision.state.status is RunStatus.CANCELLED


def test_the_runs_timeout_stops_it(drive: Drive) -> None:
    run = drive(flow(echo("slow"), echo("after", ref("slow")), timeout_ms=1000))
    run.claim()
    assert run.run.deadline == BEGIN + 1000
    run.now += 1000
    assert run.give(DeadlineReached()).stop == [0]
    decision = run.give(Stopped(0, 1))
    assert decision.state.status is RunStatus.TIMED_OUT
    assert decision.state.error is not None
    assert decision.state.error["code"] == "WORKFLOW_TIMEOUT"


def test_a_waiting_run_is_due_at_its_deadline(drive: Drive) -> None:
    run = drive(flow(echo("nap"), timeout_ms=1000))
    run.claim()
    assert run.give(Slept(0, 1, BEGIN + 5000)).wake_at == BEGIN + 1000
    run.now += 1000
    assert run.claim().state.status is RunStatus.TIMED_OUT


def test_a_lost_worker_charges_no_attempt(drive: Drive) -> None:
    run = drive(flow(echo("step", retry=quick_retry(2))))
    run.claim()
    run.claim()
    assert run.types[-4:] == ["run.released", "run.resumed", "step.released step", "step.started step"]
    assert run.performing["step"].attempt == 1


def test_on_crash_fail_fails_a_step_whose_worker_died(drive: Drive) -> None:
    run = drive(flow(echo("step", on_crash="fail")))
    run.claim()
    decision = run.claim()
    assert decision.state.status is RunStatus.FAILED
    assert decision.state.error is not None
    assert decision.state.error["code"] == "WORKER_LOST"


@pytest.mark.parametrize(("on", "status"), [((), RunStatus.FAILED), (("WORKER_LOST",), RunStatus.AWAITING_RETRY)])
def test_what_must_not_run_twice_is_not_retried_when_its_worker_died_unless_told(
    drive: Drive, on: tuple[str, ...], status: RunStatus
) -> None:
    retry = RetryPolicy(strategy="fixed", max_attempts=3, base_delay_ms=50, on=on)
    run = drive(flow(echo("charge", on_crash="fail", retry=retry)))
    run.claim()
    assert run.claim().state.status is status


def test_a_default_that_has_no_value_is_said_and_the_step_fails_with_its_own_error(drive: Drive) -> None:
    default = OnError("continue", {"gone": ref("first", "nowhere")})
    run = drive(flow(echo("first"), echo("second", ref("first"), on_error=default)))
    run.claim()
    run.succeed("first", {})
    decision = run.fail("second")
    assert decision.state.error is not None
    assert decision.state.error["message"] == "it broke"
    (said,) = [event.payload for event in run.events if event.type == "log"]
    assert said == {
        "level": "warn",
        "message": "default_output has no value, so the step fails: Path $.nowhere not found in the output of step "
        "'first'",
    }


def test_the_fifth_loss_in_a_row_stalls_the_run(drive: Drive) -> None:
    run = drive(flow(echo("kills_its_worker")))
    run.claim()
    for _ in range(MAX_LOSSES - 1):
        run.claim()
        assert run.run.state.status is RunStatus.RUNNING
    decision = run.claim()
    assert decision.state.status is RunStatus.STALLED
    assert decision.release


def test_an_outcome_between_losses_starts_the_count_anew(drive: Drive) -> None:
    run = drive(chain(2))
    run.claim()
    for _ in range(MAX_LOSSES - 1):
        run.claim()
    run.succeed("s0", 0)
    assert run.run.state.losses == 0


def test_late_outcomes_change_nothing(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b")))
    run.claim()
    late = run.success("a", 1)
    run.give(late)
    assert run.give(late).events == []


def test_a_worker_that_stops_gives_the_run_back(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b", ref("a"))))
    run.claim()
    assert run.give(ReleaseRequested()).events == []
    decision = run.succeed("a", 1)
    assert decision.perform == []
    assert [event.type for event in decision.events] == ["step.completed", "run.released"]
    assert decision.state.status is RunStatus.QUEUED
    run.run.stopping = None
    run.claim()
    assert run.status("b") == "running"


def test_outputs_that_are_not_at_hand_are_asked_for_together(drive: Drive) -> None:
    graph = build_graph(flow(echo("a"), echo("b"), echo("join", [ref("a"), ref("b")])))
    done = StepState(StepStatus.COMPLETED, 1, BEGIN, BEGIN)
    run = Run(graph, "exec_test", Driver(chain(1)).run.state, {0: done, 1: done})
    answer = decide(run, [Claimed()], BEGIN)
    assert answer == Missing(frozenset({0, 1}))
    run.values.update({0: "x", 1: "y"})
    decision = decide(run, [Claimed()], BEGIN)
    assert not isinstance(decision, Missing)
    assert decision.perform[0].input == ["x", "y"]


def test_an_output_nobody_needs_any_more_is_dropped_from_memory(drive: Drive) -> None:
    run = drive(chain(3))
    run.claim()
    run.succeed("s0", "big")
    run.succeed("s1", "big")
    assert set(run.run.values) == {1}


def test_an_output_that_touches_a_skipped_step_is_null_and_marked(drive: Drive) -> None:
    run = drive(flow(echo("a", skip_if=True), output=ref("a"), has_output=True))
    decision = run.claim()
    assert decision.state.status is RunStatus.COMPLETED
    assert decision.output == "null"
    assert decision.state.output_skipped


def test_a_missing_path_in_the_output_fails_the_run(drive: Drive) -> None:
    run = drive(flow(echo("a"), output=ref("a", "nowhere"), has_output=True))
    run.claim()
    decision = run.succeed("a", {})
    assert decision.state.status is RunStatus.FAILED


def test_a_long_chain_of_skips_does_not_recurse(drive: Drive) -> None:
    length = 3000
    steps: list[Step] = [echo("s0", skip_if=True)]
    steps += [echo(f"s{index}", ref(f"s{index - 1}")) for index in range(1, length)]
    run = drive(flow(*steps))
    run.claim()
    assert run.run.state.status is RunStatus.COMPLETED
