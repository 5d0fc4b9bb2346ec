"""Are workers and executions well? What is stuck, since when, and who could help."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Callable, Iterator
from typing import Any

from stepflow import process_groups
from stepflow.dsl.validate import OUR_FAMILIES
from stepflow.model import jsontext
from stepflow.model.health import Finding, size
from stepflow.model.ids import short_run_trn
from stepflow.model.run import AWAITS_SIGNAL
from stepflow.model.statuses import RUN_STATUSES, RunStatus
from stepflow.model.times import format_duration
from stepflow.storages.sqlite import upkeep_queries
from stepflow.storages.sqlite.examination import Look, Section, Tables, Worker, ago, counted
from stepflow.storages.sqlite.liveness import holder_of, is_held

LATE_MS = 60_000
"""A timer is that late only if nobody takes it; a cancel takes as long only if its worker is hung."""
LONG_WAIT_MS = 7 * 86_400_000
MOST_QUEUED = 20_000
NAMED = 3
"""Executions that a finding names."""
LOG_TAIL_BYTES = 65_536

_of_workers = Section("Workers")
_of_runs = Section("Executions")

# Workers


def _check_workers(look: Look, tables: Tables) -> Iterator[Finding]:
    workers = tables.workers
    living = [one for one in workers if one.alive]
    if not living:
        yield _of_workers("alive", "ok", "none is running")
    for one in living:
        yield _living(one, look)
    dead = [one for one in workers if not one.alive]
    if dead:
        held = sum(one.held for one in dead)
        is_bad = held > 0 and not living
        message = f"{len(dead)} died without a word and held {counted(held, 'execution')}"
        advice = "whoever works next takes them over"
        command = "stepflow worker" if is_bad else ""
        ids = [one.id for one in dead]
        yield _of_workers("dead", "warning" if is_bad else "info", message, advice, command, ids=ids)


def _living(one: Worker, look: Look) -> Finding:
    name = f"{one.id} (process {one.pid}{'' if one.is_here else f' on {one.host}'})"
    facts: dict[str, Any] = {
        "id": one.id,
        "pid": one.pid,
        "host": one.host,
        "offers": sorted(one.offers),
        "trouble": one.trouble,
    }
    if one.trouble is not None:
        advice = f"it keeps what it has and tries again each second: {one.trouble}"
        return _of_workers("in trouble", "wrong", f"{name} cannot commit", advice, **facts)
    if one.boot_id == look.boot_id and one.lease_until < look.monotonic:
        message = f"{name} is hung: it has said nothing for longer than its lease"
        return _of_workers("hung", "wrong", message, "another worker takes its executions; end it",
                                 f"kill -9 {one.pid}", **facts)  # fmt: skip
    message = f"{name} holds {one.held} of {one.slots}, offers {len(one.offers)} components"
    added = sorted(path for path in one.offers if not path.startswith((*OUR_FAMILIES, "/data/")))
    if added:
        message += f": ours, {', '.join(added[:NAMED])}{' …' if len(added) > NAMED else ''}"
    return _of_workers("alive", "ok", message, **facts)


def _check_life_locks(look: Look, tables: Tables) -> Iterator[Finding]:
    folder = look.beside(".workers")
    known = {one.id for one in tables.workers}
    unknown = [path for path in sorted(folder.glob("*.lock")) if path.stem not in known]
    left = [path for path in unknown if not is_held(path)]
    for path in unknown:
        # One that has only just begun is about to register.
        if path not in left and look.now - path.stat().st_mtime * 1000 > LATE_MS:
            pid = holder_of(path)
            message = f"{path.stem}{'' if pid is None else f' (process {pid})'} was declared dead and is still there"
            advice = "it is stopped or hung; if it goes on, it begins anew"
            command = f"fuser -v {shlex.quote(str(path))}" if pid is None else f"kill -9 {pid}"
            yield _of_workers("hung", "warning", message, advice, command, id=path.stem, pid=pid)
    if left:
        message = f"{counted(len(left), 'file')} of workers that are gone"
        advice = "they do no harm and can be removed"
        command = f"rm {' '.join(shlex.quote(str(path)) for path in left[:NAMED])}"
        yield _of_workers("lock files", "info", message, advice, command, files=[str(path) for path in left])


def _check_process_groups(look: Look, tables: Tables) -> Iterator[Finding]:
    """Commands of steps that live on though nobody performs the step."""
    living = {one.number for one in tables.workers if one.alive}
    for leader, started, host, boot_id, run_id, status, owner in tables.fetch(upkeep_queries.ALL_GROUPS, 1_000):
        is_here = (host, boot_id) == (socket.gethostname(), look.boot_id)
        if owner in living or not is_here or process_groups.start_time(leader) != started:
            continue
        has_ended = RUN_STATUSES[status].is_final
        advice = "nobody waits for it any more" if has_ended else "whoever takes the execution over ends it first"
        message = f"a command of {run_id} still runs (process group {leader}), and its worker does not"
        command = f"kill -TERM -- -{leader}"
        yield _of_workers("left running", "warning", message, advice, command, run_id=run_id, group=leader)


def _check_worker_log(look: Look, tables: Tables) -> Iterator[Finding]:
    """Of the background worker: its last trouble, if there is any."""
    path = look.beside(".worker.log")
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - LOG_TAIL_BYTES, 0))
        lines = file.read(LOG_TAIL_BYTES).decode(errors="replace").splitlines()
    troubles = [line for line in lines if any(mark in line for mark in ("trouble: ", "Error", "cannot "))]
    message = f"{path}, {size(path.stat().st_size)}"
    if troubles:
        advice = f"its last trouble: {troubles[-1][:300]}"
        yield _of_workers("worker log", "info", message, advice, last=troubles[-1])
    else:
        yield _of_workers("worker log", "ok", message)


# Executions


def _check_queued(look: Look, tables: Tables) -> Iterator[Finding]:
    living = [one for one in tables.workers if one.alive]
    offers = frozenset().union(*(one.offers for one in living))
    waiting = 0
    for template, needs, many, since in tables.fetch(upkeep_queries.QUEUED_BY_VERSION, MOST_QUEUED):
        missing = [component for component in jsontext.decode(needs) if component not in offers]
        if not living or not missing:
            waiting += many
            continue
        message = f"no running worker offers {missing[0]}, for {counted(many, 'execution')} of {template}"
        advice = f"the oldest was made {ago(look, since)}; start a worker in the workspace that has it, or cancel them"
        yield _of_runs(
            RunStatus.QUEUED, "warning", message, advice, "stepflow workers", template=template, missing=missing
        )
    if waiting and not living:
        message = f"no worker is running for {counted(waiting, 'execution')}"
        yield _of_runs(RunStatus.QUEUED, "warning", message, "start one", "stepflow worker", count=waiting)
    else:
        yield _of_runs(RunStatus.QUEUED, "ok", f"{counted(waiting, 'execution')} that workers can take", count=waiting)


def _check_stalled(look: Look, tables: Tables) -> Iterator[Finding]:
    rows = tables.fetch(upkeep_queries.STALLED_RUNS, NAMED + 1)
    if not rows:
        yield _of_runs(RunStatus.STALLED, "ok", "none")
    for run_id, reason in rows[:NAMED]:
        message = f"{short_run_trn(run_id)}: {reason or 'no reason was given'}"
        advice = "when the cause is mended, resume it; or cancel it"
        yield _of_runs(RunStatus.STALLED, "warning", message, advice, f"stepflow resume {run_id}", run_id=run_id)
    if len(rows) > NAMED:
        yield _of_runs(RunStatus.STALLED, "warning", "and more", "", "stepflow executions --status stalled")


def _check_abandoned(look: Look, tables: Tables) -> Iterator[Finding]:
    """Runs whose worker is gone. A living worker takes them within a second."""
    registered = {one.number for one in tables.workers}
    orphans = [(many, first) for owner, many, first in tables.fetch(upkeep_queries.HELD) if owner not in registered]
    left = tables.fetch(upkeep_queries.LEFT_RUNNING, 1_000)
    count = sum(many for many, _ in orphans) + len(left)
    if not count:
        return
    living = any(one.alive for one in tables.workers)
    first = orphans[0][1] if orphans else left[0][0]
    message = f"{counted(count, 'execution')} lost their worker, {first} first"
    advice = "the next worker goes on with them"
    yield _of_runs(
        "abandoned", "info" if living else "warning", message, advice, "" if living else "stepflow worker", count=count
    )


def _check_cancels(look: Look, tables: Tables) -> Iterator[Finding]:
    late = [row for row in tables.fetch(upkeep_queries.CANCELLING, 1_000) if look.now - (row[2] or 0) > LATE_MS]
    if not late:
        return
    run_id, owner, at = late[0]
    message = (
        f"{counted(len(late), 'execution')} should have been cancelled by now; the first was asked {ago(look, at)}"
    )
    holder = next((one for one in tables.workers if one.number == owner), None)
    advice = "cancel again, or start a worker" if holder is None else f"{holder.id} (process {holder.pid}) has it"
    yield _of_runs("cancelling", "warning", message, advice, f"stepflow cancel {run_id}", run_id=run_id)


def _check_timers(look: Look, tables: Tables) -> Iterator[Finding]:
    late = tables.fetch(upkeep_queries.OVERDUE, look.now - LATE_MS, 1_000)
    if not late:
        yield _of_runs("timers", "ok", "none is late")
        return
    run_id, due = late[0]
    more = " or more" if len(late) == 1_000 else ""
    first = f"{short_run_trn(run_id)} was due {ago(look, due)}"
    message = f"{counted(len(late), 'execution')}{more} not taken in time; {first}"
    advice = "no worker takes them" if any(one.alive for one in tables.workers) else "no worker is running; start one"
    yield _of_runs("timers", "warning", message, advice, "stepflow worker", run_id=run_id, count=len(late))


def _check_long_waits(look: Look, tables: Tables) -> Iterator[Finding]:
    for run_id, awaits, since in tables.fetch(upkeep_queries.LONG_WAITS, look.now - LONG_WAIT_MS, NAMED):
        name = awaits.removeprefix(AWAITS_SIGNAL)
        message = f"{short_run_trn(run_id)} has waited for '{name}' for {format_duration(look.now - since)}"
        command = f"stepflow signal {run_id} {shlex.quote(name)}"
        yield _of_runs(
            RunStatus.WAITING, "info", message, "give it what it waits for, or cancel it", command, run_id=run_id
        )


CHECKS: tuple[Callable[[Look, Tables], Iterator[Finding]], ...] = (
    _check_workers,
    _check_worker_log,
    _check_life_locks,
    _check_process_groups,
    _check_queued,
    _check_stalled,
    _check_abandoned,
    _check_cancels,
    _check_timers,
    _check_long_waits,
)
