"""A worker as a line: who it is, how much it holds, how it is; below it what it runs. And all of it in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from stepflow.model.run import RunRecord, StepRecord, WorkerRecord
from stepflow_tui.presentation.description import UNDER_WAY
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.labelled import moment, told
from stepflow_tui.presentation.spans import Line, cells, fit_name, safe
from stepflow_tui.presentation.timeline_bars import EIGHTHS

SLOTS_WIDTH = 12
START_ONE = "start one: stepflow worker"


class Held(msgspec.Struct, frozen=True):
    """An execution that a worker holds."""

    run: RunRecord
    steps: tuple[StepRecord, ...] = ()
    """Those that are under way, as far as they were read."""


class Remark(msgspec.Struct, frozen=True):
    """A line about the worker above it."""

    worker: WorkerRecord
    text: str
    style: str = "dim"


Row = WorkerRecord | Held | Remark


def under_way(steps: Sequence[StepRecord]) -> tuple[StepRecord, ...]:
    return tuple(step for step in steps if step.status in UNDER_WAY)


def rows_of(
    workers: Sequence[WorkerRecord], held: Mapping[str, Sequence[Held]], width: int, now: datetime, glyphs: Glyphs
) -> list[Row]:
    """Each worker, what of it has no room beside it, and by its id in `held` what it runs."""
    lives = any(worker.alive for worker in workers)
    rows: list[Row] = []
    for worker in workers:
        rows.append(worker)
        if not _has_room(worker, width, now, glyphs):
            rows.append(Remark(worker, *_tail(worker)))
        own = held.get(worker.id, ())
        if not worker.alive and worker.held_runs:
            out = "another takes them over" if lives else START_ONE
            rows.append(Remark(worker, f"held {worker.held_runs:,}; {out}", "late"))
        rows += own
        if len(own) < worker.held_runs and own:
            rows.append(Remark(worker, f"and {worker.held_runs - len(own):,} more"))
    return rows


def row_line(row: Row, width: int, now: datetime, glyphs: Glyphs) -> Line:
    match row:
        case Held():
            return held_row(row, width, now, glyphs)
        case Remark():
            return [(f"    {safe(row.text)}", row.style)]
        case _:
            return worker_row(row, width, now, glyphs)


def worker_row(worker: WorkerRecord, width: int, now: datetime, glyphs: Glyphs) -> Line:
    line = _head(worker, width, now, glyphs)
    return [*line, _tail(worker)] if _has_room(worker, width, now, glyphs) else line


def _has_room(worker: WorkerRecord, width: int, now: datetime, glyphs: Glyphs) -> bool:
    """For where it is, or what troubles it, beside the rest."""
    return cells([*_head(worker, width, now, glyphs), _tail(worker)]) <= width


def _head(worker: WorkerRecord, width: int, now: datetime, glyphs: Glyphs) -> Line:
    name = max(8, min(22, width // 3))
    if not worker.alive:
        sign, style = ("x" if glyphs.ascii_only else "✗"), "bad"
    elif worker.trouble is not None:
        sign, style = "!", "bad"
    else:
        sign, style = ("*" if glyphs.ascii_only else "●"), "good"
    line: Line = [(f"{sign} ", style), (fit_name(safe(worker.id), name), "" if worker.alive else "dim"), (" ", "")]
    line += [(slots_bar(worker.held_runs, worker.slots, SLOTS_WIDTH, glyphs), style if worker.alive else "dim")]
    line += [(f" {worker.held_runs}/{worker.slots}".ljust(9), "")]
    up = short((now - worker.started_at).total_seconds())
    line += [(f"{f'up {up}' if worker.alive else 'dead':<10}", "" if worker.alive else "bad")]
    return line


def _tail(worker: WorkerRecord) -> tuple[str, str]:
    if worker.trouble is not None:
        return safe(worker.trouble), "bad"
    background = " background" if worker.background else ""
    return f"pid {worker.pid} on {safe(worker.host)}{background}", "dim"


def held_row(held: Held, width: int, now: datetime, glyphs: Glyphs) -> Line:
    run = held.run
    sign, style = glyphs.run(run.status)
    name = max(8, min(24, width // 3))
    line: Line = [("    ", ""), (f"{sign} ", style), (f"{short_id(run.id)} ", "dim")]
    line.append((fit_name(safe(run.template), name) + " ", ""))
    began = run.started_at or run.created_at
    line.append((f"{short(max(0.0, (now - began).total_seconds())):>6} ", "dim"))
    return [*line, (safe(", ".join(step.key for step in held.steps)), style)]


def slots_bar(held: int, slots: int, cells: int, glyphs: Glyphs) -> str:
    share = held / max(1, slots)
    if glyphs.ascii_only:
        return ("#" * round(cells * share)).ljust(cells, ".")
    eighths = min(cells * 8, max(1 if held else 0, round(cells * 8 * share)))
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(cells, "░")


def describe_worker(
    worker: WorkerRecord, held: Sequence[Held], now: datetime, width: int, glyphs: Glyphs
) -> list[Line]:
    sign, style = (_head(worker, width, now, glyphs))[0]
    how = "dead" if not worker.alive else "in trouble" if worker.trouble is not None else "alive"
    background = ", in the background" if worker.background else ""
    lines: list[Line] = [[(f"{sign}{how}", style), (f"  {safe(worker.id)}", "title")], []]
    if worker.trouble is not None:
        lines += told("trouble", worker.trouble, width, "bad")
    lines += told("process", f"{worker.pid} on {worker.host}{background}", width)
    lines += told("started", moment(worker.started_at, now), width)
    lines += told("holds", f"{worker.held_runs:,} of {worker.slots:,} at once", width)
    lines += [held_row(one, width, now, glyphs) for one in held]
    lines += [[], [("what now", "title")]]
    if worker.alive:
        lines.append([("  b y ", "active"), ("stop it: it gives its executions back", "")])
    else:
        lines.append([(f"  {START_ONE}", "")])
    if held:
        lines.append([(f"  {glyphs.plain('⏎')} ", "active"), ("open what it runs", "")])
    return lines
