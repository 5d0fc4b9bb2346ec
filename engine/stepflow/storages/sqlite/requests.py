"""What people ask of a run, each a job for the writer: to end, to hear a signal, to pause, to go on."""

from __future__ import annotations

from stepflow.errors import InvalidInputError, RunNotFoundError, WorkflowEngineError
from stepflow.model import jsontext
from stepflow.model.event import EventType
from stepflow.model.statuses import RUN_STATUSES, RunStatus
from stepflow.storages.sqlite import blobs, queries
from stepflow.storages.sqlite.writer import Group


def request_cancel(group: Group, run_id: str, reason: str | None, now: int) -> bool:
    reason = None if reason is None else jsontext.storable(reason)
    row = group.connection.execute(queries.REQUEST_CANCEL, (reason, run_id)).fetchone()
    if row is None:
        status = group.connection.execute(queries.RUN_STATUS, (run_id,)).fetchone()
        if status is None:
            raise RunNotFoundError(run_id)
        return not RUN_STATUSES[status[1]].is_final
    number, run_seq = row
    payload = {"reason": reason} if reason else None
    group.add_run_event(number, run_seq, EventType.RUN_CANCEL_REQUESTED, now, payload)
    group.wakes_workers = True
    return True


def signal(group: Group, run_id: str, name: str, data: str, now: int) -> None:
    value = jsontext.decode(data)
    if jsontext.is_too_deep(value):
        raise InvalidInputError(f"The data is nested deeper than {jsontext.MAX_NESTING} levels")
    row = group.connection.execute(queries.SIGNAL, (run_id,)).fetchone()
    if row is None:
        status = group.connection.execute(queries.RUN_STATUS, (run_id,)).fetchone()
        if status is None:
            raise RunNotFoundError(run_id)
        ended = RUN_STATUSES[status[1]].value
        raise WorkflowEngineError("INVALID_STATE", f"Execution {run_id} is {ended} and hears no signals any more")
    number, run_seq = row
    group.connection.execute(queries.INSERT_SIGNAL, (number, name, data, now))
    blobs.refer(group, number, data)
    payload = {"name": name, "data": value}
    group.add_run_event(number, run_seq, EventType.SIGNAL_RECEIVED, now, payload)
    group.wakes_workers = True


def pause(group: Group, run_id: str, now: int) -> bool:
    """With its children, whose starts are its own. False: it is paused already."""
    number, status, is_cancelled = _status_of(group, run_id)
    if status is RunStatus.PAUSED:
        return False
    if status.is_final or status is RunStatus.STALLED or is_cancelled:
        what = "is being cancelled" if is_cancelled and not status.is_final else f"is {status.value}"
        raise WorkflowEngineError("INVALID_STATE", f"Execution {run_id} {what} and cannot be paused")
    pending = [number]
    while pending:
        one = pending.pop()
        row = group.connection.execute(queries.PAUSE, (one,)).fetchone()
        if row is not None:
            group.add_run_event(one, row[0], EventType.RUN_PAUSED, now)
        pending += [child for (child,) in group.connection.execute(queries.OPEN_CHILD_NUMBERS, (one,))]
    group.wakes_workers = True
    return True


def resume(group: Group, run_id: str, now: int) -> bool:
    """With its paused children. False: it is neither paused nor stalled."""
    number, status, _ = _status_of(group, run_id)
    if status.is_final:
        raise WorkflowEngineError("INVALID_STATE", f"Execution {run_id} is {status.value}; retry it instead")
    if status not in (RunStatus.PAUSED, RunStatus.STALLED):
        return False
    _let_go_on(group, number, now)
    pending = [number]
    while pending:
        one = pending.pop()
        for child, code in group.connection.execute(queries.OPEN_CHILD_STATUSES, (one,)).fetchall():
            pending.append(child)
            if RUN_STATUSES[code] is RunStatus.PAUSED:
                _let_go_on(group, child, now)
    group.wakes_workers = True
    return True


def _let_go_on(group: Group, number: int, now: int) -> None:
    run_seq, code, start_at = group.connection.execute(queries.RESUME, {"run": number, "now": now}).fetchone()
    if RUN_STATUSES[code] is RunStatus.SCHEDULED:
        group.add_run_event(number, run_seq, EventType.RUN_SCHEDULED, now, {"start_at": start_at})
    else:
        group.add_run_event(number, run_seq, EventType.RUN_QUEUED, now)


def _status_of(group: Group, run_id: str) -> tuple[int, RunStatus, bool]:
    row = group.connection.execute(queries.RUN_STATUS, (run_id,)).fetchone()
    if row is None:
        raise RunNotFoundError(run_id)
    number, code, cancel_requested = row
    return number, RUN_STATUSES[code], bool(cancel_requested)
