"""An execution as a row: what it is, how it stands, and what is wrong, at one glance."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stepflow.model.ids import RUN_PREFIX
from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, fit, fit_name, safe

SHORT_ID = 4


def short_id(run_id: str) -> str:
    """The last characters of an id: those in front are the time, and alike."""
    return run_id.removeprefix(RUN_PREFIX)[-SHORT_ID:]


def execution_row(run: RunRecord, width: int, now: datetime, glyphs: Glyphs) -> Line:
    glyph, style = glyphs.run(run.status)
    wide = width >= 70
    name_width = max(8, min(24 if wide else 16, width // 4))
    line: Line = [(f"{glyph} ", style), (f"{short_id(run.id)} ", "dim"), (fit_name(safe(run.template), name_width), "")]
    left = width - 2 - SHORT_ID - 1 - name_width
    if left >= 12:
        line.append((" " + fit(_status(run), 10), style))
        left -= 11
    if left >= 7:
        line.append((fit(f"{_took(run, now):>6}", 7), "dim" if run.status.is_final else ""))
        left -= 7
    if left >= 8:
        text, text_style = _what(run, now)
        line.append((" " + text, text_style))
    return line


def _status(run: RunRecord) -> str:
    if run.cancel_requested:
        return "cancelling"
    if run.status is RunStatus.RUNNING and run.steps_total:
        return f"run {run.steps_done * 100 // run.steps_total:d}%"
    return {RunStatus.AWAITING_RETRY: "retrying", RunStatus.COMPLETED: "ok", RunStatus.TIMED_OUT: "timed out"}.get(
        run.status, run.status.value
    )


def _took(run: RunRecord, now: datetime) -> str:
    if run.started_at is None:
        return "-"
    return short(((run.finished_at or now) - run.started_at).total_seconds())


def _what(run: RunRecord, now: datetime) -> tuple[str, str]:
    if run.error is not None:
        return error_text(run.error), "bad"
    if run.reason:
        return safe(run.reason), "dim" if run.status.is_final else "bad"
    if run.wake_at is not None and not run.status.is_final and run.wake_at > now:
        return f"goes on in {short((run.wake_at - now).total_seconds())}", "dim"
    if run.steps_total and not run.status.is_final:
        return f"{run.steps_done}/{run.steps_total} steps", "dim"
    return "", ""


def error_text(error: dict[str, Any]) -> str:
    """`load: HTTP 503 upstream`"""
    step = (error.get("details") or {}).get("step_key")
    message = safe(error.get("message") or error.get("code") or "no message")
    return f"{safe(step)}: {message}" if step else message


def what_now(run: RunRecord) -> str:
    """What to do about a run that needs a person."""
    if run.status in (RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.CANCELLED):
        return "t retry"
    if run.status is RunStatus.STALLED:
        return "c cancel, then t retry"
    return ""
