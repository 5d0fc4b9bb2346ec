"""The `tests:` of a template: each case run and compared with what it expects.

Expected objects are compared partially (keys that nobody mentions are fine); lists and scalars are exact.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from stepflow.contracts.component import Component
from stepflow.core.operators import equal
from stepflow.dsl.cases import Case
from stepflow.dsl.starting import check_start
from stepflow.errors import InvalidInputError
from stepflow.model import jsontext
from stepflow.model.flow import Flow, Json
from stepflow.model.statuses import RunStatus
from stepflow.simulate.context import FindTemplate
from stepflow.simulate.live import LiveOutcomes, Secrets
from stepflow.simulate.planned import CheckInput
from stepflow.simulate.simulator import Simulated, simulate

SHOWN = 200
"""Characters of a value in a difference."""


class CaseResult(msgspec.Struct, frozen=True):
    name: str
    differences: tuple[str, ...]
    """`output.total: expected 3, got 4`; empty: it passed."""
    actual: dict[str, Any]
    """What it would have to expect, of the things it expects something of."""
    error: dict[str, Any] | None
    lines: tuple[str, ...]
    """What the components logged."""

    @property
    def passed(self) -> bool:
        return not self.differences


def cases_of(flow: Flow) -> list[Case]:
    return msgspec.convert(flow.tests or [], list[Case])


async def run_case(
    flow: Flow,
    case: Case,
    *,
    secrets: Secrets,
    find_component: Callable[[str], Component | None],
    check_input: CheckInput,
    find_template: FindTemplate,
    base_dir: str | None,
    workspace: str | None,
    begin: int,
) -> CaseResult:
    value = {} if case.input is None else case.input
    expected = case.expect or {"status": RunStatus.COMPLETED.value}
    outcomes = LiveOutcomes(
        case.mocks,
        find_component,
        check_input,
        find_template,
        secrets=secrets,
        base_dir=base_dir,
        workspace=workspace,
        loop=asyncio.get_running_loop(),
    )
    try:
        check_start(flow, value, case.variables)
        run = await asyncio.to_thread(simulate, flow, value, outcomes, variables=case.variables, begin=begin)
    except InvalidInputError as error:
        run = _refused(error)
    finally:
        outcomes.stop()
    found = secrets.hide(_found(run, expected))
    return CaseResult(
        name=case.name,
        differences=tuple(differences(expected, found)),
        actual=as_mentioned(expected, found),
        error=run.error,
        lines=tuple(outcomes.lines),
    )


def _refused(error: InvalidInputError) -> Simulated:
    """What a case sees of an execution that does not even start."""
    return Simulated(RunStatus.FAILED, None, False, error.to_record(), 0, {}, [])


def _found(run: Simulated, expected: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "status" in expected:
        found["status"] = run.status.value
    if "output" in expected:
        found["output"] = run.output
    if "error" in expected:
        found["error"] = _error(run.error, expected["error"])
    if "steps" in expected:
        found["steps"] = {
            key: {name: _of_bar(run, key, name, wanted[name]) for name in wanted}
            for key, wanted in expected["steps"].items()
        }
    return found


def _error(error: dict[str, Any] | None, expected: Json) -> Json:
    """A text is its code or its message."""
    if error is None or not isinstance(expected, str):
        return error
    return error["code"] if error["code"] == expected else error["message"]


def _of_bar(run: Simulated, key: str, name: str, expected: Json) -> Json:
    bar = run.steps.get(key)
    if bar is None:
        return None
    known = {
        "status": bar.status.value,
        "output": bar.output,
        "error": _error(bar.error, expected),
        "reason": bar.reason,
        "attempts": bar.attempts,
    }
    return known.get(name)


def differences(expected: Json, found: Json, place: str = "") -> list[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        listed: list[str] = []
        for key, value in expected.items():
            below = f"{place}.{key}" if place else key
            if key in found or value is None:
                listed += differences(value, found.get(key), below)
            else:
                listed.append(f"{below}: expected {_shown(value)}, there is none")
        return listed
    if equal(expected, found):
        return []
    return [f"{place or 'output'}: expected {_shown(expected)}, got {_shown(found)}"]


def as_mentioned(expected: Json, found: Json) -> Json:
    """Of `found` what `expected` speaks of; all of it where the two have no key in common."""
    if not isinstance(expected, dict) or not isinstance(found, dict):
        return found
    common = {key: as_mentioned(value, found[key]) for key, value in expected.items() if key in found}
    return common or found


def _shown(value: Json) -> str:
    text = jsontext.encode(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
