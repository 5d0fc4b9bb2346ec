"""The timeline of one execution, also as it was: the axis spans all of it, whatever moment is looked at."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime

from stepflow.model.run import RunRecord, StepRecord
from stepflow_tui.panes.timeline import Timeline
from stepflow_tui.presentation.timeline_axis import Axis, axis_of
from stepflow_tui.session import Session


class RunTimeline(Timeline):
    def __init__(self, session: Session, now: Callable[[], datetime]) -> None:
        super().__init__(session)
        self._now = now
        self._whole: RunRecord | None = None

    def show_all(
        self,
        run: RunRecord,
        records: list[StepRecord],
        critical: Collection[str],
        whole: RunRecord | None,
        *,
        begins: bool = False,
    ) -> None:
        """`whole`: the execution as it is now, where `run` is as it was."""
        self._whole = whole
        self.show(run, records, critical, begins=begins)

    def title_of(self, run: RunRecord) -> str:
        return "Timeline"

    def now(self) -> datetime:
        return self._now()

    @property
    def moment(self) -> datetime | None:
        return None if self._whole is None else self._now()

    def _whole_axis(self) -> Axis:
        return super()._whole_axis() if self._whole is None else axis_of(self._whole, datetime.now(UTC))
