"""Random flows, run for real, by simulation, and by the reference model: all three end alike.

STEPFLOW_SEED=17 repeats one flow; with `-m full` there are STEPFLOW_FLOWS (20,000) of them.
"""

from __future__ import annotations

import itertools
import json
import os
import re
from collections import Counter
from typing import NamedTuple

import pytest

from stepflow.components.registry import check_input
from stepflow.dsl.validate import read_flow
from stepflow.errors import TemplateNotFoundError
from stepflow.model import jsontext
from stepflow.model.flow import Flow
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.simulate.planned import Plan, PlannedOutcomes
from stepflow.simulate.simulator import simulate
from tests.conftest import OpenStorage
from tests.simulation.endings import Ending, differences, ending_of_run, ending_of_simulation
from tests.simulation.flows import CODES, Made, make_flow
from tests.simulation.model import Ambiguous, End, RunEnd, reference_run
from tests.simulation.planned import mocks_of, registry_for_simulations, registry_for_workers
from tests.support.engine import start, until, working

FLOWS = 600
CHUNK = 50
"""Flows that one worker performs together."""
FULL_CHUNK = 500

_ONE = os.environ.get("STEPFLOW_SEED")
SEEDS = range(FLOWS) if _ONE is None else range(int(_ONE), int(_ONE) + 1)
MORE_SEEDS = range(FLOWS, int(os.environ.get("STEPFLOW_FLOWS", "20000")))


class Case(NamedTuple):
    seed: int
    made: Made
    flow: Flow
    model: RunEnd


def case_of(seed: int) -> Case:
    """The first flow of this seed whose end does not depend on time."""
    for attempt in itertools.count():
        made = make_flow(f"{seed}/{attempt}")
        read = read_flow(made.dsl)
        assert read.flow is not None, (seed, read.diagnostics, made.dsl)
        try:
            return Case(seed, made, read.flow, reference_run(read.flow, made.input, made.variables))
        except Ambiguous:
            continue
    raise AssertionError


def simulated(case: Case) -> Ending:
    registry = registry_for_simulations()
    plan = Plan(mocks=mocks_of(case.flow))
    outcomes = PlannedOutcomes(plan, registry.get, check_input, _no_template)
    return ending_of_simulation(simulate(case.flow, case.made.input, outcomes, variables=case.made.variables))


def _no_template(name: str) -> Flow:
    raise TemplateNotFoundError(name)


async def performed(open_storage: OpenStorage, cases: list[Case]) -> list[Ending]:
    """By one worker, all at the same time."""
    storage = open_storage()
    run_ids = [
        start(storage, case.flow, case.made.input, variables=jsontext.encode(case.made.variables)) for case in cases
    ]
    async with working(storage, registry_for_workers()):
        for run_id in run_ids:
            await until(storage, run_id)
    return [ending_of_run(storage, run_id) for run_id in run_ids]


async def check(open_storage: OpenStorage, seeds: range) -> None:
    cases = [case_of(seed) for seed in seeds]
    for case, ending in zip(cases, await performed(open_storage, cases), strict=True):
        _compare(case, "the real run", ending)
        _compare(case, "the simulation", simulated(case))


def _compare(case: Case, what: str, ending: Ending) -> None:
    found = list(differences(case.flow, case.model, ending))
    if found:
        lines = "\n".join(found)
        again = f"STEPFLOW_SEED={case.seed} pytest -n 0 tests/simulation/test_random_flows.py"
        pytest.fail(
            f"seed {case.seed}: in {what}\n{lines}\nagain: {again}\n{json.dumps(case.made._asdict(), indent=1)}"
        )


def chunks(seeds: range, size: int) -> list[range]:
    return [seeds[first : first + size] for first in range(0, len(seeds), size)]


@pytest.mark.parametrize("seeds", chunks(SEEDS, CHUNK), ids=str)
async def test_random_flows_end_alike_for_real_in_simulation_and_by_the_model(
    open_storage: OpenStorage, seeds: range
) -> None:
    await check(open_storage, seeds)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seeds", chunks(MORE_SEEDS, FULL_CHUNK), ids=str)
async def test_many_random_flows_end_alike(open_storage: OpenStorage, seeds: range) -> None:
    await check(open_storage, seeds)


RUNS = [
    (evaluate, status, output_skipped)
    for evaluate in ("all", "needed")
    for status, output_skipped in ((RunStatus.COMPLETED, False), (RunStatus.COMPLETED, True), (RunStatus.FAILED, False))
]
STEPS = [
    *((StepStatus.FAILED, code) for code in (*CODES, "EXPRESSION_FAILED", "UPSTREAM_FAILED", "STEP_TIMEOUT")),
    *((StepStatus.FAILED, code) for code in ("INVALID_OUTPUT", "MAP_FAILED")),
    *((StepStatus.SKIPPED, reason) for reason in ("skip_if is true", "when is false", "not needed", "nothing to do")),
    *((StepStatus.SKIPPED, reason) for reason in ("step", "failed", "the output")),
    (StepStatus.CANCELLED, "run ended"),
    *((StepStatus.COMPLETED, "recovered" if recovered else "") for recovered in (False, True)),
]


@pytest.mark.skipif(len(SEEDS) < FLOWS, reason="one seed was asked for")
def test_random_flows_end_in_every_way() -> None:
    """Else it says little that all three agree."""
    found: Counter[tuple[object, ...]] = Counter()
    for seed in SEEDS:
        case = case_of(seed)
        found[case.flow.evaluate, case.model.status, case.model.output_skipped] += 1
        for end in case.model.steps.values():
            found[end.status, _kind(end)] += 1
            found["attempts", end.attempts] += 1
    assert [kind for kind in [*RUNS, *STEPS, *(("attempts", count) for count in range(5))] if not found[kind]] == []


def _kind(end: End) -> str:
    if end.status is StepStatus.FAILED:
        return end.code or ""
    if end.recovered:
        return "recovered"
    return re.sub(r"( '|: | of ).*", "", end.reason or "")
