"""A cancel that is looked after: where its worker does nothing about it, an execution is ended without it."""

from __future__ import annotations

from datetime import timedelta

from stepflow.client import Client

PATIENCE = timedelta(seconds=15)
"""With a worker that is to end an execution: longer than the lease of one that is hung."""
_REASON = "ended in the terminal UI"


async def end(client: Client, run_id: str) -> bool:
    """False: it had ended already."""
    if not await client.cancel(run_id, _REASON):
        return False
    try:
        await client.wait_for_run(run_id, PATIENCE)
    except TimeoutError:
        # The lease of a worker that is hung is over by now.
        await client.cancel(run_id, _REASON)
    return True
