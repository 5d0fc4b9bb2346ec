"""Flows for tests, written as the parser would give them."""

from __future__ import annotations

from typing import Any

from stepflow.model.flow import Flow, RetryPolicy, Step


def ref(step: str, path: str | None = None, **more: Any) -> dict[str, Any]:
    value: dict[str, Any] = {"$from": {"step": step}}
    if path is not None:
        value["path"] = path
    return {**value, **more}


def echo(key: str, value: Any = None, **options: Any) -> Step:
    return Step(key=key, component="/builtin/echo", input=value, **options)


def flow(*steps: Step, **options: Any) -> Flow:
    return Flow(steps=steps, name=options.pop("name", "flow"), **options)


def chain(length: int) -> Flow:
    return flow(*(echo(f"s{i}", i if i == 0 else ref(f"s{i - 1}")) for i in range(length)))


def fan_out(width: int, **options: Any) -> Flow:
    return flow(*(echo(f"s{i}", i) for i in range(width)), **options)


def quick_retry(attempts: int, delay_ms: int = 1) -> RetryPolicy:
    return RetryPolicy(strategy="fixed", max_attempts=attempts, base_delay_ms=delay_ms)
