"""A worker process: claims the runs of a storage and performs them, until it is told to stop.

`python -m stepflow.worker URL` is how other commands start the background worker.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from stepflow.components.registry import Registry, check_input
from stepflow.contracts.clock import Clock, SystemClock
from stepflow.contracts.storage import Storage
from stepflow.dsl.diagnostics import printable
from stepflow.errors import WorkflowEngineError
from stepflow.location import open_storage
from stepflow.runtime.worker import WorkerLoop
from stepflow.settings import read_settings

DEFAULT_SLOTS = 100
DEFAULT_GRACE = timedelta(seconds=10)
DEFAULT_LEASE = timedelta(seconds=15)
OWNED_GRACE = timedelta(days=1)
"""Of a worker that another takes the place of: no step is cut short for that."""
IDLE_SECONDS = 30.0
"""How long the background worker stays when there is nothing left to do."""
IDLE_LOOK_SECONDS = 1.0


def make_worker(
    storage: Storage,
    registry: Registry,
    *,
    clock: Clock | None = None,
    slots: int = DEFAULT_SLOTS,
    lease: timedelta = DEFAULT_LEASE,
    workspace: Path | None = None,
    background: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> WorkerLoop:
    """A worker's loop, ready to `run()` in the running event loop."""
    return WorkerLoop(
        storage,
        registry.get,
        registry.paths,
        check_input,
        clock=clock or SystemClock(),
        slots=slots,
        lease_seconds=lease.total_seconds(),
        workspace=None if workspace is None else str(workspace),
        background=background,
        say=say,
    )


def tune_process() -> None:
    """Settings of a process that only works: the collector leaves alone what start-up made, and runs seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def run_worker(
    url: str,
    workspace: Path | None,
    *,
    slots: int = DEFAULT_SLOTS,
    grace: timedelta = DEFAULT_GRACE,
    background: bool = False,
    owned: bool = False,
    lease: timedelta = DEFAULT_LEASE,
    durability: str | None = None,
) -> int:
    """Work until SIGTERM or SIGINT (then runs are given back); the exit code. A second signal ends at once.
    `background`: be the database's one background worker, which ends when nothing is left to do. `owned`: the end of
    stdin is a signal too, so that it does not outlive whoever started it."""
    read_settings(workspace)  # what it turns off must not be on because it cannot be read
    storage = open_storage(url, durability=durability, workspace=workspace)
    try:
        if background and not storage.become_background_worker():
            return 0  # another one is already there
        registry = Registry.for_workspace(workspace, warn=_say)
        tune_process()
        return asyncio.run(
            _work(
                storage, registry, workspace, slots=slots, grace=grace, background=background, owned=owned, lease=lease
            )
        )
    finally:
        storage.close()


async def _work(
    storage: Storage,
    registry: Registry,
    workspace: Path | None,
    *,
    slots: int,
    grace: timedelta,
    background: bool,
    owned: bool,
    lease: timedelta,
) -> int:
    worker = make_worker(
        storage, registry, slots=slots, lease=lease, workspace=workspace, background=background, say=_say
    )
    loop = asyncio.get_running_loop()
    stopping: asyncio.Task[None] | None = None

    def stop() -> None:
        nonlocal stopping
        if stopping is not None:
            _say("told twice to stop: ending at once; other workers take the executions over")
            # The lock on this process's life goes with it, so nothing has to be tidied.
            signal.raise_signal(signal.SIGKILL)
        _say("stopping: giving executions back")
        stopping = loop.create_task(worker.stop(grace.total_seconds()))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if owned:
        _when_stdin_ends(lambda: stop() if stopping is None else None)
    idle = loop.create_task(_stop_when_idle(worker)) if background else None

    def started() -> None:
        _say(f"{worker.worker_id} works on {storage.url} with {slots} slots")

    try:
        await worker.run(started)
    finally:
        if idle is not None:
            idle.cancel()
    return 0


def _when_stdin_ends(do: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()

    def read() -> None:
        if not os.read(0, 1024):
            loop.remove_reader(0)
            nobody = os.open(os.devnull, os.O_WRONLY)
            for stream in (1, 2):
                os.dup2(nobody, stream)  # whoever read them has gone as well, and writing would fail
            os.close(nobody)
            do()

    loop.add_reader(0, read)


async def _stop_when_idle(worker: WorkerLoop) -> None:
    loop = asyncio.get_running_loop()
    idle_since = loop.time()
    while True:
        await asyncio.sleep(IDLE_LOOK_SECONDS)
        if await loop.run_in_executor(None, _has_work, worker):
            idle_since = loop.time()
        elif loop.time() - idle_since >= IDLE_SECONDS:
            _say("nothing left to do")
            await worker.stop(0)
            return


def _has_work(worker: WorkerLoop) -> bool:
    try:
        return worker.has_work()
    except WorkflowEngineError:
        return True  # the storage is in trouble; that is no reason to go


def _say(message: str) -> None:
    """What programs and templates have a part in is data: a terminal obeys nothing of it."""
    try:
        print(f"worker: {printable(message)}", file=sys.stderr, flush=True)  # noqa: T201 - a worker's log is its stderr
    except BrokenPipeError:
        pass  # whoever read it has gone, which is no reason to work, or to stop, in another way


def end_process(code: int) -> NoReturn:
    """Past threads of components that did not stop when told: the interpreter would wait for them for ever."""
    sys.stdout.flush()
    sys.stderr.flush()
    if any(not thread.daemon and thread is not threading.main_thread() for thread in threading.enumerate()):
        os._exit(code)
    sys.exit(code)


def main(arguments: list[str]) -> int:
    """`URL [WORKSPACE]`: the background worker; `--owned URL WORKSPACE`: one that whoever started it looks after."""
    owned = arguments[:1] == ["--owned"]
    url, workspace, *_ = [*arguments[owned:], ""]
    place = Path(workspace) if workspace else None
    try:
        if owned:
            return run_worker(url, place, owned=True, grace=OWNED_GRACE)
        return run_worker(url, place, background=True)
    except WorkflowEngineError as error:
        _say(str(error))
        return 1


if __name__ == "__main__":
    end_process(main(sys.argv[1:]))
