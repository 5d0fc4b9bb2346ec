"""The writing verbs, each a job for the writer: it gets the group's transaction and returns its result.

A job that refuses raises before it has written anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

from stepflow.contracts.storage import (
    AppendLogs,
    Claim,
    ClaimedRuns,
    Commit,
    CreateRun,
    ProcessGroup,
    StoredRun,
    TemplateText,
    WorkerIdentity,
)
from stepflow.core.transition import Event
from stepflow.errors import (
    IdempotencyConflictError,
    LeaseLostError,
    RunNotFoundError,
    StaleRunError,
    StorageError,
    TemplateExistsError,
    TemplateNotFoundError,
)
from stepflow.model import jsontext
from stepflow.model.event import EVENT_CODES, LEVELS, EventType
from stepflow.model.statuses import RUN_STATUS_CODES, RUN_STATUSES, STEP_STATUS_CODES, RunStatus, StepStatus
from stepflow.model.template import SavedVersion, TemplateVersion
from stepflow.storages.sqlite import blobs, children, queries, requests, rows
from stepflow.storages.sqlite.writer import INFO, Group

_WARN, _ERROR = LEVELS.index("warn"), LEVELS.index("error")
_LEVEL_OF = {
    EventType.STEP_FAILED: _ERROR,
    EventType.RUN_FAILED: _ERROR,
    EventType.RUN_TIMEOUT: _ERROR,
    EventType.RUN_STALLED: _ERROR,
    EventType.STEP_RETRY: _WARN,
    EventType.RUN_CANCELLED: _WARN,
}

# Runs


def create_run(group: Group, new: CreateRun) -> str:
    connection = group.connection
    version = connection.execute(
        "SELECT v.template, t.name FROM template_versions v JOIN templates t ON t.num = v.template WHERE v.num = ?",
        (new.template_version,),
    ).fetchone()
    if version is None:
        raise StorageError("The template was saved anew in this moment, and its version is gone; start it again")
    template, kind = version
    if new.idempotency_key is not None:
        existing = connection.execute(queries.RUN_BY_KEY, (template, new.idempotency_key)).fetchone()
        if existing is not None:
            run_id, input_text = existing
            if input_text != new.input:
                raise IdempotencyConflictError(new.idempotency_key, run_id)
            return str(run_id)
    if new.retry_of is not None and connection.execute(queries.RUN_STATUS, (new.retry_of,)).fetchone() is None:
        raise RunNotFoundError(new.retry_of)
    parent = _parent_of(connection, new)
    connection.execute(queries.USE_VERSION, (new.template_version,))
    status = RunStatus.QUEUED if new.start_at is None else RunStatus.SCHEDULED
    if parent.is_paused:
        status = RunStatus.PAUSED
    event_count = 1 + (new.start_at is not None) + parent.is_paused
    (number,) = connection.execute(
        queries.INSERT_RUN,
        (
            new.id,
            template,
            new.template_version,
            RUN_STATUS_CODES[status],
            parent.priority,
            new.created_at,
            new.start_at,
            event_count,
            new.step_count,
            new.step_count - len(new.reused),
            parent.number,
            new.retry_of,
            new.idempotency_key,
            None,
            None,
            parent.depth,
            parent.age,
        ),
    ).fetchone()
    connection.execute(queries.INSERT_RUN_BODY, (number, new.input, new.variables, new.metadata))
    blobs.refer(group, number, new.input)
    reused = None if new.retry_of is None else _take_over(group, number, new, new.retry_of)
    group.add_run_event(number, 1, EventType.RUN_CREATED, new.created_at, reused)
    if new.start_at is not None:
        group.add_run_event(number, 2, EventType.RUN_SCHEDULED, new.created_at, {"start_at": new.start_at})
    if parent.is_paused:
        group.add_run_event(number, event_count, EventType.RUN_PAUSED, new.created_at)
    if parent.number is not None:
        payload = {"child_run_id": new.id, "kind": kind}
        children.tell_parent(group, parent.number, EventType.CHILD_STARTED, [payload], new.created_at)
    group.wakes_workers = True
    return new.id


class _Parent(NamedTuple):
    """What a run takes from the one that starts it."""

    number: int | None
    priority: int
    age: int
    depth: int
    is_paused: bool


def _parent_of(connection: sqlite3.Connection, new: CreateRun) -> _Parent:
    if new.parent_run_id is None:
        return _Parent(None, new.priority, new.created_at, 0, False)
    row = connection.execute(queries.PARENT, (new.parent_run_id,)).fetchone()
    if row is None:
        raise StorageError(f"Execution {new.parent_run_id} has ended and starts no children")
    number, _, priority, age, depth, code = row
    return _Parent(number, priority, age, depth + 1, RUN_STATUSES[code] is RunStatus.PAUSED)


def _take_over(group: Group, number: int, new: CreateRun, retry_of: str) -> dict[str, Any]:
    """What the event of its creation says of the run it is made of."""
    group.flush()
    completed = STEP_STATUS_CODES[StepStatus.COMPLETED]
    copies = [(number, step, completed, retry_of, before) for step, before in new.reused.items()]
    group.connection.executemany(queries.COPY_REUSED_STEP, copies)
    group.connection.execute(queries.COPY_BLOB_REFS, (number, retry_of))
    return {"retry_of": retry_of, "reused": list(new.reused)}


def commit(group: Group, what: Commit) -> None:
    """One guarded UPDATE; where it changes no row, nothing is written."""
    decision = what.decision
    events = decision.events
    connection = group.connection
    state = decision.state
    guard = (what.run, what.version, what.fence, what.worker)
    if decision.release or _moves_run(events):
        row = connection.execute(
            queries.GUARDED_RUN_CHANGE,
            (
                len(events),
                what.open_steps,
                state.losses,
                RUN_STATUS_CODES[state.status],
                state.started_at,
                state.finished_at,
                decision.wake_at,
                state.output_skipped,
                state.reason,
                None if state.error is None else jsontext.encode(state.error),
                decision.release,
                *guard,
            ),
        ).fetchone()
    else:
        row = connection.execute(
            queries.GUARDED_STEP_CHANGE, (len(events), what.open_steps, state.losses, *guard)
        ).fetchone()
    if row is None:
        _refuse(connection, what)
    at = events[-1].at if events else decision.draft.now
    if decision.output is not None:
        output = blobs.offload(group, what.run, decision.output, at)
        connection.execute(queries.SET_OUTPUT, (output, what.run))
    run_seq = row[0] - len(events)
    for event in events:
        run_seq += 1
        _add_decided(group, what.run, run_seq, event)
    inputs = {one.step: rows.stored_input(one) for one in decision.perform}
    run = what.run
    outputs = decision.outputs
    for step, step_state in decision.steps.items():
        output = blobs.offload(group, run, outputs.get(step), at)
        group.steps.append(rows.step_row(run, step, step_state, inputs.get(step), output))
    _follow(group, what, at)
    if state.status.is_final:
        _end(group, what, row, at)
    elif decision.release:
        connection.execute(queries.WAKE_IF_CHILDREN_ENDED, (run,))
        group.wakes_workers = True


def _follow(group: Group, what: Commit, at: int) -> None:
    """What a decision says of signals and children."""
    decision = what.decision
    for signal in decision.consumed:
        group.connection.execute(queries.CONSUME_SIGNAL, (signal,))
    for number in decision.collected:
        children.collect(group, number)
    for step in decision.dropped:
        _cancel_children(group, children.drop_of_step(group, what.run, step), at)
    for start in decision.children:
        children.start_group(group, what.run, start, at)


def _end(group: Group, what: Commit, row: rows.Row, at: int) -> None:
    """A run has ended: its parent hears of it, its children end with it."""
    _, parent, number, item = row
    status = what.decision.state.status
    if parent is not None:
        children.child_ended(group, what.run_id, parent, number, item, status, at)
    if status is not RunStatus.COMPLETED:
        _cancel_children(group, children.drop_of_run(group, what.run), at)


def _cancel_children(group: Group, run_ids: list[str], at: int) -> None:
    for run_id in run_ids:
        requests.request_cancel(group, run_id, "its parent no longer waits for it", at)


def _moves_run(events: list[Event]) -> bool:
    return any(event.step is None or event.type is EventType.STEP_FAILED for event in events)


def _add_decided(group: Group, run: int, run_seq: int, event: Event) -> None:
    kind = event.type
    payload = event.payload
    level = _LEVEL_OF.get(kind, INFO)  # type: ignore[call-overload]  # a custom name has no level of its own
    if kind is EventType.LOG and payload is not None:
        level = LEVELS.index(payload.get("level", "info"))
    group.add_event(
        run,
        run_seq,
        EVENT_CODES[kind],
        event.step,
        None if event.step is None else event.attempt,
        level,
        event.at,
        None if payload is None else jsontext.encode(payload),
    )


def _refuse(connection: sqlite3.Connection, what: Commit) -> None:
    row = connection.execute(queries.WHO_HOLDS, (what.run,)).fetchone()
    if row is None:
        raise RunNotFoundError(what.run_id)
    owner, fence, _ = row
    if owner != what.worker or fence != what.fence:
        raise LeaseLostError(what.run_id)
    raise StaleRunError(what.run_id)


def put_blob(group: Group, run: int, text: str, blob_type: str, now: int) -> str:
    return blobs.put(group, run, text, blob_type, now)


def append_logs(group: Group, logs: AppendLogs) -> None:
    by_run: dict[int, int] = {}
    for line in logs.lines:
        by_run[line.run] = by_run.get(line.run, 0) + 1
    next_seq: dict[int, int] = {}
    for run, count in by_run.items():
        row = group.connection.execute(queries.ADD_LOG_EVENTS, (count, run)).fetchone()
        if row is not None:
            next_seq[run] = row[0] - count + 1
    for line in logs.lines:
        if line.run in next_seq:
            group.add_event(
                line.run,
                next_seq[line.run],
                EVENT_CODES.get(line.type, line.type),
                line.step,
                line.attempt,
                LEVELS.index(line.level),
                line.at,
                line.payload,
            )
            next_seq[line.run] += 1


# Claims


def claim(group: Group, what: Claim) -> ClaimedRuns:
    group.flush()  # a run released in this very group must be read with its steps
    connection = group.connection
    without = jsontext.encode(sorted(what.without))
    found = connection.execute(queries.DUE, (what.now, without, what.limit)).fetchall()
    found += connection.execute(queries.CLAIMABLE, (without, what.limit)).fetchall()
    chosen = sorted((-priority, age, number) for number, priority, age in set(found))
    claimed = []
    for _, _, number in chosen[: what.limit]:
        connection.execute(queries.TAKE, (what.worker, number))
        stored = load_run(connection, number)
        claimed.append(stored)
        first = what.begin(stored)
        if first is not None:
            commit(group, first)
    next_wake: int | None = connection.execute(queries.NEXT_WAKE, (without,)).fetchone()[0]
    return ClaimedRuns(claimed, next_wake)


def load_run(connection: sqlite3.Connection, number: int) -> StoredRun:
    row = connection.execute(queries.LOAD_RUN, (number,)).fetchone()
    # A run that has only been created has nothing else to load.
    is_new = row[18] == 1 and row[17] is None
    steps = [] if is_new else connection.execute(queries.LOAD_STEPS, (number,)).fetchall()
    signals = [] if is_new else connection.execute(queries.PENDING_SIGNALS, (number,)).fetchall()
    return rows.stored_run(row, steps, signals)


# Templates


def save_template(group: Group, text: TemplateText, *, create: bool, update: bool) -> SavedVersion:
    connection = group.connection
    row = connection.execute(queries.TEMPLATE_ROW, (text.name,)).fetchone()
    exists = row is not None and not row[1]
    if exists and not update:
        raise TemplateExistsError(text.name)
    if not exists and not create:
        raise TemplateNotFoundError(text.name)
    flow = text.flow.to_json()
    if row is None:
        (template,) = connection.execute(
            queries.INSERT_TEMPLATE, (text.name, text.description or "", text.now, text.now)
        ).fetchone()
        newest = 0
    else:
        template, _, newest = row
    before = _newest(connection, text.name) if exists else None
    is_seen = _watch(connection, template, text)
    if before is not None and (before[5], before[6]) == (flow, text.base_dir):
        return _with_its_text(connection, before, text, template)
    if is_seen and (before is None or before[3] != text.source):
        kept = before or connection.execute(queries.VERSION_BY_NUMBER, (text.name, newest)).fetchone()
        return rows.saved_version(kept, "nothing")
    version = newest + 1
    if before is not None and _gives_way(connection, template, before[2]):
        version = before[2]
    _insert_version(connection, template, version, text, flow, text.flow.components)
    connection.execute(queries.UPDATE_TEMPLATE, (version, text.description, text.now, template))
    group.add_run_event(None, None, EventType.TEMPLATE_SAVED, text.now, {"name": text.name, "version": version})
    return rows.saved_version(_newest(connection, text.name), "version")


def save_watched_templates(group: Group, texts: Sequence[TemplateText]) -> list[SavedVersion]:
    return [save_template(group, text, create=True, update=True) for text in texts]


def mark_files_gone(group: Group, names: Sequence[str]) -> None:
    group.connection.executemany(queries.MARK_FILE_GONE, [(name,) for name in names])


def _watch(connection: sqlite3.Connection, template: int, text: TemplateText) -> bool:
    """Whether the text is the one that was seen last in a watched file."""
    if text.watched is None:
        return False
    (seen,) = connection.execute(queries.SEEN_HASH, (template,)).fetchone()
    connection.execute(queries.WATCH_FILE, (text.watched.path, text.watched.hash, template))
    return bool(seen == text.watched.hash)


def _gives_way(connection: sqlite3.Connection, template: int, version: int) -> bool:
    connection.execute(queries.DROP_REPLACED, (template, version))
    return connection.execute(queries.REPLACE_VERSION, (template, version)).fetchone() is not None


def save_inline_template(group: Group, text: TemplateText, components: Sequence[str]) -> TemplateVersion:
    """Its template is hidden, as a deleted one is; the same flow is one version."""
    connection = group.connection
    row = connection.execute(queries.TEMPLATE_ROW, (text.name,)).fetchone()
    flow = text.flow.to_json()
    flow_hash = blobs.blob_id(f"{text.base_dir}\n{flow}")
    if row is None:
        (template,) = connection.execute(queries.INSERT_TEMPLATE, (text.name, "", text.now, text.now)).fetchone()
        connection.execute(queries.HIDE_TEMPLATE, (text.now, text.name))
        newest = 0
    else:
        template, _, newest = row
        found = connection.execute(queries.VERSION_BY_FLOW, (template, flow_hash)).fetchone()
        if found is not None:
            return rows.template_version(found)
    number = _insert_version(connection, template, newest + 1, text, flow, components, flow_hash)
    connection.execute(queries.SET_NEWEST, (newest + 1, template))
    return rows.template_version(connection.execute(queries.VERSION_BY_NUM, (number,)).fetchone())


def _insert_version(
    connection: sqlite3.Connection,
    template: int,
    version: int,
    text: TemplateText,
    flow: str,
    components: Sequence[str],
    flow_hash: str | None = None,
) -> int:
    needs = jsontext.encode(list(components))
    values = (template, version, text.source, text.source_format, flow, needs, text.base_dir, text.now, flow_hash)
    (number,) = connection.execute(queries.INSERT_VERSION, (*values, text.file, text.watched is not None)).fetchone()
    return int(number)


def _with_its_text(connection: sqlite3.Connection, newest: rows.Row, text: TemplateText, template: int) -> SavedVersion:
    """The version stays what runs are pinned to; its text is there to be read, so it is the latest."""
    before = rows.saved_version(newest, "nothing")
    described = rows.template(connection.execute(queries.TEMPLATE_BY_NAME, (text.name,)).fetchone()).description
    is_same_text = (before.source, before.source_format, before.file) == (text.source, text.source_format, text.file)
    if is_same_text and text.description in (None, described):
        return before
    connection.execute(queries.UPDATE_TEXT, (text.source, text.source_format, text.file, before.id))
    connection.execute(queries.UPDATE_TEMPLATE, (before.version, text.description, text.now, template))
    return rows.saved_version(_newest(connection, text.name), "text")


def _newest(connection: sqlite3.Connection, name: str) -> rows.Row:
    row: rows.Row = connection.execute(queries.NEWEST_VERSION, (name,)).fetchone()
    return row


def delete_template(group: Group, name: str, now: int) -> None:
    if group.connection.execute(queries.HIDE_TEMPLATE, (now, name)).fetchone() is None:
        raise TemplateNotFoundError(name)


# Workers


def register_worker(group: Group, identity: WorkerIdentity, lease_until: float) -> int:
    (number,) = group.connection.execute(
        queries.INSERT_WORKER,
        (
            identity.id,
            identity.pid,
            identity.host,
            identity.boot_id,
            identity.started_at,
            lease_until,
            identity.slots,
            identity.background,
            jsontext.encode(identity.offers),
        ),
    ).fetchone()
    return int(number)


def heartbeat(group: Group, worker: int, lease_until: float, trouble: str | None) -> bool:
    return group.connection.execute(queries.HEARTBEAT, (lease_until, trouble, worker)).fetchone() is not None


def remove_worker(group: Group, worker: int) -> None:
    group.connection.execute(queries.FREE_RUNS, (worker,))
    group.connection.execute(queries.DELETE_WORKER, (worker,))
    group.wakes_workers = True


def free_workers(group: Group, workers: list[int]) -> int:
    freed = 0
    for worker in workers:
        freed += group.connection.execute(queries.FREE_RUNS, (worker,)).rowcount
        group.connection.execute(queries.DELETE_WORKER, (worker,))
    freed += group.connection.execute(queries.FREE_ORPHANS).rowcount
    group.wakes_workers = freed > 0
    return freed


def free_run(group: Group, run: int, worker: int) -> None:
    group.connection.execute(queries.FREE_RUN, (run, worker))
    group.wakes_workers = True


def record_process_group(group: Group, what: ProcessGroup) -> None:
    group.connection.execute(
        queries.INSERT_GROUP,
        (what.run, what.step, what.attempt, what.host, what.boot_id, what.group, what.start_time),
    )


def forget_process_group(group: Group, what: ProcessGroup) -> None:
    group.connection.execute(queries.DELETE_GROUP, (what.run, what.step, what.attempt, what.group))
