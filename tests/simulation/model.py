"""The reference model: how a flow ends by the language's reference, without time, events or a storage.

A step's end follows from the ends of the steps it looks at, found by recursion; with `evaluate: needed` those that
nobody looked at were not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from stepflow.dsl.validate import read_flow
from stepflow.model.flow import Flow, RetryPolicy, Step
from stepflow.model.statuses import RunStatus, StepStatus
from tests.simulation import flows
from tests.simulation.meaning import Failed, NoValue, Skipped, attempt, is_true, meaning, steps_in

Json = Any
Error = tuple[str, str]
"""Code and message."""

NEVER_TRIED_AGAIN = {"EXPRESSION_FAILED", "COMPONENT_NOT_FOUND", "INVALID_INPUT", "UPSTREAM_FAILED"}
RUN, TIME = "<run>", "<time>"
"""For the ids and times that no model can know."""


class Ambiguous(Exception):
    """It depends on which of several failures came first."""


class End(msgspec.Struct):
    """Of a step."""

    status: StepStatus
    attempts: int = 0
    output: Json = None
    code: str | None = None
    message: str = ""
    reason: str | None = None
    root: str = ""
    recovered: bool = False
    own: bool = True
    """It failed by itself."""


class RunEnd(msgspec.Struct):
    status: RunStatus
    output: Json
    output_skipped: bool
    errors: frozenset[Error]
    """One of them is the run's: which failed first is a matter of time."""
    steps: dict[str, End]


def reference_run(flow: Flow, value: Json, variables: Mapping[str, Json] | None = None) -> RunEnd:
    """`Ambiguous`: a child's error that its parent looks at is a matter of time."""
    if flow.input_schema is not None and not _fits(flow.input_schema, value):
        steps = {step.key: End(StepStatus.CANCELLED, reason="run ended") for step in flow.steps}
        return RunEnd(RunStatus.FAILED, None, False, frozenset({("INVALID_INPUT", "")}), steps)
    return _Run(flow, value, variables or {}).end()


def _fits(schema: Mapping[str, Json], value: Json) -> bool:
    return isinstance(value, {"object": dict, "array": list}[schema["type"]])


class _Run:
    """A `World` for its values."""

    def __init__(self, flow: Flow, value: Json, variables: Mapping[str, Json]) -> None:
        self.flow = flow
        self.input = value
        self.variables = variables
        self.keys = [step.key for step in flow.steps]
        self._by_key = {step.key: step for step in flow.steps}
        self._ends: dict[str, End] = {}

    def end_of(self, key: str) -> End:
        if key not in self._ends:
            self._ends[key] = self._end_of(self._by_key[key])
        return self._ends[key]

    # The run

    def end(self) -> RunEnd:
        needed = self.flow.evaluate == "needed"
        for step in self.flow.steps:
            if step.must_execute or not needed:
                self.end_of(step.key)
        output, problem = attempt(self._output)
        failed = {key: end for key, end in self._ends.items() if end.status is StepStatus.FAILED}
        first = frozenset((end.code or "", end.message) for end in failed.values() if end.own)
        if needed and not self.flow.fail_fast:
            fails = any(self._by_key[key].must_execute for key in failed)
        else:
            fails = bool(failed)
        if fails or isinstance(problem, Failed):
            return self._ended(RunStatus.FAILED, errors=first)
        if isinstance(problem, Skipped):
            return self._ended(RunStatus.COMPLETED, output_skipped=True)
        if problem is not None:
            return self._ended(RunStatus.FAILED, errors=frozenset({("EXPRESSION_FAILED", "")}))
        if self.flow.output_schema is not None and not _fits(self.flow.output_schema, output):
            return self._ended(RunStatus.FAILED, errors=frozenset({("INVALID_OUTPUT", "")}))
        return self._ended(RunStatus.COMPLETED, output)

    def _ended(
        self,
        status: RunStatus,
        output: Json = None,
        *,
        output_skipped: bool = False,
        errors: frozenset[Error] = frozenset(),
    ) -> RunEnd:
        unneeded = End(StepStatus.SKIPPED, reason="not needed")
        if status is RunStatus.FAILED:
            unneeded = End(StepStatus.CANCELLED, reason="run ended")
        steps = {key: self._ends.get(key, unneeded) for key in self.keys}
        return RunEnd(status, output, output_skipped, errors, steps)

    def _output(self) -> Json:
        if self.flow.has_output:
            return meaning(self.flow.output, self)
        used = {key for step in self.flow.steps for key in self._dependencies(step)}
        ends = {key: self.end_of(key) for key in self.keys if key not in used}
        if any(end.status is StepStatus.FAILED for end in ends.values()):
            raise Failed
        return {key: end.output for key, end in ends.items() if end.status is StepStatus.COMPLETED}

    def _after(self, step: Step) -> list[str]:
        index = self.keys.index(step.key)
        above = [self.keys[index - 1]] if self.flow.order == "sequential" and index else []
        return [*step.depends_on, *above]

    def _dependencies(self, step: Step) -> list[str]:
        values = [step.input, step.skip_if, step.when, step.on_error.default_output]
        return [*self._after(step), *(key for value in values for key in steps_in(value, self.keys))]

    # A step

    def _end_of(self, step: Step) -> End:
        for condition in (step.skip_if, step.when):
            for key in steps_in(condition, self.keys):
                self.end_of(key)
        try:
            if step.skip_if is not None and is_true(meaning(step.skip_if, self, judging=True)):
                return self._skipped(step, "skip_if is true")
            if step.when is not None and not is_true(meaning(step.when, self, judging=True)):
                return self._skipped(step, "when is false")
        except NoValue:
            return End(StepStatus.FAILED, code="EXPRESSION_FAILED")
        before = [self.end_of(key) for key in self._after(step)]
        value, problem = attempt(lambda: meaning(step.input, self))
        default = attempt(lambda: meaning(step.on_error.default_output, self))
        if any(end.status is StepStatus.FAILED for end in before) or isinstance(problem, Failed):
            return End(StepStatus.FAILED, code="UPSTREAM_FAILED", own=False)
        if isinstance(problem, Skipped):
            return self._skipped(step, f"step '{problem.by}' was skipped", problem.by)
        if problem is not None:
            return End(StepStatus.FAILED, code="EXPRESSION_FAILED")
        return self._tried(step, value, default)

    def _skipped(self, step: Step, reason: str, root: str | None = None) -> End:
        return End(StepStatus.SKIPPED, reason=reason, root=root or step.key)

    def _tried(self, step: Step, value: Json, default: tuple[Json, NoValue | None]) -> End:
        number = 0
        while True:
            number += 1
            end = _perform(step, value, number)
            end.attempts = number
            if end.status is not StepStatus.FAILED:
                end.root = step.key
                return end
            if not _is_tried_again(step.retry, number, end.code or ""):
                break
        if step.on_error.action == "skip":
            reason = f"failed: {end.message}"
            return msgspec.structs.replace(end, status=StepStatus.SKIPPED, reason=reason, root=step.key)
        if step.on_error.action == "continue" and default[1] is None:
            return msgspec.structs.replace(end, status=StepStatus.COMPLETED, output=default[0], recovered=True)
        return end


def _is_tried_again(retry: RetryPolicy | None, attempts: int, code: str) -> bool:
    if retry is None or retry.strategy == "never" or attempts >= retry.max_attempts:
        return False
    return code in retry.on if retry.on else code not in NEVER_TRIED_AGAIN


def _failed(code: str, message: str = "") -> End:
    return End(StepStatus.FAILED, code=code, message=message if code in flows.OWN_CODES else "")


def _perform(step: Step, value: Json, number: int) -> End:
    """One attempt."""
    end = _COMPONENTS[step.component](step, value, number)
    if (
        end.status is StepStatus.COMPLETED
        and step.output_schema is not None
        and not _fits(step.output_schema, end.output)
    ):
        return _failed("INVALID_OUTPUT")
    return end


def _gives(output: Json) -> End:
    return End(StepStatus.COMPLETED, output=output)


def _planned(step: Step, value: Json, number: int) -> End:
    plan = step.metadata["plan"]
    one = plan[min(number, len(plan)) - 1]
    if "error" in one:
        return _failed(one["error"]["code"], one["error"]["message"])
    if "skip" in one:
        return End(StepStatus.SKIPPED, reason=one["skip"])
    return _gives(one["output"])


def _slept(step: Step) -> End:
    """No sleep of these flows ends just before its timeout."""
    return _gives({"until": TIME}) if step.timeout_ms is None else _failed("STEP_TIMEOUT")


# Children


def _child(raw: Json, value: Json) -> RunEnd:
    flow = read_flow(raw).flow
    assert flow is not None
    return reference_run(flow, value)


def _error_of(child: RunEnd) -> Error:
    if len(child.errors) != 1:
        raise Ambiguous
    (error,) = child.errors
    return error


def _envelope(child: RunEnd) -> dict[str, Json]:
    if child.status is RunStatus.FAILED:
        code, message = _error_of(child)
        return {"outcome": "failed", "error": {"code": code, "message": message}}
    return {"outcome": "skipped"} if child.output_skipped else {"outcome": "success", "result": child.output}


def _eval(step: Step, value: Json, number: int) -> End:
    given = value.get("input")
    child = _child(value["workflow"], {} if given is None else given)
    if not value.get("unwrap"):
        return _gives({"result": _envelope(child), "run_id": RUN})
    if child.status is RunStatus.FAILED:
        return _failed(*_error_of(child))
    if child.output_skipped:
        return End(StepStatus.SKIPPED, reason=f"the output of {RUN} was skipped")
    return _gives(child.output)


def _map(step: Step, value: Json, number: int) -> End:
    items, tolerated = value["items"], value.get("tolerated_failures")
    if not isinstance(items, list):
        return _failed("INVALID_INPUT")
    lanes = value.get("max_concurrency") or len(items)
    results: list[Json] = []
    failures = 0
    for item in items:
        if tolerated is not None and lanes == 1 and failures > tolerated:
            break
        results.append(_envelope(_child(value["workflow"], item)))
        failures += results[-1]["outcome"] == "failed"
    if tolerated is not None and failures > tolerated:
        return _failed("MAP_FAILED")
    outcomes = [result["outcome"] for result in results]
    return _gives(
        {
            "results": results,
            "successful": outcomes.count("success"),
            "failed": failures,
            "skipped": outcomes.count("skipped"),
        }
    )


def _iterate(step: Step, value: Json, number: int) -> End:
    given = value.get("initial_input")
    given = {} if given is None else given
    most = value.get("max_iterations") or 1000
    iterations = 0
    while True:
        iterations += 1
        child = _child(value["flow"], given)
        if child.status is RunStatus.FAILED:
            return _failed(*_error_of(child))
        output = child.output if isinstance(child.output, dict) else {}
        if "result" in output:
            return _gives({"result": output["result"], "iterations": iterations, "terminated": False})
        if "next" not in output:
            return _failed("INVALID_OUTPUT")
        given = output["next"]
        if iterations >= most:
            return _gives({"result": given, "iterations": iterations, "terminated": True})


_COMPONENTS = {
    flows.AT_ONCE: _planned,
    flows.LATER: _planned,
    flows.IN_A_THREAD: _planned,
    flows.HANGS: lambda step, value, number: _failed("STEP_TIMEOUT"),
    "/builtin/echo": lambda step, value, number: _gives(value),
    "/builtin/sleep": lambda step, value, number: _slept(step),
    "/builtin/fail": lambda step, value, number: _failed(value["code"], value["message"]),
    "/builtin/eval": _eval,
    "/builtin/map": _map,
    "/builtin/iterate": _iterate,
}
