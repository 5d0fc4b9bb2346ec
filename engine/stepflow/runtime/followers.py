"""Following the log: an async iterator that yields what was committed, in whichever process, soon after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from stepflow.contracts.storage import Listener, Storage
from stepflow.errors import EventsPrunedError
from stepflow.model.event import WorkflowEvent
from stepflow.runtime.bridge import Bridge
from stepflow.runtime.direct import Direct


async def follow(
    bridge: Bridge | Direct,
    storage: Storage,
    after_seq: int | None,
    run_id: str | None,
    limit: int,
    *,
    lines: bool = False,
    bodies: bool = True,
) -> AsyncGenerator[list[WorkflowEvent], None]:
    """Batches of at most `limit` events after `after_seq` (None: from now on), of one run or of all; `lines`: only
    those that `get_events` gives then, `bodies` as it has them. Never ends; `EventsPrunedError`: of all there are not
    all any more."""
    listener = storage.listen()
    try:
        seq = await bridge.call(storage.last_seq) if after_seq is None else after_seq
        while True:
            while True:
                events = await bridge.call(
                    storage.get_events,
                    run_id,
                    after_seq=seq,
                    before_seq=None,
                    limit=limit,
                    newest=False,
                    lines=lines,
                    bodies=bodies,
                )
                if events:
                    if run_id is None and not lines and events[-1].seq - seq > len(events):
                        await _refuse_what_was_pruned(bridge, storage, seq)
                    seq = events[-1].seq
                    yield events
                if len(events) < limit:
                    break
            await _until_committed(listener)
    finally:
        listener.close()


async def _refuse_what_was_pruned(bridge: Bridge | Direct, storage: Storage, seq: int) -> None:
    """Numbers of the log are missing only where it was pruned."""
    oldest_seq = await bridge.call(storage.oldest_whole_seq)
    if seq + 1 < oldest_seq:
        raise EventsPrunedError(oldest_seq)


async def _until_committed(listener: Listener) -> None:
    """Nobody hears of commits before and after: in a flood, what happens while its last part is drawn costs nothing."""
    loop, file = asyncio.get_running_loop(), listener.fileno()
    if listener.drain():
        return  # meanwhile
    woken = asyncio.Event()
    if file is not None:
        loop.add_reader(file, woken.set)
    try:
        while not woken.is_set():
            try:
                async with asyncio.timeout(listener.poll_seconds):
                    await woken.wait()
            except TimeoutError:
                if listener.changed():
                    return
    finally:
        if file is not None:
            loop.remove_reader(file)
    listener.drain()
