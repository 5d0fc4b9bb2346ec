"""`evaluate: needed`, decided by hand: what nobody needs never starts; what is needed is found as the run goes on."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from stepflow.core.decide import Decision, advance, decide
from stepflow.core.facts import (
    Awaiting,
    Claimed,
    DeadlineReached,
    Failed,
    ReleaseRequested,
    Signalled,
    Succeeded,
)
from stepflow.core.graph import build_graph
from stepflow.core.run import Run
from stepflow.core.transition import NOT_NEEDED, RunState
from stepflow.model import jsontext
from stepflow.model.event import EventType
from stepflow.model.flow import Flow, OnError, Step
from stepflow.model.statuses import RunStatus
from tests.core.driver import Driver
from tests.support.flows import echo, flow, quick_retry, ref

Drive = Callable[..., Driver]


def needed(*steps: Step, output: Any, **options: Any) -> Flow:
    return flow(*steps, evaluate="needed", output=output, has_output=True, **options)


def choice(condition: Any, then: Any, otherwise: Any) -> dict[str, Any]:
    return {"$if": condition, "then": then, "else": otherwise}


def status_ref(step: str) -> dict[str, Any]:
    return {"$from": {"step": step, "part": "status"}}


def not_needed(run: Driver) -> set[str]:
    return {node.key for node in run.graph.nodes if run.run.steps[node.index].reason == NOT_NEEDED}


def finish(run: Driver, values: Callable[[str], Any] = lambda key: key) -> Decision:
    """Let every step that is performed succeed, the eldest first."""
    assert run.last is not None
    while run.performing:
        key = next(iter(run.performing))
        run.succeed(key, values(key))
    return run.last


# What is needed


def test_a_branch_that_is_not_taken_never_starts(drive: Drive) -> None:
    output = choice(ref("flag"), ref("yes"), ref("no"))
    run = drive(needed(echo("flag"), echo("yes", ref("deep")), echo("deep"), echo("no"), output=output))
    run.claim()
    assert set(run.performing) == {"flag"}, "a branch is known only when it is taken"
    run.succeed("flag", False)
    assert set(run.performing) == {"no"}
    decision = run.succeed("no", 7)
    assert decision.state.status is RunStatus.COMPLETED
    assert decision.output == "7"
    assert run.statuses == {"flag": "completed", "yes": "skipped", "deep": "skipped", "no": "completed"}
    assert not_needed(run) == {"yes", "deep"}
    assert not any("yes" in line or "deep" in line for line in run.types), "the final event says it for them"


def test_the_branch_that_is_taken_brings_what_it_needs(drive: Drive) -> None:
    output = choice(ref("flag"), ref("yes"), 0)
    run = drive(needed(echo("flag"), echo("yes", ref("deep")), echo("deep"), echo("no"), output=output))
    run.claim()
    run.succeed("flag", 1)
    assert set(run.performing) == {"deep"}
    run.succeed("deep", "d")
    assert run.performing["yes"].input == "d"
    assert run.succeed("yes", "y").output == '"y"'
    assert not_needed(run) == {"no"}


def test_a_choice_inside_a_steps_input_is_made_when_the_step_is_wanted(drive: Drive) -> None:
    chooser = echo("chooser", choice(ref("flag"), ref("left"), ref("right")))
    run = drive(needed(echo("flag"), echo("left"), echo("right"), chooser, output=ref("chooser")))
    run.claim()
    run.succeed("flag", True)
    run.succeed("left", "L")
    assert run.performing["chooser"].input == "L"
    run.succeed("chooser")
    assert not_needed(run) == {"right"}


def test_an_expression_that_chooses_needs_one_side_only(drive: Drive) -> None:
    output = {"$expr": "$.steps.left.output if $.steps.flag.output > 1 else $.steps.right.output"}
    run = drive(needed(echo("flag"), echo("left"), echo("right"), output=output))
    run.claim()
    assert set(run.performing) == {"flag"}
    run.succeed("flag", 1)
    assert set(run.performing) == {"right"}


def test_coalesce_goes_on_to_the_next_only_past_null_and_skipped(drive: Drive) -> None:
    steps = (echo("skips", when=False), echo("null"), echo("third"), echo("fourth"))
    run = drive(needed(*steps, output={"$coalesce": [ref("skips"), ref("null"), ref("third"), ref("fourth")]}))
    run.claim()
    assert run.status("skips") == "skipped"
    assert set(run.performing) == {"null"}
    run.succeed("null", None)
    assert set(run.performing) == {"third"}
    decision = run.succeed("third", 3)
    assert decision.output == "3"
    assert not_needed(run) == {"fourth"}


def test_a_default_is_needed_only_when_its_step_was_skipped(drive: Drive) -> None:
    output = [ref("runs", **{"$default": ref("a")}), ref("skips", **{"$default": ref("b")})]
    run = drive(needed(echo("runs"), echo("skips", when=False), echo("a"), echo("b"), output=output))
    run.claim()
    finish(run)
    assert run.statuses == {"runs": "completed", "skips": "skipped", "a": "skipped", "b": "completed"}
    assert not_needed(run) == {"a"}


def test_a_choice_does_not_wait_for_another_beside_it(drive: Drive) -> None:
    output = [choice(ref("slow"), ref("a"), None), choice(ref("quick"), ref("b"), None)]
    run = drive(needed(echo("slow"), echo("quick"), echo("a"), echo("b"), output=output))
    run.claim()
    run.succeed("quick", True)
    assert set(run.performing) == {"slow", "b"}


def test_a_constant_output_needs_nothing_at_all(drive: Drive) -> None:
    run = drive(needed(echo("a"), echo("b", ref("a")), output={"ok": True}))
    decision = run.claim()
    assert decision.state.status is RunStatus.COMPLETED
    assert decision.output == '{"ok":true}'
    assert not_needed(run) == {"a", "b"}


def test_without_an_output_the_steps_nobody_depends_on_are_needed(drive: Drive) -> None:
    run = drive(flow(echo("a"), echo("b", ref("a")), echo("c", when=ref("a")), evaluate="needed"))
    run.claim()
    run.succeed("a", False)
    assert run.succeed("b", 2).output == '{"b":2}'
    assert run.status("c") == "skipped"
    assert not_needed(run) == set()


def test_must_execute_steps_run_with_all_they_need(drive: Drive) -> None:
    run = drive(needed(echo("a"), echo("b"), echo("must", ref("b"), must_execute=True), echo("c"), output=ref("a")))
    run.claim()
    assert set(run.performing) == {"a", "b"}
    run.succeed("a", 1)
    assert run.run.state.status is RunStatus.RUNNING, "the output is known, and a step must still be executed"
    finish(run)
    assert run.run.state.status is RunStatus.COMPLETED
    assert not_needed(run) == {"c"}


def test_a_step_that_many_want_starts_once(drive: Drive) -> None:
    wide = [echo(f"w{index}", [ref("base"), ref("other")]) for index in range(20)]
    output = [*(ref(f"w{index}") for index in range(20)), ref("base"), ref("base")]
    must = echo("must", ref("base"), must_execute=True)
    run = drive(needed(echo("base"), echo("other", ref("base")), *wide, must, output=output, max_concurrency=3))
    run.claim()
    finish(run)
    starts = Counter(line for line in run.types if line.startswith("step.started"))
    assert len(starts) == 23
    assert set(starts.values()) == {1}
    assert run.run.state.status is RunStatus.COMPLETED


def test_sequential_order_wants_the_steps_above_and_none_below(drive: Drive) -> None:
    run = drive(needed(echo("a"), echo("b"), echo("c"), echo("d"), output=ref("c"), order="sequential"))
    run.claim()
    for key in "abc":
        assert set(run.performing) == {key}, "one after another"
        run.succeed(key, key)
    assert run.run.state.status is RunStatus.COMPLETED
    assert not_needed(run) == {"d"}


def test_depends_on_is_a_need_too(drive: Drive) -> None:
    run = drive(needed(echo("first"), echo("second", depends_on=("first",)), output=ref("second")))
    run.claim()
    assert set(run.performing) == {"first"}
    finish(run)
    assert run.statuses == {"first": "completed", "second": "completed"}


def test_at_most_max_concurrency_needed_steps_run(drive: Drive) -> None:
    steps = [echo(f"s{index}") for index in range(7)]
    run = drive(needed(*steps, output=[ref(step.key) for step in steps], max_concurrency=2))
    run.claim()
    while run.performing:
        assert len(run.performing) <= 2
        run.succeed(next(iter(run.performing)))
    assert run.run.state.status is RunStatus.COMPLETED


# Conditions


def test_a_condition_is_judged_before_anything_else_is_wanted_for_its_step(drive: Drive) -> None:
    judged = echo("judged", ref("expensive"), when=ref("flag"))
    run = drive(needed(echo("flag"), echo("expensive"), judged, output=ref("judged", **{"$default": "none"})))
    run.claim()
    assert set(run.performing) == {"flag"}
    assert run.succeed("flag", False).output == '"none"'
    assert not_needed(run) == {"expensive"}


def test_a_condition_is_judged_once(drive: Drive) -> None:
    """Each judgement of this one warns, so they can be counted."""
    missing = {"$expr": "$.steps.flag.output.missing != 1"}
    judged = echo("judged", [ref("one"), choice(ref("two"), ref("three"), None)], when=missing)
    steps = (echo("flag"), echo("one"), echo("two"), echo("three"))
    run = drive(needed(*steps, judged, output=[ref("judged"), ref("judged")]))
    run.claim()
    finish(run)
    assert run.statuses["judged"] == "completed"
    warnings = [event for event in run.events if event.type == EventType.LOG]
    assert [event.payload["level"] for event in warnings if event.payload] == ["warn"]


def test_a_condition_that_cannot_be_judged_fails_its_step(drive: Drive) -> None:
    run = drive(needed(echo("a"), echo("b", when={"$expr": "$.steps.a.output / 0 > 1"}), output=ref("b")))
    run.claim()
    decision = run.succeed("a", 1)
    assert decision.state.status is RunStatus.FAILED
    assert decision.state.error is not None
    assert decision.state.error["code"] == "EXPRESSION_FAILED"
    assert decision.state.error["details"]["step_key"] == "b"


def test_a_chain_of_skips_reaches_the_output(drive: Drive) -> None:
    run = drive(needed(echo("a", when=False), echo("b", ref("a")), echo("c", ref("b")), output=ref("c")))
    decision = run.claim()
    assert decision.state.status is RunStatus.COMPLETED
    assert decision.state.output_skipped
    assert run.run.steps[2].reason == "step 'a' was skipped"


# Failures


def test_a_failed_step_that_the_output_does_not_need_does_not_fail_the_run(drive: Drive) -> None:
    output = choice({"$expr": "$.steps.probe.status == 'failed'"}, ref("plan_b"), ref("probe"))
    run = drive(needed(echo("probe"), echo("plan_b"), output=output))
    run.claim()
    run.fail("probe")
    decision = run.succeed("plan_b", "b")
    assert decision.state.status is RunStatus.COMPLETED
    assert decision.output == '"b"'
    assert decision.state.error is None
    assert run.status("probe") == "failed"


def test_an_output_that_needs_a_failed_step_fails_with_the_first_that_failed_by_itself(drive: Drive) -> None:
    output = {"late": ref("late"), "below": ref("below")}
    run = drive(
        needed(echo("root"), echo("middle", ref("root")), echo("below", ref("middle")), echo("late"), output=output)
    )
    run.claim()
    run.fail("root", "BROKEN", "the root broke")
    decision = run.fail("late", "LATE", "it broke later")
    assert decision.state.status is RunStatus.FAILED
    error = decision.state.error
    assert error is not None
    assert (error["code"], error["message"]) == ("BROKEN", "the root broke")
    assert error["details"] == {"step_key": "root", "failed": 4}
    below = run.run.steps[run.index("below")].error
    assert below is not None
    assert (below["code"], below["details"]["by"]) == ("UPSTREAM_FAILED", "root")


def test_a_failed_must_execute_step_fails_the_run_though_its_output_is_known(drive: Drive) -> None:
    run = drive(needed(echo("a"), echo("must", must_execute=True), output=ref("a")))
    run.claim()
    run.succeed("a", 1)
    decision = run.fail("must", "DUTY", "not done")
    assert decision.state.status is RunStatus.FAILED
    assert decision.state.error is not None
    assert decision.state.error["code"] == "DUTY"
    assert decision.output is None


def test_a_branch_behind_a_failed_condition_fails_the_run(drive: Drive) -> None:
    run = drive(needed(echo("flag"), echo("yes"), echo("no"), output=choice(ref("flag"), ref("yes"), ref("no"))))
    run.claim()
    decision = run.fail("flag")
    assert decision.state.status is RunStatus.FAILED
    assert run.statuses == {"flag": "failed", "yes": "cancelled", "no": "cancelled"}


def test_a_coalesce_item_that_failed_fails_it_and_wants_no_other(drive: Drive) -> None:
    run = drive(needed(echo("a"), echo("b"), output={"$coalesce": [ref("a"), ref("b")]}))
    run.claim()
    assert run.fail("a").state.status is RunStatus.FAILED
    assert "step.started b" not in run.types


def test_a_needed_step_is_retried_and_waits_without_a_worker(drive: Drive) -> None:
    run = drive(needed(echo("a", retry=quick_retry(2, 50)), echo("never"), output=ref("a")))
    run.claim()
    decision = run.fail("a")
    assert decision.state.status is RunStatus.AWAITING_RETRY
    assert decision.release
    run.now += 50
    run.claim_anew()
    assert run.performing["a"].attempt == 2
    assert run.succeed("a", 2).output == "2"
    assert not_needed(run) == {"never"}


def test_on_error_continue_has_its_default_at_hand_when_the_step_fails(drive: Drive) -> None:
    default = echo("a", on_error=OnError("continue", {"instead": ref("spare")}))
    run = drive(needed(default, echo("spare"), echo("never"), output=ref("a")))
    run.claim()
    assert set(run.performing) == {"spare"}, "the default's reference is wanted first"
    run.succeed("spare", 1)
    assert run.fail("a").output == '{"instead":1}'


def test_fail_fast_stops_what_is_under_way(drive: Drive) -> None:
    run = drive(needed(echo("a"), echo("b"), echo("c", ref("b")), output=[ref("a"), ref("c")], fail_fast=True))
    run.claim()
    decision = run.fail("a")
    assert decision.stop == [run.index("b")]
    decision = run.succeed("b")
    assert decision.state.status is RunStatus.FAILED
    assert "step.started c" not in run.types


# Waits


def test_a_needed_step_waits_for_its_signal_and_nobody_elses_start(drive: Drive) -> None:
    run = drive(needed(echo("ask"), echo("then", ref("ask", "data")), echo("never"), output=ref("then")))
    run.claim()
    asked = run.performing.pop("ask")
    decision = run.give(Awaiting(asked.step, asked.attempt, "go"))
    assert decision.state.status is RunStatus.WAITING
    assert decision.release
    run.run.signals.append(Signalled(1, "go", 5))
    decision = run.claim_anew()
    assert decision.consumed == [1]
    assert run.performing["then"].input == 5
    finish(run)
    assert run.run.state.status is RunStatus.COMPLETED


def test_a_run_that_waits_is_not_done_though_its_output_is_known(drive: Drive) -> None:
    run = drive(needed(echo("a"), echo("must", must_execute=True), output=ref("a")))
    run.claim()
    asked = run.performing.pop("must")
    run.give(Awaiting(asked.step, asked.attempt, "go", until=run.now + 10))
    assert run.succeed("a").state.status is RunStatus.WAITING
    run.now += 10
    assert run.claim_anew().state.status is RunStatus.COMPLETED


def test_the_runs_timeout_ends_what_is_open(drive: Drive) -> None:
    run = drive(needed(echo("a"), echo("b", ref("a")), echo("c"), output=ref("b"), timeout_ms=5))
    run.claim()
    run.now += 5
    run.give(DeadlineReached())
    decision = run.succeed("a")
    assert decision.state.status is RunStatus.TIMED_OUT
    assert run.statuses == {"a": "completed", "b": "cancelled", "c": "cancelled"}


# Another worker


def two_choices() -> Flow:
    """Two choices in a row, a must_execute beside them, a retry and a skip."""
    return needed(
        echo("flag"),
        echo("left", [ref("base"), ref("skips", **{"$default": ref("spare")})]),
        echo("right"),
        echo("base", retry=quick_retry(3)),
        echo("skips", ref("right"), skip_if=ref("flag")),
        echo("spare"),
        echo("chooser", choice(ref("left", "[0]"), {"$coalesce": [ref("null"), ref("last")]}, ref("right"))),
        echo("null"),
        echo("last"),
        echo("must", ref("flag"), must_execute=True),
        output={"result": choice(ref("flag"), ref("chooser"), ref("right"))},
    )


def two_choices_value(key: str) -> Any:
    return {"flag": True, "left": ["x"], "null": None}.get(key, key)


def test_another_worker_goes_on_from_any_moment(drive: Drive) -> None:
    undisturbed = drive(two_choices())
    undisturbed.claim()
    expected = finish(undisturbed, two_choices_value)
    assert not_needed(undisturbed) == {"right"}
    moments = sum(line.startswith("step.completed") for line in undisturbed.types)
    for moment in range(moments):
        for releases in (False, True):
            run = drive(two_choices())
            run.claim()
            for _ in range(moment):
                key = next(iter(run.performing))
                run.succeed(key, two_choices_value(key))
            if releases:
                run.give(ReleaseRequested())
                for key in list(run.performing):
                    run.succeed(key, two_choices_value(key))
            if not run.run.state.status.is_final:
                run.claim_anew()
            decision = finish(run, two_choices_value)
            assert decision.output == expected.output, (moment, releases)
            assert run.statuses == undisturbed.statuses
            assert not_needed(run) == {"right"}
            attempts = {state.attempt for state in run.run.steps if state.status.value == "completed"}
            assert attempts == {1}, "a lost worker charges no attempt"


def test_a_worker_lost_every_time_loses_no_step(drive: Drive) -> None:
    run = drive(two_choices())
    run.claim()
    while run.performing:
        run.claim_anew()
        key = next(iter(run.performing))
        run.succeed(key, two_choices_value(key))
    assert run.run.state.status is RunStatus.COMPLETED
    completions = Counter(line for line in run.types if line.startswith("step.completed"))
    assert set(completions.values()) == {1}


def test_a_cancelled_run_is_ended_by_whoever_comes_without_reading_an_output(drive: Drive) -> None:
    """As the client does where no worker lives: it must not have to know what the output would have needed."""
    run = drive(needed(echo("flag"), echo("yes"), echo("no"), output=choice(ref("flag"), ref("yes"), ref("no"))))
    run.claim()
    run.succeed("flag", True)
    requested = msgspec.structs.replace(run.run.state, cancel_requested=True, reason="enough")
    other = Run(run.graph, run.run.id, requested, dict(enumerate(run.run.steps)))
    decision = decide(other, [Claimed()], run.now)
    assert isinstance(decision, Decision)
    assert decision.state.status is RunStatus.CANCELLED


# Size


@pytest.mark.full
def test_a_chain_of_ten_thousand_needed_steps_is_no_recursion() -> None:
    length = 10_000
    steps = [echo("s0"), *(echo(f"s{index}", ref(f"s{index - 1}")) for index in range(1, length)), echo("unneeded")]
    graph = build_graph(needed(*steps, output=ref(f"s{length - 1}")))
    run = Run(graph, "exec_chain", RunState(), {})

    def give(run: Run, fact: Any) -> Decision:
        decision = decide(run, [fact], 1)
        assert isinstance(decision, Decision)
        advance(run, decision)
        return decision

    decision = give(run, Claimed())
    for index in range(length):
        if index == length // 2:
            run = Run(graph, run.id, run.state, dict(enumerate(run.steps)))
            run.values[index - 1] = index - 1
            decision = give(run, Claimed())
        (perform,) = decision.perform
        assert (perform.step, perform.input) == (index, index - 1 if index else None)
        decision = give(run, Succeeded(index, 1, index, str(index)))
    assert decision.state.status is RunStatus.COMPLETED
    assert decision.output == str(length - 1)
    assert run.steps[length].reason == NOT_NEEDED


@pytest.mark.full
def test_a_failure_at_the_root_of_a_long_chain_is_no_recursion() -> None:
    length = 10_000
    steps = [echo("s0"), *(echo(f"s{index}", ref(f"s{index - 1}")) for index in range(1, length))]
    run = Run(build_graph(needed(*steps, output=ref(f"s{length - 1}"))), "exec_chain", RunState(), {})
    decision = decide(run, [Claimed()], 1)
    assert isinstance(decision, Decision)
    advance(run, decision)
    decision = decide(run, [Failed(0, 1, {"code": "BROKEN", "message": "it broke"})], 1)
    assert isinstance(decision, Decision)
    assert decision.state.status is RunStatus.FAILED
    assert decision.state.error is not None
    assert decision.state.error["details"]["failed"] == length


# Chance


VALUES = [None, False, True, 0, 1, "text", [], {"a": 1}]


def random_value(chance: random.Random, keys: list[str], depth: int = 0) -> Any:
    kind = chance.randrange(7 if depth < 3 else 3)
    if kind == 0 or not keys:
        return chance.choice(VALUES)
    if kind <= 2:
        default = {"$default": random_value(chance, keys, depth + 1)} if chance.random() < 0.3 else {}
        return ref(chance.choice(keys), **default)
    if kind == 3:
        return [random_value(chance, keys, depth + 1) for _ in range(chance.randrange(3))]
    if kind == 4:
        return {"$coalesce": [random_value(chance, keys, depth + 1) for _ in range(chance.randrange(1, 4))]}
    if kind == 5:
        return status_ref(chance.choice(keys))
    return choice(*(random_value(chance, keys, depth + 1) for _ in range(3)))


def random_steps(chance: random.Random) -> list[Step]:
    """In any order, with references to earlier ones of a hidden order."""
    steps: list[Step] = []
    for index in range(chance.randrange(1, 9)):
        keys = [step.key for step in steps]
        options: dict[str, Any] = {}
        if chance.random() < 0.3:
            options[chance.choice(["when", "skip_if"])] = random_value(chance, keys, 2)
        if chance.random() < 0.2 and keys:
            options["depends_on"] = (chance.choice(keys),)
        steps.append(echo(f"s{index}", random_value(chance, keys), must_execute=chance.random() < 0.1, **options))
    chance.shuffle(steps)
    return steps


def perform_all(run: Driver, chance: random.Random, seed: int, *, lose_workers: bool) -> Driver:
    """Every step gives what its key and the seed say; workers are lost by chance."""
    run.claim()
    while run.performing:
        key = chance.choice(list(run.performing))
        run.succeed(key, random.Random(f"{seed}/{key}").choice(VALUES))
        if lose_workers and not run.run.state.status.is_final and chance.random() < 0.2:
            run.claim_anew()
    return run


@pytest.mark.parametrize("block", range(4))
def test_random_flows_give_the_same_output_whether_all_or_only_the_needed_is_done(drive: Drive, block: int) -> None:
    """The seed of a failure is in its message; of what is needed no more is done than of all."""
    skipped_something = 0
    for seed in range(block * 250, block * 250 + 250):
        chance = random.Random(seed)
        steps = random_steps(chance)
        output = random_value(chance, [step.key for step in steps])
        made = flow(*steps, output=output, has_output=True)
        everything = perform_all(drive(made), chance, seed, lose_workers=False)
        lazy_flow = flow(*steps, output=output, has_output=True, evaluate="needed")
        lazy = perform_all(drive(lazy_flow), chance, seed, lose_workers=seed % 2 == 0)
        assert lazy.last is not None
        assert everything.last is not None
        assert lazy.run.state.status is RunStatus.COMPLETED, seed
        assert lazy.last.output == everything.last.output, seed
        assert lazy.run.state.output_skipped == everything.run.state.output_skipped, seed
        done, all_done = set(lazy.outputs), set(everything.outputs)
        assert done <= all_done, seed
        for step in done:
            assert jsontext.decode(lazy.outputs[step]) == jsontext.decode(everything.outputs[step]), seed
        skipped_something += done < all_done
    assert skipped_something > 50, "the flows are too simple to show anything"
