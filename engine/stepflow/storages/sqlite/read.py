"""The reading verbs: on connections of their own, one a thread, without a transaction between calls."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from stepflow.contracts.storage import EndedChildren, ProcessGroup, Request, RunSort, StoredRun, WatchedTemplate
from stepflow.core.facts import Signalled
from stepflow.core.sensitive import NOTHING_HIDDEN, hidden_output
from stepflow.errors import RunNotFoundError, StorageError, TemplateNotFoundError
from stepflow.model import jsontext
from stepflow.model.event import LEVELS, WorkflowEvent
from stepflow.model.flow import Flow
from stepflow.model.ids import RUN_PREFIX, first_run_id, run_id_prefix
from stepflow.model.run import BodyPart, RunRecord, StepRecord
from stepflow.model.statuses import RUN_STATUS_CODES, RUN_STATUSES, RunStatus
from stepflow.model.template import Template, TemplateVersion
from stepflow.storages.sqlite import queries, rows, upkeep_queries, write
from stepflow.storages.sqlite.connect import Durability, OpenedFile, connect, connect_without_writing, storage_error

if TYPE_CHECKING:
    from stepflow.core.graph import Graph

SHORTEST_PREFIX = 4
CLOCKS_APART_MS = 60_000
"""That the time in a run's id may be before the one it was created at."""


class Reader:
    def __init__(self, path: Path, durability: Durability, *, writable: bool) -> None:
        self._path = path
        self._file = OpenedFile(path)
        self._writable = writable
        self._durability = durability
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._closed = False
        # A version never changes, so what is compiled from it is kept.
        self._version = lru_cache(maxsize=256)(self._read_version)
        self._hidden_output = lru_cache(maxsize=256)(lambda number: hidden_output(self._version(number).flow))
        self._graph = lru_cache(maxsize=64)(self._build_graph)

    def connection(self) -> sqlite3.Connection:
        self._file.check()
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            with self._lock:
                if self._closed:
                    raise StorageError(f"{self._path} was closed")
                connection = self._connect_reader()
                self._connections.append(connection)
            self._local.connection = connection
        return connection

    def _connect_reader(self) -> sqlite3.Connection:
        if self._writable:
            return connect(self._path, self._durability, read_only=True)
        return connect_without_writing(self._path)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def fetch(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[rows.Row]:
        try:
            return self.connection().execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise storage_error(error, self._path) from error
        except OverflowError as error:
            raise StorageError("A number that was given is larger than any that is stored (64 bits)") from error

    def fetch_one(self, sql: str, parameters: Sequence[Any] = ()) -> rows.Row | None:
        found = self.fetch(sql, parameters)
        return found[0] if found else None

    # Templates

    def get_template(self, name: str) -> Template:
        row = self.fetch_one(queries.TEMPLATE_BY_NAME, (name,))
        if row is None:
            raise self._no_template(name)
        return rows.template(row)

    def get_template_version(self, name: str, version: int | None = None) -> TemplateVersion:
        if version is None:
            row = self.fetch_one(queries.NEWEST_VERSION, (name,))
        else:
            row = self.fetch_one(queries.VERSION_BY_NUMBER, (name, version))
            if row is None:
                newest = self.get_template(name).version
                raise TemplateNotFoundError(name, f" in version {version}; its newest is {newest}")
        if row is None:
            raise self._no_template(name)
        return rows.template_version(row)

    def template_number(self, name: str) -> int:
        """Of a deleted one too."""
        row = self.fetch_one(queries.TEMPLATE_ROW, (name,))
        if row is None:
            raise self._no_template(name)
        return int(row[0])

    def _no_template(self, name: str) -> TemplateNotFoundError:
        from difflib import get_close_matches

        close = get_close_matches(name, [row[0] for row in self.fetch(queries.TEMPLATE_NAMES)], n=1)
        return TemplateNotFoundError(name, f"; did you mean '{close[0]}'?" if close else "")

    def template_version_by_id(self, number: int) -> TemplateVersion:
        return self._version(number)

    def _read_version(self, number: int) -> TemplateVersion:
        row = self.fetch_one(queries.VERSION_BY_NUM, (number,))
        if row is None:
            raise StorageError(f"Template version {number} is not stored in {self._path}")
        return rows.template_version(row)

    def graph(self, version: int) -> Graph:
        return self._graph(version)

    def _build_graph(self, number: int) -> Graph:
        from stepflow.core.graph import build_graph  # lists compile no flow, and need not wait for what does

        return build_graph(self._version(number).flow)

    def template_versions(self, name: str, limit: int | None = None) -> list[TemplateVersion]:
        found = self.fetch(queries.ALL_VERSIONS, (name, -1 if limit is None else limit))
        if not found:
            raise self._no_template(name)
        return [rows.template_version(row) for row in found]

    def count_runs_by_version(self, name: str) -> dict[int, int]:
        return dict(self.fetch(queries.COUNT_RUNS_BY_VERSION, (name,)))

    def list_templates(self, limit: int, offset: int) -> list[Template]:
        return [rows.template(row) for row in self.fetch(queries.LIST_TEMPLATES, (limit, offset))]

    def watched_templates(self) -> list[WatchedTemplate]:
        return [rows.watched_template(row) for row in self.fetch(queries.WATCHED_TEMPLATES)]

    def count_templates(self) -> int:
        return int(self.fetch(queries.COUNT_TEMPLATES)[0][0])

    # Runs

    def find_run(self, ref: str) -> str:
        prefix = run_id_prefix(ref)
        if len(prefix) - len(RUN_PREFIX) < SHORTEST_PREFIX:
            raise RunNotFoundError(ref, f"; give at least {SHORTEST_PREFIX} characters of its id")
        # '{' comes after every character an id has.
        found = self.fetch(queries.RUN_IDS_LIKE, (prefix, prefix + "{"))
        found = found or self.fetch(queries.RUN_IDS_ENDING, (prefix.removeprefix(RUN_PREFIX),))
        if not found:
            raise RunNotFoundError(ref)
        if len(found) > 1 and found[0][0] != prefix:
            raise RunNotFoundError(ref, f": several match ({found[0][0]}, {found[1][0]} …); give more of its id")
        return str(found[0][0])

    def get_run(self, run_id: str, *, bodies: bool = True, largest: int | None = None) -> RunRecord:
        # The log's end is read first: what is committed between comes again, and nothing is missed.
        last_seq = self.last_seq()
        row = self.fetch_one(queries.get_run(largest) if bodies else queries.GET_RUN_WITHOUT_BODIES, (run_id,))
        if row is None:
            raise RunNotFoundError(run_id)
        hidden = self._hidden_output(row[-1]) if bodies else NOTHING_HIDDEN
        return rows.run_record(row, last_seq=last_seq, hidden=hidden)

    def runs_by_id(self, run_ids: Collection[str]) -> list[RunRecord]:
        last_seq = self.last_seq()
        found = self.fetch(queries.RUNS_BY_ID, (jsontext.encode(sorted(run_ids)),))
        return [rows.run_record(row, last_seq=last_seq) for row in found]

    def list_runs(
        self,
        limit: int,
        cursor: str | None,
        statuses: Collection[RunStatus] | None,
        template: str | None,
        children: bool,
        *,
        since: int | None = None,
        parent: str | None = None,
        sort: RunSort = "created",
        reverse: bool = False,
    ) -> tuple[list[RunRecord], str | None]:
        sql = queries.list_runs(
            _codes(statuses),
            by_template=template is not None,
            children=children,
            by_parent=parent is not None,
            since=since is not None,
            sort=sort,
            reverse=reverse,
        )
        last_seq = self.last_seq()
        key = _key(cursor, sort, reverse)
        found = self.fetch(sql, {"limit": limit + 1, **key, **_chosen(template, parent, since)})
        page = found[:limit]
        next_cursor = _cursor(page[-1], sort) if len(found) > limit and page else None
        return [rows.run_record(row, last_seq=last_seq) for row in page], next_cursor

    def count_runs(
        self,
        statuses: Collection[RunStatus] | None,
        template: str | None,
        *,
        children: bool = False,
        since: int | None = None,
        parent: str | None = None,
    ) -> int:
        sql = queries.count_runs(
            _codes(statuses),
            by_template=template is not None,
            children=children,
            by_parent=parent is not None,
            since=since is not None,
        )
        return int(self.fetch(sql, _chosen(template, parent, since))[0][0])

    def needs(self, run_ids: list[str]) -> list[rows.Row]:
        """Run ids and the components they need, JSON."""
        return self.fetch(queries.NEEDS, (jsontext.encode(run_ids),))

    def status_counts(self, *, children: bool = False) -> dict[RunStatus, int]:
        found = self.fetch(queries.STATUS_COUNTS if children else queries.ROOT_STATUS_COUNTS)
        return {RUN_STATUSES[code]: count for code, count in found}

    def get_steps(
        self, run_id: str, *, bodies: bool, attempts: bool, step: str | None = None, largest: int | None = None
    ) -> list[StepRecord]:
        row = self.fetch_one(queries.RUN_FLOW, (run_id,))
        if row is None:
            raise RunNotFoundError(run_id)
        graph = self.graph(row[3])
        wanted: Iterable[int] = range(len(graph.nodes))
        if step is None:
            sql = queries.RECORD_STEPS
            found = self.fetch(queries.with_bodies(sql, largest) if bodies else sql, (row[0],))
        else:
            wanted = _places_of(graph.flow, step)
            sql = queries.RECORD_ONE_STEP
            sql = queries.with_bodies(sql, largest) if bodies else sql
            found = [one for index in wanted for one in self.fetch(sql, (row[0], index))]
        by_step: dict[int, list[rows.Row]] = {}
        for step_row in found:
            by_step.setdefault(step_row[0], []).append(step_row)
        records = []
        for index in wanted:
            dependencies = graph.dependencies_of(index)
            tries: list[rows.Row | None] = [*by_step.get(index, ())] or [None]
            for attempt_row in tries if attempts else tries[-1:]:
                is_latest = attempt_row is tries[-1]
                records.append(rows.step_record(graph.flow, index, attempt_row, dependencies, is_latest=is_latest))
        return records

    def get_body(self, run_id: str, part: BodyPart, *, step: str | None = None, attempt: int = 1) -> bytes | None:
        run = self.fetch_one(queries.RUN_FLOW, (run_id,))
        if run is None:
            raise RunNotFoundError(run_id)
        if step is None:
            found = self._body(queries.RUN_BODY[part], (run[0],))
            return rows.shown_body(found, self._hidden_output(run[3])) if part == "output" else found
        flow = self.graph(run[3]).flow
        for index in _places_of(flow, step):
            found = self._body(queries.STEP_BODY[part], (run[0], index, attempt))
            is_hidden = found is not None and part == "output" and flow.steps[index].sensitive
            return rows.HIDDEN_BODY if is_hidden else found
        return None

    def _body(self, sql: str, parameters: Sequence[Any]) -> bytes | None:
        """Wherever it is kept."""
        row = self.fetch_one(sql, parameters)
        found: bytes | None = None if row is None else row[0]
        if found is None or not found.startswith(queries.BLOB_MARK.encode()):
            return found
        row = self.fetch_one(queries.BLOB_BODY, (found[len(queries.BLOB_MARK) :].decode(),))
        return None if row is None else row[0]

    def load_run(self, run_id: str) -> StoredRun:
        row = self.fetch_one(queries.RUN_STATUS, (run_id,))
        if row is None:
            raise RunNotFoundError(run_id)
        connection = self.connection()
        connection.execute("BEGIN")
        try:
            return write.load_run(connection, row[0])
        finally:
            connection.execute("COMMIT")

    def load_outputs(self, run: int, steps: Collection[int]) -> dict[int, str]:
        return dict(self.fetch(queries.LOAD_OUTPUTS, (run, jsontext.encode(sorted(steps)))))

    def requests(self, worker: int) -> list[Request]:
        return [
            Request(
                run=number,
                version=version,
                status=RUN_STATUSES[status],
                cancel_requested=bool(cancel_requested),
                reason=reason,
                signals=tuple(
                    Signalled(one, name, jsontext.decode(data))
                    for one, name, data in self.fetch(queries.PENDING_SIGNALS, (number,))
                ),
                children_ended=bool(self.fetch(queries.ENDED_GROUPS, (number,))),
            )
            for number, version, status, cancel_requested, reason in self.fetch(queries.REQUESTS, (worker,))
        ]

    def ended_children(self, run: int) -> list[EndedChildren]:
        groups = []
        for number, _, step, attempt, spec in self.fetch(queries.ENDED_GROUPS, (run,)):
            found = self.fetch(queries.CHILDREN_OF_GROUP, (run, number))
            children = tuple(map(rows.ended_child, found))
            groups.append(EndedChildren(number, step, attempt, jsontext.decode(spec), children))
        return groups

    def open_children(self, run_id: str) -> list[str]:
        row = self.fetch_one(queries.RUN_STATUS, (run_id,))
        return [] if row is None else [child for (child,) in self.fetch(queries.OPEN_CHILDREN, (row[0], None))]

    def get_blob(self, blob_id: str) -> str | None:
        row = self.fetch_one(queries.GET_BLOB, (blob_id,))
        return None if row is None else str(row[0])

    def unfinished_runs(self, without: Collection[int] = ()) -> bool:
        return bool(self.fetch(queries.UNFINISHED, (jsontext.encode(sorted(without)),))[0][0])

    # The log

    def get_events(
        self,
        run_id: str | None,
        *,
        after_seq: int,
        before_seq: int | None,
        limit: int,
        newest: bool,
        lines: bool = False,
        step: str | None = None,
        level: str | None = None,
        bodies: bool = True,
        largest: int | None = None,
    ) -> list[WorkflowEvent]:
        parameters: list[Any] = []
        if run_id is not None:
            row = self.fetch_one(queries.RUN_FLOW, (run_id,))
            if row is None:
                raise RunNotFoundError(run_id)
            parameters.append(row[0])
            if step is not None:
                places = _places_of(self.graph(row[3]).flow, step)
                if not places:
                    return []
                parameters.append(places[0])
        if level is not None:
            parameters.append(LEVELS.index(level))
        parameters.append(after_seq)
        if before_seq is not None:
            parameters.append(before_seq)
        sql = queries.events(
            of_run=run_id is not None,
            newest=newest,
            before=before_seq is not None,
            lines=lines,
            of_step=run_id is not None and step is not None,
            by_level=level is not None,
            bodies=bodies,
            largest=largest,
        )
        found = self.fetch(sql, (*parameters, limit))
        if newest:
            found.reverse()
        return self._events(found)

    def _events(self, found: list[rows.Row]) -> list[WorkflowEvent]:
        numbers = sorted({row[1] for row in found if row[1] is not None})
        names = (
            {row[0]: row[1:] for row in self.fetch(queries.RUN_NAMES, (jsontext.encode(numbers),))} if numbers else {}
        )
        events = []
        for row in found:
            run_id, kind, step, duration_ms = "", "", None, None
            hidden = NOTHING_HIDDEN
            if row[1] is not None:
                if row[1] not in names:
                    continue  # pruned in this moment
                run_id, kind, version, started_at, finished_at = names[row[1]]
                flow = self._version(version).flow
                step = None if row[4] is None else flow.steps[row[4]]
                if row[9] is not None and step is None:
                    hidden = self._hidden_output(version)
                if started_at is not None and finished_at is not None:
                    duration_ms = finished_at - started_at
            events.append(rows.event(row, run_id, kind, step, duration_ms, hidden))
        return events

    def search_log(self, needles: Sequence[str], before_seq: int, look_at: int) -> tuple[list[WorkflowEvent], int]:
        begin = max(before_seq - look_at, 0)
        # JSON writes other characters in its own way, or SQLite knows no lower case of them.
        plain = [one.lower() for one in needles if one.isascii() and one.isprintable() and not set('"\\') & set(one)]
        found = self.fetch(queries.log_lines(len(plain)), (begin, before_seq, *plain))
        for row in self.fetch(queries.STEP_ENDS, (begin, before_seq)):
            key = self._version(row[-1]).flow.steps[row[4]].key.lower()
            error = (row[10] or "").lower()
            if all(needle in key or needle in error for needle in plain):
                found.append(row[:-1])
        found.sort(key=lambda row: -row[0])
        return self._events(found), begin

    def last_seq(self) -> int:
        return int(self.fetch(queries.NEWEST_SEQ)[0][0])

    def oldest_whole_seq(self) -> int:
        return int(self.fetch(upkeep_queries.OLDEST_WHOLE_SEQ)[0][0])

    def process_groups(self, runs: Iterable[int]) -> list[ProcessGroup]:
        return [ProcessGroup(*row) for row in self.fetch(queries.GROUPS_OF_RUNS, (jsontext.encode(sorted(runs)),))]

    def statistics(self) -> dict[str, int]:
        return dict(zip(("runs", "steps", "events", "bytes"), self.fetch(queries.STATISTICS)[0], strict=True))


def _places_of(flow: Flow, key: str) -> list[int]:
    """The step's one place in the flow; empty: it has no such step."""
    return [index for index, step in enumerate(flow.steps) if step.key == key]


def _codes(statuses: Collection[RunStatus] | None) -> list[int]:
    return sorted({RUN_STATUS_CODES[status] for status in statuses or ()})


def _chosen(template: str | None, parent: str | None, since: int | None) -> dict[str, Any]:
    first_id = None if since is None else first_run_id(max(0, since - CLOCKS_APART_MS))
    return {"template": template, "parent": parent, "since": since, "first_id": first_id}


def _cursor(row: rows.Row, sort: RunSort) -> str:
    """Where the page that ends with `row` goes on: its number, after the value it is sorted by."""
    number, started_at, finished_at = row[0], row[6], row[7]
    match sort:
        case "created":
            return str(number)
        case "started":
            value = started_at
        case "finished":
            value = finished_at
        case "duration":
            value = None if started_at is None or finished_at is None else finished_at - started_at
        case _:
            assert_never(sort)
    return f"{sort}:{'' if value is None else value}:{number}"


def _key(cursor: str | None, sort: RunSort, reverse: bool) -> dict[str, int]:
    first, last = (-queries.FAR, queries.FAR) if reverse else (queries.FAR, -queries.FAR)
    if cursor is None:
        return {"value": first, "number": first}
    before, _, number = cursor.rpartition(":")
    value = before.removeprefix(f"{sort}:")
    try:
        if (sort == "created") == bool(before) or (before and value == before):
            raise ValueError
        return {"value": int(value or last), "number": int(number)}
    except ValueError:
        raise StorageError(f"'{cursor}' is not a cursor of this list; use the one that the page before gave") from None
