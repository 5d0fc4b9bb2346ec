"""What differs between two executions, step by step: how they ended, how long they took, which values are others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from stepflow.model.flow import Json
from stepflow.model.paths import Path, write_path
from stepflow.model.run import RunRecord, StepRecord
from stepflow.model.statuses import RunStatus, StepStatus

NOTABLE_MS, NOTABLE_FACTOR = 100, 2
"""A step that takes so much longer, and so many times as long, is another in that."""


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value that is another, or stands on one side alone."""

    path: str
    """`$.items[0].n`; `$`: the whole."""
    before: Json | msgspec.UnsetType = msgspec.UNSET
    after: Json | msgspec.UnsetType = msgspec.UNSET


class StepDifference(msgspec.Struct, frozen=True):
    key: str
    before: StepRecord | None
    """None: the other execution's flow has no such step."""
    after: StepRecord | None
    input: tuple[Change, ...] = ()
    output: tuple[Change, ...] = ()


class RunDifference(msgspec.Struct, frozen=True):
    before: RunRecord
    after: RunRecord
    input: tuple[Change, ...]
    output: tuple[Change, ...]
    steps: tuple[StepDifference, ...]
    """Those that differ, in the order of the flow; steps of the first one alone stand where they stood."""
    same_steps: int

    @property
    def is_empty(self) -> bool:
        """But for how long they took."""
        same = (self.before.template, self.before.version) == (self.after.template, self.after.version)
        others = self.input or self.output or self.steps
        return same and not others and _end(self.before) == _end(self.after)


def compare_runs(
    before: RunRecord, before_steps: Sequence[StepRecord], after: RunRecord, after_steps: Sequence[StepRecord]
) -> RunDifference:
    """The steps with their inputs and outputs; one a step."""
    pairs = aligned({step.key: step for step in before_steps}, {step.key: step for step in after_steps})
    compared = [_compare_steps(key, old, new) for key, old, new in pairs]
    differing = tuple(one for one in compared if one is not None)
    return RunDifference(
        before=before,
        after=after,
        input=tuple(changes(before.input, after.input)),
        output=tuple(changes(_output(before), _output(after))),
        steps=differing,
        same_steps=len(compared) - len(differing),
    )


def changes(before: Any, after: Any, path: Path = ()) -> Iterator[Change]:
    """Items of lists are compared by their place."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from changes(before.get(key, msgspec.UNSET), after.get(key, msgspec.UNSET), (*path, key))
    elif isinstance(before, list) and isinstance(after, list):
        for index, (old, new) in enumerate(zip_longest(before, after, fillvalue=msgspec.UNSET)):
            yield from changes(old, new, (*path, index))
    elif before != after or isinstance(before, bool) is not isinstance(after, bool):
        yield Change(write_path(path), before, after)


Pair = tuple[str, StepRecord | None, StepRecord | None]


def aligned(before: dict[str, StepRecord], after: dict[str, StepRecord]) -> Iterator[Pair]:
    """By key, in the order of the second; what only the first has comes after the step that it followed there."""
    gone: dict[str | None, list[str]] = {}
    followed: str | None = None
    for key in before:
        if key in after:
            followed = key
        else:
            gone.setdefault(followed, []).append(key)
    for one in gone.get(None, ()):
        yield one, before[one], None
    for key, step in after.items():
        yield key, before.get(key), step
        for one in gone.get(key, ()):
            yield one, before[one], None


def _compare_steps(key: str, before: StepRecord | None, after: StepRecord | None) -> StepDifference | None:
    """None: nothing differs."""
    if before is None or after is None:
        return StepDifference(key, before, after)
    output = tuple(changes(_output(before), _output(after)))
    if before.reused or after.reused:
        # One took it over from the other, or from a third: how it came to its output is not its own.
        is_same = before.status is after.status
        return None if is_same and not output else StepDifference(key, before, after, (), output)
    given = tuple(changes(_input(before), _input(after)))
    is_same = _end(before) == _end(after) and _course(before) == _course(after) and not _is_slower(before, after)
    return None if is_same and not given and not output else StepDifference(key, before, after, given, output)


def _end(record: RunRecord | StepRecord) -> tuple[Any, ...]:
    error = record.error or {}
    return record.status, record.reason, error.get("code"), error.get("message")


def _course(step: StepRecord) -> tuple[Any, ...]:
    return step.component, step.attempt, step.recovered


def _is_slower(before: StepRecord, after: StepRecord) -> bool:
    """Or quicker."""
    if before.duration_ms is None or after.duration_ms is None:
        return False
    less, more = sorted((before.duration_ms, after.duration_ms))
    return more - less >= NOTABLE_MS and more >= NOTABLE_FACTOR * less


def _input(step: StepRecord) -> Any:
    """One that never started was given nothing."""
    return msgspec.UNSET if step.started_at is None and step.input is None else step.input


def _output(record: RunRecord | StepRecord) -> Any:
    """One that is not completed gave nothing."""
    is_there = record.output is not None or record.status in (RunStatus.COMPLETED, StepStatus.COMPLETED)
    return record.output if is_there else msgspec.UNSET
