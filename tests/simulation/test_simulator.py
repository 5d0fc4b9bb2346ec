"""Time in simulations: what a run waits for, and how long, on a clock that nobody waits for."""

from __future__ import annotations

from typing import Any

from stepflow.dsl.validate import read_flow
from stepflow.model.flow import Flow
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.simulate.planned import Plan
from stepflow.simulate.report import Simulation
from stepflow.workbench import Workbench

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def written(*steps: dict[str, Any], **options: Any) -> Flow:
    read = read_flow({"name": "timed", "steps": list(steps), **options})
    assert read.flow is not None, read.diagnostics
    return read.flow


def simulated(*steps: dict[str, Any], plan: Plan | None = None, **options: Any) -> Simulation:
    return Workbench(None).simulate(written(*steps, **options), {}, plan)


def work(key: str, duration: str, *after: str, error: str | None = None, **options: Any) -> dict[str, Any]:
    """A step that takes so long."""
    told = {"duration": duration, **({"output": None} if error is None else {"error": {"code": error}})}
    return {"id": key, "component": "/user/work", "depends_on": list(after), "simulate": told, **options}


def sleep(key: str, duration: str, *after: str, **options: Any) -> dict[str, Any]:
    return {"id": key, "type": "sleep", "input": {"duration": duration}, "depends_on": list(after), **options}


def spans(made: Simulation) -> dict[str, tuple[int | None, int | None]]:
    return {step.key: (step.started_at, step.finished_at) for step in made.steps}


# Waits


def test_a_month_of_sleep_is_only_a_number() -> None:
    made = simulated(work("before", "1h"), sleep("nap", "30d", "before"), work("after", "1h", "nap"))
    assert made.status is RunStatus.COMPLETED
    assert made.duration_ms == 30 * DAY + 2 * HOUR
    assert spans(made)["after"] == (30 * DAY + HOUR, 30 * DAY + 2 * HOUR)


def test_the_waits_between_retries_count() -> None:
    retry = {"max_attempts": 4, "delay": "1s", "factor": 3}
    made = simulated(work("flaky", "10s", error="BUSY", retry=retry))
    assert made.status is RunStatus.FAILED
    assert made.duration_ms == 4 * 10 * SECOND + (1 + 3 + 9) * SECOND
    assert made.steps[0].attempts == 4


def test_an_attempt_ends_at_its_timeout_and_is_tried_again() -> None:
    retry = {"max_attempts": 2, "delay": "1s", "strategy": "fixed"}
    for slow in (work("slow", "1h", timeout="5m", retry=retry), sleep("slow", "1h", timeout="5m", retry=retry)):
        made = simulated(slow)
        assert made.steps[0].error is not None
        assert made.steps[0].error["code"] == "STEP_TIMEOUT"
        assert made.duration_ms == 10 * MINUTE + SECOND


def test_the_runs_timeout_ends_it_while_it_works_and_while_it_sleeps() -> None:
    for slow in (work("slow", "1h"), sleep("slow", "1h")):
        made = simulated(slow, work("after", "1h", "slow"), timeout="10m")
        assert made.status is RunStatus.TIMED_OUT
        assert made.duration_ms == 10 * MINUTE
        assert [step.status for step in made.steps] == [StepStatus.CANCELLED, StepStatus.CANCELLED]


def test_fail_fast_ends_the_run_at_the_failure() -> None:
    made = simulated(work("bad", "1m", error="BROKEN"), work("long", "1h"), sleep("nap", "1d"), fail_fast=True)
    assert made.status is RunStatus.FAILED
    assert made.duration_ms == MINUTE


# Slots


def test_steps_of_a_run_share_its_slots() -> None:
    steps = [work(f"w{index}", "10s") for index in range(5)]
    assert simulated(*steps).duration_ms == 10 * SECOND
    made = simulated(*steps, max_concurrency=2)
    assert made.duration_ms == 30 * SECOND
    assert [begin for begin, _ in spans(made).values()] == [0, 0, 10 * SECOND, 10 * SECOND, 20 * SECOND]


def test_a_step_that_sleeps_waits_or_has_children_gives_up_its_slot() -> None:
    children = {"workflow": {"steps": [work("inner", "1h")]}, "items": [1]}
    for waiting in (sleep("waiting", "1h"), {"id": "waiting", "type": "map", "input": children}):
        made = simulated(waiting, work("beside", "1h"), max_concurrency=1)
        assert made.duration_ms == HOUR
    retried = work("retried", "1m", error="BUSY", retry={"max_attempts": 2, "delay": "1h", "strategy": "fixed"})
    assert simulated(retried, work("beside", "1h"), max_concurrency=1).duration_ms == HOUR + 2 * MINUTE


# Children


def test_the_items_of_a_map_share_its_lanes() -> None:
    def mapped(items: int, **options: Any) -> Simulation:
        flow = {"steps": [work("inner", "10s"), sleep("nap", "5s", "inner")]}
        return simulated({"id": "each", "type": "map", "input": {"workflow": flow, "items": [1] * items, **options}})

    assert mapped(5).duration_ms == 15 * SECOND
    assert mapped(5, max_concurrency=2).duration_ms == 45 * SECOND
    assert mapped(0).duration_ms == 0


def test_a_map_starts_no_more_items_when_too_many_have_failed() -> None:
    flow = {"steps": [work("inner", "10s", error="BROKEN")]}
    value = {"workflow": flow, "items": [1] * 9, "max_concurrency": 2, "tolerated_failures": 3}
    made = simulated({"id": "each", "type": "map", "input": value})
    assert made.error is not None
    assert made.error["details"]["started"] == 4
    assert made.duration_ms == 20 * SECOND


def test_iterations_and_flows_inside_flows_take_their_time_one_after_the_other() -> None:
    body = {
        "steps": [work("round", "1m"), {"id": "count", "type": "echo", "input": "${{ $.input.n + 1 }}"}],
        "output": {
            "$if": "${{ $.steps.count.output >= 4 }}",
            "then": {"result": "$.steps.count.output"},
            "else": {"next": {"n": "$.steps.count.output"}},
        },
    }
    loop = {"id": "loop", "type": "iterate", "input": {"flow": body, "initial_input": {"n": 0}}}
    assert simulated(loop).duration_ms == 4 * MINUTE
    outer = {"id": "outer", "type": "eval", "input": {"workflow": {"steps": [loop, work("last", "1m", "loop")]}}}
    assert simulated(outer).duration_ms == 5 * MINUTE


def test_a_step_stops_waiting_for_its_children_at_its_timeout() -> None:
    flow = {"steps": [sleep("nap", "1d")]}
    made = simulated({"id": "each", "type": "map", "input": {"workflow": flow, "items": [1]}, "timeout": "1h"})
    assert made.error is not None
    assert made.error["code"] == "STEP_TIMEOUT"
    assert made.duration_ms == HOUR
