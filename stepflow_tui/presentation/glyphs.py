"""A glyph, a letter and a style for each status: state is never colour alone."""

from __future__ import annotations

from stepflow.model.statuses import RunStatus, StepStatus

RUN_GLYPHS: dict[RunStatus, tuple[str, str, str]] = {
    RunStatus.COMPLETED: ("✓", "+", "good"),
    RunStatus.FAILED: ("✗", "x", "bad"),
    RunStatus.RUNNING: ("▶", ">", "active"),
    RunStatus.PAUSED: ("⏸", "=", "wait"),
    RunStatus.SLEEPING: ("z", "z", "wait"),
    RunStatus.WAITING: ("?", "?", "wait"),
    RunStatus.AWAITING_RETRY: ("↻", "@", "late"),
    RunStatus.QUEUED: ("◦", "o", "quiet"),
    RunStatus.SCHEDULED: ("◷", "s", "quiet"),
    RunStatus.STALLED: ("!", "!", "bad"),
    RunStatus.CANCELLED: ("⊘", "/", "off"),
    RunStatus.TIMED_OUT: ("⧖", "T", "bad"),
}
"""Unicode, ASCII, style."""

STEP_GLYPHS: dict[StepStatus, tuple[str, str, str]] = {
    StepStatus.COMPLETED: ("✓", "+", "good"),
    StepStatus.FAILED: ("✗", "x", "bad"),
    StepStatus.RUNNING: ("▶", ">", "active"),
    StepStatus.SLEEPING: ("z", "z", "wait"),
    StepStatus.WAITING: ("?", "?", "wait"),
    StepStatus.AWAITING_RETRY: ("↻", "@", "late"),
    StepStatus.PENDING: ("·", ".", "quiet"),
    StepStatus.CANCELLED: ("⊘", "/", "off"),
    StepStatus.SKIPPED: ("↷", "~", "quiet"),
}


_PLAIN = str.maketrans(
    {"⏎": "enter", "→": "right", "←": "left", "↓": "down", "↑": "up", "·": "-", "✗": "x", "…": "...", "×": "x"}
)


class Glyphs:
    """The set that a terminal can show. All screens have the same one, which the settings change."""

    def __init__(self, *, ascii_only: bool = False) -> None:
        self.ascii_only = ascii_only

    @property
    def _index(self) -> int:
        return 1 if self.ascii_only else 0

    def run(self, status: RunStatus) -> tuple[str, str]:
        """Glyph and style."""
        entry = RUN_GLYPHS[status]
        return entry[self._index], entry[2]

    def plain(self, text: str) -> str:
        """Our own words, without signs that the terminal cannot show."""
        return text.translate(_PLAIN) if self.ascii_only else text

    def step(self, status: StepStatus) -> tuple[str, str]:
        entry = STEP_GLYPHS[status]
        return entry[self._index], entry[2]
