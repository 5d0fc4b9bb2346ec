"""`tests:` of a template, and the statuses that are expected there."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from stepflow.dsl.schema.parts import (
    ERROR,
    MAPPING,
    NOT_OFFERED,
    NULL,
    Schema,
    has,
    mapping,
    or_null,
    ref,
    said,
    under,
    words,
)
from stepflow.model.statuses import RUN_ALIASES, STEP_ALIASES, RunStatus, StepStatus


def definitions() -> Schema:
    final = [status for status in RunStatus if status.is_final]
    return {
        "tests": _tests(),
        "case": _case(),
        "mock": _mock(),
        "expectation": _expectation(),
        "run_status": _status(RunStatus, RUN_ALIASES),
        "step_status": _status(StepStatus, STEP_ALIASES),
        "final_status": _status(final, [word for word in RUN_ALIASES if RunStatus(word) in final]),
    }


def _tests() -> Schema:
    listed = {"type": "array", "items": ref("case")}
    keys = {
        "cases": said("The cases.", listed),
        "config": said("Accepted, without effect.", NOT_OFFERED),
        "servers": said("Accepted, without effect.", NOT_OFFERED),
    }
    return {"anyOf": [listed, mapping(keys, required="cases"), NULL]}


def _case() -> Schema:
    outcomes = {"anyOf": [ref("mock"), {"type": "array", "items": ref("mock")}]}
    keys = {
        "name": said("What it shows; unique."),
        "description": said("More about it."),
        "input": said("The run's input."),
        "variables": said("The variables' values.", MAPPING),
        "mocks": said(
            "Outcomes by step id or component: one, or a list with one for each attempt.",
            {"type": ["object", "null"], "additionalProperties": outcomes},
        ),
        "expect": said("What must come out.", or_null(ref("expectation"))),
        "output": said("Another spelling of `expect`.", NOT_OFFERED),
    }
    expected = {"if": {"type": "object"}, "then": ref("expectation")}
    return mapping(keys, rules=[{"if": has("expect"), "else": under(["output"], expected)}])


def _mock() -> Schema:
    keys = {
        "output": said("What the step gives."),
        "error": said("How the step fails.", ERROR),
        "skip": said("Why the step is skipped."),
    }
    return {**mapping(keys), "oneOf": [{"required": [key]} for key in keys]}


def _expectation() -> Schema:
    status = or_null(ref("run_status"))
    of_step = mapping(
        {
            "status": said("How it ends.", ref("step_status")),
            "output": said("What it gives; other keys are fine."),
            "error": said("How it fails."),
            "reason": said("Why it is skipped."),
            "attempts": said("How many it takes."),
        }
    )
    steps = {"type": ["object", "null"], "additionalProperties": {"anyOf": [ref("step_status"), of_step]}}
    keys = {
        "status": said("How the run ends.", status),
        "output": said("What the run gives; other keys are fine."),
        "error": said("How the run fails."),
        "steps": said("What becomes of steps, by id.", steps),
        "outcome": said("Another spelling of `status`.", NOT_OFFERED),
        "result": said("Another spelling of `output`, beside `outcome`.", NOT_OFFERED),
    }
    return mapping(keys, rules=[{"if": has("status"), "else": under(["outcome"], status)}])


def _status(statuses: Iterable[StrEnum], aliases: Iterable[str]) -> Schema:
    """A status, or another document's word for it, in any case."""
    any_case = ("".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in word) for word in aliases)
    return words([status.value for status in statuses], any_case)
