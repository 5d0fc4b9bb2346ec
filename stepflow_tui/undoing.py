"""What a list showed before, to be gone back to, and on again."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stepflow.model.run import RunRecord
from stepflow_tui.listing import Sort
from stepflow_tui.presentation.filters import Filter

MOST = 100


class Chosen(msgspec.Struct, frozen=True):
    """Which executions are listed, and which of them are marked."""

    filter: Filter
    sort: Sort
    reverse: bool
    marks: Mapping[str, RunRecord]
    """By id."""

    @property
    def listed(self) -> tuple[Filter, Sort, bool]:
        return self.filter, self.sort, self.reverse

    def is_as(self, other: Chosen) -> bool:
        return self.listed == other.listed and self.marks.keys() == other.marks.keys()

    @property
    def said(self) -> str:
        marked = f", {len(self.marks):,} marked" if self.marks else ""
        return f"/{self.filter.text or ' everything'}{marked}"


class Undo:
    def __init__(self) -> None:
        self._before: list[Chosen] = []
        self._after: list[Chosen] = []

    def note(self, before: Chosen, now: Chosen) -> None:
        """Something else is chosen now."""
        if not before.is_as(now):
            self._before = [*self._before, before][-MOST:]
            self._after.clear()

    def back(self, now: Chosen) -> Chosen | None:
        """What was chosen before; None: nothing was."""
        return self._go(self._before, self._after, now)

    def on(self, now: Chosen) -> Chosen | None:
        """What was gone back from."""
        return self._go(self._after, self._before, now)

    @staticmethod
    def _go(here: list[Chosen], there: list[Chosen], now: Chosen) -> Chosen | None:
        if not here:
            return None
        there.append(now)
        return here.pop()
