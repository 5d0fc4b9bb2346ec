"""The flows of the crash sweep. Every step has a real effect: it writes its name to a file."""

from __future__ import annotations

from typing import Any

from stepflow.dsl.validate import read_flow
from stepflow.model.flow import Flow, OnError, Step
from tests.support.flows import echo, flow, quick_retry, ref


def effect(key: str, *needs: str, component: str = "/test/effect", **options: Any) -> Step:
    needed = {f"needs{index}": ref(need) for index, need in enumerate(needs)}
    return Step(key=key, component=component, input={"key": key, **options.pop("input", {}), **needed}, **options)


def sleep(key: str, milliseconds: int, **options: Any) -> Step:
    return Step(key=key, component="/builtin/sleep", input={"duration_ms": milliseconds}, **options)


def written(dsl: dict[str, Any]) -> Flow:
    """A flow as its author writes it."""
    read = read_flow({"name": "flow", **dsl})
    assert read.flow is not None, read.diagnostics
    return read.flow


def touch(key: str, **options: Any) -> dict[str, Any]:
    """The same step as `effect`, as its author writes it."""
    return {"id": options.pop("id", key), "component": "/test/effect", "input": {"key": key}, **options}


def inside(name: str, component: str, value: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"id": name, "type": component, "input": value, **options}


QUICK = {"max_attempts": 2, "strategy": "fixed", "delay": "5ms"}
ITEM = {
    "steps": [
        {"id": "first", "component": "/test/effect", "input": {"key": "first${{ $.input }}"}},
        {
            "id": "flaky",
            "component": "/test/flaky",
            "input": {"key": "flaky${{ $.input }}", "fails": 1, "after": "$.steps.first.output"},
            "retry": QUICK,
        },
    ],
    "output": {"item": "$.input", "attempt": "$.steps.flaky.output.attempt"},
}
BROKEN = {"steps": [touch("inner"), {"id": "bad", "component": "/test/fails", "input": {"key": "bad"}}]}
DEEP = {
    "steps": [
        touch("outer"),
        inside("deeper", "eval", {"workflow": {"steps": [touch("deepest")]}, "unwrap": True}, depends_on=["outer"]),
    ],
    "output": "$.steps.deeper.output",
}
COUNTING = {
    "steps": [
        {"id": "count", "component": "/test/effect", "input": {"key": "round${{ $.input.round }}"}},
        {"id": "next", "type": "echo", "input": "${{ $.input.round + 1 }}", "depends_on": ["count"]},
    ],
    "output": {
        "$if": "${{ $.steps.next.output > 4 }}",
        "then": {"result": "$.steps.next.output"},
        "else": {"next": {"round": "$.steps.next.output"}},
    },
}
BIG = {"id": "inner", "component": "/test/large", "input": {"key": "inner"}}
SLEEPER = {"steps": [touch("asleep"), inside("nap", "sleep", {"duration": "1h"}, depends_on=["asleep"])]}

FLOWS: dict[str, Flow] = {
    "chain": flow(effect("a"), effect("b", "a"), effect("c", "b"), effect("d", "c")),
    "diamond": flow(effect("a"), effect("left", "a"), effect("right", "a"), effect("join", "left", "right")),
    "fan_out": flow(
        echo("items", list(range(12))),
        *(effect(f"item{index}", "items") for index in range(12)),
        effect("gather", *(f"item{index}" for index in range(12))),
        max_concurrency=4,
    ),
    "retry": flow(
        effect("first"),
        effect("flaky", "first", component="/test/flaky", input={"fails": 2}, retry=quick_retry(4, 10)),
        effect("last", "flaky"),
    ),
    "skip": flow(
        echo("flag", {"off": True}),
        effect("skipped", "flag", skip_if=ref("flag", "off")),
        effect("follows", "skipped"),
        effect("default", input={"optional": ref("skipped", **{"$default": 1})}),
        effect("other"),
    ),
    "failure": flow(
        effect("good"),
        effect("bad", "good", component="/test/fails"),
        effect("below", "bad"),
        effect("handled", "good", component="/test/fails", on_error=OnError("continue", {"recovered": True})),
        effect("after", "handled"),
    ),
    "timer": flow(effect("before"), sleep("nap", 30, depends_on=("before",)), effect("woken", "nap")),
    "cancel": flow(
        effect("before"), sleep("long", 3_600_000, depends_on=("before",)), effect("never", "long"), effect("beside")
    ),
    "shell": flow(
        effect("before"),
        Step(
            key="outlives",
            component="/shell/run",
            # It goes on when its worker is killed; whoever takes the run over must end it first.
            input={"command": "echo begin >> $EFFECTS; sleep 0.3; echo outlives >> $EFFECTS", "shell": True},
            depends_on=("before",),
        ),
        effect("after", "outlives"),
    ),
    "map": written(
        {
            "steps": [
                inside("each", "map", {"workflow": ITEM, "items": [1, 2, 3, 4], "max_concurrency": 2}),
                touch("after", depends_on=["each"]),
            ],
            "output": ["$.steps.each.output", "$.steps.after.output"],
        }
    ),
    "eval": written(
        {
            "steps": [
                inside("nested", "eval", {"workflow": DEEP, "unwrap": True}),
                inside("broken", "eval", {"workflow": BROKEN, "unwrap": True}, retry=QUICK, depends_on=["nested"]),
                touch("below", depends_on=["broken"]),
            ]
        }
    ),
    "iterate": written(
        {
            "steps": [
                inside("rounds", "iterate", {"flow": COUNTING, "initial_input": {"round": 1}}),
                touch("after", depends_on=["rounds"]),
            ],
            "output": "$.steps.rounds.output",
        }
    ),
    "signal": written(
        {
            "steps": [
                touch("before"),
                inside("ask", "wait_event", {"name": "go"}, depends_on=["before"]),
                {"id": "then", "component": "/test/effect", "input": {"key": "then", "by": "$.steps.ask.output.data"}},
            ],
            "output": {"answer": "$.steps.ask.output", "then": "$.steps.then.output"},
        }
    ),
    "needed": written(
        {
            "evaluate": "needed",
            "steps": [
                {"id": "flag", "component": "/test/effect", "input": {"key": "flag"}},
                {"id": "yes", "component": "/test/effect", "input": {"key": "yes", "need": "$.steps.deep.output"}},
                touch("deep"),
                touch("no"),
                {"id": "flaky", "component": "/test/flaky", "input": {"key": "flaky", "fails": 1}, "retry": QUICK},
                touch("must", must_execute=True, depends_on=["flag"]),
                touch("never"),
            ],
            "output": {
                "chosen": {"$if": "$.steps.flag.output", "then": "$.steps.yes.output", "else": "$.steps.no.output"},
                "flaky": "$.steps.flaky.output",
            },
        }
    ),
    "recovered": written(
        {
            "steps": [
                inside(
                    "broken",
                    "eval",
                    {"workflow": BROKEN, "unwrap": True},
                    on_error={"action": "continue", "default_output": {"instead": True}},
                ),
                {
                    "id": "after",
                    "component": "/test/effect",
                    "input": {"key": "after", "given": "$.steps.broken.output"},
                },
            ],
            "output": ["$.steps.broken.output", "$.steps.after.output"],
        }
    ),
    "large": written(
        {
            "steps": [
                {"id": "big", "component": "/test/large", "input": {"key": "big"}},
                {"id": "same", "type": "echo", "input": "$.steps.big.output"},
                {"id": "after", "component": "/test/effect", "input": {"key": "after", "text": "$.steps.same.output"}},
                inside("child", "eval", {"workflow": {"steps": [BIG]}, "unwrap": True}, depends_on=["after"]),
            ],
            "output": {"big": "$.steps.same.output", "child": "$.steps.child.output", "after": "$.steps.after.output"},
        }
    ),
    "cancel_children": written(
        {
            "steps": [
                touch("before"),
                inside(
                    "each",
                    "map",
                    {"workflow": SLEEPER, "items": [1, 2, 3], "max_concurrency": 2},
                    depends_on=["before"],
                ),
            ]
        }
    ),
}
