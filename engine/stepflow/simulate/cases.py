"""The `tests:` of a template: each case run and compared with what it expects.

Expected objects are compared partially (keys that nobody mentions are fine); lists and scalars are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from stepflow.contracts.component import Component
from stepflow.core.operators import equal
from stepflow.dsl.cases import Case
from stepflow.model import jsontext
from stepflow.model.flow import Flow, Json
from stepflow.model.statuses import RunStatus
from stepflow.simulate.context import FindTemplate
from stepflow.simulate.live import LiveOutcomes
from stepflow.simulate.planned import CheckInput
from stepflow.simulate.simulator import Simulated, simulate

SHOWN = 200
"""Characters of a value in a difference."""


class CaseResult(msgspec.Struct, frozen=True):
    name: str
    differences: tuple[str, ...]
    """`output.total: expected 3, got 4`; empty: it passed."""
    actual: dict[str, Any]
    """What it would have to expect, in the keys it expects something of."""
    error: dict[str, Any] | None
    lines: tuple[str, ...]
    """What the components logged."""

    @property
    def passed(self) -> bool:
        return not self.differences


def cases_of(flow: Flow) -> list[Case]:
    return msgspec.convert(flow.tests or [], list[Case])


def run_case(
    flow: Flow,
    case: Case,
    *,
    find_component: Callable[[str], Component | None],
    check_input: CheckInput,
    find_template: FindTemplate,
    base_dir: str | None,
    workspace: str | None,
    begin: int,
) -> CaseResult:
    with LiveOutcomes(
        case.mocks, find_component, check_input, find_template, base_dir=base_dir, workspace=workspace
    ) as outcomes:
        value = {} if case.input is None else case.input
        run = simulate(flow, value, outcomes, variables=case.variables, begin=begin)
    expected = case.expect or {"status": RunStatus.COMPLETED.value}
    found = _found(run, expected)
    return CaseResult(
        name=case.name,
        differences=tuple(differences(expected, found)),
        actual=found,
        error=run.error,
        lines=tuple(outcomes.lines),
    )


def _found(run: Simulated, expected: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "status" in expected:
        found["status"] = run.status.value
    if "output" in expected:
        found["output"] = run.output
    if "error" in expected:
        found["error"] = run.error
    if "steps" in expected:
        found["steps"] = {
            key: {name: _of_bar(run, key, name) for name in wanted} for key, wanted in expected["steps"].items()
        }
    return found


def _of_bar(run: Simulated, key: str, name: str) -> Json:
    bar = run.steps.get(key)
    if bar is None:
        return None
    known = {
        "status": bar.status.value,
        "output": bar.output,
        "error": bar.error,
        "reason": bar.reason,
        "attempt": bar.attempts,
        "attempts": bar.attempts,
    }
    return known.get(name)


def differences(expected: Json, found: Json, place: str = "") -> list[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        listed: list[str] = []
        for key, value in expected.items():
            below = f"{place}.{key}" if place else key
            if key in found:
                listed += differences(value, found[key], below)
            else:
                listed.append(f"{below}: expected {_shown(value)}, there is none")
        return listed
    if equal(expected, found):
        return []
    return [f"{place or 'output'}: expected {_shown(expected)}, got {_shown(found)}"]


def _shown(value: Json) -> str:
    text = jsontext.encode(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
