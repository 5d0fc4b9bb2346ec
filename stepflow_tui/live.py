"""Following the log: bursts are merged, so that the screen draws ten times a second at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.message import Message

from stepflow.client import Client
from stepflow.errors import EventsPrunedError, WorkflowEngineError
from stepflow_tui.messages import EventsArrived, StorageTrouble

MERGE_SECONDS = 0.1
RETRY_SECONDS = 1.0


async def follow_log(client: Client, after_seq: int, post: Callable[[Message], object]) -> None:
    """Post every event after `after_seq`: the first of a burst at once, what comes behind it together. Trouble with
    the storage is posted and tried again; ends only by being cancelled."""
    seq = after_seq
    in_trouble = False
    while True:
        try:
            async for events in client.follow_batches(seq):
                if in_trouble:
                    in_trouble = False
                    post(StorageTrouble(None))
                seq = events[-1].seq
                post(EventsArrived(events))
                await asyncio.sleep(MERGE_SECONDS)
        except EventsPrunedError as error:
            seq = error.oldest_seq - 1
        except WorkflowEngineError as error:
            in_trouble = True
            post(StorageTrouble(error.message))
            await asyncio.sleep(RETRY_SECONDS)
