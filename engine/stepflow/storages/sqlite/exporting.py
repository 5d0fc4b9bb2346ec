"""What is stored as the lines of an export: one read transaction on a connection of its own, row by row, so that it is
all of one moment, costs no memory, and nobody who writes waits for it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from stepflow.contracts.transfer import (
    NOTHING,
    BlobLine,
    ChildGroup,
    EventLine,
    Line,
    PendingSignal,
    RunLine,
    StepLine,
    TemplateLine,
)
from stepflow.core.sensitive import HiddenOutput, hidden_output
from stepflow.errors import RunNotFoundError
from stepflow.model import jsontext
from stepflow.model.event import EVENT_TYPES, LEVELS
from stepflow.model.flow import Flow
from stepflow.model.statuses import RUN_STATUSES, STEP_STATUSES
from stepflow.model.times import to_datetime
from stepflow.storages.sqlite import queries, rows, upkeep_queries

_BLOB_ID = re.compile(rb"[0-9a-f]{64}")

KNOWN_COLUMNS = {
    "templates": "name description newest created_at updated_at deleted | num watched_file watched_hash file_gone",
    "template_versions": "version source source_format flow components base_dir created_at file | "
    "num template flow_hash replaceable",
    "runs": "id template template_version status priority created_at started_at finished_at wake_at step_count losses "
    "cancel_requested output_skipped reason error parent retry_of idempotency_key child_group child_item start_at | "
    "num owner fence version event_count open_steps depth age",
    "run_bodies": "run input variables metadata",
    "run_outputs": "run output",
    "steps": "run step attempt status started_at finished_at wake_at reason error flags input output awaits",
    "events": "seq run run_seq type step attempt level at payload",
    "child_groups": "run step attempt template_version kind step_count max_concurrency tolerated total started done "
    "failed ended spec | num",
    "child_inputs": "child_group item input",
    "signals": "run name data at | num consumed",
    "blobs": "id type data created_at",
    "blob_refs": "blob run",
}
"""What an export carries of each table, and behind the bar what an import makes anew or what is of this machine only,
as the tables of workers and of the process groups they started are."""


class _Version(msgspec.Struct):
    template: str
    version: int
    keys: tuple[str, ...]
    sensitive: frozenset[int]
    hidden: HiddenOutput


class Exporter:
    """`connection` is in a read transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._rows: Callable[..., sqlite3.Cursor] = connection.execute
        self._version = lru_cache(maxsize=256)(self._read_version)
        self._written: set[int] = set()
        """Template versions."""
        self._ranks: dict[int, dict[int, int]] = {}
        """Of the groups of children of the runs in the present tree."""
        self._has_blobs = bool(self._rows("SELECT EXISTS (SELECT 1 FROM blob_refs)").fetchone()[0])
        self.runs = 0

    def lines(self, run_ids: Sequence[str] | None, template: str | None) -> Iterator[Line]:
        """Of these runs, each with the whole it is part of; or of all, or of one template."""
        if run_ids is not None:
            roots = iter(dict.fromkeys(self._root_of(run_id) for run_id in run_ids))
        elif template is not None:
            yield from self._templates("v.version > 0 AND t.name = ?", template)
            roots = (number for (number,) in self._rows(upkeep_queries.ROOTS_OF_TEMPLATE, (template,)))
        else:
            yield from self._templates("v.version > ?", 0)
            roots = (number for (number,) in self._rows(upkeep_queries.ROOTS))
        for root in roots:
            self._ranks.clear()
            for (number,) in self._rows(upkeep_queries.TREE, (root,)):
                yield from self._run(number)

    def _root_of(self, run_id: str) -> int:
        row = self._rows(upkeep_queries.RUN_AND_PARENT, (run_id,)).fetchone()
        if row is None:
            raise RunNotFoundError(run_id)
        number, parent = row
        while parent is not None:
            number, parent = self._rows(upkeep_queries.RUN_AND_PARENT_BY_NUMBER, (parent,)).fetchone()
        return int(number)

    # Templates

    def _templates(self, where: str, value: object) -> Iterator[TemplateLine]:
        for row in self._rows(upkeep_queries.export_versions(where), (value,)):
            number = row[0]
            if number not in self._written:
                self._written.add(number)
                yield _template_line(row)

    def _read_version(self, number: int) -> _Version:
        row = self._rows(upkeep_queries.export_versions("v.num = ?"), (number,)).fetchone()
        flow = Flow.from_json(row[5])
        return _Version(
            template=row[1],
            version=row[2],
            keys=tuple(step.key for step in flow.steps),
            sensitive=frozenset(index for index, step in enumerate(flow.steps) if step.sensitive),
            hidden=hidden_output(flow),
        )

    # Runs

    def _run(self, number: int) -> Iterator[Line]:
        row = self._rows(upkeep_queries.EXPORT_RUN, (number,)).fetchone()
        groups = list(self._child_groups(number))
        for version in (row[1], *(group[6] for group in groups)):
            if version not in self._written:
                yield from self._templates("v.num = ?", version)
        run = self._run_line(number, row, groups)
        self.runs += 1
        found: set[bytes] = set()
        yield self._seen(run, found)
        for step in self._steps(number, run.id, row[1]):
            yield self._seen(step, found)
        for event in self._events(number, run.id, row[1]):
            yield self._seen(event, found)
        for blob in sorted(found):
            blob_row = self._rows(upkeep_queries.BLOB_OF_RUN, (blob.decode(), number)).fetchone()
            if blob_row is not None:
                blob_id, blob_type, data, created_at = blob_row
                yield BlobLine(run.id, blob_id, blob_type, to_datetime(created_at), _raw(data))

    def _seen(self, line: Line, found: set[bytes]) -> Line:
        """Of the blobs of a run go those whose ids stand in what goes: others are known to nobody, or belong to a
        sensitive step."""
        if self._has_blobs:
            found.update(_BLOB_ID.findall(msgspec.json.encode(line)))
        return line

    def _child_groups(self, number: int) -> list[rows.Row]:
        groups = self._rows(upkeep_queries.EXPORT_CHILD_GROUPS, (number,)).fetchall()
        ranks = self._rows(upkeep_queries.CHILD_GROUP_NUMBERS, (number, number)).fetchall()
        if ranks:
            self._ranks[number] = {group: rank for rank, (group,) in enumerate(ranks, start=1)}
        return groups

    def _run_line(self, number: int, row: rows.Row, groups: list[rows.Row]) -> RunLine:
        (run_id, version_number, status, priority, created_at, started_at, finished_at, wake_at, step_count) = row[:9]
        (losses, cancel_requested, output_skipped, reason, error, parent, parent_id, retry_of, key) = row[9:18]
        (child_group, child_item, start_at, input_text, variables, metadata, output) = row[18:]
        version = self._version(version_number)
        shown, withheld = _shown_output(output, version.hidden)
        return RunLine(
            id=run_id,
            template=version.template,
            version=version.version,
            status=RUN_STATUSES[status],
            created_at=to_datetime(created_at),
            step_count=step_count,
            input=_raw(input_text),
            started_at=_time(started_at),
            finished_at=_time(finished_at),
            start_at=_time(start_at),
            wake_at=_time(wake_at),
            priority=priority,
            variables=_raw(variables),
            metadata=_raw(metadata),
            output=shown,
            withheld=withheld,
            output_skipped=bool(output_skipped),
            error=_raw(error),
            reason=reason,
            cancel_requested=bool(cancel_requested),
            losses=losses,
            parent_run_id=parent_id,
            child_group=None if child_group is None else self._ranks[parent][child_group],
            child_item=child_item,
            retry_of=retry_of,
            idempotency_key=key,
            signals=[
                PendingSignal(name, to_datetime(at), _raw(data))
                for name, data, at in self._rows(upkeep_queries.EXPORT_SIGNALS, (number,))
            ],
            child_groups=[self._child_group(number, version, group) for group in groups],
        )

    def _child_group(self, run: int, version: _Version, row: rows.Row) -> ChildGroup:
        (number, step, attempt, step_count, max_concurrency, total, child_version, spec, tolerated) = row[:9]
        started, done, failed, ended = row[9:]
        of = self._version(child_version)
        inputs = self._rows("SELECT item, input FROM child_inputs WHERE child_group = ? ORDER BY item", (number,))
        return ChildGroup(
            number=self._ranks[run][number],
            step_key=version.keys[step],
            attempt=attempt,
            template=of.template,
            version=of.version,
            step_count=step_count,
            max_concurrency=max_concurrency,
            total=total,
            spec=_raw(spec),
            tolerated_failures=tolerated,
            started=started,
            done=done,
            failed=failed,
            ended=bool(ended),
            inputs={str(item): _raw(text) for item, text in inputs},
        )

    def _steps(self, number: int, run_id: str, version_number: int) -> Iterator[StepLine]:
        version = self._version(version_number)
        for row in self._rows(queries.with_bodies(queries.RECORD_STEPS), (number,)):
            (step, attempt, status, started_at, finished_at, wake_at, reason, error, flags, awaits, given, output) = row
            withheld = output is not None and step in version.sensitive
            yield StepLine(
                run_id=run_id,
                key=version.keys[step],
                attempt=attempt,
                status=STEP_STATUSES[status],
                started_at=_time(started_at),
                finished_at=_time(finished_at),
                wake_at=_time(wake_at),
                reason=reason,
                awaits=awaits,
                error=_raw(error),
                recovered=bool(flags & rows.RECOVERED),
                reused=bool(flags & rows.REUSED),
                input=_raw(given),
                output=_HIDDEN if withheld else _raw(output),
                withheld=withheld,
            )

    def _events(self, number: int, run_id: str, version_number: int) -> Iterator[EventLine]:
        keys = self._version(version_number).keys
        for seq, run_seq, kind, step, attempt, level, at, payload in self._rows(
            upkeep_queries.EXPORT_EVENTS, (number,)
        ):
            yield EventLine(
                seq=seq,
                run_id=run_id,
                run_seq=run_seq,
                event_type=EVENT_TYPES[kind] if isinstance(kind, int) else kind,
                level=LEVELS[level],
                timestamp=to_datetime(at),
                step_key=None if step is None else keys[step],
                attempt=attempt or 0,
                payload=_raw(payload),
            )


def _template_line(row: rows.Row) -> TemplateLine:
    (_, name, version, source, source_format, flow, components, base_dir, created_at, file, flow_hash) = row[:11]
    description, newest, template_created_at, template_updated_at, deleted = row[11:]
    return TemplateLine(
        name=name,
        version=version,
        flow=_raw(flow),
        components=jsontext.decode(components),
        source=source,
        source_format=source_format,
        created_at=to_datetime(created_at),
        template_created_at=to_datetime(template_created_at),
        template_updated_at=to_datetime(template_updated_at),
        description=description,
        base_dir=base_dir,
        file=file,
        newest=version == newest,
        deleted=bool(deleted),
        inline=flow_hash is not None,
    )


_HIDDEN = Raw(jsontext.encode(rows.HIDDEN).encode())


def _shown_output(output: str | None, hidden: HiddenOutput) -> tuple[Raw, bool]:
    """As all readers have it, and whether that is less than there is."""
    if output is None or not (hidden.whole or hidden.keys):
        return _raw(output), False
    value: Any = jsontext.decode(output)
    shown = rows.shown_output(value, hidden)
    withheld = hidden.whole or (isinstance(value, dict) and not hidden.keys.isdisjoint(value))
    return _raw(jsontext.encode(shown)), withheld and value is not None


def _raw(text: str | None) -> Raw:
    if text is None:
        return NOTHING
    # JSON has line ends only between its parts; what was given so must not end our line.
    return Raw((jsontext.encode(jsontext.decode(text)) if "\n" in text or "\r" in text else text).encode())


def _time(instant: int | None) -> Any:
    return None if instant is None else to_datetime(instant)
