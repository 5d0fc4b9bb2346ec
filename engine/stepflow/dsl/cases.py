"""`tests:` of a template: cases with an input, mocks and what is expected."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from stepflow.dsl.kinds import Kinds
from stepflow.dsl.places import Place
from stepflow.dsl.problems import Problems
from stepflow.model import jsontext
from stepflow.model.flow import Json
from stepflow.model.statuses import RunStatus, StepStatus

_CASE_KNOWN = frozenset({"name", "description", "input", "variables", "mocks", "expect", "output"})
_EXPECTED = ("status", "output", "error", "steps")
_EXPECT_KNOWN = frozenset({*_EXPECTED, "outcome", "result"})
_STEP_KNOWN = frozenset({"status", "output", "error", "reason", "attempts"})
_MOCK_KNOWN = frozenset({"output", "error", "skip"})


class Mock(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of one attempt."""

    output: Json = None
    error: dict[str, Any] | None = None
    """`{code, message}`"""
    skip: str | None = None
    """The reason."""


class Case(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    input: Json = None
    variables: dict[str, Any] = {}
    mocks: dict[str, tuple[Mock, ...]] = {}
    """By step id or component: one for each attempt, the last for all that follow."""
    expect: dict[str, Any] = {}
    """Any of `status`, `output`, `error`, `steps`."""


def read_cases(raw: Json, steps: Collection[str], problems: Problems, kinds: Kinds) -> Json:
    """A list of cases in their canonical form (`Case` as JSON); None: there are none."""
    if raw is None:
        return None
    place: Place = ("tests",)
    listed = raw
    if isinstance(raw, dict):
        listed, place = raw.get("cases"), ("tests", "cases")
        for key in ("config", "servers"):
            if key in raw:
                problems.warning(
                    "W171", f"'{key}' of tests has no effect here", ("tests", key),
                    "cases run inside this process; mock what talks to the outside",
                )  # fmt: skip
        kinds.unknown_keys(raw, frozenset({"cases", "config", "servers"}), ("tests",))
    if not isinstance(listed, list):
        problems.error(
            "E170", "'tests' is a list of cases", place, "e.g. `- {name: works, expect: {status: completed}}`"
        )
        return None
    cases = [_case(one, index, (*place, index), steps, problems, kinds) for index, one in enumerate(listed)]
    names: set[str] = set()
    for index, case in enumerate(cases):
        if case.name in names:
            problems.error("E170", f"Two cases are named '{case.name}'", (*place, index))
        names.add(case.name)
    return jsontext.normalise(cases)[0]


def _case(raw: Json, index: int, place: Place, steps: Collection[str], problems: Problems, kinds: Kinds) -> Case:
    if not isinstance(raw, dict):
        problems.error("E170", "A case is a mapping of name, input, mocks and expect", place)
        return Case(str(index + 1))
    kinds.unknown_keys(raw, _CASE_KNOWN, place)
    expected = raw.get("expect")
    if expected is None and isinstance(raw.get("output"), dict):
        # Upstream's way: output: {outcome: success, result: …}
        expected = raw["output"]
    return Case(
        name=str(raw.get("name") or index + 1),
        input=raw.get("input"),
        variables=kinds.mapping(raw, "variables", place),
        mocks=_mocks(raw.get("mocks"), (*place, "mocks"), steps, problems, kinds),
        expect=_expected(expected, (*place, "expect"), steps, problems, kinds),
    )


def _mocks(
    raw: Json, place: Place, steps: Collection[str], problems: Problems, kinds: Kinds
) -> dict[str, tuple[Mock, ...]]:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        problems.error("E171", "'mocks' is a mapping of step ids or components to outcomes", place)
        return {}
    found: dict[str, tuple[Mock, ...]] = {}
    for name, outcome in raw.items():
        if name not in steps and not name.startswith("/"):
            hint = problems.suggestion(name, steps)
            problems.error("E171", f"'{name}' is neither a step nor a component", (*place, name), hint, at_key=True)
        listed = outcome if isinstance(outcome, list) else [outcome]
        found[name] = tuple(_mock(one, (*place, name), problems, kinds) for one in listed)
    return found


def _mock(raw: Json, place: Place, problems: Problems, kinds: Kinds) -> Mock:
    if not isinstance(raw, dict) or len(raw.keys() & _MOCK_KNOWN) != 1:
        problems.error(
            "E171", "A mock is {output: …}, {error: {code, message}} or {skip: reason}", place, "or a list of these"
        )
        return Mock()
    kinds.unknown_keys(raw, _MOCK_KNOWN, place)
    if "error" in raw:
        if not isinstance(raw["error"], str | dict):
            problems.error("E171", "'error' is {code, message}, or the message", (*place, "error"))
            return Mock()
        return Mock(error=error_record(raw["error"], "MOCKED", "mocked"))
    return Mock(output=raw.get("output"), skip=str(raw["skip"]) if "skip" in raw else None)


def error_record(error: str | dict[str, Any], code: str, message: str) -> dict[str, Any]:
    """An error that somebody wrote down, with a code and a message; its details are a mapping."""
    given = {"message": error} if isinstance(error, str) else error
    if not isinstance(given.get("details"), dict | None):
        given = {**given, "details": {"value": given["details"]}}
    return {**given, "code": str(given.get("code") or code), "message": str(given.get("message") or message)}


def _expected(raw: Json, place: Place, steps: Collection[str], problems: Problems, kinds: Kinds) -> dict[str, Any]:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        problems.error("E172", "'expect' is any of status, output, error, steps", place)
        return {}
    kinds.unknown_keys(raw, _EXPECT_KNOWN, place)
    found: dict[str, Any] = {key: raw[key] for key in ("output", "error") if key in raw}
    status = raw.get("outcome") if raw.get("status") is None else raw["status"]
    if "outcome" in raw and "result" in raw:
        found["output"] = raw["result"]
    if status is not None:
        try:
            found["status"] = RunStatus(str(status)).value
        except ValueError:
            problems.error(
                "E172", f"'{status}' is not a status", (*place, "status"), _meant(status, RunStatus, problems)
            )
    expected_steps = raw.get("steps")
    if expected_steps is not None:
        found["steps"] = _expected_steps(expected_steps, (*place, "steps"), steps, problems, kinds)
    return {key: found[key] for key in _EXPECTED if key in found}


def _expected_steps(
    raw: Json, place: Place, steps: Collection[str], problems: Problems, kinds: Kinds
) -> dict[str, Any]:
    if not isinstance(raw, dict):
        problems.error("E172", "'steps' is a mapping of step ids to what is expected of them", place)
        return {}
    found: dict[str, Any] = {}
    for key, expected in raw.items():
        if key not in steps:
            hint = problems.suggestion(key, steps)
            problems.error("E172", f"There is no step '{key}'", (*place, key), hint, at_key=True)
        body = {"status": expected} if isinstance(expected, str) else expected
        if not isinstance(body, dict):
            problems.error(
                "E172", "Of a step a status is expected, or a mapping of status, output, error", (*place, key)
            )
            continue
        kinds.unknown_keys(body, _STEP_KNOWN, (*place, key))
        if "status" in body:
            try:
                body = {**body, "status": StepStatus(str(body["status"])).value}
            except ValueError:
                hint = _meant(body["status"], StepStatus, problems)
                problems.error("E172", f"'{body['status']}' is not a status of a step", (*place, key), hint)
        found[key] = body
    return found


def _meant(written: Json, statuses: type[RunStatus] | type[StepStatus], problems: Problems) -> str:
    final = [status.value for status in statuses if status.is_final]
    return problems.suggestion(str(written), final) or f"one of {', '.join(final)}"
