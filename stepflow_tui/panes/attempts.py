"""Every attempt of every step, in the order in which they began."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from stepflow.model.run import StepRecord
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line
from stepflow_tui.presentation.step import attempt_row
from stepflow_tui.widgets.lines import LineView


class Attempts(LineView):
    BORDER_TITLE = "Attempts"

    def __init__(self, glyphs: Glyphs, now: Callable[[], datetime]) -> None:
        super().__init__(id="attempts")
        self._glyphs = glyphs
        self._now = now
        self.attempts: list[StepRecord] = []
        self._names = 8

    @property
    def selected_key(self) -> str | None:
        return self.attempts[self.cursor].key if self.attempts else None

    def show(self, records: Sequence[StepRecord]) -> None:
        """One record an attempt. The cursor stays on its attempt."""
        at = self.attempts[self.cursor] if self.attempts else None
        begun = [(one.started_at, one) for one in records if one.started_at is not None]
        self.attempts = [one for _, one in sorted(begun, key=lambda pair: (pair[0], pair[1].index, pair[1].attempt))]
        self._names = max((len(one.key) for one in self.attempts[:500]), default=8)
        row = None
        if at is not None:
            wanted = at.key, at.attempt
            row = next((row for row, one in enumerate(self.attempts) if (one.key, one.attempt) == wanted), None)
        self.set_rows(len(self.attempts), row)
        failed = sum(one.error is not None for one in self.attempts)
        self.border_subtitle = f"{len(self.attempts):,}" + (f", {failed:,} failed" if failed else "")

    def select(self, key: str) -> None:
        """The last attempt of a step."""
        for row in range(len(self.attempts) - 1, -1, -1):
            if self.attempts[row].key == key:
                self.move_to(row)
                return

    def line_at(self, row: int, width: int) -> Line:
        names = max(6, min(self._names, width // 3))
        return attempt_row(self.attempts[row], names, self._now(), self._glyphs)
