"""Events as lines, while something runs."""

from __future__ import annotations

import os
import re
import shlex
import sys
from typing import Any, TextIO

from stepflow.cli.session import ours
from stepflow.cli.text import json_text, local_time, paint, safe, shortened
from stepflow.model.event import EventType, WorkflowEvent
from stepflow.model.ids import RUN_PREFIX
from stepflow.model.run import RunRecord, awaited_signal
from stepflow.model.statuses import RunStatus

_MARKS = {
    EventType.STEP_STARTED: ("▶", "blue"),
    EventType.STEP_COMPLETED: ("✓", "green"),
    EventType.STEP_FAILED: ("✗", "red"),
    EventType.STEP_SKIPPED: ("↷", "dim"),
    EventType.STEP_RETRY: ("↻", "yellow"),
    EventType.STEP_SLEEPING: ("z", "cyan"),
    EventType.STEP_WAITING: ("?", "cyan"),
    EventType.STEP_CANCELLED: ("⊘", "yellow"),
    EventType.STEP_RELEASED: ("◦", "yellow"),
}

_LEVEL_COLOURS = {"error": "red", "warn": "yellow", "debug": "dim"}
_PLAIN = ("stream", "stdout")
"""The field of a line that a command printed as usual."""


def step_line(event: WorkflowEvent, stream: TextIO) -> str | None:
    """`✓ validate-order`, with what there is to say; None for events that are not about steps."""
    if event.event_type == EventType.LOG:
        message = safe(event.payload.get("message", ""))
        colour = {"error": "red", "warn": "yellow"}.get(event.level, "dim")
        return f"    {paint(f'{safe(event.step_key or event.kind)}: {message}', colour, stream)}"
    mark = _MARKS.get(event.event_type)  # type: ignore[call-overload]  # a custom name has no mark
    if mark is None:
        return None
    glyph, colour = mark
    return f"  {paint(glyph, colour, stream)} {safe(event.step_key)}{_more(event)}"


def _more(event: WorkflowEvent) -> str:
    payload: dict[str, Any] = event.payload
    match event.event_type:
        case EventType.STEP_FAILED:
            return f": {safe((payload.get('error') or {}).get('message', ''))}"
        case EventType.STEP_SKIPPED | EventType.STEP_CANCELLED | EventType.STEP_RELEASED:
            return f" ({safe(payload.get('reason', ''))})"
        case EventType.STEP_RETRY:
            return f": attempt {payload['attempt'] + 1} of {payload['max_retries'] + 1} in {payload['delay_ms']} ms"
        case EventType.STEP_STARTED if event.attempt > 1:
            return f" (attempt {event.attempt})"
        case EventType.STEP_WAITING:
            message = payload.get("message")
            answer = answer_of(event.run_id, payload.get("awaits"))
            return (f": {safe(message)}" if message else "") + (f" ({answer})" if answer else "")
        case EventType.STEP_COMPLETED if payload.get("recovered"):
            return " (with its default)"
        case _:
            return ""


def stream_line(event: WorkflowEvent) -> str:
    """`[14:22:11] step_started validate-order`"""
    line = f"[{local_time(event.timestamp, '%H:%M:%S')}] {safe(event.event_type.replace('.', '_'))}"
    if event.step_key:
        line += f" {safe(event.step_key)}"
    error = event.payload.get("error")
    if event.event_type == EventType.LOG:
        line += f" {safe(event.payload.get('message', ''))}"
    elif isinstance(error, dict):
        line += f": {safe(error.get('message', ''))}"
    elif event.payload.get("reason"):
        line += f" ({safe(event.payload['reason'])})"
    return paint(line, "red") if event.level == "error" else line


def log_line(event: WorkflowEvent, *, with_run: bool) -> str:
    """`[14:22:11] info  validate-order: message key=value`; of an event of the component's own its name and payload."""
    payload: dict[str, Any] = event.payload
    if event.event_type == EventType.LOG:
        fields = {key: value for key, value in (payload.get("fields") or {}).items() if (key, value) != _PLAIN}
        said = [payload.get("message", ""), *(f"{key}={_bare(value)}" for key, value in fields.items())]
    else:
        said = [event.event_type, json_text(payload)]
    run = f"{event.run_id.removeprefix(RUN_PREFIX)} " if with_run else ""
    attempt = f" (attempt {event.attempt})" if event.attempt > 1 else ""
    step = f"{event.step_key}{attempt}: " if event.step_key else ""
    line = f"[{local_time(event.timestamp, '%H:%M:%S')}] {event.level:<5} {run}{step}{' '.join(map(str, said))}"
    colour = _LEVEL_COLOURS.get(event.level)
    return safe(line) if colour is None else paint(safe(line), colour)


def _bare(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def failure_of(run: RunRecord) -> str:
    """`{step}: {message}`, or why the run ended otherwise."""
    if run.error is not None:
        step = (run.error.get("details") or {}).get("step_key")
        message = safe(run.error.get("message", run.error.get("code", "")))
        return f"{safe(step)}: {message}" if step else message
    return f"{run.status.value}{f': {safe(run.reason)}' if run.reason else ''}"


def error_text(error: dict[str, Any]) -> str:
    """`CODE: message`"""
    return shortened(f"{error.get('code', '')}: {error.get('message', '')}")


def place_of(error: dict[str, Any] | None) -> str:
    """`at flow.yaml:6:50`, where the author wrote what failed, or where a component raised it; empty: that is not
    known."""
    details = (error or {}).get("details") or {}
    if not isinstance(details, dict):
        return ""
    if "line" not in details:
        return _raised_at(details)
    line, column, file = details["line"], details["column"], details.get("file")
    return f"at {safe(file)}:{line}:{column}" if file else f"at line {line}, column {column}"


def _raised_at(details: dict[str, Any]) -> str:
    """`ZeroDivisionError at components/ops.py:43`: the last line below this folder, else the last one."""
    frames = [
        (os.path.relpath(file), line)
        for file, line in re.findall(r'File "([^"\n]+)", line (\d+)', str(details.get("stack") or ""))
    ]
    if not frames:
        return ""
    here = [frame for frame in frames if not frame[0].startswith("..")]
    file, line = (here or frames)[-1]
    return f"{safe(details.get('type') or 'raised')} at {safe(file)}:{line}"


def answer_of(run_id: str, awaits: str | None) -> str:
    """What a person types to end a wait for a signal; empty: it waits for something else."""
    name = awaited_signal(awaits)
    return "" if name is None else f"answer with `{ours(f'signal {safe(run_id)} {safe(shlex.quote(name))}')}`"


def why_it_waits(run: RunRecord, *, any_worker: bool = True) -> str:
    """Why nobody goes on with it, and the way out; empty: somebody does, or it has ended."""
    if run.status.is_final or run.cancel_requested:
        return ""
    if run.status in (RunStatus.PAUSED, RunStatus.STALLED):
        return f"{safe(run.reason or 'somebody paused it')}; let it go on with `{ours(f'resume {run.id}')}`"
    if any_worker:
        return safe(run.reason or "")
    return f"{safe(run.reason or 'no worker is running')}; start one with `{ours('worker')}`"


def stderr_line(event: WorkflowEvent) -> str | None:
    return step_line(event, sys.stderr)
