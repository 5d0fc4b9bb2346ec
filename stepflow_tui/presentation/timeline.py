"""Steps as bars on a time axis, in eighths of a cell; attempts side by side, what failed by another dimmed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import StepStatus
from stepflow_tui.presentation.durations import short, ticks
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, fit, fit_name, safe

EIGHTHS = " ▏▎▍▌▋▊▉█"
DURATION_WIDTH = 7


class Axis(msgspec.Struct, frozen=True):
    """The time that the bars span."""

    begin: datetime
    seconds: float

    def eighth(self, moment: datetime, cells: int) -> int:
        """The eighth of a cell at which `moment` stands."""
        at = (moment - self.begin).total_seconds() / self.seconds
        return max(0, min(cells * 8, round(at * cells * 8)))


class Row(msgspec.Struct, frozen=True):
    """A step with its attempts, oldest first."""

    step: StepRecord
    attempts: tuple[StepRecord, ...]


def rows_of(records: Sequence[StepRecord]) -> list[Row]:
    """From one record per attempt, in the flow's order."""
    rows: list[Row] = []
    attempts: list[StepRecord] = []
    for index, record in enumerate(records):
        attempts.append(record)
        if index + 1 == len(records) or records[index + 1].index != record.index:
            rows.append(Row(record, tuple(attempts)))
            attempts = []
    return rows


def axis_of(run: RunRecord, now: datetime) -> Axis:
    begin = run.started_at or run.created_at
    end = run.finished_at or now
    return Axis(begin, max((end - begin).total_seconds(), 0.001))


def label_width(rows: Sequence[Row], width: int) -> int:
    """How wide the names are: what they need, but never more than a third of the line."""
    longest = max((len(row.step.key) for row in rows[:500]), default=8)
    return max(6, min(longest + 1, width // 3))


def axis_line(axis: Axis, names: int, width: int) -> Line:
    cells = width - names - DURATION_WIDTH - 3
    if cells < 4:
        return [("", "")]
    text = [" "] * cells
    for column, label in ticks(axis.seconds, cells):
        if column + len(label) <= cells and all(c == " " for c in text[column : column + len(label)]):
            text[column : column + len(label)] = label
    return [(" " * (names + DURATION_WIDTH + 3), ""), ("".join(text), "dim")]


def step_row(row: Row, axis: Axis, names: int, width: int, now: datetime, glyphs: Glyphs) -> Line:
    step = row.step
    glyph, style = glyphs.step(step.status)
    if is_upstream_failure(step):
        style = "dim"
    name_style = "dim" if step.status in (StepStatus.PENDING, StepStatus.SKIPPED) or style == "dim" else ""
    line: Line = [
        (f"{glyph} ", style),
        (fit_name(safe(step.key), names), name_style),
        (f"{_took(row, now):>{DURATION_WIDTH - 1}} ", "dim"),
    ]
    cells = width - names - DURATION_WIDTH - 3
    if cells < 4:
        return line
    line.append((" ", ""))
    bars, used = _bars(row, axis, cells, now, style, glyphs)
    line += bars
    note = note_of(step, now)
    if note and cells - used > 5:
        line.append(
            (
                " " + fit(note, cells - used - 1).rstrip(),
                "bad" if step.status is StepStatus.FAILED and style != "dim" else "dim",
            )
        )
    elif note:
        # No room behind the bar: the note matters more than the part of the bar it covers.
        text = f" {note} "[: max(0, cells - 2)]
        line = [*line[:4], *_cut(bars, cells - len(text)), (text, "bad" if style == "bad" else "dim")]
    return line


def is_upstream_failure(step: StepRecord) -> bool:
    return step.error is not None and step.error.get("code") == "UPSTREAM_FAILED"


def note_of(step: StepRecord, now: datetime) -> str:
    """What is to be said beside the bar."""
    match step.status:
        case StepStatus.FAILED if is_upstream_failure(step):
            return "not run: " + safe((step.error or {}).get("message", ""))
        case StepStatus.FAILED:
            return safe((step.error or {}).get("message", ""))
        case StepStatus.SKIPPED | StepStatus.CANCELLED:
            return safe(step.reason or "")
        case StepStatus.AWAITING_RETRY | StepStatus.SLEEPING if step.wake_at is not None:
            left = short((step.wake_at - now).total_seconds())
            if step.status is StepStatus.SLEEPING:
                return f"wakes in {left}"
            return f"again in {left}: {safe((step.error or {}).get('message', ''))}"
        case StepStatus.COMPLETED if step.reused:
            return "taken over"
        case StepStatus.COMPLETED if step.recovered:
            return "with its default: " + safe((step.error or {}).get("message", ""))
        case StepStatus.RUNNING if step.attempt > 1:
            return f"attempt {step.attempt}"
        case _:
            return ""


def _took(row: Row, now: datetime) -> str:
    first = row.attempts[0].started_at
    if first is None:
        return ""
    end = row.step.finished_at if row.step.status.is_final else now
    return short(((end or now) - first).total_seconds())


def _bars(row: Row, axis: Axis, cells: int, now: datetime, style: str, glyphs: Glyphs) -> tuple[Line, int]:
    """The bars of all attempts, and the cells they take from the left."""
    spans: Line = []
    column = 0
    for attempt in row.attempts:
        if attempt.started_at is None:
            continue
        is_last = attempt is row.attempts[-1]
        end = attempt.finished_at or now
        first, last = axis.eighth(attempt.started_at, cells), axis.eighth(end, cells)
        first = max(min(first, cells * 8 - 1), column * 8)
        last = min(max(last, first + 1), cells * 8)
        attempt_style = style if is_last else "bad"
        if first // 8 > column:
            spans.append((" " * (first // 8 - column), ""))
            column = first // 8
        pieces, column = _bar(first, last, column, attempt_style, glyphs)
        spans += pieces
        if not is_last and column < cells:
            spans.append(("|" if glyphs.ascii_only else "┊", "dim"))
            column += 1
    waiting = row.step
    if waiting.status in (StepStatus.SLEEPING, StepStatus.AWAITING_RETRY) and waiting.finished_at is not None:
        until = axis.eighth(now, cells) // 8
        if until > column:
            spans.append((("." if glyphs.ascii_only else "╌") * (until - column), "dim"))
            column = until
    return spans, column


def _bar(first: int, last: int, column: int, style: str, glyphs: Glyphs) -> tuple[Line, int]:
    """A bar from eighth `first` to `last`, beginning in cell `column`."""
    if glyphs.ascii_only:
        cells = max(1, (last + 7) // 8 - column)
        return [("#" * cells, style)], column + cells
    spans: Line = []
    if first % 8 and last // 8 > first // 8:
        # It begins inside a cell: the free left part is a block in reverse.
        spans.append((EIGHTHS[first % 8], f"{style}-reverse"))
        column += 1
        first = column * 8
    elif first % 8:
        return [(EIGHTHS[max(1, last - first)], style)], column + 1
    full, rest = divmod(last - column * 8, 8)
    text = "█" * full + (EIGHTHS[rest] if rest else "")
    if text:
        spans.append((text, style))
    return spans, column + full + (1 if rest else 0)


def _cut(spans: Line, cells: int) -> Line:
    kept: Line = []
    for text, style in spans:
        if cells <= 0:
            break
        kept.append((text[:cells], style))
        cells -= len(text[:cells])
    if cells > 0:
        kept.append((" " * cells, ""))
    return kept


MOVING = (StepStatus.RUNNING, StepStatus.SLEEPING, StepStatus.AWAITING_RETRY)
"""What is drawn of these changes with time alone."""


def moves(rows: Sequence[Row]) -> bool:
    """Whether anything on it changes with time alone."""
    return any(row.step.status in MOVING for row in rows)
