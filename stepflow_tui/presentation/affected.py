"""With which of several executions a key does something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stepflow.model.run import RunRecord
from stepflow.model.statuses import RunStatus

STANDING = (RunStatus.PAUSED, RunStatus.STALLED)
"""Of those that go on when somebody lets them."""


def _that_may_end(runs: Sequence[RunRecord]) -> list[RunRecord]:
    return [run for run in runs if not run.status.is_final]


def _that_pause(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Where none goes on, those that stand."""
    going = [run for run in _that_may_end(runs) if run.status not in STANDING]
    return going or [run for run in runs if run.status in STANDING]


def _that_were_not_retried(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Where the retry failed too, that is the one to retry."""
    return [run for run in runs if run.status.may_be_retried and run.retried_as is None]


AFFECTED: Mapping[str, Callable[[Sequence[RunRecord]], list[RunRecord]]] = {
    "cancel": _that_may_end,
    "terminate": _that_may_end,
    "retry": _that_were_not_retried,
    "pause": _that_pause,
}
"""By the id of a key that acts on all of them."""
