"""Keeping a database in good order: taking executions out, putting them in, deleting old ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from stepflow.client.connection import Connection
from stepflow.client.runs import Statuses, statuses_of
from stepflow.errors import WorkflowEngineError
from stepflow.model.statuses import FINAL_RUN_STATUSES
from stepflow.model.times import to_datetime

if TYPE_CHECKING:
    from stepflow.contracts.storage import Pruned, PruneForecast, PruneRule
    from stepflow.contracts.transfer import ImportedRuns, ImportedTemplate, NotImported
    from stepflow.model.flow import Flow

T = TypeVar("T")

EXPORTED_AT_ONCE = 256 * 1024
"""Bytes."""
UNUSED_BLOBS_STAY = timedelta(days=1)
"""A step may be about to refer to one."""


class Upkeep(Connection):
    async def export(self, runs: list[str] | None = None, *, template: str | None = None) -> AsyncIterator[bytes]:
        """Lines of JSON, some at a time: these executions, or all of a template, or everything, as it is at the
        beginning. What sensitive steps gave is not in it."""
        storage = self._open_storage

        def write() -> Iterator[bytes]:
            run_ids = None if not runs else [storage.find_run(run) for run in runs]
            return _written(storage.export(run_ids, template), self._clock.now())

        async for chunk in self._one_by_one(await self._open_bridge.call(write)):
            yield chunk

    async def import_from(
        self, file: BinaryIO, *, resume: bool = False
    ) -> AsyncIterator[ImportedTemplate | ImportedRuns | NotImported]:
        """Take in what `export` wrote, and say of each template and each root execution what became of it. What is
        stored stays as it is; what has not ended is paused, unless `resume`. May be done again after it was
        interrupted. `ImportRefusedError`: a line is wrong; what came before it is imported."""
        async for one in self._one_by_one(self._import(file, resume)):
            yield one

    def _import(self, file: BinaryIO, resume: bool) -> Iterator[ImportedTemplate | ImportedRuns | NotImported]:
        from stepflow.contracts.transfer import NotImported
        from stepflow.runtime.transfer import Templates, check_tree, read_parts

        storage = self._open_storage
        versions: dict[tuple[str, int], int] = {}
        taken: set[int] = set()

        def flow_of(template: str, version: int) -> Flow | None:
            number = versions.get((template, version))
            return None if number is None else storage.template_version_by_id(number).flow

        for part in read_parts(file):
            if isinstance(part, Templates):
                imported = storage.import_template(part.versions, taken, self._clock.now())
                versions.update({(imported.name, version): one for version, one in imported.numbers.items()})
                yield imported
                continue
            check_tree(part, flow_of)
            if part.is_withheld and not part.has_ended:
                yield NotImported(part.runs[0].run.id)
            else:
                yield storage.import_runs(part.runs, versions, resume, self._clock.now())

    async def forecast_prune(
        self,
        older_than: timedelta,
        keep: int = 0,
        *,
        template: str | None = None,
        status: Statuses = None,
    ) -> PruneForecast:
        """What `prune` would delete."""
        rule = self._rule(older_than, keep, template, status)
        return await self._open_bridge.call(self._open_storage.forecast_prune, rule)

    async def prune(
        self,
        older_than: timedelta,
        keep: int = 0,
        *,
        template: str | None = None,
        status: Statuses = None,
    ) -> AsyncIterator[Pruned]:
        """Delete executions that ended so long ago, with their children; a few at a time, each time saying what is
        gone. The `keep` newest of each template stay, and so does the newest of all."""
        storage = self._open_storage
        deleting = storage.prune(self._rule(older_than, keep, template, status), self._clock.now())
        async for one in self._one_by_one(deleting):
            yield one

    def _rule(self, older_than: timedelta, keep: int, template: str | None, status: Statuses) -> PruneRule:
        from stepflow.contracts.storage import PruneRule

        statuses = statuses_of(status) or tuple(FINAL_RUN_STATUSES)
        for one in statuses:
            if not one.is_final:
                message = f"What is {one.value} has not ended, and only what has ended can be pruned"
                raise WorkflowEngineError("INVALID_STATUS", message)
        before = self._clock.now() - round(older_than.total_seconds() * 1000)
        return PruneRule(before, keep, template, statuses)

    async def clear_away(self) -> tuple[int, int]:
        """Delete what no execution needs any more: blobs, and flows written inside others. How many of each."""
        storage = self._open_storage
        before = self._clock.now() - round(UNUSED_BLOBS_STAY.total_seconds() * 1000)
        blobs = 0
        async for count in self._one_by_one(await self._open_bridge.call(storage.prune_blobs, before)):
            blobs += count
        return blobs, await self._open_bridge.call(storage.prune_inline_templates)

    async def free_bytes(self) -> int:
        """In the file, and used by nothing."""
        return await self._open_bridge.call(self._open_storage.free_bytes)

    async def vacuum(self) -> int:
        """Give them back to the disk; how many. `WorkflowEngineError`: a worker runs."""
        return await self._open_bridge.call(self._open_storage.vacuum)

    async def _one_by_one(self, iterator: Iterator[T]) -> AsyncIterator[T]:
        """Each in a thread, so that an interrupt is heard between."""
        try:
            while True:
                one = await self._open_bridge.call(next, iterator, _END)
                if one is _END:
                    return
                yield one
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:
                # Interrupted in the middle of a step, it ends with its thread.
                with suppress(ValueError):
                    close()


_END = object()


def _written(lines: Iterator[object], now: int) -> Iterator[bytes]:
    from importlib.metadata import version

    import msgspec

    from stepflow.contracts.transfer import FORMAT, Head, RunLine, Tail

    encode = msgspec.json.Encoder().encode
    buffer = bytearray(encode(Head(FORMAT, version("stepflow-tui"), to_datetime(now)))) + b"\n"
    runs = 0
    for line in lines:
        runs += isinstance(line, RunLine)
        buffer += encode(line)
        buffer += b"\n"
        if len(buffer) >= EXPORTED_AT_ONCE:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer + encode(Tail(runs)) + b"\n")
