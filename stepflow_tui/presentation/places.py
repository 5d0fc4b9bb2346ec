"""Where a step stands in the text of its template."""

from __future__ import annotations

from collections.abc import Iterable

from stepflow.dsl.locate import Locator
from stepflow.model.run import StepRecord
from stepflow.model.statuses import StepStatus
from stepflow.model.template import TemplateVersion
from stepflow_tui.presentation.executions import is_upstream


def line_of_step(version: TemplateVersion, key: str | None) -> int:
    """The first line where the flow has no such step."""
    keys = tuple(step.key for step in version.flow.steps)
    if key not in keys:
        return 1
    locate = Locator(version.source, version.source_format, version.file, keys)
    line: int = locate(("steps", keys.index(key)), None).get("line", 1)
    return line


def failed_step(steps: Iterable[StepRecord]) -> str | None:
    """The key of the first that failed, or is to be retried; one that another kept from running does not count."""
    wrong = (StepStatus.FAILED, StepStatus.AWAITING_RETRY)
    return next((step.key for step in steps if step.status in wrong and not is_upstream(step.error)), None)
