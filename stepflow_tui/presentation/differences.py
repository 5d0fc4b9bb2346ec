"""Two executions side by side, step by step: how long each took, and what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from rich.cells import cell_len

from stepflow.model.differences import Change, RunDifference, StepDifference, aligned
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import StepStatus
from stepflow_tui.presentation.durations import short
from stepflow_tui.presentation.executions import error_text, short_id
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.spans import Line, fit, fit_name, safe
from stepflow_tui.presentation.timeline_bars import EIGHTHS
from stepflow_tui.presentation.timeline_folding import Row, rows_of
from stepflow_tui.presentation.versions import first_difference
from stepflow_tui.presentation.wrapping import wrap_text

WHOLE = "execution"
NOTABLE_MS = 100
"""Less is not said to be slower or quicker."""
MOST_CHANGES = 200
MOST_OF_VALUE = 200
BEFORE_DIFFERENCE = 40
"""Characters of a long value before what differs in it."""


class Pair(msgspec.Struct, frozen=True):
    """A step of both executions, or of one; the first pair are the executions themselves."""

    name: str
    key: str | None
    """None: the executions."""
    before: RunRecord | StepRecord | None
    after: RunRecord | StepRecord | None
    differs: bool
    values: tuple[tuple[str, tuple[Change, ...]], ...] = ()


def pairs_of(
    difference: RunDifference, before_steps: Sequence[StepRecord], after_steps: Sequence[StepRecord]
) -> list[Pair]:
    """All of them, those that do not differ too. The records: one an attempt; a step took all of its attempts."""
    differing = {step.key: step for step in difference.steps}
    before, after = difference.before, difference.after
    values = (("input", difference.input), ("output", difference.output))
    is_other = bool(difference.input or difference.output) or before.status is not after.status
    pairs = [Pair(WHOLE, None, before, after, is_other or before.version != after.version, values)]
    old, new = ({row.step.key: _whole(row) for row in rows_of(steps)} for steps in (before_steps, after_steps))
    for key, one, other in aligned(old, new):
        pairs.append(_pair_of(key, one, other, differing.get(key)))
    return pairs


def _whole(row: Row) -> StepRecord:
    """From its first begin to its last end."""
    return msgspec.structs.replace(row.step, started_at=row.attempts[0].started_at)


def _pair_of(key: str, one: StepRecord | None, other: StepRecord | None, difference: StepDifference | None) -> Pair:
    if difference is None:
        return Pair(key, key, one, other, differs=False)
    return Pair(key, key, one, other, True, (("input", difference.input), ("output", difference.output)))


def longest_ms(pairs: Sequence[Pair]) -> int:
    """Of a step."""
    return max((_ms(one) or 0 for pair in pairs[1:] for one in (pair.before, pair.after)), default=0)


def _ms(record: RunRecord | StepRecord | None) -> int | None:
    return None if record is None else record.duration_ms


def pair_row(pair: Pair, names: int, longest: int, width: int, glyphs: Glyphs) -> Line:
    side = max(9, min(40, (width - names - 14) // 3))
    line: Line = [(fit_name(safe(pair.name), names), "title" if pair.key is None else ""), (" ", "")]
    for record in (pair.before, pair.after):
        line += [*_side(record, side, longest, glyphs, has_bar=pair.key is not None), (" ", "")]
    return [*line, *_delta(pair, glyphs)]


def _side(record: RunRecord | StepRecord | None, width: int, longest: int, glyphs: Glyphs, *, has_bar: bool) -> Line:
    if record is None:
        return [(fit("-", width), "dim")]
    glyph, style = glyphs.step(record.status) if isinstance(record, StepRecord) else glyphs.run(record.status)
    took = record.duration_ms
    line: Line = [(f"{glyph} ", style), (f"{'' if took is None else short(took / 1000):>6} ", "dim")]
    cells = width - 9
    if not has_bar or took is None or cells < 3:
        return [*line, (" " * max(0, cells), "")]
    eighths = max(1, round(cells * 8 * took / max(1, longest)))
    if glyphs.ascii_only:
        text = "#" * ((eighths + 7) // 8)
    else:
        text = "█" * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")
    return [*line, (text.ljust(cells), style)]


def _delta(pair: Pair, glyphs: Glyphs) -> Line:
    before, after = pair.before, pair.after
    if before is None:
        return [("+ only in the second", "active")]
    if after is None:
        return [("- only in the first", "late")]
    line: Line = []
    old, new = before.duration_ms, after.duration_ms
    if old is not None and new is not None and abs(new - old) >= NOTABLE_MS:
        slower = new > old
        sign = ("+" if slower else "-") if glyphs.ascii_only else ("▲ +" if slower else "▽ −")
        line.append((f"{sign}{short(abs(new - old) / 1000)}  ", "late" if slower else "good"))
    if before.status is not after.status:
        arrow = "->" if glyphs.ascii_only else "→"
        worse = after.status is StepStatus.FAILED or after.error is not None
        line.append((f"{before.status.value} {arrow} {after.status.value}  ", "bad" if worse else "good"))
    changed = [name for name, changes in pair.values if changes]
    if changed:
        line.append((f"{' and '.join(changed)} differ{'' if len(changed) > 1 else 's'}", "active"))
    elif pair.differs and not line:
        line.append(("differs", "active"))
    return line or [("=", "dim")]


def difference_lines(pair: Pair, width: int, glyphs: Glyphs) -> list[Line]:
    """All that differs between the two."""
    arrow = "->" if glyphs.ascii_only else "→"
    lines: list[Line] = []
    before, after = pair.before, pair.after
    for sign, record, style in (("-", before, "late"), ("+", after, "active")):
        if record is not None and record.error is not None:
            lines += wrap_text(f"{sign} {error_text(record.error)}", width, style)
    if isinstance(before, RunRecord) and isinstance(after, RunRecord):
        if (before.template, before.version) != (after.template, after.version):
            versions = [f"{safe(run.template)} v{run.version}" for run in (before, after)]
            lines.append([("template ", "dim"), (f" {arrow} ".join(versions), "")])
        if after.retry_of == before.id:
            lines.append([("The second retries the first", "")])
    elif isinstance(before, StepRecord) and isinstance(after, StepRecord):
        for name, old, new in (
            ("component", before.component, after.component),
            ("attempts", before.attempt, after.attempt),
            ("taken over", before.reused, after.reused),
        ):
            if old != new:
                lines.append([(f"{name} ", "dim"), (f"{safe(old)} {arrow} {safe(new)}", "")])
    for name, changes in pair.values:
        lines += _change_lines(name, changes, width, arrow)
    return lines or [[("Nothing differs here but the time it took", "dim")]]


def _change_lines(name: str, changes: Sequence[Change], width: int, arrow: str) -> Iterator[Line]:
    for change in changes[:MOST_CHANGES]:
        old, new = _written_both(change)
        head = f"{name} {safe(change.path)}  "
        if cell_len(head) + cell_len(old) + cell_len(new) + 4 <= width:
            yield [(head, "dim"), (old, "late"), (f" {arrow} ", "dim"), (new, "active")]
        else:
            yield [(head, "dim")]
            yield from wrap_text(f"- {old}", width, "late")
            yield from wrap_text(f"+ {new}", width, "active")
    if len(changes) > MOST_CHANGES:
        yield [(f"{name}: {len(changes) - MOST_CHANGES:,} more", "dim")]


def _written_both(change: Change) -> tuple[str, str]:
    """Cut to what is seen of them, their first difference with it."""
    old, new = _written(change.before), _written(change.after)
    begin = max(0, first_difference(old, new) - BEFORE_DIFFERENCE) if max(len(old), len(new)) > MOST_OF_VALUE else 0
    return _cut(old, begin), _cut(new, begin)


def _cut(text: str, begin: int) -> str:
    end = begin + MOST_OF_VALUE
    return safe(f"{'…' if begin else ''}{text[begin:end]}{'…' if len(text) > end else ''}")


def _written(value: Any) -> str:
    return "(none)" if value is msgspec.UNSET else json.dumps(value, ensure_ascii=False)


def diff_title(before: RunRecord, after: RunRecord, glyphs: Glyphs) -> str:
    arrow = "->" if glyphs.ascii_only else "→"
    named = [f"{short_id(run.id)} {safe(run.template)} {glyphs.run(run.status)[0]}" for run in (before, after)]
    return f"Diff  {named[0]} {arrow} {named[1]}".replace("[", "\\[")
