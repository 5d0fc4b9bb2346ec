"""Values that are nested too deep are refused where they come in; the rest a worker can follow to their end."""

from __future__ import annotations

from typing import Any

import pytest

from stepflow.dsl.starting import check_start
from stepflow.dsl.validate import read_flow
from stepflow.errors import InvalidInputError
from stepflow.model import jsontext
from stepflow.model.flow import Flow
from stepflow.model.statuses import RunStatus
from stepflow.storages.sqlite import SQLiteStorage
from tests.support.engine import finish, start, until, until_event, working

TEMPLATE_LEVELS = 90
"""Around a value: a template has a hundred at most."""


def nested(levels: int, value: Any = 1) -> Any:
    for level in range(levels):
        value = [value] if level % 2 else {"k": value}
    return value


def a_flow(*steps: dict[str, Any], **more: Any) -> Flow:
    read = read_flow({"name": "nesting", "steps": list(steps), **more})
    assert read.flow is not None, read.diagnostics
    return read.flow


ECHO = {"id": "s", "type": "echo", "input": "$.input.v"}
AT_MOST = nested(jsontext.MAX_NESTING - 1)


def test_levels_are_counted_and_not_brackets() -> None:
    assert not jsontext.is_too_deep([nested(jsontext.MAX_NESTING - 1), "[" * 1000])
    assert jsontext.is_too_deep([nested(jsontext.MAX_NESTING)])
    wide: list[Any] = [[]] * 1000
    assert jsontext.normalise(wide)[0] == wide
    with pytest.raises(ValueError, match="nested deeper than 200 levels"):
        jsontext.normalise(nested(jsontext.MAX_NESTING + 1))


@pytest.mark.parametrize("levels", [jsontext.MAX_NESTING, 900, 100_000])
def test_an_input_or_a_variable_that_is_nested_too_deep_starts_nothing(levels: int) -> None:
    flow = a_flow(ECHO, variables={"type": "object", "properties": {"a": {}}})
    with pytest.raises(InvalidInputError, match="Invalid input: nested deeper than 200 levels"):
        check_start(flow, {"v": nested(levels)}, {})
    with pytest.raises(InvalidInputError, match="Invalid variables: nested deeper"):
        check_start(flow, {}, {"a": nested(levels)})


async def test_an_output_that_is_nested_too_deep_fails_its_step(storage: SQLiteStorage) -> None:
    deeper = {"id": "s", "type": "echo", "input": nested(TEMPLATE_LEVELS, "$.input.v"), "retry": "never"}
    run = await finish(storage, a_flow(deeper), input={"v": AT_MOST})
    assert run.error is not None
    assert run.error["code"] == "INVALID_OUTPUT"
    assert "nested deeper than 200 levels" in run.error["message"]


@pytest.mark.parametrize("right", [True, False])
async def test_what_a_template_makes_of_the_deepest_values_is_judged_and_stored(
    storage: SQLiteStorage, right: bool
) -> None:
    schema = {"type": "object", "properties": {"k": {"type": "object" if right else "null"}}}
    output = nested(TEMPLATE_LEVELS - TEMPLATE_LEVELS % 2 - 1, nested(2, "$.steps.s.output"))
    flow = a_flow(ECHO, output={"k": {"k": output}}, output_schema=schema)
    run = await finish(storage, flow, input={"v": AT_MOST})
    assert run.status is (RunStatus.COMPLETED if right else RunStatus.FAILED)
    if not right:
        assert run.error is not None
        assert run.error["code"] == "INVALID_OUTPUT"
        assert "nested too deep to say" in run.error["message"]


async def test_a_signal_that_is_nested_too_deep_is_refused_and_the_wait_goes_on(storage: SQLiteStorage) -> None:
    flow = a_flow({"id": "s", "component": "/builtin/wait_event", "input": {"name": "go"}})
    run_id = start(storage, flow)
    async with working(storage):
        await until_event(storage, run_id, "step.waiting", "s")
        with pytest.raises(InvalidInputError, match="nested deeper than 200 levels"):
            storage.signal(run_id, "go", jsontext.encode(nested(500)), 1)
        storage.signal(run_id, "go", jsontext.encode(AT_MOST), 1)
        run = await until(storage, run_id)
    assert run.output == {"s": {"received": True, "timeout": False, "data": AT_MOST}}
