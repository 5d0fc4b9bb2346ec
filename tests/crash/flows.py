"""The flows of the crash sweep. Every step has a real effect: it writes its name to a file."""

from __future__ import annotations

from typing import Any

from stepflow.model.flow import Flow, OnError, Step
from tests.support.flows import echo, flow, quick_retry, ref


def effect(key: str, *needs: str, component: str = "/test/effect", **options: Any) -> Step:
    needed = {f"needs{index}": ref(need) for index, need in enumerate(needs)}
    return Step(key=key, component=component, input={"key": key, **options.pop("input", {}), **needed}, **options)


def sleep(key: str, milliseconds: int, **options: Any) -> Step:
    return Step(key=key, component="/builtin/sleep", input={"duration_ms": milliseconds}, **options)


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
}
