"""Deleting runs that ended long ago: children before their parents, each run in one transaction, and so few of them in
each that a worker beside it keeps its pace.

The newest run and the newest template version stay, whatever their age: SQLite would give their numbers again, and
somebody may still know them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from stepflow.contracts.storage import Pruned, PruneForecast, PruneRule
from stepflow.model import jsontext
from stepflow.model.event import EventType
from stepflow.model.statuses import RUN_STATUS_CODES
from stepflow.storages.sqlite import queries, upkeep_queries
from stepflow.storages.sqlite.read import Reader
from stepflow.storages.sqlite.writer import Group, Job

ROOTS_AT_ONCE = 1000
"""That are looked at together."""
RUNS_AT_ONCE = 5000
"""Whose belongings are looked for together."""
ROWS_AT_ONCE = 300
"""Deleted in one transaction; a run with more has one of its own."""
BLOBS_AT_ONCE = 16

Do = Callable[[Job], Any]


class _Tree(NamedTuple):
    root: int
    template: str
    runs: int
    events: int


class Pruner:
    """What is to go is found by `reader`, without a lock; `do` deletes it."""

    def __init__(self, reader: Reader, do: Do, rule: PruneRule) -> None:
        self._reader = reader
        self._do = do
        self._rule = rule
        self._kept_from: dict[int, int] = {}
        """By template: the oldest of its newest runs, which stay."""
        self._template: int | None = None
        if rule.template is not None:
            self._template = reader.fetch(queries.TEMPLATE_ROW, (rule.template,))[0][0]

    def forecast(self) -> PruneForecast:
        by_template: dict[str, int] = {}
        runs = events = 0
        for chunk in self._chunks():
            for tree in chunk:
                by_template[tree.template] = by_template.get(tree.template, 0) + 1
                runs += tree.runs
                events += tree.events
        return PruneForecast(by_template, runs, events)

    def prune(self, now: int) -> Iterator[Pruned]:
        """What each transaction has deleted."""
        is_first = True
        for trees in self._portions():
            belongings = _Belongings(self._reader, self._members(trees))
            for batch in belongings.batches():
                yield self._do(partial(_delete, batch=batch, mark_at=now if is_first else None))
                is_first = False

    def _portions(self) -> Iterator[list[_Tree]]:
        """As many as there is room for in memory, or one that alone has more runs."""
        for chunk in self._chunks():
            portion: list[_Tree] = []
            runs = 0
            for tree in chunk:
                if portion and runs + tree.runs > RUNS_AT_ONCE:
                    yield portion
                    portion, runs = [], 0
                portion.append(tree)
                runs += tree.runs
            if portion:
                yield portion

    def _chunks(self) -> Iterator[list[_Tree]]:
        last = 0
        statuses = jsontext.encode([RUN_STATUS_CODES[status] for status in self._rule.statuses])
        while True:
            found = self._reader.fetch(
                upkeep_queries.prunable(by_template=self._template is not None),
                {
                    "after": last,
                    "before": self._rule.finished_before,
                    "statuses": statuses,
                    "template": self._template,
                    "limit": ROOTS_AT_ONCE,
                },
            )
            if not found:
                return
            last = found[-1][0]
            numbers = jsontext.encode([number for number, template in found if not self._is_kept(number, template)])
            trees = self._reader.fetch(upkeep_queries.PRUNABLE_TREES, (numbers,))
            yield [_Tree(*row[:4]) for row in trees if row[4] == 0]

    def _is_kept(self, number: int, template: int) -> bool:
        if not self._rule.keep:
            return False
        if template not in self._kept_from:
            row = self._reader.fetch_one(upkeep_queries.NTH_NEWEST_ROOT, (template, self._rule.keep - 1))
            self._kept_from[template] = 0 if row is None else row[0]
        return number >= self._kept_from[template]

    def _members(self, trees: list[_Tree]) -> list[tuple[int, int, bool]]:
        """Number, rows and whether it is a root, of all runs of these trees, children first."""
        return [
            (number, weight, bool(is_root))
            for tree in trees
            for number, weight, is_root in self._reader.fetch(upkeep_queries.PRUNABLE_TREE, (tree.root,))
        ]


class _Batch(NamedTuple):
    runs: list[int]
    roots: int
    signals: list[int]
    blob_refs: list[tuple[str, int]]


class _Belongings:
    """What refers to runs and has no index by run is looked for once for many of them, before the lock."""

    def __init__(self, reader: Reader, members: list[tuple[int, int, bool]]) -> None:
        self._members = members
        numbers = jsontext.encode([number for number, _, _ in members])
        self._signals: dict[int, list[int]] = {}
        for run, signal in reader.fetch(upkeep_queries.SIGNALS_OF_RUNS, (numbers,)):
            self._signals.setdefault(run, []).append(signal)
        self._blobs: dict[int, list[str]] = {}
        for run, blob in reader.fetch(upkeep_queries.BLOBS_OF_RUNS, (numbers,)):
            self._blobs.setdefault(run, []).append(blob)

    def batches(self) -> Iterator[_Batch]:
        batch = _Batch([], 0, [], [])
        rows = 0
        for number, weight, is_root in self._members:
            if batch.runs and rows + weight > ROWS_AT_ONCE:
                yield batch
                batch, rows = _Batch([], 0, [], []), 0
            batch.runs.append(number)
            batch.signals.extend(self._signals.get(number, ()))
            batch.blob_refs.extend((blob, number) for blob in self._blobs.get(number, ()))
            batch = batch._replace(roots=batch.roots + is_root)
            rows += weight
        if batch.runs:
            yield batch


def _delete(group: Group, batch: _Batch, mark_at: int | None) -> Pruned:
    """`mark_at`: from here on the log says that events before may be missing."""
    connection = group.connection
    if mark_at is not None:
        group.flush()
        connection.execute(upkeep_queries.DELETE_MARKS)
        group.add_run_event(None, None, EventType.CURSOR_SKIPPED, mark_at, {"oldest_seq": group.next_seq})
    numbers = jsontext.encode(batch.runs)
    connection.executemany("DELETE FROM signals WHERE num = ?", [(signal,) for signal in batch.signals])
    connection.executemany("DELETE FROM blob_refs WHERE blob = ? AND run = ?", batch.blob_refs)
    events = 0
    for sql in upkeep_queries.DELETE_OF_RUNS:
        count = connection.execute(sql, (numbers,)).rowcount
        if sql is upkeep_queries.DELETE_EVENTS_OF_RUNS:
            events = count
    deleted = connection.execute(upkeep_queries.DELETE_RUNS, (numbers,)).rowcount
    return Pruned(roots=batch.roots, runs=deleted, events=events)


def prune_blobs(reader: Reader, do: Do, before: int) -> Iterator[int]:
    """Blobs that no run refers to and that were made before then; how many each transaction has deleted."""
    lost = reader.fetch(upkeep_queries.REFS_OF_NO_RUN)
    for first in range(0, len(lost), ROWS_AT_ONCE):
        some = lost[first : first + ROWS_AT_ONCE]
        do(partial(_delete_refs, refs=some))
    found = [blob for (blob,) in reader.fetch(upkeep_queries.UNUSED_BLOBS)]
    for first in range(0, len(found), BLOBS_AT_ONCE):
        ids = jsontext.encode(found[first : first + BLOBS_AT_ONCE])
        yield do(partial(_delete_blobs, ids=ids, before=before))


def _delete_refs(group: Group, refs: list[Any]) -> None:
    group.connection.executemany(upkeep_queries.DELETE_REF_OF_NO_RUN, refs)


def _delete_blobs(group: Group, ids: str, before: int) -> int:
    return group.connection.execute(upkeep_queries.DELETE_BLOBS, (ids, before)).rowcount


def prune_inline_versions(reader: Reader, do: Do, may_go: Callable[[], bool]) -> int:
    """Flows without a template of their own that no run uses. A worker may be about to start one that it has read, so
    they go only while none lives (`may_go`)."""
    count = 0
    found = [number for (number,) in reader.fetch(upkeep_queries.UNUSED_INLINE_VERSIONS)] if may_go() else []
    for first in range(0, len(found), ROWS_AT_ONCE):
        numbers = jsontext.encode(found[first : first + ROWS_AT_ONCE])

        def delete(group: Group, numbers: str = numbers) -> int:
            if not may_go():
                return 0
            deleted = group.connection.execute(upkeep_queries.DELETE_INLINE_VERSIONS, (numbers,)).rowcount
            group.connection.execute(upkeep_queries.DELETE_EMPTY_TEMPLATES)
            return deleted

        count += do(delete)
    return count
