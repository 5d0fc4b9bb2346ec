"""Flows as steps: eval runs one, map one for each item, iterate one after the other until a result. Each is a child run
of its own; the step waits for them without holding a worker."""

from __future__ import annotations

from typing import Any

from stepflow.components._failure import failure, invalid_input
from stepflow.contracts.component import AwaitChildren, Component, ComponentContext, EndedChild, FlowVersion, SkipStep
from stepflow.errors import ComponentError
from stepflow.model.flow import Json
from stepflow.model.statuses import RunStatus

DEFAULT_MAP_CONCURRENCY = 100
DEFAULT_ITERATIONS = 1000
MAX_ITEMS = 1_000_000

_FLOW = {"description": "the flow written out, or a reference to one", "type": ["object", "string", "null"]}
_TEMPLATE = {"type": ["string", "null"], "description": "the name of a template, instead of a flow"}
_ENVELOPE = {
    "type": "object",
    "required": ["outcome"],
    "properties": {
        "outcome": {"enum": ["success", "failed", "skipped"]},
        "result": True,
        "error": {"type": "object", "properties": {"code": {"type": "string"}, "message": {"type": "string"}}},
    },
}
_DOUBLE = {
    "steps": [{"id": "double", "type": "echo", "input": "${{ $.input * 2 }}"}],
    "output": "$.steps.double.output",
}


def envelope(child: EndedChild) -> dict[str, Any]:
    """`{outcome: success | failed | skipped, result | error}`"""
    if child.status is RunStatus.COMPLETED:
        return {"outcome": "skipped"} if child.output_skipped else {"outcome": "success", "result": child.output}
    return {"outcome": "failed", "error": _error(child)}


def _error(child: EndedChild) -> dict[str, Any]:
    if child.error is not None:
        return child.error
    return {"code": "WORKFLOW_CANCELED", "message": f"Execution {child.run_id} was {child.status.value}"}


async def _flow_of(value: dict[str, Any], context: ComponentContext, key: str) -> FlowVersion:
    template = value.get("template") or value.get("flow_id")
    workflow = value.get(key)
    if (workflow is None) == (template is None):
        raise invalid_input(f"give either '{key}' or 'template'")
    return await context.resolve_flow(workflow, template)


# Eval


async def evaluate(value: dict[str, Any], context: ComponentContext) -> AwaitChildren:
    flow = await _flow_of(value, context, "workflow")
    return AwaitChildren(flow, (_child_input(value.get("input")),), {"unwrap": bool(value.get("unwrap"))})


def _child_input(value: Json) -> Json:
    return {} if value is None else value


def evaluated(spec: Json, children: tuple[EndedChild, ...]) -> Json:
    (child,) = children
    if not spec["unwrap"]:
        return {"result": envelope(child), "run_id": child.run_id}
    if child.status is not RunStatus.COMPLETED:
        raise _failed(child)
    if child.output_skipped:
        raise SkipStep(f"the output of {child.run_id} was skipped")
    return child.output


def _failed(child: EndedChild) -> ComponentError:
    error = _error(child)
    return failure(error["code"], error["message"], run_id=child.run_id)


# Map


async def map_items(value: dict[str, Any], context: ComponentContext) -> Json:
    items = value["items"]
    if len(items) > MAX_ITEMS:
        raise invalid_input(f"more than {MAX_ITEMS:,} items")
    flow = await _flow_of(value, context, "workflow")
    tolerated = value.get("tolerated_failures")
    spec = {"items": len(items), "tolerated_failures": tolerated}
    if not items:
        return mapped(spec, ())
    concurrency = value.get("max_concurrency") or DEFAULT_MAP_CONCURRENCY
    return AwaitChildren(flow, tuple(items), spec, concurrency, tolerated)


def mapped(spec: Json, children: tuple[EndedChild, ...]) -> Json:
    results = [envelope(child) for child in children]
    outcomes = [result["outcome"] for result in results]
    failed, tolerated = outcomes.count("failed"), spec["tolerated_failures"]
    if tolerated is not None and failed > tolerated:
        first = next(result["error"] for result in results if result["outcome"] == "failed")
        message = f"{failed} of {spec['items']} items failed, {tolerated} are tolerated; the first: {first['message']}"
        raise failure("MAP_FAILED", message, failed=failed, started=len(results), first=first)
    return {
        "results": results,
        "successful": outcomes.count("success"),
        "failed": failed,
        "skipped": outcomes.count("skipped"),
    }


# Iterate


async def iterate(value: dict[str, Any], context: ComponentContext) -> AwaitChildren:
    flow = await _flow_of(value, context, "flow")
    most = value.get("max_iterations") or DEFAULT_ITERATIONS
    spec = {"flow": [flow.id, flow.kind, flow.step_count], "iteration": 1, "max_iterations": most}
    return AwaitChildren(flow, (_child_input(value.get("initial_input")),), spec)


def iterated(spec: Json, children: tuple[EndedChild, ...]) -> Json:
    (child,) = children
    if child.status is not RunStatus.COMPLETED:
        raise _failed(child)
    output, iteration = child.output, spec["iteration"]
    if isinstance(output, dict) and "result" in output:
        return {"result": output["result"], "iterations": iteration, "terminated": False}
    if not isinstance(output, dict) or "next" not in output:
        message = "The flow of an iteration gives {result: …} to end or {next: …} to go on"
        raise failure("INVALID_OUTPUT", message, run_id=child.run_id)
    if iteration >= spec["max_iterations"]:
        return {"result": output["next"], "iterations": iteration, "terminated": True}
    return AwaitChildren(FlowVersion(*spec["flow"]), (output["next"],), {**spec, "iteration": iteration + 1})


COMPONENTS: tuple[Component, ...] = (
    Component(
        path="/builtin/eval",
        function=evaluate,
        finish=evaluated,
        mode="async",
        description="Runs a flow as a child: one written out, one from a value, or a template",
        input_schema={
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "workflow": _FLOW,
                "template": _TEMPLATE,
                "flow_id": _TEMPLATE,
                "input": True,
                "unwrap": {"type": ["boolean", "null"], "description": "give the plain result, and fail if it fails"},
            },
        },
        output_schema={"description": "{result: {outcome, result or error}, run_id}; with unwrap, what the flow gives"},
        example={
            "input": {"workflow": _DOUBLE, "input": 2},
            "output": {"result": {"outcome": "success", "result": 4}, "run_id": "exec_mfx3k2p1a7b8c9d0"},
        },
    ),
    Component(
        path="/builtin/map",
        function=map_items,
        finish=mapped,
        mode="async",
        description="Runs a flow once for each item, each as a child",
        input_schema={
            "type": "object",
            "required": ["items"],
            "additionalProperties": False,
            "properties": {
                "workflow": _FLOW,
                "template": _TEMPLATE,
                "flow_id": _TEMPLATE,
                "items": {"type": "array"},
                "max_concurrency": {"type": ["integer", "null"], "minimum": 1, "default": DEFAULT_MAP_CONCURRENCY},
                "tolerated_failures": {"type": ["integer", "null"], "minimum": 0},
            },
        },
        output_schema={
            "type": "object",
            "required": ["results", "successful", "failed", "skipped"],
            "properties": {
                "results": {"type": "array", "items": _ENVELOPE},
                "successful": {"type": "integer"},
                "failed": {"type": "integer"},
                "skipped": {"type": "integer"},
            },
        },
        example={
            "input": {"workflow": _DOUBLE, "items": [1]},
            "output": {
                "results": [{"outcome": "success", "result": 2}],
                "successful": 1,
                "failed": 0,
                "skipped": 0,
            },
        },
    ),
    Component(
        path="/builtin/iterate",
        function=iterate,
        finish=iterated,
        mode="async",
        description="Runs a flow again and again, each time with the {next: …} it gave, until it gives {result: …}",
        input_schema={
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "flow": _FLOW,
                "template": _TEMPLATE,
                "flow_id": _TEMPLATE,
                "initial_input": True,
                "max_iterations": {"type": ["integer", "null"], "minimum": 1, "default": DEFAULT_ITERATIONS},
            },
        },
        output_schema={
            "type": "object",
            "required": ["result", "iterations", "terminated"],
            "properties": {"result": True, "iterations": {"type": "integer"}, "terminated": {"type": "boolean"}},
        },
        example={
            "input": {
                "flow": {
                    "steps": [{"id": "end", "type": "echo", "input": {"result": "$.input"}}],
                    "output": "$.steps.end.output",
                },
                "initial_input": 1,
            },
            "output": {"result": 1, "iterations": 1, "terminated": False},
        },
    ),
)
