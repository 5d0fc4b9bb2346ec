"""The lines of a timeline: steps as bars on a time axis, what is known beside them, what is folded away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import assert_never

import msgspec
from rich.cells import cell_len

from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, fit, fit_line, fit_name, safe
from stepflow_tui.presentation.timeline_activity import Activity, profile
from stepflow_tui.presentation.timeline_axis import BESIDE, Axis
from stepflow_tui.presentation.timeline_bars import Cells, draw_attempts, draw_expected
from stepflow_tui.presentation.timeline_folding import (
    Choices,
    Form,
    GridRow,
    GroupRow,
    ItemRest,
    ItemRow,
    LegendRow,
    NotRun,
    Rest,
    Row,
    Shown,
    is_upstream_failure,
)
from stepflow_tui.presentation.timeline_grid import grid_cells, legend
from stepflow_tui.presentation.timeline_items import Item, Items, count_spans, is_fan_out, items_note
from stepflow_tui.presentation.timeline_prediction import Expected, Prediction, running_notes

LEAST_CELLS = 4
"""In which bars are drawn at all."""
LEAST_OF_KEY = 4
"""Cells of a step's key beside the number of its items; where it has fewer, the sign of the fold gives way."""
LEAST_NOTE = 5
LEAST_IN_GAP = 12
"""Cells of a note that stands before its bar, or between two of its bars."""
MOST_NAMED = 20
"""Steps or items in the line that sums them up."""


class Told(msgspec.Struct, frozen=True):
    """What is known of a step beside its own record."""

    is_critical: bool = False
    ready_at: datetime | None = None
    """Since when all was there that it waited for."""
    expected: Expected | None = None
    items: Items | None = None
    form: Form | None = None
    """In which its items are shown below it."""


NOTHING = Told()


class Scene(msgspec.Struct, frozen=True):
    """All that the lines of a timeline are drawn from."""

    run: RunRecord
    axis: Axis
    names: int
    """Cells of the names."""
    now: datetime
    glyphs: Glyphs
    critical: frozenset[str] = frozenset()
    has_stars: bool = False
    finished: Mapping[str, datetime | None] = {}
    """When each step ended."""
    prediction: Prediction | None = None
    items: Mapping[str, Items] = {}
    choices: Choices = Choices()

    def told(self, row: Row) -> Told:
        key = row.step.key
        return Told(
            self.has_stars and key in self.critical,
            ready_at(row, self.run, self.finished),
            None if self.prediction is None else self.prediction.steps.get(key),
            self.items.get(key),
            self.choices.forms.get(key),
        )


def line_of(row: Shown, scene: Scene, width: int) -> Line:
    match row:
        case Row():
            return step_row(row, scene.axis, scene.names, width, scene.now, scene.glyphs, scene.told(row))
        case ItemRow():
            return item_row(row.item, scene, width)
        case GroupRow():
            return _group_row(row, scene, width)
        case GridRow():
            some = row.items
            label = f"[{some.start:,}]" if len(some) == 1 else f"[{some.start:,}-{some.stop - 1:,}]"
            beside = scene.names + BESIDE
            return [(fit(f"  {label}", beside), "dim"), *grid_cells(scene.items[row.key], some, scene.glyphs)]
        case LegendRow():
            return [("  ", ""), *legend(scene.items[row.key], scene.glyphs)]
        case ItemRest():
            counts = count_spans(row.counts, row.not_begun, scene.glyphs, is_cut=scene.items[row.key].is_cut)
            many = sum(row.counts.values()) + row.not_begun
            return [("  ", ""), *_fold(scene.glyphs, many, "item", is_open=row.is_open), *counts]
        case NotRun():
            sign = fold_sign(scene.glyphs, is_open=row.is_open)
            keys = ", ".join(map(safe, row.keys[:MOST_NAMED]))
            return [(f"  {sign} {len(row.keys):,} not run because of it: {keys}", "dim")]
        case Rest():
            line = _fold(scene.glyphs, sum(row.counts.values()), "step", is_open=row.is_open)
            for status, count in row.counts.items():
                sign, style = scene.glyphs.step(status)
                line.append((f"{count:,}{sign} ", style))
            return line
        case _:
            assert_never(row)


def _fold(glyphs: Glyphs, count: int, what: str, *, is_open: bool) -> Line:
    sign = fold_sign(glyphs, is_open=is_open)
    dots = "..." if glyphs.ascii_only else "…"
    words = f"these {count:,}" if is_open else f"{dots} {count:,} more"
    does = "x folds them" if is_open else "x unfolds"
    return [(f"{sign} {words} {what}{'' if count == 1 else 's'}  {does}  ", "dim")]


def fold_sign(glyphs: Glyphs, *, is_open: bool) -> str:
    if glyphs.ascii_only:
        return "v" if is_open else ">"
    return "▾" if is_open else "▸"


# Names


def label_width(rows: Sequence[Row], width: int, items: Mapping[str, Items] | None = None, stars: int = 0) -> int:
    """How wide the names are: what they need, but never more than a third of the line."""
    longest = max((len(row.step.key) for row in rows[:500]), default=8)
    for key, own in (items or {}).items():
        longest = max(longest, len(key) + len(f" ×{own.total:,} ▸"))
    return max(6, min(longest + 1, width // 3)) + stars


def name_of(step: StepRecord, told: Told, glyphs: Glyphs, room: int) -> str:
    """In at most `room` cells; how many items it has is never cut."""
    items, key = told.items, safe(step.key)
    if items is None:
        return fit_name(key, min(cell_len(key), room))
    times = "x" if glyphs.ascii_only else "×"
    many = f" {times}{items.total:,}" if items.total > 1 else ""
    fold = f" {fold_sign(glyphs, is_open=told.form is not None)}"
    if cell_len(f"{key}{many}{fold}") > room and room - cell_len(f"{many}{fold}") < LEAST_OF_KEY:
        fold = ""
    beside = f"{many}{fold}"
    return f"{fit_name(key, min(cell_len(key), max(1, room - cell_len(beside))))}{beside}"


# Steps


def step_row(row: Row, axis: Axis, names: int, width: int, now: datetime, glyphs: Glyphs, told: Told = NOTHING) -> Line:
    step = row.step
    glyph, style = glyphs.step(step.status)
    if is_upstream_failure(step):
        style = "dim"
    quiet = step.status in (StepStatus.PENDING, StepStatus.SKIPPED) or style == "dim"
    name_style = "title" if told.is_critical else "dim" if quiet else ""
    star = "" if not told.is_critical else " *" if glyphs.ascii_only else " ★"
    name = f"{name_of(step, told, glyphs, names - len(star))}{star}"
    line: Line = [
        (f"{glyph} ", style),
        (fit_name(name, names), name_style),
        (f"{took_of(row, now, told.expected):>{BESIDE - 4}} ", "dim"),
    ]
    count = width - names - BESIDE
    if count < LEAST_CELLS:
        return line
    cells = Cells(count, glyphs)
    begun = [one for one in row.attempts if one.started_at is not None]
    has_items = told.items is not None and told.items.total > 1
    if told.items is not None and has_items and is_fan_out(step):
        _draw_profile(cells, told.items, axis, now, style, glyphs)
    else:
        draw_attempts(cells, row.attempts, axis, now, style, told.ready_at)
    drawn = cells.used
    if told.expected is not None and step.status is not StepStatus.AWAITING_RETRY:
        draw_expected(cells, max(now, told.expected.begin), told.expected.end, axis)
    elif told.expected is not None:
        draw_expected(cells, told.expected.begin, told.expected.end, axis)
    if not cells.used and begun:
        _point(cells, begun[-1], axis, glyphs)
    line.append((" ", ""))
    return [*line, *_with_note(cells, drawn, _notes(row, told, now, style, glyphs), may_be_cut=not has_items)]


def took_of(row: Row, now: datetime, expected: Expected | None) -> str:
    """From the begin of its first attempt; of one that has not begun, what it is expected to take."""
    first = row.attempts[0].started_at
    if first is None:
        return "" if expected is None or row.step.status.is_final else f"~{short(expected.usual.median)}"
    end = row.step.finished_at if row.step.status.is_final else now
    return short(((end or now) - first).total_seconds())


def _draw_profile(cells: Cells, items: Items, axis: Axis, now: datetime, style: str, glyphs: Glyphs) -> None:
    drawn = profile(items.activity.levels(axis, cells.count, now), items.activity.peak, glyphs)
    begin = len(drawn) - len(drawn.lstrip())
    cells.put(begin, drawn.strip(), style)


def _point(cells: Cells, attempt: StepRecord, axis: Axis, glyphs: Glyphs) -> None:
    """Where it is, out of the part that is seen."""
    assert attempt.started_at is not None
    if axis.at(attempt.started_at, cells.count) > 0:
        cells.put(cells.count - 1, ">" if glyphs.ascii_only else "›", "dim")
    else:
        cells.put(0, "<" if glyphs.ascii_only else "‹", "dim")


def _notes(row: Row, told: Told, now: datetime, style: str, glyphs: Glyphs) -> list[Line]:
    """What is to be said beside the bar, the longest way first; text in one piece may be cut."""
    step = row.step
    note = note_of(step, now)
    said: Line = [(note, "bad" if step.status is StepStatus.FAILED and style != "dim" else "dim")] if note else []
    if told.items is not None and told.items.total > 1:
        return [[*counts, *said] for counts in items_note(told.items, glyphs)]
    if step.status is StepStatus.RUNNING and told.expected is not None and step.started_at is not None:
        notes = running_notes(told.expected, step.started_at, now)
        return [[(text, color), *([("  ", ""), *said] if said else [])] for text, color in notes] or [said]
    return [said]


def _with_note(cells: Cells, drawn: int, notes: Sequence[Line], *, may_be_cut: bool = True) -> Line:
    """`drawn`: the cells of what has happened; what is expected may give way."""
    if not notes[-1]:
        return cells.line()
    for note in notes:
        length = sum(cell_len(text) for text, _ in note)
        if length < cells.count - cells.used:
            return [*cells.line(), (" ", ""), *note]
        if length + 2 <= cells.count - drawn:
            return [*cells.line(cells.count - length - 1), (" ", ""), *note]
    note = notes[-1]
    if may_be_cut and cells.count - cells.used > LEAST_NOTE:
        return [*cells.line(), (" ", ""), *fit_line(note, cells.count - cells.used - 1)]
    length = sum(cell_len(text) for text, _ in note)
    begin, end = cells.gap()
    if end - begin - 2 >= min(length, LEAST_IN_GAP):
        length = min(length, end - begin - 2)
        cells.write(end - length - 1, fit_line(note, length))
    else:
        # No room beside the bar: it is written into it, so that both are seen.
        length = min(length + 2, cells.count)
        cells.write(cells.count - length, fit_line([(" ", ""), *note, (" ", "")], length))
    return cells.line()


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


# Items


def item_row(item: Item, scene: Scene, width: int) -> Line:
    glyph, style = scene.glyphs.run(item.status)
    took = "" if item.started_at is None else short(item.seconds(scene.now))
    line: Line = [
        (f"  {glyph} ", style),
        (fit_name(f"[{item.number}]", scene.names - 2), ""),
        (f"{took:>{BESIDE - 4}} ", "dim"),
    ]
    count = width - scene.names - BESIDE
    if count < LEAST_CELLS:
        return line
    cells = Cells(count, scene.glyphs)
    if item.started_at is not None:
        end = item.finished_at or scene.now
        cells.bar(scene.axis.at(item.started_at, count), scene.axis.at(end, count), style)
    said: Line = [(safe(item.message), "bad")] if item.message else []
    return [*line, (" ", ""), *_with_note(cells, cells.used, [said])]


def _group_row(row: GroupRow, scene: Scene, width: int) -> Line:
    glyph, style = scene.glyphs.run(RunStatus.FAILED)
    times = "x" if scene.glyphs.ascii_only else "×"
    sign = fold_sign(scene.glyphs, is_open=row.is_open)
    items = row.group.items
    numbers = " ".join(f"[{item.number}]" for item in items[:MOST_NAMED])
    line: Line = [(f"  {glyph} ", style), (f"{len(items):,}{times} {sign} ", style)]
    return [*line, (safe(items[0].message), "bad"), (f"  {numbers}", "dim")]


# What moves, and since when it could have begun

MOVING = (StepStatus.RUNNING, StepStatus.SLEEPING, StepStatus.AWAITING_RETRY)
"""What is drawn of these changes with time alone."""


def moves(rows: Sequence[Row]) -> bool:
    """Whether anything on it changes with time alone."""
    return any(row.step.status in MOVING for row in rows)


def ready_at(row: Row, run: RunRecord, finished: Mapping[str, datetime | None]) -> datetime | None:
    """Since when a step had all that it waited for, if it waits for room, or did. `finished`: when each step ended."""
    step = row.step
    if (
        run.status is RunStatus.SCHEDULED
        or step.reused
        or (row.attempts[0].started_at is None and (step.status.is_final or run.status.is_final))
    ):
        return None
    ends = [finished.get(key) for key in step.depends_on]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return None
    return max(known, default=run.started_at or max(run.created_at, run.wake_at or run.created_at))


def ends_of(rows: Sequence[Row]) -> dict[str, datetime | None]:
    """When each step ended; that an attempt did is not the end of one that is tried again."""
    return {row.step.key: row.step.finished_at if row.step.status.is_final else None for row in rows}


def activity_of(rows: Sequence[Row], items: Mapping[str, Items]) -> Activity:
    """Of the attempts of steps, and of the items of those that have many."""
    spans: list[tuple[float, float | None]] = []
    for row in rows:
        if row.step.key in items and items[row.step.key].total > 1:
            spans += items[row.step.key].activity.spans
            continue
        for attempt in row.attempts:
            if attempt.started_at is not None:
                end = attempt.finished_at
                spans.append((attempt.started_at.timestamp(), None if end is None else end.timestamp()))
    return Activity(spans)
