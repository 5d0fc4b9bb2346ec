"""Telling a person who looks elsewhere that an execution has ended or asks: by the bell, and by what terminals know.

What is written goes through the driver of the screen; the text of executions is made harmless first.
"""

from __future__ import annotations

import asyncio
import os
import subprocess

from textual.app import App

from stepflow.model.event import FINAL_RUN_EVENTS, EventType, WorkflowEvent
from stepflow.model.run import RunRecord, awaited_signal
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.executions import short_id
from stepflow_tui.presentation.spans import safe

MOST = 200
"""Characters."""
SECONDS = 2.0
_TITLED = ("rxvt", "foot")
"""Beginnings of TERM of those that know OSC 777 alone."""
_ENDS = {
    EventType.RUN_COMPLETED: RunStatus.COMPLETED.value,
    EventType.RUN_FAILED: RunStatus.FAILED.value,
    EventType.RUN_CANCELLED: "was cancelled",
    EventType.RUN_TIMEOUT: "took too long",
    EventType.RUN_STALLED: "stands still",
}


def notice_of(event: WorkflowEvent, run: RunRecord) -> str | None:
    """What is to be said of a watched execution; None: nothing."""
    name = f"{safe(run.template)} {short_id(run.id)}"
    if event.event_type in _ENDS:
        error = event.payload.get("error")
        message = error.get("message") if isinstance(error, dict) else event.payload.get("reason")
        return f"{name} {_ENDS[EventType(event.event_type)]}{f': {safe(message)}' if message else ''}"
    signal = awaited_signal(event.payload.get("awaits"))
    if event.event_type == EventType.STEP_WAITING and signal is not None:
        return f"{name} waits for an answer: {safe(event.payload.get('message') or signal)}"
    return None


def has_ended(event: WorkflowEvent) -> bool:
    return event.event_type in FINAL_RUN_EVENTS


def written(text: str, *, term: str, in_tmux: bool) -> str:
    """What a terminal shows as a notice of its own."""
    words = safe(text)[:MOST].replace(";", ",")
    told = f"\x1b]777;notify;stepflow;{words}\x07" if term.startswith(_TITLED) else f"\x1b]9;{words}\x07"
    return "\x1bPtmux;" + told.replace("\x1b", "\x1b\x1b") + "\x1b\\" if in_tmux else told


def tmux_passes() -> bool:
    """Whether tmux hands on what is for the terminal around it; before 3.3 it always did."""
    command = ("tmux", "show-options", "-Apqv", "allow-passthrough")
    try:
        done = subprocess.run(  # noqa: S603 - a program of the user's own machine, by our own name
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() != "off"


async def notify(app: App[int], text: str, how: str) -> None:
    """By `how` of the setting `notify`."""
    if how == "off":
        return
    app.bell()
    in_tmux = "TMUX" in os.environ
    if how == "bell" or (in_tmux and not await asyncio.to_thread(tmux_passes)):
        return
    driver = app._driver
    if driver is not None:
        driver.write(written(text, term=os.environ.get("TERM", ""), in_tmux=in_tmux))
