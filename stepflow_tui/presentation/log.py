"""An event as a line of the log."""

from __future__ import annotations

from typing import Any

from stepflow.model.event import EventType, WorkflowEvent
from stepflow_tui.presentation.executions import is_upstream, short_id
from stepflow_tui.presentation.spans import Line, safe

LEVELS = {
    "debug": ("DEBUG", "dim"),
    "info": ("INFO ", "dim"),
    "warn": ("WARN ", "late"),
    "error": ("ERROR", "bad"),
}


def event_line(event: WorkflowEvent, width: int, *, with_run: bool) -> Line:
    word, style = LEVELS.get(event.level, ("INFO ", "dim"))
    is_from_upstream = is_upstream(event.payload.get("error"))
    if is_from_upstream:
        style = "dim"  # another step's failure says it
    line: Line = [(event.timestamp.astimezone().strftime("%H:%M:%S "), "dim"), (word + " ", style)]
    if with_run and event.run_id:
        line.append((short_id(event.run_id) + " ", "dim"))
        if width >= 70:
            line.append((safe(event.kind) + " ", ""))
    is_log = event.event_type == EventType.LOG
    if event.step_key is not None:
        line.append((safe(event.step_key) + " ", ""))
    if not is_log:
        line.append((safe(event.event_type), "dim" if is_from_upstream else _style_of(event)))
    text = event_text(event)
    if text:
        is_bad = event.level == "error" and not is_from_upstream
        line.append((("" if is_log else " ") + text, "bad" if is_bad else "" if is_log else "dim"))
    return line


def _style_of(event: WorkflowEvent) -> str:
    match event.event_type:
        case EventType.RUN_COMPLETED | EventType.STEP_COMPLETED:
            return "good"
        case EventType.RUN_FAILED | EventType.STEP_FAILED | EventType.RUN_TIMEOUT | EventType.RUN_STALLED:
            return "bad"
        case EventType.RUN_STARTED | EventType.STEP_STARTED | EventType.RUN_RESUMED:
            return "active"
        case EventType.STEP_RETRY | EventType.RUN_RETRY:
            return "late"
        case _:
            return ""


def event_text(event: WorkflowEvent) -> str:
    """What it says beside its type; empty: nothing."""
    payload: dict[str, Any] = event.payload
    error = payload.get("error")
    match event.event_type:
        case EventType.LOG:
            return safe(payload.get("message", ""))
        case EventType.STEP_RETRY:
            return f"attempt {payload.get('attempt', 0) + 1} in {payload.get('delay_ms', 0)} ms"
        case EventType.TEMPLATE_SAVED:
            return f"{safe(payload.get('name'))} v{payload.get('version')}"
        case EventType.STEP_STARTED if event.attempt > 1:
            return f"attempt {event.attempt}"
        case _ if isinstance(error, dict):
            return safe(error.get("message", ""))
        case _ if payload.get("reason"):
            return safe(payload["reason"])
        case _:
            return ""
