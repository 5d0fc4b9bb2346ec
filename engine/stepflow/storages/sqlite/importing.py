"""The lines of an export as rows, each verb a job for the writer. What they say was judged before (`runtime.transfer`);
here it meets what is stored already, and never overwrites it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Raw

from stepflow.contracts.transfer import ImportedRuns, ImportedTemplate, RunLine, StepLine, TemplateLine, WholeRun
from stepflow.errors import ImportRefusedError
from stepflow.model import jsontext
from stepflow.model.event import EVENT_CODES, LEVELS, EventType
from stepflow.model.flow import Flow
from stepflow.model.statuses import RUN_STATUS_CODES, STEP_STATUS_CODES
from stepflow.model.times import from_datetime
from stepflow.storages.sqlite import blobs, queries, rows, upkeep_queries
from stepflow.storages.sqlite.writer import Group

Version = tuple[str, int]
"""A template's name and a version's number, as the file has them."""


def import_template(group: Group, lines: Sequence[TemplateLine], taken: set[int], now: int) -> ImportedTemplate:
    """Versions of one template. One that is stored with the same flow and folder is that one; others are added under
    their own number, or the next where it is taken. What is the newest of a template that was there stays so. `taken`:
    versions that are another one of the same file already."""
    connection = group.connection
    first = lines[0]
    row = connection.execute(queries.TEMPLATE_ROW, (first.name,)).fetchone()
    is_new = row is None
    newest = next((line.version for line in lines if line.newest), max(line.version for line in lines))
    if is_new:
        times = (from_datetime(first.template_created_at), from_datetime(first.template_updated_at))
        values = (first.name, first.description, abs(newest), *times, first.deleted or first.inline)
        row = (*connection.execute(upkeep_queries.IMPORT_TEMPLATE, values).fetchone(), first.deleted, 0)
    template = row[0]
    numbers: dict[int, int] = {}
    added: dict[int, int] = {}
    for line in lines:
        flow = bytes(line.flow).decode()
        flow_hash = blobs.blob_id(f"{line.base_dir}\n{flow}") if line.inline else None
        found = _same(connection, template, line, flow, flow_hash, taken)
        if found is None:
            # One that gave way is a version like any where it is the only one.
            wanted = abs(newest) if is_new and line.version == newest else line.version
            found, added[line.version] = _add_version(connection, template, line, flow, flow_hash, wanted)
            if not (row[1] or line.inline):
                said = {"name": line.name, "version": added[line.version]}
                group.add_run_event(None, None, EventType.TEMPLATE_SAVED, now, said)
        connection.execute(queries.USE_VERSION, (found,))  # the runs that come are pinned to it
        numbers[line.version] = found
        taken.add(found)
    (newest,) = connection.execute("SELECT newest FROM templates WHERE num = ?", (template,)).fetchone()
    return ImportedTemplate(first.name, numbers, added, newest)


def _same(
    connection: sqlite3.Connection,
    template: int,
    line: TemplateLine,
    flow: str,
    flow_hash: str | None,
    taken: set[int],
) -> int | None:
    if flow_hash is not None:
        found = connection.execute(queries.VERSION_BY_FLOW, (template, flow_hash)).fetchall()
    else:
        found = connection.execute(
            upkeep_queries.SAME_VERSIONS, (template, flow, line.base_dir, line.version)
        ).fetchall()
    return next((row[0] for row in found if row[0] not in taken), None)


def _add_version(
    connection: sqlite3.Connection, template: int, line: TemplateLine, flow: str, flow_hash: str | None, wanted: int
) -> tuple[int, int]:
    """Its number in the storage, and in the template."""
    (version,) = connection.execute(upkeep_queries.FREE_VERSION, {"template": template, "wanted": wanted}).fetchone()
    needs = jsontext.encode(line.components)
    values = (template, version, line.source, line.source_format, flow, needs, line.base_dir)
    created_at = from_datetime(line.created_at)
    (number,) = connection.execute(
        upkeep_queries.IMPORT_VERSION, (*values, created_at, flow_hash, line.file)
    ).fetchone()
    return number, version


def import_runs(
    group: Group,
    runs: Sequence[WholeRun],
    versions: Mapping[Version, int],
    flows: Mapping[Version, Flow],
    resume: bool,
    now: int,
) -> ImportedRuns:
    """A root run and all below it, or nothing."""
    group.flush()
    connection = group.connection
    stored = [
        one for one in runs if connection.execute(upkeep_queries.RUN_AND_PARENT, (one.run.id,)).fetchone() is not None
    ]
    root = runs[0].run
    if stored and stored[0] is runs[0]:
        return ImportedRuns(root.id, 0)
    if stored:
        raise ImportRefusedError(stored[0].line, f"{stored[0].run.id} is stored already, and not inside of {root.id}")
    tree = _Tree(group, versions, flows, now)
    for one in runs:
        tree.add(one)
    paused = 0 if resume else sum(map(tree.pause, runs))
    group.flush()
    group.wakes_workers = True
    return ImportedRuns(root.id, len(runs), paused=paused > 0, lost_key=tree.lost_key)


class _Tree:
    """Runs that are being written, parents first."""

    def __init__(self, group: Group, versions: Mapping[Version, int], flows: Mapping[Version, Flow], now: int) -> None:
        self._group = group
        self._connection = group.connection
        self._versions = versions
        self._flows = flows
        self._now = now
        self._numbers: dict[str, int] = {}
        self._depths: dict[str, int] = {}
        self._child_groups: dict[tuple[str, int], int] = {}
        self._age = 0
        self.lost_key: str | None = None

    def add(self, one: WholeRun) -> None:
        run = one.run
        number = self._insert(run, one)
        self._numbers[run.id] = number
        at = from_datetime(run.finished_at or run.created_at)
        for blob in one.blobs:
            data, created_at = _text(blob.data), from_datetime(blob.created_at)
            self._connection.execute(queries.INSERT_BLOB, (blob.id, blob.blob_type, data, created_at))
            self._connection.execute(queries.INSERT_BLOB_REF, (blob.id, number))
        bodies = (number, _text(run.input), _text(run.variables), _text(run.metadata))
        self._connection.execute(queries.INSERT_RUN_BODY, bodies)
        output = blobs.offload(self._group, number, _text(run.output), at)
        if output is not None:
            self._connection.execute(queries.SET_OUTPUT, (output, number))
        index_of = {step.key: index for index, step in enumerate(self._flows[run.template, run.version].steps)}
        self._connection.executemany(
            queries.UPSERT_STEP, (self._step_row(number, index_of[step.key], step, at) for step in one.steps)
        )
        for signal in run.signals:
            values = (number, signal.name, _text(signal.data), from_datetime(signal.at))
            self._connection.execute(queries.INSERT_SIGNAL, values)
        self._add_child_groups(run, number, index_of)
        for event in one.events:
            step = None if event.step_key is None else index_of[event.step_key]
            self._group.add_event(
                number,
                event.run_seq,
                EVENT_CODES.get(event.event_type, event.event_type),
                step,
                None if step is None else event.attempt,
                LEVELS.index(event.level),
                from_datetime(event.timestamp),
                _text(event.payload),
            )

    def _insert(self, run: RunLine, one: WholeRun) -> int:
        version = self._versions[run.template, run.version]
        (template,) = self._connection.execute(upkeep_queries.TEMPLATE_OF_VERSION, (version,)).fetchone()
        key = run.idempotency_key
        if key is not None and self._connection.execute(queries.RUN_BY_KEY, (template, key)).fetchone() is not None:
            self.lost_key, key = key, None
        parent, depth, child_group = None, 0, None
        if run.parent_run_id is None:
            self._age = from_datetime(run.created_at)
        else:
            parent, depth = self._numbers[run.parent_run_id], self._depths[run.parent_run_id] + 1
            child_group = run.child_group and self._child_group(run.parent_run_id, run.child_group)
        self._depths[run.id] = depth
        # A worker that is told to end it holds it no more.
        wake_at = 0 if run.cancel_requested and not run.status.is_final else _at(run.wake_at)
        (number,) = self._connection.execute(
            upkeep_queries.IMPORT_RUN,
            {
                "id": run.id,
                "template": template,
                "template_version": version,
                "status": RUN_STATUS_CODES[run.status],
                "priority": run.priority,
                "created_at": from_datetime(run.created_at),
                "started_at": _at(run.started_at),
                "finished_at": _at(run.finished_at),
                "wake_at": wake_at,
                "event_count": len(one.events),
                "step_count": run.step_count,
                "open_steps": run.step_count - _ended(one.steps),
                "losses": run.losses,
                "cancel_requested": run.cancel_requested,
                "output_skipped": run.output_skipped,
                "reason": run.reason,
                "error": _text(run.error),
                "parent": parent,
                "retry_of": run.retry_of,
                "idempotency_key": key,
                "child_group": child_group,
                "child_item": run.child_item,
                "depth": depth,
                "age": self._age,
                "start_at": _at(run.start_at),
            },
        ).fetchone()
        return int(number)

    def _step_row(self, run: int, index: int, step: StepLine, at: int) -> rows.Row:
        flags = (rows.RECOVERED if step.recovered else 0) | (rows.REUSED if step.reused else 0)
        return (
            run,
            index,
            step.attempt,
            STEP_STATUS_CODES[step.status],
            _at(step.started_at),
            _at(step.finished_at),
            _at(step.wake_at),
            step.reason,
            _text(step.error),
            flags | (rows.WITHHELD if step.withheld else 0),
            _text(step.input),
            blobs.offload(self._group, run, _text(step.output), at),
            step.awaits,
        )

    def _child_group(self, parent: str, rank: int) -> int:
        """The number here of a group that its parent has heard of, which is never used again."""
        found = self._child_groups.get((parent, rank))
        if found is None:
            values = (self._numbers[parent], 0, 0, 0, "", 0, 1, None, 0, 0, "null")
            (found,) = self._connection.execute(queries.INSERT_GROUP_OF_CHILDREN, values).fetchone()
            self._connection.execute(queries.DELETE_GROUP_OF_CHILDREN, (found,))
            self._child_groups[parent, rank] = found
        return found

    def _add_child_groups(self, run: RunLine, number: int, index_of: Mapping[str, int]) -> None:
        for group in sorted(run.child_groups, key=lambda one: one.number):
            # Numbers follow the order of the groups that came before, which had ended.
            for rank in range(1, group.number):
                self._child_group(run.id, rank)
            version = self._versions[group.template, group.version]
            values = (number, index_of[group.step_key], group.attempt, version, group.template, group.step_count)
            more = (group.max_concurrency, group.tolerated_failures, group.total, group.started, _text(group.spec))
            (found,) = self._connection.execute(queries.INSERT_GROUP_OF_CHILDREN, (*values, *more)).fetchone()
            progress = (group.done, group.failed, group.ended, found)
            self._connection.execute(upkeep_queries.SET_GROUP_OF_CHILDREN, progress)
            inputs = [(found, int(item), _text(text)) for item, text in group.inputs.items()]
            self._connection.executemany(queries.INSERT_CHILD_INPUT, inputs)
            self._child_groups[run.id, group.number] = found

    def pause(self, one: WholeRun) -> bool:
        """What has not ended must not go on by itself in another place."""
        number = self._numbers[one.run.id]
        row = self._connection.execute(queries.PAUSE, (number,)).fetchone()
        if row is not None:
            self._group.add_run_event(number, row[0], EventType.RUN_PAUSED, self._now)
        return row is not None


def _ended(steps: Sequence[StepLine]) -> int:
    latest = {step.key: step for step in steps}
    return sum(step.status.is_final for step in latest.values())


def _text(raw: Raw) -> str | None:
    return bytes(raw).decode() or None


def _at(moment: datetime | None) -> int | None:
    return None if moment is None else from_datetime(moment)
