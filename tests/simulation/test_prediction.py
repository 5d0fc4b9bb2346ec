"""What a simulation predicts from history: durations, and the path that they add up along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepflow.simulate.planned import History, Plan
from tests.simulation.test_simulator import HOUR, MINUTE, SECOND, simulated, sleep, work


def path_of(*steps: dict[str, Any], **options: Any) -> list[str]:
    return list(simulated(*steps, **options).predicted.critical_path)


def remembering(executions: int = 1, **durations_ms: list[int]) -> Plan:
    return Plan(history=History(durations_ms, {}, executions))


# The critical path


def test_it_leads_through_the_dependency_that_ended_last() -> None:
    steps = [work("short", "1s"), work("long", "9s"), work("join", "1s", "short", "long"), work("other", "5s")]
    assert path_of(*steps) == ["long", "join"]


def test_it_leads_through_the_step_whose_slot_was_waited_for() -> None:
    steps = [work("first", "10s"), work("second", "3s"), work("third", "4s"), work("fourth", "5s", "third")]
    assert path_of(*steps, max_concurrency=1) == ["first", "second", "third", "fourth"]
    assert path_of(*steps, max_concurrency=2) == ["second", "third", "fourth"]


def test_it_leads_through_a_step_that_was_skipped_to_what_that_waited_for() -> None:
    steps = [
        work("judged", "1h"),
        work("skipped", "1m", skip_if='$.steps.judged.status == "completed"'),
        work("after", "1m", "skipped"),
        work("other", "1m"),
    ]
    assert path_of(*steps) == ["judged", "after"]


def test_it_leads_through_all_attempts_of_a_step_to_what_the_first_waited_for() -> None:
    flaky = work("flaky", "1s", "before", error="BUSY", retry={"max_attempts": 3, "delay": "1m"})
    assert path_of(work("before", "1s"), flaky, work("other", "1m")) == ["before", "flaky"]


def test_a_step_stands_there_twice_if_it_waited_for_a_slot_between_two_attempts() -> None:
    flaky = work("flaky", "1s", error="BUSY", retry={"max_attempts": 2, "delay": "1s", "strategy": "fixed"})
    assert path_of(flaky, work("beside", "1m"), max_concurrency=1) == ["flaky", "beside", "flaky"]


def test_it_leads_through_a_sleep_and_through_a_slot_that_a_sleep_gave_up() -> None:
    assert path_of(sleep("nap", "1h"), work("after", "1m", "nap"), work("other", "30m")) == ["nap", "after"]
    assert path_of(work("other", "1s"), sleep("nap", "1s"), work("last", "1h"), max_concurrency=1) == [
        "other",
        "nap",
        "last",
    ]


def test_it_leads_through_the_choice_that_made_a_step_needed() -> None:
    steps = [work("flag", "1m", simulate={"duration": "1m", "output": True}), work("yes", "1m"), work("no", "1m")]
    output = {"$if": "$.steps.flag.output", "then": "$.steps.yes.output", "else": "$.steps.no.output"}
    assert path_of(*steps, output=output, evaluate="needed") == ["flag", "yes"]


def test_it_ends_in_what_was_under_way_when_the_time_was_over() -> None:
    assert path_of(work("done", "1m"), sleep("nap", "1h", "done"), timeout="10m") == ["done", "nap"]
    assert path_of(work("skipped", "1m", skip_if=True)) == []


# Durations


def test_durations_are_the_median_and_nearly_the_worst_of_each_step() -> None:
    steps = [{"id": "a", "component": "/user/a"}, {"id": "b", "component": "/user/b", "depends_on": ["a"]}]
    plan = remembering(21, a=[10 * SECOND] * 18 + [60 * SECOND] * 3, b=list(range(1000, 1021)))
    predicted = simulated(*steps, plan=plan).predicted
    assert predicted.median_ms == 10 * SECOND + 1010
    assert predicted.p95_ms == 60 * SECOND + 1019
    assert predicted.executions == 21


def test_what_waits_holds_no_slot_for_as_long_as_history_says() -> None:
    def predicted(waiting: Mapping[str, Any], **durations_ms: list[int]) -> int:
        beside = {"id": "beside", "component": "/user/work"}
        plan = remembering(waiting=[HOUR], beside=[50 * MINUTE], **durations_ms)
        return simulated({"id": "waiting", **waiting}, beside, max_concurrency=1, plan=plan).predicted.median_ms

    children = {"workflow": {"steps": [{"id": "inner", "component": "/user/work"}]}, "items": [1, 2]}
    assert predicted({"type": "map", "input": children}) == HOUR
    assert predicted({"type": "approval", "input": {"name": "go"}}) == HOUR
    assert predicted({"type": "sleep", "input": {"duration": "1h"}}) == HOUR
    assert predicted({"component": "/user/work"}) == HOUR + 50 * MINUTE


def test_a_signal_that_always_came_too_late_does_so_again() -> None:
    waiting = {"id": "waiting", "type": "wait_event", "input": {"name": "go", "timeout": "10m"}}
    made = simulated(waiting, plan=remembering(waiting=[HOUR]))
    assert made.output == {"waiting": {"received": False, "timeout": True, "data": None}}
    assert made.duration_ms == 10 * MINUTE
    assert simulated(waiting).output == {"waiting": {"received": True, "timeout": False, "data": None}}


def test_a_sleep_that_is_told_its_duration_takes_that() -> None:
    assert simulated(sleep("nap", "30d", simulate={"duration": "1h"})).duration_ms == HOUR
