"""Following the log: an async iterator that yields what was committed, in whichever process, soon after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from stepflow.contracts.storage import Storage
from stepflow.model.event import WorkflowEvent
from stepflow.runtime.bridge import Bridge


async def follow(
    bridge: Bridge, storage: Storage, after_seq: int | None, run_id: str | None, limit: int
) -> AsyncGenerator[list[WorkflowEvent], None]:
    """Batches of at most `limit` events after `after_seq` (None: from now on), of one run or of all. Never ends."""
    loop = asyncio.get_running_loop()
    listener = storage.listen()
    woken = asyncio.Event()
    file = listener.fileno()

    def wake() -> None:
        listener.drain()
        woken.set()

    try:
        if file is not None:
            loop.add_reader(file, wake)
        seq = await bridge.call(storage.last_seq) if after_seq is None else after_seq
        while True:
            woken.clear()
            while True:
                events = await bridge.call(
                    storage.get_events, run_id, after_seq=seq, before_seq=None, limit=limit, newest=False
                )
                if events:
                    seq = events[-1].seq
                    yield events
                if len(events) < limit:
                    break
            await _until_committed(woken, listener.changed, listener.poll_seconds)
    finally:
        if file is not None:
            loop.remove_reader(file)
        listener.close()


async def _until_committed(woken: asyncio.Event, changed: object, poll_seconds: float) -> None:
    assert callable(changed)
    while not woken.is_set():
        try:
            await asyncio.wait_for(woken.wait(), poll_seconds)
        except TimeoutError:
            if changed():
                return
