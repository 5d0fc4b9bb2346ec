"""What differs between two executions: compared without a storage, and as the command shows it."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from stepflow.client import Client
from stepflow.components.registry import builtin_registry
from stepflow.contracts.component import Component
from stepflow.model.differences import Change, RunDifference, changes, compare_runs
from stepflow.model.flow import Step
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call
from tests.support.engine import finish, start, until, working
from tests.support.flows import echo, flow, quick_retry

BEGIN = datetime(2025, 1, 20, 14, 22, tzinfo=UTC)
NONE = msgspec.UNSET


def step(key: str, took_ms: int | None = 5, **options: Any) -> StepRecord:
    times = {} if took_ms is None else {"started_at": BEGIN, "finished_at": BEGIN + timedelta(milliseconds=took_ms)}
    given = {"status": StepStatus.COMPLETED, "attempt": 1, "component": "/builtin/echo", **times, **options}
    return StepRecord(key=key, **given)


def run(**options: Any) -> RunRecord:
    given = {"id": "exec_1", "template": "x", "version": 1, "status": RunStatus.COMPLETED, "created_at": BEGIN}
    return RunRecord(**{**given, **options})


def compared(before: list[StepRecord], after: list[StepRecord]) -> RunDifference:
    return compare_runs(run(), before, run(id="exec_2"), after)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 1, []),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, []),
        (1, 1.0, []),
        (1, True, [("$", 1, True)]),
        (0, False, [("$", 0, False)]),
        (None, 0, [("$", None, 0)]),
        ("1", 1, [("$", "1", 1)]),
        ({}, [], [("$", {}, [])]),
        ({"a": 1, "b": 2}, {"a": 1, "c": 3}, [("$.b", 2, NONE), ("$.c", NONE, 3)]),
        ({"a": None}, {}, [("$.a", None, NONE)]),
        ([1, 2, 3], [1, 5], [("$[1]", 2, 5), ("$[2]", 3, NONE)]),
        ({"a b": [{"n": 1}]}, {"a b": [{"n": 2}]}, [('$["a b"][0].n', 1, 2)]),
        ({"a": {"b": 1}}, {"a": 5}, [("$.a", {"b": 1}, 5)]),
        ([True, 1], [1, True], [("$[0]", True, 1), ("$[1]", 1, True)]),
    ],
)
def test_values_are_compared_as_json(before: Any, after: Any, expected: list[tuple[str, Any, Any]]) -> None:
    assert list(changes(before, after)) == [Change(*one) for one in expected]
    turned = [Change(path, new, old) for path, old, new in expected]
    assert sorted(changes(after, before), key=lambda one: one.path) == sorted(turned, key=lambda one: one.path)


def test_a_deep_value_is_compared_to_its_bottom() -> None:
    before: Any = 1
    after: Any = 2
    for _ in range(200):
        before, after = {"a": [before]}, {"a": [after]}
    (change,) = changes(before, after)
    assert (change.path, change.before, change.after) == ("$" + ".a[0]" * 200, 1, 2)


def test_steps_are_aligned_by_key_in_the_order_of_the_second() -> None:
    keys = [[step(key) for key in word] for word in ("xaybz", "anbmz")]
    found = compared(*keys)
    assert [(one.key, one.before is None, one.after is None) for one in found.steps] == [
        ("x", False, True),
        ("y", False, True),
        ("n", True, False),
        ("m", True, False),
    ]
    assert found.same_steps == 3
    assert compared([], []).is_empty
    assert [one.key for one in compared([step("a"), step("b")], []).steps] == ["a", "b"]


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        ({}, {}, False),
        ({}, {"attempt": 2}, True),
        ({}, {"status": StepStatus.SKIPPED}, True),
        ({}, {"component": "/shell/run"}, True),
        ({}, {"recovered": True}, True),
        ({"error": {"code": "A", "message": "x"}}, {"error": {"code": "A", "message": "y"}}, True),
        ({"error": {"code": "A", "message": "x", "details": 1}}, {"error": {"code": "A", "message": "x"}}, False),
        ({"reason": "x"}, {"reason": "y"}, True),
        ({"input": 1}, {"input": 2}, True),
        ({"output": 1}, {"output": 2}, True),
        ({"took_ms": 5}, {"took_ms": 90}, False),
        ({"took_ms": 1000}, {"took_ms": 1900}, False),
        ({"took_ms": 1000}, {"took_ms": 2000}, True),
        ({"took_ms": 2000}, {"took_ms": 1000}, True),
        ({"input": 1, "output": 3}, {"took_ms": None, "output": 3, "reused": True, "attempt": 0}, False),
        ({"input": 1, "output": 3}, {"took_ms": None, "output": 4, "reused": True, "attempt": 0}, True),
    ],
)
def test_a_step_differs_in_what_it_did_and_in_how_long_it_took_if_that_is_notable(
    before: dict[str, Any], after: dict[str, Any], differs: bool
) -> None:
    found = compared([step("a", **before)], [step("a", **after)])
    assert (len(found.steps), found.same_steps) == ((1, 0) if differs else (0, 1))
    assert found.is_empty is not differs


def test_what_never_started_was_given_nothing_and_what_failed_gave_nothing() -> None:
    never = step("a", None, status=StepStatus.FAILED, attempt=0, error={"code": "UPSTREAM_FAILED", "message": "x"})
    (found,) = compared([never], [step("a", input=None, output=None)]).steps
    assert (found.input, found.output) == ((Change("$", NONE, None),), (Change("$", NONE, None),))


def test_two_executions_of_other_versions_are_not_the_same() -> None:
    assert compare_runs(run(), [], run(id="exec_2"), []).is_empty
    for other in ({"version": 2}, {"template": "y"}, {"status": RunStatus.FAILED}, {"input": 1}, {"output": 1}):
        assert not compare_runs(run(), [], run(id="exec_2", **other), []).is_empty, other


async def two_runs(storage: SQLiteStorage) -> tuple[str, str]:
    """A flow that fails, then another version that does not, with another input."""
    flaky = Step(key="charge", component="/builtin/fail", input={"message": "no \x1b[2Jstock"}, retry=quick_retry(2))
    late = echo("late", "same")
    first = await finish(
        storage, flow(echo("a", {"$from": {"workflow": "input"}}), flaky, late, echo("gone")), {"n": 1}
    )
    second = await finish(
        storage, flow(echo("a", {"$from": {"workflow": "input"}}), echo("charge", [1]), late, echo("new")), {"n": 2}
    )
    return first.id, second.id


async def test_the_command_says_what_differs_and_counts_the_rest(storage: SQLiteStorage, call: Call) -> None:
    first, second = await two_runs(storage)
    done = await asyncio.to_thread(call, "diff", first, second)
    assert (done.exit_code, done.stderr) == (0, "")
    said = re.sub(r"\b\d+ms\b", "0ms", done.stdout)
    assert said.splitlines() == [
        f"{first} → {second}",
        "Version: 1 → 2",
        "Status: failed → completed",
        *([line] if (line := "Duration: 0ms → 0ms") in said.splitlines() else []),
        "- FAILED: no \\x1b[2Jstock",
        "Input $.n: 1 → 2",
        'Result: (none) → {"a": {"n": 2}, "charge": [1], "late": "same", "new": null}',
        "",
        "Steps:",
        "  ~ a: completed" + (", 0ms → 0ms" if "a: completed, 0ms" in said else ""),
        "      input $.n: 1 → 2",
        "      output $.n: 1 → 2",
        "  ~ charge: failed → completed, /builtin/fail → /builtin/echo, attempts 2 → 1"
        + (", 0ms → 0ms" if "attempts 2 → 1, 0ms" in said else ""),
        "      - FAILED: no \\x1b[2Jstock",
        '      input: {"message": "no \\u001b[2Jstock"} → [1]',
        "      output: (none) → [1]",
        "  - gone: completed",
        "  + new: completed",
        "  1 step is the same",
    ]


async def test_as_json_it_is_the_same_as_data(storage: SQLiteStorage, call: Call) -> None:
    first, second = await two_runs(storage)
    said = json.loads((await asyncio.to_thread(call, "diff", first, second, "--json")).stdout)
    assert [said[side][name] for side in ("before", "after") for name in ("id", "version", "status")] == [
        first, 1, "failed", second, 2, "completed",
    ]  # fmt: skip
    assert said["input"] == [{"path": "$.n", "before": 1, "after": 2}]
    assert said["output"] == [{"path": "$", "after": {"a": {"n": 2}, "charge": [1], "late": "same", "new": None}}]
    assert [(one["key"], one["before"] and one["before"]["status"], one["after"] is None) for one in said["steps"]] == [
        ("a", "completed", False),
        ("charge", "failed", False),
        ("gone", "completed", True),
        ("new", None, False),
    ]
    assert said["steps"][1]["before"]["error"]["message"] == "no \x1b[2Jstock"
    assert said["same_steps"] == 1


async def test_equal_executions_and_one_with_itself_differ_in_nothing(storage: SQLiteStorage, call: Call) -> None:
    runs = [(await finish(storage, flow(echo("a", 1)))).id for _ in range(2)]
    for pair in (runs, runs[:1] * 2):
        done = await asyncio.to_thread(call, "diff", *pair)
        assert (done.exit_code, done.stdout) == (0, "")
        assert done.stderr == f"ℹ Nothing differs between {pair[0]} and {pair[1]}\n"


async def test_a_retry_says_so_and_what_it_took_over_is_the_same(
    storage: SQLiteStorage, client: Client, call: Call
) -> None:
    tries = iter((RuntimeError("x"), 5))

    def once(value: Any, context: Any) -> Any:
        found = next(tries)
        if isinstance(found, Exception):
            raise found
        return found

    registry = builtin_registry()
    registry.register(Component("/user/once", once, "sync", "it"))
    made = flow(echo("a", 1), Step(key="bad", component="/user/once", depends_on=("a",)))
    first = await finish(storage, made, registry=registry)
    again = await client.retry(first.id)
    async with working(storage, registry):
        await until(storage, again)
    lines = (await asyncio.to_thread(call, "diff", first.id, again)).stdout.splitlines()
    assert "The second retries the first" in lines
    assert [line.split(":")[0] for line in lines if line.startswith("  ~")] == ["  ~ bad"]
    assert lines[-1] == "  1 step is the same"


async def test_long_values_are_shown_from_where_they_differ_and_many_are_counted(
    storage: SQLiteStorage, call: Call
) -> None:
    begin = "x" * 5000
    runs = []
    for end in (1, 2):
        value = {"text": begin + "abc" * end, "many": [end] * 1000}
        runs.append((await finish(storage, flow(echo("a", {"$from": {"workflow": "input"}})), value)).id)
    lines = (await asyncio.to_thread(call, "diff", *runs)).stdout.splitlines()
    assert max(map(len, lines)) < 400
    (text,) = [line for line in lines if line.startswith("Input $.text")]
    assert text == 'Input $.text: …xxxxxxxxxxxxxxxxxabc" → …xxxxxxxxxxxxxxxxxabcabc"'
    assert "Input: 981 more; --json gives all" in lines
    whole = json.loads((await asyncio.to_thread(call, "diff", *runs, "--json")).stdout)
    assert len(whole["input"]) == 1001


async def test_an_execution_that_goes_on_is_compared_as_it_is(storage: SQLiteStorage, client: Client) -> None:
    made = flow(echo("a", 1), echo("b", 2))
    done = await finish(storage, made)
    found = await client.diff(start(storage, made), done.id)
    assert [one.key for one in found.steps] == ["a", "b"]
    assert found.before.status is RunStatus.QUEUED
    assert [change.after for change in found.steps[0].output] == [1]
