"""A worker inside the test, on a real file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from stepflow.components.registry import Registry, builtin_registry
from stepflow.contracts.storage import CreateRun, Storage, StoredRun, TemplateText
from stepflow.model import jsontext
from stepflow.model.flow import Flow
from stepflow.model.ids import new_run_id
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.times import now_ms
from stepflow.runtime.worker import WorkerLoop
from stepflow.worker import make_worker

PATIENCE_SECONDS = 30.0


def save(storage: Storage, flow: Flow, base_dir: str | None = None) -> int:
    """The id of the flow's newest version."""
    text = TemplateText(flow.name or "flow", "", "yaml", flow, None, base_dir, now_ms())
    return storage.save_template(text, create=True, update=True).id


def start(storage: Storage, flow: Flow, input: Any = None, **options: Any) -> str:  # noqa: A002
    version = save(storage, flow)
    create = CreateRun(
        id=new_run_id(),
        template_version=version,
        input=jsontext.encode({} if input is None else input),
        created_at=now_ms(),
        step_count=len(flow.steps),
        **options,
    )
    return str(storage.perform(create))


@asynccontextmanager
async def working(storage: Storage, registry: Registry | None = None, **options: Any) -> AsyncIterator[WorkerLoop]:
    """A worker that works for the length of the block."""
    worker = make_worker(storage, registry or builtin_registry(), **options)
    begun = asyncio.Event()
    task = asyncio.create_task(worker.run(begun.set))
    waiter = asyncio.create_task(begun.wait())
    await asyncio.wait([task, waiter], return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    if task.done():
        task.result()
    try:
        yield worker
    finally:
        await worker.stop(0)
        await task


async def until(storage: Storage, run_id: str, *statuses: str) -> RunRecord:
    """The run when it has one of `statuses` (none: when it is final)."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            run = storage.get_run(run_id)
            if run.status in statuses or (not statuses and run.status.is_final):
                return run
            await asyncio.sleep(0.005)


async def until_event(storage: Storage, run_id: str, event_type: str, step: str | None = None) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not any(
            event.event_type == event_type and (step is None or event.step_key == step)
            for event in storage.get_events(run_id, after_seq=0, before_seq=None, limit=10_000, newest=False)
        ):
            await asyncio.sleep(0.005)


async def finish(storage: Storage, flow: Flow, input: Any = None, **options: Any) -> RunRecord:  # noqa: A002
    """Run `flow` to its end with a worker of its own."""
    run_id = start(storage, flow, input)
    async with working(storage, **options):
        return await until(storage, run_id)


def steps_of(storage: Storage, run_id: str) -> dict[str, StepRecord]:
    return {step.key: step for step in storage.get_steps(run_id, bodies=True, attempts=False)}


def types_of(storage: Storage, run_id: str) -> list[str]:
    events = storage.get_events(run_id, after_seq=0, before_seq=None, limit=10_000, newest=False)
    return [f"{event.event_type} {event.step_key}" if event.step_key else event.event_type for event in events]


def stored(storage: Storage, run_id: str) -> StoredRun:
    return storage.load_run(run_id)
