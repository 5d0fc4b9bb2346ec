"""`stepflow retry` and `stepflow fork`: from a step, with another input or version, of what lives and what ended."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from stepflow.storages.sqlite import SQLiteStorage
from tests.cli.conftest import Call
from tests.support.engine import until, working

FLOW = """
name: order
steps:
  - {id: stock, type: echo, input: $.input.item}
  - {id: price, type: echo, input: $.input.price}
  - {id: pay, type: fail, input: {message: declined}, depends_on: [stock, price], when: $.input.price > 100}
  - {id: note, type: echo, input: "${{ $.steps.price.output + 1 }}"}
"""


async def ended(storage: SQLiteStorage, call: Call, folder: Path, price: int) -> str:
    """The id of an execution that has ended: failed, where the price is above 100."""
    (folder / "order.yaml").write_text(FLOW)
    given = json.dumps({"item": "pen", "price": price})
    done = await asyncio.to_thread(call, "run", "order.yaml", "--input", given, "--async", "--no-worker")
    run_id = done.stdout.split("Run ID: ")[1].split()[0]
    async with working(storage):
        await until(storage, run_id)
    return run_id


def reused(storage: SQLiteStorage) -> list[str]:
    """Of the newest execution."""
    newest = storage.list_runs(1, None, None, None, False)[0][0]
    return [step.key for step in storage.get_steps(newest.id, bodies=False, attempts=False) if step.reused]


async def test_a_retry_says_what_it_takes_over(storage: SQLiteStorage, call: Call, folder: Path) -> None:
    failed = await ended(storage, call, folder, 200)
    done = await asyncio.to_thread(call, "retry", failed, "--no-worker")
    newest = storage.list_runs(1, None, None, None, False)[0][0]
    assert done.stdout == f"✓ Execution redriven\n  New Run TRN: trn:stepflow:...:exec/{newest.id[5:]}\n"
    assert done.stderr == "  ℹ Takes over 3 of 4 steps\n"
    assert reused(storage) == ["stock", "price", "note"]


async def test_from_a_step_it_and_what_follows_is_performed_anew(
    storage: SQLiteStorage, call: Call, folder: Path
) -> None:
    failed = await ended(storage, call, folder, 200)
    await asyncio.to_thread(call, "retry", failed, "--from", "price", "--no-worker")
    assert reused(storage) == ["stock"]
    done = await asyncio.to_thread(call, "retry", failed, "--from", "prize", "--no-worker")
    assert (done.exit_code, done.stderr) == (1, "✗ 'prize' is not a step of 'order'; did you mean 'price'?\n")


async def test_another_input_keeps_the_steps_that_do_not_refer_to_what_changed(
    storage: SQLiteStorage, call: Call, folder: Path
) -> None:
    failed = await ended(storage, call, folder, 200)
    await asyncio.to_thread(call, "retry", failed, "--input", '{"item": "pen", "price": 7}', "--no-worker")
    assert reused(storage) == ["stock"]
    async with working(storage):
        run = await until(storage, storage.list_runs(1, None, None, None, False)[0][0].id)
    assert run.output == {"note": 8}


async def test_the_latest_version_runs_what_it_changed(storage: SQLiteStorage, call: Call, folder: Path) -> None:
    failed = await ended(storage, call, folder, 200)
    # Another step stands before the others now.
    changed = FLOW.replace("steps:\n", "steps:\n  - {id: first, type: noop}\n").replace("declined", "no money")
    (folder / "order.yaml").write_text(changed)
    await asyncio.to_thread(call, "update", "order", "--dsl", "order.yaml")
    await asyncio.to_thread(call, "retry", failed, "--version", "latest", "--no-worker")
    assert reused(storage) == ["stock", "price", "note"]
    run_id = storage.list_runs(1, None, None, None, False)[0][0].id
    outputs = {step.key: step.output for step in storage.get_steps(run_id, bodies=True, attempts=False)}
    assert outputs == {"first": None, "stock": "pen", "price": 200, "pay": None, "note": 201}
    done = await asyncio.to_thread(call, "retry", failed, "--version", "newest")
    assert done.exit_code == 2
    assert "'newest' is no version; give its number, or latest" in done.stderr


async def test_only_what_failed_is_retried_and_anything_is_forked(
    storage: SQLiteStorage, call: Call, folder: Path
) -> None:
    completed = await ended(storage, call, folder, 20)
    done = await asyncio.to_thread(call, "retry", completed)
    assert (done.exit_code, done.stderr) == (1, f"✗ Execution {completed} is completed; run it anew, or fork it\n")
    done = await asyncio.to_thread(call, "fork", completed, "--from", "note", "--no-worker")
    assert done.stdout.startswith("✓ Execution forked\n  New Run TRN: trn:")
    assert reused(storage) == ["stock", "price"]
    fork = storage.list_runs(1, None, None, None, False)[0][0]
    assert fork.retry_of == completed
    # Of one that lives: nobody performs it.
    await asyncio.to_thread(call, "fork", fork.id, "--no-worker")
    assert reused(storage) == ["stock", "price"]
