"""How a run ended, whoever performed it, and in what it differs from the reference model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from stepflow.contracts.storage import Storage
from stepflow.model.flow import Flow
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.simulate.simulator import Simulated
from tests.simulation.flows import OWN_CODES
from tests.simulation.model import RUN, TIME, End, Error, RunEnd

Json = Any

_IDS = re.compile(r"exec_[\w.-]+")
_TIMES = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00)")


class StepEnding(msgspec.Struct):
    status: StepStatus
    attempts: int
    output: Json
    code: str | None
    reason: str | None
    recovered: bool | None = None
    """None: it is not told."""


class Ending(msgspec.Struct):
    status: RunStatus
    output: Json
    output_skipped: bool
    error: Error | None
    failed: int | None
    """How many steps failed, as its error says."""
    steps: dict[str, StepEnding]


def ending_of_run(storage: Storage, run_id: str) -> Ending:
    run = storage.get_run(run_id)
    steps = {
        step.key: StepEnding(
            step.status, step.attempt, step.output, _code(step.error), step.reason, recovered=step.recovered
        )
        for step in storage.get_steps(run_id, bodies=True, attempts=False)
    }
    return Ending(run.status, run.output, run.output_skipped, _error(run.error), _failed(run.error), steps)


def ending_of_simulation(run: Simulated) -> Ending:
    steps = {
        key: StepEnding(bar.status, bar.attempts, bar.output, _code(bar.error), bar.reason)
        for key, bar in run.steps.items()
    }
    return Ending(run.status, run.output, run.output_skipped, _error(run.error), _failed(run.error), steps)


def _code(error: dict[str, Json] | None) -> str | None:
    return None if error is None else error["code"]


def _error(error: dict[str, Json] | None) -> Error | None:
    """Messages are compared where they were planned."""
    if error is None:
        return None
    return error["code"], error["message"] if error["code"] in OWN_CODES else ""


def _failed(error: dict[str, Json] | None) -> int | None:
    return None if error is None else error.get("details", {}).get("failed")


def without_chance(value: Json) -> Json:
    """Without ids, times, and what only an error's details tell."""
    if isinstance(value, str):
        return _TIMES.sub(TIME, _IDS.sub(RUN, value))
    if isinstance(value, list):
        return [without_chance(item) for item in value]
    if isinstance(value, dict):
        if {"code", "message"} <= value.keys() <= {"code", "message", "details"}:
            return list(_error(value) or ())
        return {key: without_chance(item) for key, item in value.items()}
    return value


def differences(flow: Flow, model: RunEnd, found: Ending) -> Iterator[str]:
    """What is not as the model says. Where a failure cuts a run short (`fail_fast`), what else has ended is a matter of
    time."""
    cut_short = flow.fail_fast and model.status is RunStatus.FAILED
    yield from _differs("status", model.status, found.status)
    yield from _differs("output", without_chance(model.output), without_chance(found.output))
    yield from _differs("output_skipped", model.output_skipped, found.output_skipped)
    if found.error not in (model.errors or {None}):
        yield f"error: {found.error}, not one of {sorted(model.errors)}"
    failed = [end for end in model.steps.values() if end.status is StepStatus.FAILED]
    if found.failed is not None and not cut_short:
        yield from _differs("failed steps", len(failed), found.failed)
    yield from _differs("steps", list(model.steps), list(found.steps))
    for key, end in model.steps.items():
        if not cut_short:
            yield from _differs_in_step(key, end, found.steps[key])
        elif found.steps[key].status is StepStatus.COMPLETED is end.status:
            yield from _differs(f"{key}.output", without_chance(end.output), without_chance(found.steps[key].output))


def _differs_in_step(key: str, model: End, found: StepEnding) -> Iterator[str]:
    yield from _differs(f"{key}.status", model.status, found.status)
    yield from _differs(f"{key}.attempts", model.attempts, found.attempts)
    yield from _differs(f"{key}.output", without_chance(model.output), without_chance(found.output))
    yield from _differs(f"{key}.code", model.code, found.code)
    reason = without_chance(found.reason)
    if model.reason == "failed: " and reason is not None and reason.startswith(model.reason):
        reason = model.reason
    yield from _differs(f"{key}.reason", model.reason, reason)
    if found.recovered is not None:
        yield from _differs(f"{key}.recovered", model.recovered, found.recovered)


def _differs(what: str, expected: Json, found: Json) -> Iterator[str]:
    if msgspec.json.encode(expected) != msgspec.json.encode(found):
        yield f"{what}: {found!r}, by the model {expected!r}"
