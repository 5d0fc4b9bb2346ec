"""Where a step stands in the text of its template."""

from __future__ import annotations

from stepflow.dsl.locate import Locator
from stepflow.model.template import TemplateVersion


def line_of_step(version: TemplateVersion, key: str | None) -> int:
    """The first line where the flow has no such step."""
    keys = tuple(step.key for step in version.flow.steps)
    if key not in keys:
        return 1
    locate = Locator(version.source, version.source_format, version.file, keys)
    line: int = locate(("steps", keys.index(key)), None).get("line", 1)
    return line
