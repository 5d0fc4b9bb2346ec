"""What differs between two executions, for reading and as data."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from stepflow.cli.live import error_text
from stepflow.cli.session import note, say
from stepflow.cli.text import json_text, paint, safe, shortened
from stepflow.model.times import format_duration

if TYPE_CHECKING:
    from stepflow.client import Client
    from stepflow.model.differences import Change, RunDifference, StepDifference
    from stepflow.model.run import RunRecord, StepRecord

MOST_CHANGES = 20
"""Of one value; `--json` gives all."""
MOST_OF_VALUE = 120
COMMON = 20
"""Characters before the place where two long values begin to differ."""


async def show_run_difference(client: Client, first: str, second: str, as_json: bool) -> None:
    difference = await client.diff(first, second)
    if as_json:
        say(json_text(_as_json(difference)))
        return
    before, after = difference.before, difference.after
    if difference.is_empty:
        note(f"{paint('ℹ', 'blue', sys.stderr)} Nothing differs between {before.id} and {after.id}")
        return
    for line in _lines(difference):
        say(line)


def _lines(difference: RunDifference) -> Iterable[str]:
    before, after = difference.before, difference.after
    yield paint(f"{before.id} → {after.id}", "bold")
    for name, old, new in (
        ("Template", before.template, after.template),
        ("Version", str(before.version), str(after.version)),
        ("Status", before.status.value, after.status.value),
        ("Duration", _duration(before), _duration(after)),
    ):
        if old != new:
            yield f"{name}: {safe(old)} → {safe(new)}"
    if after.retry_of == before.id:
        yield "The second retries the first"
    yield from _ends(before, after, "")
    yield from _values("Input", difference.input, "")
    yield from _values("Result", difference.output, "")
    if difference.steps:
        yield ""
        yield "Steps:"
    for step in difference.steps:
        yield from _step_lines(step)
    if difference.same_steps:
        alike = "1 step is" if difference.same_steps == 1 else f"{difference.same_steps:,} steps are"
        yield paint(f"  {alike} the same", "dim")


def _step_lines(step: StepDifference) -> Iterable[str]:
    before, after = step.before, step.after
    if before is None and after is not None:
        yield paint(f"  + {safe(step.key)}: {after.status.value}", "green")
    elif after is None and before is not None:
        yield paint(f"  - {safe(step.key)}: {before.status.value}", "red")
    elif before is not None and after is not None:
        yield paint(f"  ~ {safe(step.key)}: {', '.join(_course(before, after))}", "yellow")
        yield from _ends(before, after, "      ")
        yield from _values("input", step.input, "      ")
        yield from _values("output", step.output, "      ")


def _course(before: StepRecord, after: StepRecord) -> Iterable[str]:
    """Its status, and what else is another."""
    same = before.status is after.status
    yield before.status.value if same else f"{before.status.value} → {after.status.value}"
    if before.component != after.component:
        yield f"{safe(before.component)} → {safe(after.component)}"
    if before.reused or after.reused:
        yield (
            "taken over"
            if before.reused and after.reused
            else f"taken over by the {'first' if before.reused else 'second'}"
        )
        return
    if before.attempt != after.attempt:
        yield f"attempts {before.attempt} → {after.attempt}"
    if before.recovered != after.recovered:
        yield f"with its default in the {'first' if before.recovered else 'second'}"
    if _duration(before) != _duration(after):
        yield f"{_duration(before)} → {_duration(after)}"


def _ends(before: RunRecord | StepRecord, after: RunRecord | StepRecord, indent: str) -> Iterable[str]:
    """Why each ended as it did, where that is not the same."""
    old, new = _why(before), _why(after)
    if old and old != new:
        yield paint(f"{indent}- {safe(old)}", "red")
    if new and new != old:
        yield paint(f"{indent}+ {safe(new)}", "green")


def _why(record: RunRecord | StepRecord) -> str:
    return error_text(record.error) if record.error is not None else record.reason or ""


def _duration(record: RunRecord | StepRecord) -> str:
    return "-" if record.duration_ms is None else format_duration(record.duration_ms)


def _values(name: str, changes: tuple[Change, ...], indent: str) -> Iterable[str]:
    for change in changes[:MOST_CHANGES]:
        old, new = _pair(change.before, change.after)
        where = "" if change.path == "$" else f" {safe(change.path)}"
        yield f"{indent}{name}{where}: {old} → {new}"
    if len(changes) > MOST_CHANGES:
        yield paint(f"{indent}{name}: {len(changes) - MOST_CHANGES:,} more; --json gives all", "dim")


def _pair(before: Any, after: Any) -> tuple[str, str]:
    """Of long values the part where they begin to differ."""
    old, new = (None if one is msgspec.UNSET else json_text(one) for one in (before, after))
    same = 0
    if old is not None and new is not None and max(len(old), len(new)) > MOST_OF_VALUE:
        while same < min(len(old), len(new)) and old[same] == new[same]:
            same += 1
    begin = max(0, same - COMMON)

    def shown(text: str | None) -> str:
        if text is None:
            return "(none)"
        return ("…" if begin else "") + shortened(text[begin:], MOST_OF_VALUE)

    return shown(old), shown(new)


def _as_json(difference: RunDifference) -> dict[str, Any]:
    before, after = difference.before, difference.after
    return {
        "before": {**_record_json(before), "id": before.id, "template": before.template, "version": before.version},
        "after": {**_record_json(after), "id": after.id, "template": after.template, "version": after.version},
        "input": _changes_json(difference.input),
        "output": _changes_json(difference.output),
        "steps": [
            {
                "key": step.key,
                "before": step.before and {**_record_json(step.before), "attempt": step.before.attempt},
                "after": step.after and {**_record_json(step.after), "attempt": step.after.attempt},
                "input": _changes_json(step.input),
                "output": _changes_json(step.output),
            }
            for step in difference.steps
        ],
        "same_steps": difference.same_steps,
    }


def _record_json(record: RunRecord | StepRecord) -> dict[str, Any]:
    return {
        "status": record.status.value,
        "reason": record.reason,
        "error": record.error,
        "duration_ms": record.duration_ms,
    }


def _changes_json(changes: tuple[Change, ...]) -> list[dict[str, Any]]:
    """Without `before` or `after` where there is nothing."""
    return [
        {name: value for name in ("path", "before", "after") if (value := getattr(change, name)) is not msgspec.UNSET}
        for change in changes
    ]
