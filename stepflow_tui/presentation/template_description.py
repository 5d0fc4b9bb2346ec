"""A template in words: what it is for, where it comes from, what it takes, its steps, how it went, what comes next."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime

from stepflow.model.flow import Flow
from stepflow.model.template import Template, TemplateVersion
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.history import History
from stepflow_tui.presentation.labelled import moment, told
from stepflow_tui.presentation.spans import Line, fit_name, safe

MOST_STEPS = 40
MOST_OF_SCHEMA = 2000
"""Characters."""
KEY = 24
"""Cells of a step's key at most."""


def describe_template(
    template: Template,
    version: TemplateVersion,
    history: History | None,
    now: datetime,
    width: int,
    *,
    only_reads: bool = False,
) -> list[Line]:
    """`version`: the one at hand; `history`: of its executions, as far as it is known; `only_reads`: nothing can be
    changed."""
    flow = version.flow
    newest = "" if version.version == template.version else f" of {template.version}"
    lines: list[Line] = [[(safe(template.name), "title"), (f"  v{version.version}{newest}", "dim")], []]
    if template.description or flow.description:
        lines += told("is for", template.description or flow.description, width)
    lines += told("TRN", template.trn, width)
    lines += told("saved", moment(version.created_at, now), width)
    file = template.file or version.file
    if file:
        gone = ", which is gone" if template.file_gone else ""
        lines += told("file", f"{file}{gone}", width, "late" if gone else "")
    lines += _takes(flow, width)
    lines += told("executions", _went(history), width)
    lines += [[], [(f"{len(flow.steps):,} step{'s' if len(flow.steps) != 1 else ''}", "title")]]
    room = max([8, *(len(step.key) for step in flow.steps[:MOST_STEPS])])
    for step in flow.steps[:MOST_STEPS]:
        after = f"  after {', '.join(step.depends_on)}" if step.depends_on else ""
        lines.append(
            [
                (f"  {fit_name(safe(step.key), min(room, KEY))} ", ""),
                (safe(step.component), "dim"),
                (safe(after), "dim"),
            ]
        )
    if len(flow.steps) > MOST_STEPS:
        lines.append([(f"  and {len(flow.steps) - MOST_STEPS:,} more", "dim")])
    lines += [[], [("what now", "title")]]
    ways = (("s", "simulate it"), ("h", "its executions"), ("D", "what changed"))
    changing = () if only_reads else (("r", "run it"), ("e", "edit it"))
    return [*lines, *([(f"  {key} ", "active"), (what, "")] for key, what in (*changing, *ways))]


def _takes(flow: Flow, width: int) -> list[Line]:
    lines: list[Line] = []
    if flow.input_schema is not None:
        lines += told("input", json.dumps(flow.input_schema, ensure_ascii=False)[:MOST_OF_SCHEMA], width)
    if isinstance(flow.variables, dict) and flow.variables:
        lines += told("variables", ", ".join(map(str, flow.variables)), width)
    if flow.timeout_ms is not None:
        lines += told("timeout", short(flow.timeout_ms / 1000), width)
    return lines


def _went(history: History | None) -> str:
    """How the last ones ended, and how long one takes."""
    if history is None or not history.ended:
        return "none has ended yet"
    counts = Counter(one.status.value for one in history.ended)
    usual = "" if history.median is None else f"; usually {short(history.median)}"
    return f"lately {', '.join(f'{n} {what}' for what, n in counts.most_common())}{usual}"
