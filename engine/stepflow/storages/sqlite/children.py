"""Child runs, kept by the storage: a group knows how far it is, so a parent with ten thousand children sleeps until all
have ended, and each end starts the next."""

from __future__ import annotations

from typing import Any

from stepflow.core.effects import StartChildren
from stepflow.model import jsontext
from stepflow.model.event import EVENT_CODES, LEVELS, EventType
from stepflow.model.ids import new_run_id
from stepflow.model.statuses import RUN_STATUS_CODES, RUN_STATUSES, RunStatus
from stepflow.storages.sqlite import queries
from stepflow.storages.sqlite.writer import Group

_INFO = LEVELS.index("info")


def start_group(group: Group, parent: int, start: StartChildren, at: int) -> None:
    """Start the first children of a step, and keep the inputs of the others."""
    children = start.children
    connection = group.connection
    connection.execute(queries.USE_VERSION, (children.template_version,))
    total = len(children.inputs)
    first = min(total, children.max_concurrency)
    (number,) = connection.execute(
        queries.INSERT_GROUP_OF_CHILDREN,
        (
            parent,
            start.step,
            start.attempt,
            children.template_version,
            children.kind,
            children.step_count,
            children.max_concurrency,
            children.tolerated_failures,
            total,
            first,
            jsontext.encode(children.spec),
        ),
    ).fetchone()
    connection.executemany(
        queries.INSERT_CHILD_INPUT, [(number, item, children.inputs[item]) for item in range(first, total)]
    )
    if not total:
        _end_group(group, number, parent)
    inputs = list(enumerate(children.inputs[:first]))
    _start(group, parent, number, children.template_version, children.kind, children.step_count, inputs, at)


def _start(
    group: Group,
    parent: int,
    number: int,
    template_version: int,
    kind: str,
    step_count: int,
    inputs: list[tuple[int, str]],
    at: int,
) -> None:
    connection = group.connection
    row = connection.execute(queries.PARENT_BY_NUMBER, (parent,)).fetchone()
    if row is None or not inputs:
        return
    _, _, priority, age, depth, status = row
    is_paused = RUN_STATUSES[status] is RunStatus.PAUSED
    (template,) = connection.execute(
        "SELECT template FROM template_versions WHERE num = ?", (template_version,)
    ).fetchone()
    code = RUN_STATUS_CODES[RunStatus.PAUSED if is_paused else RunStatus.QUEUED]
    started = []
    for item, text in inputs:
        run_id = new_run_id()
        events = 2 if is_paused else 1
        values = (run_id, template, template_version, code, priority, at, None, events, step_count, step_count, parent)
        (run,) = connection.execute(queries.INSERT_RUN, (*values, None, None, number, item, depth + 1, age)).fetchone()
        connection.execute(queries.INSERT_RUN_BODY, (run, text, None, None))
        group.add_run_event(run, 1, EventType.RUN_CREATED, at)
        if is_paused:
            group.add_run_event(run, 2, EventType.RUN_PAUSED, at)
        started.append({"child_run_id": run_id, "kind": kind, "item": item})
    tell_parent(group, parent, EventType.CHILD_STARTED, started, at)
    group.wakes_workers = True


def tell_parent(group: Group, parent: int, kind: EventType, payloads: list[dict[str, Any]], at: int) -> None:
    """Events about its children, unless it has ended."""
    row = group.connection.execute(queries.ADD_LOG_EVENTS, (len(payloads), parent)).fetchone()
    if row is not None:
        run_seq = row[0] - len(payloads)
        for payload in payloads:
            run_seq += 1
            text = jsontext.encode(payload)
            group.add_event(parent, run_seq, EVENT_CODES[kind], None, None, _INFO, at, text)


def child_ended(
    group: Group, run_id: str, parent: int, number: int | None, item: int | None, status: RunStatus, at: int
) -> None:
    """In the commit that ends a child: the next one starts, or the parent is woken."""
    payload: dict[str, Any] = {"child_run_id": run_id, "status": status.value}
    if item is not None:
        payload["item"] = item
    tell_parent(group, parent, EventType.CHILD_ENDED, [payload], at)
    if number is None:
        return
    connection = group.connection
    failed = status is not RunStatus.COMPLETED
    row = connection.execute(queries.CHILD_DONE, (failed, number)).fetchone()
    if row is None:
        return  # nobody waits for it any more
    _, _, template_version, kind, step_count, total, started, done, failures, tolerated = row
    goes_on = tolerated is None or failures <= tolerated
    if goes_on and started < total:
        (text,) = connection.execute(queries.TAKE_CHILD_INPUT, (number, started)).fetchone()
        connection.execute(queries.CHILD_STARTED, (number,))
        _start(group, parent, number, template_version, kind, step_count, [(started, text)], at)
    elif done == started:
        _end_group(group, number, parent)


def _end_group(group: Group, number: int, parent: int) -> None:
    """All that were to start have ended: the parent has to hear of it."""
    group.connection.execute(queries.GROUP_ENDED, (number,))
    group.connection.execute(queries.WAKE_PARENT, (parent,))
    group.wakes_workers = True


def collect(group: Group, number: int) -> None:
    """The step has heard of the group's end."""
    group.connection.execute(queries.DELETE_CHILD_INPUTS, (number,))
    group.connection.execute(queries.DELETE_GROUP_OF_CHILDREN, (number,))


def drop_of_step(group: Group, run: int, step: int) -> list[str]:
    """The step no longer waits; the ids of the children that have to be cancelled."""
    open_children: list[str] = []
    for (number,) in group.connection.execute(queries.GROUPS_OF_STEP, (run, step)).fetchall():
        open_children += [row[0] for row in group.connection.execute(queries.OPEN_CHILDREN, (run, number))]
        collect(group, number)
    return open_children


def drop_of_run(group: Group, run: int) -> list[str]:
    """The run has ended; the ids of the children that have to be cancelled."""
    for (number,) in group.connection.execute(queries.GROUPS_OF_RUN, (run,)).fetchall():
        collect(group, number)
    return [row[0] for row in group.connection.execute(queries.OPEN_CHILDREN, (run, None))]
