"""A simulation: what would run, for how long, to what end, and where its outputs come from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stepflow.model.statuses import StepStatus
from stepflow_tui.presentation.durations import short, ticks
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, fit_name, safe
from stepflow_tui.presentation.timeline_bars import EIGHTHS

if TYPE_CHECKING:
    from stepflow.client.checks import Bar, Simulation

MOST_OUTPUT_LINES = 500
LEAST_BAR = 10
TOOK_WIDTH = 14

SOURCES = {
    "computed": "computed",
    "told to fail": "told to fail",
    "mock": "mocked",
    "simulate": "its simulate:",
    "children": "simulated children",
    "history": "the last execution",
    "example": "the component's example",
    "schema": "made from the schema",
    "assumed": "assumed to come at once",
    "nothing known": "nothing known (null)",
}


class Picture:
    """Its lines, for any width: a summary, a bar for each step, the output."""

    def __init__(self, simulation: Simulation, glyphs: Glyphs) -> None:
        self._simulation = simulation
        self._glyphs = glyphs
        self._critical = frozenset(simulation.predicted.critical_path)
        self._total_ms = max((_begin(bar) + self._slow_ms(bar) for bar in simulation.steps), default=0)
        self._total_ms = max(self._total_ms, simulation.duration_ms)
        self._names = max((len(bar.key) for bar in simulation.steps[:500]), default=4) + 1
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
        line: Line = [(f"{glyph} would be {made.status.value}", style), (f"  {len(made.path)} steps", "")]
        if predicted.executions:
            took = f"  p50 {_took(predicted.median_ms)}  p95 {_took(predicted.p95_ms)}"
            many = f"  from {predicted.executions} execution{'s' if predicted.executions > 1 else ''}"
            line += [(took, "title"), (many, "dim")]
            if self._critical and width >= 90:
                line.append((f"  {self._star} critical path", "dim"))
        elif made.duration_ms:
            line += [(f"  {_took(made.duration_ms)}", "title")]
        else:
            line.append(("  no durations known yet", "dim"))
        return line

    @property
    def _star(self) -> str:
        return "*" if self._glyphs.ascii_only else "★"

    def _columns(self, width: int) -> tuple[int, int]:
        """Cells of names and of bars; none for bars where nothing takes any time."""
        names = max(6, min(self._names, width // 3))
        cells = (width - names - TOOK_WIDTH - 5) * 2 // 3
        return names, cells if cells >= LEAST_BAR and self._total_ms else 0

    def _axis(self, width: int) -> Line:
        names, cells = self._columns(width)
        text = [" "] * cells
        for column, label in ticks(self._total_ms / 1000, cells) if cells else ():
            if column + len(label) <= cells and all(one == " " for one in text[column : column + len(label)]):
                text[column : column + len(label)] = label
        return [(" " * (names + TOOK_WIDTH + 4), ""), ("".join(text), "dim")]

    def _step(self, index: int, width: int) -> Line:
        bar = self._simulation.steps[index]
        glyph, style = self._glyphs.step(bar.status)
        names, cells = self._columns(width)
        is_critical = bar.key in self._critical
        ran = bar.took_ms is not None
        line: Line = [
            (f"{glyph} ", style),
            (self._star if is_critical else " ", "title"),
            (fit_name(safe(bar.key), names), "title" if is_critical else "" if ran else "dim"),
            (f"{self._took_of(index):>{TOOK_WIDTH}} ", "dim"),
        ]
        if cells:
            line += self._bar(index, cells, "title" if is_critical and style == "good" else style)
        return [*line, *_note(self._simulation, index)]

    def _slow_ms(self, bar: Bar) -> int:
        took = bar.took_ms
        return 0 if took is None else max(took, self._simulation.predicted.slow_ms.get(bar.key, 0))

    def _took_of(self, index: int) -> str:
        bar = self._simulation.steps[index]
        took, slow = bar.took_ms, self._slow_ms(bar)
        if took is None:
            return ""
        return f"{_took(took)}-{_took(slow)}" if slow > took else _took(took)

    def _bar(self, index: int, cells: int, style: str) -> Line:
        """Solid to the median, hatched from there to p95."""
        bar = self._simulation.steps[index]
        took = bar.took_ms
        if took is None:
            return [(" " * cells, "")]
        scale = cells * 8 / self._total_ms
        first = min(round(_begin(bar) * scale) // 8, cells - 1)
        eighths = max(1, min(round((_begin(bar) + took) * scale) - first * 8, (cells - first) * 8))
        full, rest = divmod(eighths, 8)
        if self._glyphs.ascii_only:
            solid = "#" * max(1, full + (rest > 3))
        else:
            solid = "█" * full + (EIGHTHS[rest] if rest else "")
        until = min(cells, round((_begin(bar) + self._slow_ms(bar)) * scale) // 8)
        hatched = max(0, until - first - len(solid))
        hatch = ("/" if self._glyphs.ascii_only else "▒") * hatched
        left = cells - first - len(solid) - hatched
        return [(" " * first, ""), (solid, style), (hatch, "dim"), (" " * left, "")]


def _begin(bar: Bar) -> int:
    return bar.started_at or 0


def _took(ms: int) -> str:
    return short(ms / 1000)


def _note(made: Simulation, index: int) -> Line:
    bar = made.steps[index]
    if bar.error is not None:
        is_cause = bar.error.get("code") != "UPSTREAM_FAILED"
        said = f"{bar.error.get('code', '')} {bar.error.get('message', '')}".strip()
        return [(" " + safe(said), "bad" if is_cause else "dim")]
    if bar.status is StepStatus.COMPLETED:
        attempts = f"attempt {bar.attempts}, " if bar.attempts > 1 else ""
        return [(f" {attempts}{SOURCES.get(bar.source, bar.source)}", "dim")]
    return [(" " + safe(bar.reason or bar.status.value), "dim")]


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
