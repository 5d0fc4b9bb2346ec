"""An execution as a trace, which Perfetto and chrome://tracing open: a track a step, its attempts as slices of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any

from stepflow.model.event import WorkflowEvent
from stepflow.model.run import RunRecord, StepRecord
from stepflow_tui.presentation.log import event_text

PROCESS = 1
OF_RUN = 0
"""The track of the execution itself; that of a step has its place in the flow."""


def trace_text(run: RunRecord, attempts: Sequence[StepRecord], events: Sequence[WorkflowEvent], now: datetime) -> str:
    """`attempts` of all steps, those of a step after one another; what has not ended lasts until `now`."""
    tracks = {one.key: one.index + 1 for one in attempts}
    made: list[dict[str, Any]] = [
        _named("process_name", OF_RUN, {"name": f"{run.template} v{run.version} {run.id}"}),
        _named("thread_name", OF_RUN, {"name": "execution"}),
    ]
    for key, track in tracks.items():
        made += [
            _named("thread_name", track, {"name": key}),
            _named("thread_sort_index", track, {"sort_index": track}),
        ]
    if run.started_at is not None:
        if run.started_at > run.created_at:
            made.append(_slice("waits for a worker", "queue", OF_RUN, run.created_at, run.started_at, {}))
        told: dict[str, Any] = {"id": run.id, "status": run.status.value, "error": run.error}
        made.append(_slice(run.template, run.status.value, OF_RUN, run.started_at, run.finished_at or now, told))
    for one, after in zip_longest(attempts, attempts[1:]):
        if one.started_at is not None:
            name = one.key if one.attempt == 1 else f"{one.key} #{one.attempt}"
            told = {"attempt": one.attempt, "component": one.component, "status": one.status.value, "error": one.error}
            # One that was lost with its worker lasts until the next begins: slices of a track must not cross.
            taken_over = after.started_at if after is not None and after.key == one.key else None
            end = one.finished_at or taken_over or run.finished_at or now
            made.append(_slice(name, one.status.value, tracks[one.key], one.started_at, end, told))
    for event in events:
        made.append(
            {
                "name": event.event_type,
                "cat": event.level,
                "ph": "i",
                "s": "t",
                "ts": _microseconds(event.timestamp),
                "pid": PROCESS,
                "tid": tracks.get(event.step_key or "", OF_RUN),
                "args": {"seq": event.run_seq, "says": event_text(event)},
            }
        )
    return json.dumps({"displayTimeUnit": "ms", "traceEvents": made}, ensure_ascii=False, allow_nan=False)


def _named(name: str, track: int, args: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "ph": "M", "pid": PROCESS, "tid": track, "args": args}


def _slice(
    name: str, category: str, track: int, begin: datetime, end: datetime, args: dict[str, Any]
) -> dict[str, Any]:
    told = {key: value for key, value in args.items() if value is not None}
    since = _microseconds(begin)
    lasts = max(0, _microseconds(end) - since)
    return {
        "name": name,
        "cat": category,
        "ph": "X",
        "ts": since,
        "dur": lasts,
        "pid": PROCESS,
        "tid": track,
        "args": told,
    }


def _microseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
