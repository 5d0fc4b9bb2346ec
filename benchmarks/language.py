"""The language: reading templates, simulating them, and evaluating what they say. One process, no storage."""

from __future__ import annotations

import gc
import time
import timeit
from collections.abc import Callable

import yaml

from benchmarks.report import Figure
from stepflow.components.registry import builtin_registry
from stepflow.core.decide import Draft
from stepflow.core.graph import build_graph
from stepflow.core.run import Run
from stepflow.core.transition import RunState
from stepflow.dsl.validate import read_flow
from stepflow.simulate.planned import Plan
from stepflow.workbench import Workbench

_HEAD = """\
name: measured
input_schema: {type: object, properties: {who: {type: string}, limit: {type: integer}}}
output: { $from: { step: s0 }, path: count }
steps:
"""

_STEP = """\
  - id: s{i}
    component: /builtin/echo
    input:
      url: https://example.org/items/{i}
      who: $.input.who
      label: "item ${{{{ $.steps.s{before}.output.count + 1 }}}}"
      count: {{ $from: {{ step: s{before} }}, path: count }}
"""
_HANDLED = """\
    timeout: 30s
    retry: {{ strategy: exponential, max_attempts: 3 }}
    on_error: {{ action: continue, default_output: {{ count: 0 }} }}
"""
_CONDITIONAL = """\
    skip_if: $.steps.s{before}.output.count > $.input.limit
    metadata: {{ group: "items", owner: data }}
"""


def template(steps: int) -> str:
    """A template like people's: every step refers to others, every second one handles its errors, every fourth has a
    condition."""
    parts = [_HEAD, "  - id: s0\n    component: /builtin/echo\n    input: { count: 1 }\n"]
    for i in range(1, steps):
        text = _STEP + (_HANDLED if i % 2 else "") + ("" if i % 4 else _CONDITIONAL)
        parts.append(text.format(i=i, before=(i - 1) // 2))
    return "".join(parts)


def seconds(act: Callable[[], object], rounds: int = 7) -> float:
    """Of processor time, the least of `rounds`: it is all one thread."""
    gc.collect()
    return min(timeit.repeat(act, number=1, repeat=rounds, timer=time.process_time))


def _read(text: str) -> Callable[[], object]:
    known = builtin_registry().by_path

    def read() -> object:
        found = read_flow(text, file="measured.yaml", components=known)
        assert found.flow is not None, found.diagnostics[:3]
        return found

    return read


def _bare(text: str) -> Callable[[], object]:
    return lambda: yaml.load(text, Loader=yaml.CSafeLoader)


def simulation_seconds(steps: int) -> float:
    """Each step but the first refers to another, every fourth has a condition."""
    listed = [
        {
            "id": f"s{i}",
            "type": "echo",
            "input": {"count": 1} if i == 0 else {"count": f"$.steps.s{(i - 1) // 2}.output.count"},
            **({} if i % 4 or i == 0 else {"skip_if": f"$.steps.s{(i - 1) // 2}.output.count > $.input.limit"}),
        }
        for i in range(steps)
    ]
    flow = read_flow({"steps": listed}).flow
    assert flow is not None
    workbench = Workbench(None)

    def once() -> object:
        made = workbench.simulate(flow, {"limit": 5}, Plan())
        assert made.success, made.error
        assert made.step_count == steps, made.step_count
        return made

    return seconds(once, 3)


def _evaluations() -> tuple[float, float, float]:
    """Nanoseconds of a dict look-up, of a reference, of a condition; the loop around each is the same."""
    flow = read_flow(
        {
            "steps": [
                {"id": "a", "type": "noop"},
                {"id": "b", "type": "echo", "input": "$.steps.a.output.n", "when": "$.steps.a.output.n > 3"},
            ]
        }
    ).flow
    assert flow is not None
    graph = build_graph(flow)
    run = Run(graph, "exec_measured", RunState(), {})
    run.values[0] = {"n": 5}
    condition = graph.nodes[1].when
    assert condition is not None
    known = {
        "scope": Draft(run, 0),
        "table": {f"key{i}": i for i in range(100)},
        "key": "key50",
        "reference": graph.nodes[1].input.evaluate,
        "condition": condition.evaluate,
    }

    def nanoseconds(statement: str) -> float:
        number = 1_000_000
        return (
            min(timeit.repeat(statement, globals=known, number=number, repeat=7, timer=time.process_time))
            / number
            * 1e9
        )

    return nanoseconds("table[key]"), nanoseconds("reference(scope)"), nanoseconds("condition(scope)")


def _reading(what: str, steps: int, wanted_ms: int, wanted: str) -> Figure:
    text = template(steps)
    measured = seconds(_read(text)) * 1000
    return Figure(
        f"Load and validate, {what}", measured, "ms", wanted, measured <= wanted_ms, seconds(_bare(text)) * 1000
    )


def figures() -> list[Figure]:
    simulated = simulation_seconds(10_000)
    lookup, reference, condition = _evaluations()
    return [
        _reading("200 steps", 200, 15, "at most 15"),
        _reading("5,000 steps", 5000, 500, "at most 500"),
        _reading("10,000 lines", 1112, 150, "well under 200"),
        Figure("Simulation of 10,000 steps", simulated, "s", "at most 1", simulated <= 1),
        Figure("A reference", reference, "ns", "at most 4 dict look-ups", reference <= 4 * lookup, lookup),
        Figure("A condition", condition, "ns", "at most 12 dict look-ups", condition <= 12 * lookup, lookup),
    ]
