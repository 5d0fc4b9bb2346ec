"""A simulation: what would run, for how long, to what end, and where its outputs come from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stepflow.model.statuses import StepStatus
from stepflow_tui.presentation.durations import short, ticks
from stepflow_tui.presentation.executions import is_upstream
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, cells, fit_name, safe
from stepflow_tui.presentation.timeline_bars import Cells

if TYPE_CHECKING:
    from stepflow.client.checks import Bar, Simulation

MOST_OUTPUT_LINES = 500
LEAST_BAR = 10
TICKS_APART = 7
"""Cells; no label has more."""
MEASURED = 500
"""Steps by which columns are made as wide as they need to be."""

SOURCES = {
    "computed": "computed",
    "told to fail": "told to fail",
    "mock": "mocked",
    "simulate": "its simulate:",
    "children": "its children",
    "history": "last execution",
    "example": "its example",
    "schema": "its schema",
    "assumed": "comes at once",
    "nothing known": "unknown: null",
}


class Picture:
    """Its lines, for any width: a summary, a bar for each step, the output."""

    def __init__(self, simulation: Simulation, glyphs: Glyphs) -> None:
        self._simulation = simulation
        self._glyphs = glyphs
        self._critical = frozenset(simulation.predicted.critical_path)
        self._total_ms = max((_begin(bar) + self._slow_ms(bar) for bar in simulation.steps), default=0)
        self._total_ms = max(self._total_ms, simulation.duration_ms)
        self._tells_computed = any(bar.took_ms is not None and bar.source != "computed" for bar in simulation.steps)
        measured = range(min(MEASURED, len(simulation.steps)))
        self._names = max((len(simulation.steps[index].key) for index in measured), default=4) + 1
        self._took = max((len(self._took_of(index)) for index in measured), default=0)
        self._notes = max((cells(self._note(index)) for index in measured), default=0)
        completed = (index for index in measured if simulation.steps[index].status is StepStatus.COMPLETED)
        self._sources = max((cells(self._note(index)) for index in completed), default=0)
        """Cells of the longest of the words that say where outputs come from, which are not cut."""
        self._after = _end_lines(simulation)

    @property
    def line_count(self) -> int:
        return 2 + len(self._simulation.steps) + len(self._after)

    def step_at(self, row: int) -> str | None:
        """The key of the step that stands in a row."""
        steps = self._simulation.steps
        return steps[row - 2].key if 2 <= row < 2 + len(steps) else None

    def line(self, row: int, width: int) -> Line:
        if row == 0:
            return self._summary(width)
        if row == 1:
            return self._axis(width)
        steps = self._simulation.steps
        if row < 2 + len(steps):
            return self._step(row - 2, width)
        return self._after[row - 2 - len(steps)]

    def _summary(self, width: int) -> Line:
        made = self._simulation
        glyph, style = self._glyphs.run(made.status)
        predicted = made.predicted
        line: Line = [(f"{glyph} would be {made.status.value}", style)]
        if predicted.executions:
            median, slow = _took(predicted.median_ms), _took(predicted.p95_ms)
            took = f"  p50 {median}  p95 {slow}" if median != slow else f"  {median}"
            many = f"  from {predicted.executions} execution{'s' if predicted.executions > 1 else ''}"
            line += [(took, "title"), (many, "dim")]
        elif made.duration_ms:
            line += [(f"  {_took(made.duration_ms)}", "title")]
        else:
            line.append(("  no durations known yet", "dim"))
        more = [(f"  {len(made.path)} step{'' if len(made.path) == 1 else 's'}", "")]
        if predicted.executions and self._critical:
            more.append((f"  {self._star} critical path", "dim"))
        for one in more:
            if cells([*line, one]) <= width:
                line.append(one)
        return line

    @property
    def _star(self) -> str:
        return "*" if self._glyphs.ascii_only else "★"

    def _columns(self, width: int) -> tuple[int, int]:
        """Cells of names and of bars; none for bars where nothing takes any time."""
        names = max(6, min(self._names, width // 3))
        room = width - names - self._took - 4
        count = room - max(min(self._notes, room // 3), min(self._sources, room - LEAST_BAR))
        return names, count if count >= LEAST_BAR and self._total_ms else 0

    def _axis(self, width: int) -> Line:
        names, count = self._columns(width)
        text = [" "] * count
        for column, label in ticks(self._total_ms / 1000, count, TICKS_APART) if count else ():
            if column + len(label) <= count and all(one == " " for one in text[column : column + len(label)]):
                text[column : column + len(label)] = label
        return [(" " * (names + self._took + 4), ""), ("".join(text), "dim")]

    def _step(self, index: int, width: int) -> Line:
        bar = self._simulation.steps[index]
        glyph, style = self._glyphs.step(bar.status)
        names, count = self._columns(width)
        is_critical = bar.key in self._critical
        ran = bar.took_ms is not None
        line: Line = [
            (f"{glyph} ", style),
            (self._star if is_critical else " ", "title"),
            (fit_name(safe(bar.key), names), "title" if is_critical else "" if ran else "dim"),
            (f"{self._took_of(index):>{self._took}} ", "dim"),
        ]
        if count:
            line += self._bar(index, count, "title" if is_critical and style == "good" else style)
        return [*line, *self._note(index)]

    def _slow_ms(self, bar: Bar) -> int:
        took = bar.took_ms
        return 0 if took is None else max(took, self._simulation.predicted.slow_ms.get(bar.key, 0))

    def _took_of(self, index: int) -> str:
        bar = self._simulation.steps[index]
        took, slow = bar.took_ms, self._slow_ms(bar)
        if took is None:
            return ""
        ends = dict.fromkeys((_took(took), _took(slow)))
        return "-".join(ends)

    def _bar(self, index: int, count: int, style: str) -> Line:
        """Solid to the median, hatched from there to p95."""
        bar = self._simulation.steps[index]
        drawn = Cells(count, self._glyphs)
        if bar.took_ms is not None:
            scale = count * 8 / self._total_ms
            drawn.bar(round(_begin(bar) * scale), round((_begin(bar) + bar.took_ms) * scale), style)
            until = round((_begin(bar) + self._slow_ms(bar)) * scale) // 8
            drawn.fill(drawn.used, until, "/" if self._glyphs.ascii_only else "▒", "dim")
        return drawn.line(count)

    def _note(self, index: int) -> Line:
        bar = self._simulation.steps[index]
        if bar.error is not None:
            said = f"{bar.error.get('code', '')} {bar.error.get('message', '')}".strip()
            return [(" " + safe(said), "dim" if is_upstream(bar.error) else "bad")]
        if bar.status is not StepStatus.COMPLETED:
            return [(" " + safe(bar.reason or bar.status.value), "dim")]
        words = [f"attempt {bar.attempts}"] if bar.attempts > 1 else []
        if bar.source != "computed" or self._tells_computed:
            words.append(SOURCES.get(bar.source, bar.source))
        return [(" " + ", ".join(words), "dim")] if words else []


def _begin(bar: Bar) -> int:
    return bar.started_at or 0


def _took(ms: int) -> str:
    return short(ms / 1000)


def _end_lines(made: Simulation) -> Sequence[Line]:
    lines: list[Line] = [[]]
    if made.error is not None:
        step = (made.error.get("details") or {}).get("step_key")
        message = safe(made.error.get("message", ""))
        lines.append([("Error  ", "bad"), (f"{safe(step)}: {message}" if step else message, "bad")])
    elif made.success:
        lines.append([("Output", "title")])
        written = json.dumps(made.output, indent=2, ensure_ascii=False).split("\n")
        lines += [[(safe(one), "")] for one in written[:MOST_OUTPUT_LINES]]
        if len(written) > MOST_OUTPUT_LINES:
            lines.append([(f"… {len(written) - MOST_OUTPUT_LINES:,} more lines", "dim")])
    return lines
