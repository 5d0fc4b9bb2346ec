"""A glyph, a letter and a style for each status: state is never colour alone."""

from __future__ import annotations

from stepflow.model.statuses import RunStatus, StepStatus

RUN_GLYPHS: dict[RunStatus, tuple[str, str, str]] = {
    RunStatus.COMPLETED: ("✓", "+", "completed"),
    RunStatus.FAILED: ("✗", "x", "failed"),
    RunStatus.RUNNING: ("▶", ">", "running"),
    RunStatus.PAUSED: ("⏸", "=", "waiting"),
    RunStatus.SLEEPING: ("z", "z", "waiting"),
    RunStatus.WAITING: ("?", "?", "waiting"),
    RunStatus.AWAITING_RETRY: ("↻", "@", "retrying"),
    RunStatus.QUEUED: ("◦", "o", "queued"),
    RunStatus.SCHEDULED: ("◷", "s", "queued"),
    RunStatus.STALLED: ("!", "!", "failed"),
    RunStatus.CANCELLED: ("⊘", "/", "cancelled"),
    RunStatus.TIMED_OUT: ("⧖", "T", "failed"),
}
"""Unicode, ASCII, style."""

STEP_GLYPHS: dict[StepStatus, tuple[str, str, str]] = {
    StepStatus.COMPLETED: ("✓", "+", "completed"),
    StepStatus.FAILED: ("✗", "x", "failed"),
    StepStatus.RUNNING: ("▶", ">", "running"),
    StepStatus.SLEEPING: ("z", "z", "waiting"),
    StepStatus.WAITING: ("?", "?", "waiting"),
    StepStatus.AWAITING_RETRY: ("↻", "@", "retrying"),
    StepStatus.PENDING: ("·", ".", "queued"),
    StepStatus.CANCELLED: ("⊘", "/", "cancelled"),
    StepStatus.SKIPPED: ("↷", "~", "queued"),
}


class Glyphs:
    """The set that a terminal can show."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        self.ascii_only = ascii_only
        self._index = 1 if ascii_only else 0

    def run(self, status: RunStatus) -> tuple[str, str]:
        """Glyph and style."""
        entry = RUN_GLYPHS[status]
        return entry[self._index], entry[2]

    def step(self, status: StepStatus) -> tuple[str, str]:
        entry = STEP_GLYPHS[status]
        return entry[self._index], entry[2]
