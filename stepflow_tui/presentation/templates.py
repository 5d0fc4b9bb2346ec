"""A template as a row: its name, and how its newest execution stands."""

from __future__ import annotations

from stepflow.model.statuses import RunStatus
from stepflow.model.template import Template
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, fit_name, safe


def template_row(template: Template, newest: RunStatus | None, width: int, glyphs: Glyphs) -> Line:
    glyph, style = glyphs.run(newest) if newest is not None else (" ", "")
    version = f"v{template.version}"
    name_width = max(1, width - 2 - len(version) - 1)
    return [(f"{glyph} ", style), (fit_name(safe(template.name), name_width), ""), (f" {version}", "dim")]
