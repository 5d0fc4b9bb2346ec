"""Which executions of a list there are to look after: what failed, then what waits for an answer, is late, runs."""

from __future__ import annotations

from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus
from stepflow_tui.presentation.history import is_working
from stepflow_tui.presentation.timeline_problems import SAID, Kind

FAILED = (RunStatus.FAILED, RunStatus.STALLED, RunStatus.TIMED_OUT, RunStatus.AWAITING_RETRY)
STATUSES: dict[Kind, tuple[RunStatus, ...]] = {
    Kind.FAILED: FAILED,
    Kind.WAITS: (RunStatus.WAITING,),
    Kind.RUNS: (RunStatus.RUNNING, RunStatus.WAITING),
}
"""By which the storage is asked for those of a kind; it knows not which are late."""


def kind_of(run: RunRecord, *, is_late: bool = False) -> Kind | None:
    """None: there is nothing to look after. Of what was retried there is the retry."""
    if run.status in FAILED:
        return Kind.FAILED if run.retried_as is None else None
    if is_working(run):
        return Kind.LATE if is_late else Kind.RUNS
    return Kind.WAITS if run.status is RunStatus.WAITING and run.awaits else None


def said_of(kind: Kind, before: Kind) -> str:
    """Of what kind it is that was come to; empty: it is seen to have failed."""
    if kind is Kind.FAILED:
        return ""
    return f"{'None below failed; this one' if before is Kind.FAILED else 'This one'} {SAID[kind]}"
