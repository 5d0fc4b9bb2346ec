"""Values that grow from step to step end in a clear error, and never in a worker without memory."""

from __future__ import annotations

from typing import Any

import pytest

from stepflow.dsl.validate import read_flow
from stepflow.model import jsontext
from stepflow.model.flow import Flow
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.engine import finish


def a_flow(*steps: dict[str, Any], **more: Any) -> Flow:
    read = read_flow({"name": "sizes", "steps": list(steps), **more})
    assert read.flow is not None, read.diagnostics
    return read.flow


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "MAX_CHARACTERS", 4 * 1024 * 1024)
    monkeypatch.setattr(jsontext, "LARGE", 32 * 1024)


@pytest.mark.usefixtures("small_limits")
async def test_outputs_that_contain_all_earlier_ones_stop_at_the_limit(storage: SQLiteStorage) -> None:
    """Sixty steps, each twice as long as the one before: 2^60 characters, if nobody looked."""
    steps = [{"id": "s0", "type": "echo", "input": "x" * 1000}]
    steps += [
        {"id": f"s{i}", "type": "echo", "input": [f"$.steps.s{i - 1}.output"] * 2, "retry": False} for i in range(1, 60)
    ]
    run = await finish(storage, a_flow(*steps))
    assert run.error is not None
    assert run.error["code"] == "EXPRESSION_FAILED"
    assert "and 4 MB is the most" in run.error["message"]


@pytest.mark.usefixtures("small_limits")
async def test_one_large_output_in_many_places_is_refused(storage: SQLiteStorage) -> None:
    many: Any = "$.steps.big.output"
    for _ in range(3):
        many = [many] * 20
    big = {"id": "big", "type": "echo", "input": "x" * 40_000}
    run = await finish(storage, a_flow(big, output={"a": many}))
    assert run.error is not None
    assert run.error["message"].startswith("The value is ")


@pytest.mark.usefixtures("small_limits")
async def test_an_output_that_is_too_long_fails_its_step(storage: SQLiteStorage) -> None:
    step = {"id": "s", "component": "/shell/run", "input": {"command": ["head", "-c", "5000000", "/dev/zero"]}}
    run = await finish(storage, a_flow({**step, "retry": False}))
    assert run.error is not None
    assert run.error["code"] == "INVALID_OUTPUT"
    assert "MB of JSON" in run.error["message"]


def test_shared_parts_are_measured_once() -> None:
    value: Any = ["x"]
    for _ in range(60):
        value = [value, value]
    assert jsontext.size_of(value) > 2**60
    assert jsontext.size_of({"a": [1, "b"]}) >= len(jsontext.encode({"a": [1, "b"]}))
